use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use google_cloud_gax::error::rpc::{Code, Status};
use strongroom_keystore::config::SecretText;

use super::*;

/// A key of the kind that Google makes.
fn private_key() -> String {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)
        .unwrap()
        .serialize_pem()
}

fn account(private_key: &str) -> GcpCredentials {
    GcpCredentials {
        client_email: "kes@a-project.iam.gserviceaccount.com".to_owned(),
        client_id: "123456789".to_owned(),
        private_key_id: "key-1".to_owned(),
        private_key: SecretText::new(private_key.to_owned()),
    }
}

fn config(credentials: Option<GcpCredentials>, scopes: &[&str]) -> Gcp {
    Gcp {
        project_id: "a-project".to_owned(),
        endpoint: None,
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        credentials,
    }
}

fn public() -> Endpoint {
    Endpoint::parse(None).unwrap()
}

/// The claims of the token that the SDK signs for itself.
async fn claims(config: &Gcp) -> serde_json::Value {
    use base64::Engine as _;
    let credential = Credential::of(config, &public()).unwrap();
    let headers = credential
        .build()
        .unwrap()
        .headers(http::Extensions::new())
        .await
        .unwrap();
    let google_cloud_auth::credentials::CacheableResource::New { data, .. } = headers else {
        panic!("a first token is new");
    };
    let token = data["authorization"].to_str().unwrap().to_owned();
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_four_values_become_a_service_account_that_signs_tokens() {
    let claims = claims(&config(Some(account(&private_key())), &[])).await;
    assert_eq!(claims["iss"], "kes@a-project.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], SCOPE);
}

#[tokio::test]
async fn configured_scopes_are_asked_for() {
    let claims = claims(&config(
        Some(account(&private_key())),
        &["https://scope.example/a", "b"],
    ))
    .await;
    assert_eq!(claims["scope"], "https://scope.example/a b");
}

#[test]
fn a_missing_value_is_named() {
    let mut partial = account(&private_key());
    partial.client_id = String::new();
    let error = Credential::of(&config(Some(partial), &[]), &public()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("credentials.client_id is missing"),
        "{error}"
    );
}

#[test]
fn a_private_key_that_is_none_is_told_and_not_shown() {
    let error = Credential::of(&config(Some(account("very-secret-text")), &[]), &public());
    let text = error.unwrap_err().in_full();
    assert!(text.contains("private_key is no PKCS#8"), "{text}");
    assert!(!text.contains("very-secret"), "{text}");
}

#[test]
fn no_credential_goes_over_clear_text() {
    let emulator = Endpoint::parse(Some("http://127.0.0.1:1")).unwrap();
    let credential =
        Credential::of(&config(Some(account(&private_key())), &[]), &emulator).unwrap();
    assert!(matches!(credential, Credential::Anonymous));
    let client = Client::new(
        public(),
        Credential::of(&config(Some(account(&private_key())), &[]), &public()).unwrap(),
    );
    assert!(!format!("{:?}", client.unwrap()).contains("PRIVATE"));
}

/// A client that logs in, and never leaves the machine: what it asks is answered by the test.
fn client() -> Client {
    let config = config(Some(account(&private_key())), &[]);
    Client::new(public(), Credential::of(&config, &public()).unwrap()).unwrap()
}

/// Google, as far as tokens go.
#[derive(Default)]
struct Google {
    asked: AtomicUsize,
    takes_all: AtomicBool,
}

impl Google {
    async fn ask(&self, client: &Client) -> Result<(), Refusal> {
        let request = |_| async {
            self.asked.fetch_add(1, SeqCst);
            // Many are under way at the same time.
            tokio::task::yield_now().await;
            if self.takes_all.load(SeqCst) {
                return Ok(());
            }
            let status = Status::default().set_code(Code::Unauthenticated);
            Err(Error::service(status.set_message("the token is dead")))
        };
        client.call(request).await
    }
}

async fn made(client: &Client) -> u64 {
    client.current.lock().await.made
}

#[tokio::test(start_paused = true)]
async fn dead_credentials_are_tried_twice_and_then_answered_from_memory() {
    let (client, google) = (client(), Google::default());
    for _ in 0..100 {
        let refused = google.ask(&client).await.unwrap_err();
        assert!(
            matches!(&refused, Refusal::Unauthenticated { message } if message.contains("dead")),
            "{refused:?}"
        );
    }
    assert_eq!((made(&client).await, google.asked.load(SeqCst)), (2, 2));
    // A minute of calls, ten a second: a new client each five seconds at most.
    for _ in 0..600 {
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(google.ask(&client).await.is_err());
    }
    let made = made(&client).await;
    assert!((10..=14).contains(&made), "{made}");
    google.takes_all.store(true, SeqCst);
    tokio::time::advance(REPLACEMENT_HOLDS).await;
    google.ask(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_moment_with_dead_credentials_make_one_new_client() {
    let (client, google) = (client(), Google::default());
    google.takes_all.store(true, SeqCst);
    google.ask(&client).await.unwrap();
    google.takes_all.store(false, SeqCst);
    let mut many = tokio::task::JoinSet::new();
    let (client, google) = (std::sync::Arc::new(client), std::sync::Arc::new(google));
    for _ in 0..50 {
        let (client, google) = (client.clone(), google.clone());
        many.spawn(async move { google.ask(&client).await.is_err() });
    }
    assert!(many.join_all().await.into_iter().all(|failed| failed));
    assert_eq!(made(&client).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_died_once_is_replaced_without_a_failure() {
    let (client, google) = (client(), Google::default());
    let first = AtomicBool::new(true);
    let request = |_| async {
        if first.swap(false, SeqCst) {
            let status = Status::default().set_code(Code::Unauthenticated);
            return Err(Error::service(status));
        }
        Ok(())
    };
    client.call(request).await.unwrap();
    assert_eq!(made(&client).await, 2);
    google.takes_all.store(true, SeqCst);
    google.ask(&client).await.unwrap();
    assert_eq!(made(&client).await, 2);
}
