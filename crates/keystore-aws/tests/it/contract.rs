//! What every store promises, and what is AWS's own.

use std::sync::Arc;

use aws_sdk_secretsmanager::primitives::Blob;
use futures::future::join_all;
use strongroom_keystore::contract::{holds, name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_aws::AwsStore;

use crate::moto::Moto;

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    let Some(moto) = Moto::start() else { return };
    holds(|| async { Arc::new(moto.store().await) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_that_create_one_key_one_wins() {
    let Some(moto) = Moto::start() else { return };
    let config = moto.config();
    let one = AwsStore::open(config.clone()).await.unwrap();
    let other = AwsStore::open(config).await.unwrap();
    for round in 0..20 {
        let key = name(&format!("raced-{round}"));
        let both = [(&one, "one"), (&other, "other")];
        let outcomes = join_all(both.map(|(store, text)| store.create(&key, value(text)))).await;
        let won: Vec<&str> = both
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.is_ok())
            .map(|((_, text), _)| *text)
            .collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        assert!(
            outcomes
                .iter()
                .any(|o| matches!(o, Err(StoreError::Exists)))
        );
        assert_eq!(one.get(&key).await.unwrap().expose(), won[0]);
        assert_eq!(other.get(&key).await.unwrap().expose(), won[0]);
    }
}

#[tokio::test]
async fn a_secret_lies_there_under_the_keys_name_as_text_and_under_the_kms_key() {
    let Some(moto) = Moto::start() else { return };
    let mut config = moto.config();
    config.kms_key = Some("alias/for-keys".to_owned());
    let look = moto.look(&config.region);
    let store = AwsStore::open(config).await.unwrap();
    store
        .create(&name("my-key"), value("the text"))
        .await
        .unwrap();

    let described = look
        .describe_secret()
        .secret_id("my-key")
        .send()
        .await
        .unwrap();
    assert_eq!(described.kms_key_id(), Some("alias/for-keys"));
    let read = look
        .get_secret_value()
        .secret_id("my-key")
        .send()
        .await
        .unwrap();
    assert_eq!(read.secret_string(), Some("the text"));
    assert_eq!(read.secret_binary(), None);
}

#[tokio::test]
async fn without_a_kms_key_aws_chooses() {
    let Some(moto) = Moto::start() else { return };
    for kms_key in [None, Some("  ".to_owned())] {
        let mut config = moto.config();
        config.kms_key = kms_key;
        let look = moto.look(&config.region);
        let store = AwsStore::open(config).await.unwrap();
        store.create(&name("my-key"), value("v")).await.unwrap();
        let described = look
            .describe_secret()
            .secret_id("my-key")
            .send()
            .await
            .unwrap();
        assert_eq!(described.kms_key_id(), None);
    }
}

#[tokio::test]
async fn a_value_stored_as_binary_is_read_too() {
    let Some(moto) = Moto::start() else { return };
    let config = moto.config();
    let look = moto.look(&config.region);
    let store = AwsStore::open(config).await.unwrap();
    for (key, bytes) in [("text", b"as bytes".to_vec()), ("noise", vec![0xff, 0xfe])] {
        let create = look
            .create_secret()
            .name(key)
            .secret_binary(Blob::new(bytes));
        create.send().await.unwrap();
    }
    assert_eq!(store.get(&name("text")).await.unwrap().expose(), "as bytes");
    let refused = store.get(&name("noise")).await.unwrap_err().in_full();
    assert_eq!(
        refused,
        "the secret of key 'noise' is not text, so no key server wrote it"
    );
}

#[tokio::test]
async fn secrets_of_others_are_passed_over_and_all_answers_are_read() {
    const KEYS: usize = 230; // more than two answers
    let Some(moto) = Moto::start() else { return };
    let config = moto.config();
    let look = moto.look(&config.region);
    let store = AwsStore::open(config).await.unwrap();
    for foreign in ["db/password", "app+1", "app.conf", "app@x"] {
        look.create_secret()
            .name(foreign)
            .secret_string("x")
            .send()
            .await
            .unwrap();
    }
    let mut expected: Vec<String> = (0..KEYS).map(|i| format!("app-{i}")).collect();
    for key in &expected {
        store.create(&name(key), value("v")).await.unwrap();
    }
    expected.sort_unstable();
    for prefix in ["", "app"] {
        let page = store.list(prefix, None, 1000).await.unwrap();
        let listed: Vec<&str> = page.names.iter().map(|n| n.as_str()).collect();
        assert_eq!(listed, expected, "prefix '{prefix}'");
        assert_eq!(page.next, None);
    }
}

#[tokio::test]
async fn a_secret_scheduled_for_deletion_holds_its_name_and_says_so() {
    let Some(moto) = Moto::start() else { return };
    let config = moto.config();
    let look = moto.look(&config.region);
    let store = AwsStore::open(config).await.unwrap();
    store.create(&name("my-key"), value("v")).await.unwrap();
    let delete = look
        .delete_secret()
        .secret_id("my-key")
        .recovery_window_in_days(7);
    delete.send().await.unwrap();

    let got = store.get(&name("my-key")).await.unwrap_err();
    assert!(matches!(got, StoreError::Other { .. }), "{got:?}");
    assert!(got.in_full().contains("restore-secret"), "{got}");
    let page = store.list("", None, 10).await.unwrap();
    assert!(page.names.is_empty(), "it is no key now: {page:?}");

    store.delete(&name("my-key")).await.unwrap();
    store.create(&name("my-key"), value("new")).await.unwrap();
}

#[tokio::test]
async fn it_is_called_as_upstream_calls_it_and_shows_no_credentials() {
    let Some(moto) = Moto::start() else { return };
    let store = moto.store().await;
    assert_eq!(
        store.describe(),
        format!("AWS SecretsManager: {}", moto.url())
    );
    let shown = format!("{store:?}");
    assert!(
        !shown.contains("AKIA") && !shown.contains("EXAMPLE"),
        "{shown}"
    );
    assert_eq!(store.caveat(), None, "loopback is no network");
}
