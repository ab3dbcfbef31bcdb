//! AWS away, stuck, or guarded.

use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_aws::AwsStore;
use strongroom_peers::free_port;

use crate::canned::{Canned, answer};
use crate::moto::{Moto, some_credentials};

fn is_unreachable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreachable { .. })
}

#[tokio::test]
async fn a_store_opens_and_answers_in_words_while_nobody_listens() {
    let endpoint = format!("http://127.0.0.1:{}", free_port().unwrap());
    let config = strongroom_keystore::config::Aws {
        endpoint: endpoint.clone(),
        region: "us-east-1".to_owned(),
        kms_key: None,
        credentials: Some(some_credentials()),
    };
    let store = AwsStore::open(config).await.unwrap();
    for error in [
        store.connect().await.unwrap_err(),
        store.status().await.unwrap_err(),
        store.get(&name("k")).await.unwrap_err(),
        store.create(&name("k"), value("v")).await.unwrap_err(),
        store.list("", None, 1).await.unwrap_err(),
    ] {
        assert!(is_unreachable(&error), "{error:?}");
        let text = error.in_full();
        assert!(
            text.contains(&endpoint) && text.contains("refused"),
            "{text}"
        );
    }
    let findings = store.examine().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].outcome.is_err());
}

#[tokio::test]
async fn a_server_that_is_stuck_is_noticed_and_used_again_when_it_goes_on() {
    let Some(moto) = Moto::start() else { return };
    let store = moto.store().await;
    store.create(&name("k"), value("v")).await.unwrap();
    moto.peer.pause().unwrap();
    let key = name("k");
    let (got, status) = tokio::join!(store.get(&key), store.status());
    let got = got.unwrap_err();
    assert!(is_unreachable(&got), "{got:?}");
    assert!(is_unreachable(&status.unwrap_err()));
    moto.peer.resume().unwrap();
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "v");
    store.status().await.unwrap();
}

#[tokio::test]
async fn credentials_that_aws_does_not_know_are_refused_by_a_server_that_checks() {
    let Some(moto) = Moto::start_strict() else {
        return;
    };
    let store = moto.store().await;
    let refused = store.connect().await.unwrap_err();
    assert!(matches!(refused, StoreError::Other { .. }), "{refused:?}");
    assert!(refused.in_full().contains("403"), "{refused}");
    store.status().await.unwrap();
}

#[tokio::test]
async fn a_store_without_region_or_endpoint_does_not_open() {
    let given = |endpoint: &str, region: &str| strongroom_keystore::config::Aws {
        endpoint: endpoint.to_owned(),
        region: region.to_owned(),
        kms_key: None,
        credentials: Some(some_credentials()),
    };
    let no_region = AwsStore::open(given("localhost", " "))
        .await
        .unwrap_err()
        .in_full();
    assert!(
        no_region.contains("region") && no_region.contains("us-east-1"),
        "{no_region}"
    );
    let no_endpoint = AwsStore::open(given("", "us-east-1"))
        .await
        .unwrap_err()
        .in_full();
    assert!(no_endpoint.contains("endpoint"), "{no_endpoint}");
    let clear = AwsStore::open(given("http://aws.example", "us-east-1"))
        .await
        .unwrap();
    assert!(clear.caveat().unwrap().contains("unencrypted"));
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_not_read_into_memory() {
    let listing = r#"{"SecretList":[]}"#;
    let short = Canned::start([answer(200, listing)]).await;
    assert!(short.store().await.list("", None, 10).await.is_ok());
    let long = format!("{listing}{}", " ".repeat(17 << 20));
    let long = Canned::start([answer(200, &long)]).await;
    assert!(long.store().await.list("", None, 10).await.is_err());
}
