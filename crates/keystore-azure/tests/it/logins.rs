//! Tokens: from whom, for what, and what happens when they end.

use std::time::SystemTime;

use futures::future::join_all;
use strongroom_keystore::config::{AzureCredentials, SecretText};
use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_azure::{AzureStore, Surroundings};

use crate::Fake;

const TOKEN: &str = "/oauth2/v2.0/token";

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_one_login_and_a_revoked_token_costs_one_more() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    for logins in 1..=2 {
        let got = join_all((0..32).map(|_| async { store.get(&name("none")).await })).await;
        for outcome in got {
            assert!(matches!(outcome, Err(StoreError::NotFound)), "{outcome:?}");
        }
        let log = fake.control("log", "{}").await;
        assert_eq!(
            log.matches("POST /a-tenant/oauth2").count(),
            logins,
            "{log}"
        );
        fake.control("revoke", "{}").await;
    }
}

#[tokio::test]
async fn a_vault_that_takes_no_token_costs_two_logins_and_not_two_a_call() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"token_seconds":3600}"#).await;
    store.connect().await.unwrap();
    fake.control(
        "answer",
        r#"{"match":"/secrets","status":401,"times":1000}"#,
    )
    .await;
    let started = std::time::Instant::now();
    for _ in 0..40 {
        let error = store.get(&name("k")).await.unwrap_err();
        assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
    }
    // One at the start, one for the first refusal, and one for each five seconds that a busy machine takes for this.
    let allowed = 2 + usize::try_from(started.elapsed().as_secs() / 5).unwrap();
    let logins = fake.asked(TOKEN).await;
    assert!((2..=allowed).contains(&logins), "{logins}");
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again_for_each_call() {
    let Some(fake) = Fake::start() else { return };
    let mut config = fake.config();
    config.credentials = AzureCredentials::ClientSecret {
        tenant_id: "a-tenant".to_owned(),
        client_id: "an-application".to_owned(),
        client_secret: SecretText::new("wrong".to_owned()),
    };
    let store = AzureStore::open(config, fake.surroundings()).await.unwrap();
    let started = std::time::Instant::now();
    for _ in 0..40 {
        let error = store.get(&name("k")).await.unwrap_err();
        assert!(error.to_string().contains("AADSTS7000215"), "{error}");
    }
    let allowed = 1 + usize::try_from(started.elapsed().as_secs() / 5).unwrap();
    let logins = fake.asked(TOKEN).await;
    assert!((1..=allowed).contains(&logins), "{logins}");
}

#[tokio::test]
async fn a_token_that_the_vault_never_takes_is_told() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"token_seconds":0}"#).await;
    let error = store.get(&name("k")).await.unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
    assert!(error.to_string().contains("tenant"), "{error}");
}

