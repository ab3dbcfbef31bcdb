//! Many at once: one login, one winner.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::Value;
use strongroom_keystore::config::KvVersion;
use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_vault::VaultStore;

use crate::bao::Bao;

const CALLS: usize = 200;

async fn all_read(store: &Arc<VaultStore>) -> Vec<Result<String, StoreError>> {
    let reads = (0..CALLS).map(|_| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let stored = store.get(&name("k")).await?;
            Ok(stored.expose().to_owned())
        })
    });
    let outcomes = join_all(reads).await;
    outcomes.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_after_a_revocation_make_one_login_and_none_fails() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    for over_tls in [false, true] {
        let engine = bao.mount("", KvVersion::V2).await;
        let role = bao.role_for("", &engine, Value::Null).await;
        let mut config = bao.config(&engine, KvVersion::V2, &role);
        if over_tls {
            config = bao.over_tls(config);
        }
        let store = Arc::new(VaultStore::open(config).await.unwrap());
        store.create(&name("k"), value("text")).await.unwrap();
        let before = bao.logins();
        bao.revoke_tokens().await;
        for outcome in all_read(&store).await {
            assert_eq!(outcome.unwrap(), "text");
        }
        assert_eq!(bao.logins() - before, 1, "logins, over TLS: {over_tls}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_first_calls_make_one_login() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let config = bao.config(&engine, KvVersion::V2, &role);
    let store = Arc::new(VaultStore::open(config).await.unwrap());
    for outcome in all_read(&store).await {
        assert!(matches!(outcome, Err(StoreError::NotFound)), "{outcome:?}");
    }
    assert_eq!(bao.logins(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_no_storm() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let store = VaultStore::open(bao.config(&engine, KvVersion::V2, &role))
        .await
        .unwrap();
    let store = Arc::new(store);
    store.create(&name("k"), value("text")).await.unwrap();
    let before = bao.logins();
    bao.destroy_secret(&role).await;
    bao.revoke_tokens().await;
    for outcome in all_read(&store).await {
        let Err(StoreError::Other { reason, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(
            reason.contains("login by AppRole at 'auth/approle' is refused"),
            "{reason}"
        );
        assert!(!reason.contains(&role.secret));
    }
    let logins = bao.logins() - before;
    // One, and one more for each second that a slow machine needs for the calls; never one each.
    assert!(logins < 20, "{logins} logins of {CALLS} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_that_create_one_key_one_wins_and_no_value_is_overwritten() {
    const KEYS: usize = 40;
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let mut stores = Vec::new();
    // One may update, the other may not and is denied where the first learns of the version.
    let may_update =
        format!(r#"path "{engine}/*" {{ capabilities = ["create", "read", "update"] }}"#);
    for role in [
        bao.role_for("", &engine, Value::Null).await,
        bao.role_with("", &may_update, Value::Null).await,
    ] {
        let store = VaultStore::open(bao.config(&engine, KvVersion::V2, &role))
            .await
            .unwrap();
        stores.push(Arc::new(store));
    }
    let attempts = (0..KEYS * 2).map(|i| {
        let (store, key) = (Arc::clone(&stores[i % 2]), format!("key-{}", i / 2));
        tokio::spawn(async move {
            let mine = format!("of server {}", i % 2);
            let made = store.create(&name(&key), value(&mine)).await;
            (key, mine, made)
        })
    });
    let mut winners = Vec::new();
    for attempt in join_all(attempts).await {
        let (key, mine, made) = attempt.unwrap();
        match made {
            Ok(()) => winners.push((key, mine)),
            Err(StoreError::Exists) => {}
            Err(error) => panic!("{key}: {error:?}"),
        }
    }
    assert_eq!(winners.len(), KEYS, "one winner for each key");
    for (key, mine) in winners {
        for store in &stores {
            assert_eq!(store.get(&name(&key)).await.unwrap().expose(), mine);
        }
    }
}
