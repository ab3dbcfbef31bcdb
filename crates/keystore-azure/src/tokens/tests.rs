use strongroom_keystore::config::AzureCredentials;

use super::*;
use crate::surroundings::Surroundings;

/// A source that nothing listens for.
fn tokens() -> Tokens {
    let mut around = Surroundings::new(|_| None, SystemTime::now);
    around.metadata_host = Some("http://127.0.0.1:1".to_owned());
    let credentials = AzureCredentials::ManagedIdentity { client_id: None };
    Tokens::new(
        Source::choose(credentials, &around).unwrap(),
        SystemTime::now,
    )
}

fn put(tokens: &Tokens, life: Duration, renew: Duration) {
    let now = Instant::now();
    let mut state = tokens.state();
    state.logins = 1;
    state.renew = Some(now + renew);
    state.token = Some(Arc::new(Token {
        text: SecretText::new("a-token".to_owned()),
        number: 1,
        expires: now + life,
    }));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let (tokens, web) = (tokens(), Web::new(None).unwrap());
    put(&tokens, Duration::from_secs(1000), Duration::ZERO);
    let token = tokens.get(&web, "r").await.unwrap();
    assert_eq!(token.text.expose(), "a-token");
    let renew = tokens.state().renew.unwrap();
    assert!(renew > Instant::now(), "the next renewal is later");
    tokio::time::advance(Duration::from_secs(1000)).await;
    let ended = tokens.get(&web, "r").await;
    assert!(matches!(ended, Err(StoreError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_failing_login_get_its_answer() {
    let (tokens, web) = (tokens(), Web::new(None).unwrap());
    let waiting = (0..50).map(|_| tokens.get(&web, "r"));
    let started = Instant::now();
    for outcome in futures::future::join_all(waiting).await {
        assert!(matches!(outcome, Err(StoreError::Unreachable { .. })));
    }
    // Three attempts and two pauses: fifty logins one after the other would take a minute of the paused clock.
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_refused_token_goes_and_a_newer_one_stays() {
    let (tokens, web) = (tokens(), Web::new(None).unwrap());
    put(&tokens, Duration::from_secs(1000), Duration::from_secs(900));
    let old = tokens.get(&web, "r").await.unwrap();
    {
        let mut state = tokens.state();
        let newer = Token {
            text: SecretText::new("newer".to_owned()),
            number: 2,
            expires: old.expires,
        };
        state.token = Some(Arc::new(newer));
    }
    assert!(tokens.refuse(&old));
    let newer = tokens.get(&web, "r").await.unwrap();
    assert_eq!(newer.text.expose(), "newer");
    assert!(tokens.refuse(&newer));
    assert!(tokens.current(Instant::now()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_for_a_refusal_once_in_a_while() {
    let (tokens, web) = (tokens(), Web::new(None).unwrap());
    let life = Duration::from_secs(1000);
    put(&tokens, life, life);
    assert!(tokens.refuse(&tokens.get(&web, "r").await.unwrap()));
    put(&tokens, life, life);
    let next = tokens.get(&web, "r").await.unwrap();
    assert!(!tokens.refuse(&next), "it came for a refused one just now");
    assert!(tokens.current(Instant::now()).is_some(), "and stays");
    tokio::time::advance(REFUSAL_HOLDS).await;
    assert!(tokens.refuse(&next));
    assert!(tokens.current(Instant::now()).is_none());
}

#[test]
fn renewals_are_early_and_spread() {
    let percents: std::collections::BTreeSet<u32> = (0..500).map(|_| renew_at_percent()).collect();
    assert!(percents.len() > 1);
    assert!(
        percents.iter().all(|p| (71..=80).contains(p)),
        "{percents:?}"
    );
}
