//! Secrets, their versions, and what is left of deleted ones.

use strongroom_keystore::contract::{self, Exceptions, name, value};
use strongroom_keystore::{KeyStore as _, StoreError};

use crate::Fake;

#[tokio::test(flavor = "multi_thread")]
async fn azure_key_vault_keeps_the_promises_of_a_key_store_that_it_can_keep() {
    let Some(fake) = Fake::start() else { return };
    let exceptions = Exceptions {
        create_races: true,
        narrow_names: true,
        ..Exceptions::NONE
    };
    contract::holds_but_for(exceptions, async || {
        fake.control("reset", "{}").await;
        fake.store().await
    })
    .await;
}

#[tokio::test]
async fn the_oldest_version_is_the_key_on_whatever_page_it_is() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    for (created, text) in [
        (50, "e"),
        (40, "d"),
        (10, "oldest"),
        (30, "c"),
        (20, "b"),
        (60, "f"),
        (70, "g"),
    ] {
        let version = format!(r#"{{"name":"k","value":"{text}","created":{created}}}"#);
        fake.control("version", &version).await;
    }
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "oldest");
    assert_eq!(fake.asked("GET /secrets/k/versions").await, 3, "pages");
}

#[tokio::test]
async fn a_secret_with_versions_without_end_is_told() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    for created in 1..=25 {
        let version = format!(r#"{{"name":"k","value":"v","created":{created}}}"#);
        fake.control("version", &version).await;
    }
    let error = store.get(&name("k")).await.unwrap_err().to_string();
    assert!(
        error.contains("'k'") && error.contains("TooManyObjectVersions"),
        "{error}"
    );
}

#[tokio::test]
async fn who_comes_second_between_look_and_set_lost() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("version", r#"{"name":"k","value":"theirs","created":1000}"#)
        .await;
    let missing = r#"{\"error\":{\"code\":\"SecretNotFound\",\"message\":\"\"}}"#;
    fake.control(
        "answer",
        &format!(r#"{{"match":"GET /secrets/k?","status":404,"body":"{missing}"}}"#),
    )
    .await;
    let created = store.create(&name("k"), value("ours")).await;
    assert_eq!(fake.asked("PUT /secrets/k").await, 1);
    assert!(matches!(created, Err(StoreError::Exists)), "{created:?}");
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "theirs");
}

#[tokio::test]
async fn a_disabled_or_expired_key_is_told_in_words_and_is_not_created_over() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    for (key, attribute, words) in [
        ("off", r#""enabled":false"#, "disabled"),
        (
            "old",
            r#""exp":1000000000"#,
            "expired at 2001-09-09T01:46:40Z",
        ),
        (
            "young",
            r#""nbf":32503680000"#,
            "not valid before 3000-01-01T00:00:00Z",
        ),
    ] {
        let version = format!(r#"{{"name":"{key}","value":"v",{attribute}}}"#);
        fake.control("version", &version).await;
        let error = store.get(&name(key)).await.unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(words), "{error}");
        let created = store.create(&name(key), value("other")).await;
        assert!(
            matches!(created, Err(StoreError::Exists)),
            "{key}: {created:?}"
        );
    }
    assert_eq!(fake.asked("PUT /secrets").await, 0);
    assert_eq!(store.list("", None, 10).await.unwrap().names.len(), 3);
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_not_mixed_up() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    store.create(&name("My-Key"), value("v")).await.unwrap();
    assert!(matches!(
        store.get(&name("my-key")).await,
        Err(StoreError::NotFound)
    ));
    let error = store
        .create(&name("my-key"), value("w"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("'my-key'") && error.contains("'My-Key'"),
        "{error}"
    );
    assert!(matches!(
        store.delete(&name("my-key")).await,
        Err(StoreError::NotFound)
    ));
    assert_eq!(store.get(&name("My-Key")).await.unwrap().expose(), "v");
}

#[tokio::test]
async fn without_the_right_to_purge_a_delete_holds_and_a_create_says_what_blocks_it() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"denied":["purge"]}"#).await;
    store.create(&name("k"), value("one")).await.unwrap();
    store.delete(&name("k")).await.unwrap();
    assert!(matches!(
        store.get(&name("k")).await,
        Err(StoreError::NotFound)
    ));
    let error = store
        .create(&name("k"), value("two"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("'k' was deleted before") && error.contains("'purge'"),
        "{error}"
    );
    fake.control("settings", r#"{"denied":[]}"#).await;
    store.create(&name("k"), value("two")).await.unwrap();
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "two");
}

#[tokio::test]
async fn a_delete_that_was_cut_off_before_its_purge_is_finished_by_the_next() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"denied":["purge"]}"#).await;
    store.create(&name("k"), value("one")).await.unwrap();
    store.delete(&name("k")).await.unwrap();
    fake.control("settings", r#"{"denied":[]}"#).await;
    store.delete(&name("k")).await.unwrap();
    let again = store.delete(&name("k")).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
}

#[tokio::test]
async fn a_create_waits_for_a_short_purge() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"delete_seconds":0.5,"purge_seconds":0.7}"#)
        .await;
    store.create(&name("k"), value("one")).await.unwrap();
    store.delete(&name("k")).await.unwrap();
    store.create(&name("k"), value("two")).await.unwrap();
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "two");
}

#[tokio::test]
async fn a_long_purge_is_told_in_words() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"purge_seconds":600}"#).await;
    store.create(&name("k"), value("one")).await.unwrap();
    store.delete(&name("k")).await.unwrap();
    let error = store.create(&name("k"), value("two")).await.unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("'k' was deleted before") && text.contains("still purging"),
        "{text}"
    );
}

#[tokio::test]
async fn secrets_that_can_be_no_keys_are_passed_over() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    let long = "x".repeat(127);
    fake.control("version", &format!(r#"{{"name":"{long}","value":"v"}}"#))
        .await;
    store.create(&name("k"), value("v")).await.unwrap();
    let names = store.list("", None, 10).await.unwrap().names;
    assert_eq!(names, [name("k")]);
}
