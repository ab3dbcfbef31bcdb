//! A vault that is down, slow, overloaded, or no vault at all.

use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_azure::AzureStore;

use crate::Fake;

#[tokio::test]
async fn a_vault_that_is_gone_or_stands_still_is_unreachable_and_comes_back() {
    let Some(mut fake) = Fake::start() else {
        return;
    };
    let store = fake.store().await;
    store.create(&name("k"), value("v")).await.unwrap();
    fake.peer.pause().unwrap();
    let (got, status) = tokio::join!(async { store.get(&name("k")).await.unwrap_err() }, async {
        store.status().await.unwrap_err()
    });
    fake.peer.resume().unwrap();
    assert!(matches!(got, StoreError::Unreachable { .. }), "{got:?}");
    assert!(
        matches!(status, StoreError::Unreachable { .. }),
        "{status:?}"
    );
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "v");
    fake.peer.kill().unwrap();
    let error = store.get(&name("k")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let findings = store.examine().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].outcome.is_err());
}

#[tokio::test]
async fn a_store_opens_while_its_vault_is_away() {
    let Some(mut fake) = Fake::start() else {
        return;
    };
    fake.peer.kill().unwrap();
    let store = fake.store().await;
    let error = store.connect().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_throttled_call_waits_as_it_is_told_and_goes_through() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    store.connect().await.unwrap();
    let throttled =
        r#"{"match":"PUT /secrets","status":429,"times":2,"headers":{"Retry-After":"1"}}"#;
    fake.control("answer", throttled).await;
    store.create(&name("k"), value("v")).await.unwrap();
    assert_eq!(fake.asked("PUT /secrets/k").await, 3);
    let body = r#"{\"error\":{\"code\":\"Throttled\",\"message\":\"slow down\"}}"#;
    let always = format!(r#"{{"match":"GET /secrets/k","status":429,"times":9,"body":"{body}"}}"#);
    fake.control("answer", &always).await;
    let error = store.get(&name("k")).await.unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
    assert!(
        error.to_string().contains("Throttled: slow down"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated_and_a_set_is_not() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    store.create(&name("k"), value("v")).await.unwrap();
    for status in [0, 503] {
        let twice = format!(r#"{{"match":"GET /secrets/k","status":{status},"times":2}}"#);
        fake.control("answer", &twice).await;
        assert_eq!(store.get(&name("k")).await.unwrap().expose(), "v");
        let key = name(&format!("other-{status}"));
        let once = format!(r#"{{"match":"PUT /secrets/{key}","status":{status}}}"#);
        fake.control("answer", &once).await;
        let error = store.create(&key, value("v")).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Unreachable { .. }),
            "{status}: {error:?}"
        );
        assert_eq!(fake.asked(&format!("PUT /secrets/{key}")).await, 1);
    }
    fake.control(
        "answer",
        r#"{"match":"GET /secrets/k","status":503,"times":3}"#,
    )
    .await;
    let error = store.get(&name("k")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn garbage_is_told_as_what_it_is_and_is_never_a_missing_key() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    store.create(&name("k"), value("v")).await.unwrap();
    for (status, body) in [
        (200, "<html>"),
        (404, "<html>"),
        (200, r#"{\"value\":7}"#),
        (302, ""),
        (400, "[]"),
    ] {
        let answer = format!(r#"{{"match":"GET /secrets/k","status":{status},"body":"{body}"}}"#);
        fake.control("answer", &answer).await;
        let failed = store.get(&name("k")).await;
        let Err(StoreError::Other { reason, .. }) = failed else {
            panic!("{status} {body}: {failed:?}");
        };
        assert!(
            reason.contains("'k'") && reason.contains("no answer of Azure"),
            "{reason}"
        );
    }
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "v");
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    store.connect().await.unwrap();
    let long = "x".repeat((1 << 20) + 1);
    fake.control(
        "answer",
        &format!(r#"{{"match":"GET /secrets/k","status":200,"body":"{long}"}}"#),
    )
    .await;
    let error = store.get(&name("k")).await.unwrap_err().to_string();
    assert!(error.contains("more than 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn a_listing_is_not_continued_elsewhere() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    store.connect().await.unwrap();
    let body = r#"{\"value\":[],\"nextLink\":\"https://elsewhere.example/secrets\"}"#;
    fake.control(
        "answer",
        &format!(r#"{{"match":"GET /secrets","status":200,"body":"{body}"}}"#),
    )
    .await;
    let error = store.list("", None, 10).await.unwrap_err().to_string();
    assert!(error.contains("not followed"), "{error}");
}

#[tokio::test]
async fn a_missing_permission_is_told_with_azures_code_and_the_key() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"denied":["set"]}"#).await;
    let error = store
        .create(&name("the-key"), value("v"))
        .await
        .unwrap_err()
        .to_string();
    for part in [
        "the-key",
        "AccessDenied",
        "secrets set permission",
        "permissions get, list, set",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    fake.control("settings", r#"{"denied":["get"]}"#).await;
    let findings = store.examine().await;
    let bad = findings.iter().filter(|f| f.outcome.is_err());
    let bad: Vec<&str> = bad.map(|f| f.step.as_str()).collect();
    assert_eq!(bad, ["read secrets"], "{findings:?}");
    fake.control("settings", r#"{"denied":["list"]}"#).await;
    assert!(store.connect().await.is_err());
}

#[tokio::test]
async fn an_unknown_authority_of_the_vault_is_told_with_where_to_name_it() {
    let Some(fake) = Fake::start() else { return };
    let mut config = fake.config();
    config.ca = None;
    let store = AzureStore::open(config, fake.surroundings()).await.unwrap();
    let error = store.status().await.unwrap_err().in_full();
    assert!(
        error.contains("tls.ca") && error.contains("certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_by_its_setting() {
    let Some(fake) = Fake::start() else { return };
    let mut config = fake.config();
    config.endpoint = fake.endpoint().replace("https", "http");
    let error = AzureStore::open(config, fake.surroundings())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("azure.keyvault.endpoint"), "{error}");
    let mut config = fake.config();
    config.ca = Some("/nowhere/ca.pem".into());
    let error = AzureStore::open(config, fake.surroundings())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn something_that_wants_no_token_is_no_vault() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control(
        "answer",
        r#"{"match":"GET /secrets","status":200,"body":"{}"}"#,
    )
    .await;
    let error = store.get(&name("k")).await.unwrap_err().to_string();
    assert!(error.contains("a Key Vault would ask for one"), "{error}");
    assert!(matches!(
        store.get(&name("k")).await,
        Err(StoreError::NotFound)
    ));
}

#[tokio::test]
async fn a_vault_or_path_that_is_not_found_is_no_missing_key() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    store.create(&name("k"), value("v")).await.unwrap();
    for code in ["VaultNotFound", "ResourceNotFound", "404"] {
        let body = format!(r#"{{\"error\":{{\"code\":\"{code}\",\"message\":\"no\"}}}}"#);
        let fault = format!(r#"{{"match":"GET /secrets","status":404,"times":1,"body":"{body}"}}"#);
        for call in ["get", "list", "create"] {
            fake.control("answer", &fault).await;
            let error = match call {
                "get" => store.get(&name("k")).await.unwrap_err(),
                "list" => store.list("", None, 10).await.unwrap_err(),
                _ => store.create(&name("k"), value("w")).await.unwrap_err(),
            };
            assert!(
                matches!(error, StoreError::Other { .. }),
                "{call} {code}: {error:?}"
            );
        }
    }
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "v");
}