#[tokio::test]
async fn an_expired_token_is_replaced_without_a_refusal() {
    let Some(fake) = Fake::start() else { return };
    let store = fake.store().await;
    fake.control("settings", r#"{"token_seconds":1}"#).await;
    store.connect().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    fake.control("settings", r#"{"token_seconds":3600}"#).await;
    store.create(&name("k"), value("v")).await.unwrap();
    assert_eq!(fake.asked(TOKEN).await, 2);
}

#[tokio::test]
async fn a_refused_application_is_told_in_entras_words_and_without_its_secret() {
    let Some(fake) = Fake::start() else { return };
    let mut config = fake.config();
    config.credentials = AzureCredentials::ClientSecret {
        tenant_id: "a-tenant".to_owned(),
        client_id: "an-application".to_owned(),
        client_secret: SecretText::new("wrong-but-secret".to_owned()),
    };
    let store = AzureStore::open(config, fake.surroundings()).await.unwrap();
    let error = store.connect().await.unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
    let text = format!("{} {error:?} {store:?}", error.in_full());
    assert!(
        text.contains("AADSTS7000215") && text.contains("client_secret"),
        "{text}"
    );
    assert!(!text.contains("wrong-but-secret"), "{text}");
    let findings = store.examine().await;
    let last = findings.last().unwrap();
    assert_eq!(last.step, "obtain a token");
    assert!(last.outcome.is_err());
}

#[tokio::test]
async fn an_authority_that_is_down_is_unreachable_and_one_that_talks_nonsense_is_not() {
    let Some(fake) = Fake::start() else { return };
    fake.control("answer", r#"{"match":"oauth2","status":503,"times":3}"#)
        .await;
    let store = fake.store().await;
    let error = store.get(&name("k")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    fake.control(
        "answer",
        r#"{"match":"oauth2","status":200,"body":"<html>"}"#,
    )
    .await;
    let error = store.get(&name("k")).await.unwrap_err();
    assert!(error.to_string().contains("no token"), "{error}");
    assert!(matches!(
        store.get(&name("k")).await,
        Err(StoreError::NotFound)
    ));
}

#[tokio::test]
async fn a_vault_that_asks_for_a_token_of_something_else_gets_none() {
    let Some(fake) = Fake::start_with(&["--resource", "https://management.azure.com"]) else {
        return;
    };
    let store = fake.store().await;
    let error = store.connect().await.unwrap_err().to_string();
    assert!(error.contains("'https://management.azure.com'"), "{error}");
    assert_eq!(fake.asked(TOKEN).await, 0);
}

async fn opened(fake: &Fake, credentials: AzureCredentials, around: Surroundings) -> AzureStore {
    let mut config = fake.config();
    config.credentials = credentials;
    AzureStore::open(config, around).await.unwrap()
}

#[tokio::test]
async fn a_machine_has_an_identity_of_its_own() {
    let Some(fake) = Fake::start() else { return };
    let mut around = Surroundings::new(|_| None, SystemTime::now);
    around.metadata_host = Some(fake.endpoint());
    for client_id in [None, Some("an-application".to_owned())] {
        let managed = AzureCredentials::ManagedIdentity { client_id };
        opened(&fake, managed, around.clone())
            .await
            .connect()
            .await
            .unwrap();
    }
    let other = AzureCredentials::ManagedIdentity {
        client_id: Some("another".to_owned()),
    };
    let error = opened(&fake, other, around)
        .await
        .connect()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Identity not found") && error.contains("managed_identity"),
        "{error}"
    );
}

#[tokio::test]
async fn an_app_service_has_an_identity_of_its_own() {
    let Some(fake) = Fake::start() else { return };
    let mut around = Surroundings::new(|_| None, SystemTime::now);
    around.identity_endpoint = Some(format!("{}/msi/token", fake.endpoint()));
    around.identity_header = Some(SecretText::new("an-identity-header".to_owned()));
    let managed = AzureCredentials::ManagedIdentity { client_id: None };
    opened(&fake, managed, around)
        .await
        .connect()
        .await
        .unwrap();
    assert_eq!(fake.asked("GET /msi/token").await, 1);
}

#[tokio::test]
async fn the_default_chain_takes_the_first_that_the_environment_has_values_for() {
    let Some(fake) = Fake::start() else { return };
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a-federated-token\n").unwrap();
    let authority = fake.endpoint();
    let variables = |more: Vec<(&'static str, String)>| {
        let mut all = vec![
            ("AZURE_AUTHORITY_HOST", authority.clone()),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.clone()),
            ("AZURE_CLIENT_ID", "an-application".to_owned()),
        ];
        all.extend(more);
        let find = move |name: &str| {
            let found = all.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| v.clone())
        };
        Surroundings::new(find, SystemTime::now)
    };
    let tenant = || ("AZURE_TENANT_ID", "a-tenant".to_owned());
    let federated = || ("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string());
    for (around, asked) in [
        (
            vec![
                tenant(),
                ("AZURE_CLIENT_SECRET", "its-secret".to_owned()),
                federated(),
            ],
            "POST /a-tenant",
        ),
        (vec![tenant(), federated()], "POST /a-tenant"),
        (vec![tenant()], "GET /metadata/identity"),
    ] {
        fake.control("reset", "{}").await;
        let store = opened(&fake, AzureCredentials::Default, variables(around)).await;
        store.connect().await.unwrap();
        assert_eq!(fake.asked(asked).await, 1, "{asked}");
    }
    std::fs::remove_file(&file).unwrap();
    let store = opened(
        &fake,
        AzureCredentials::Default,
        variables(vec![tenant(), federated()]),
    )
    .await;
    let error = store.connect().await.unwrap_err().to_string();
    assert!(error.contains("AZURE_FEDERATED_TOKEN_FILE"), "{error}");
}

#[tokio::test]
async fn a_secret_is_sent_to_no_authority_in_the_clear() {
    let Some(fake) = Fake::start() else { return };
    let mut around = fake.surroundings();
    around.authority = Some("http://login.example".to_owned());
    let error = AzureStore::open(fake.config(), around)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("AZURE_AUTHORITY_HOST") && error.contains("https://"),
        "{error}"
    );
}
