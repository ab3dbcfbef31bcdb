//! What lies in Vault is what upstream KES wrote there, and what others keep beside it is theirs.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_keystore::config::KvVersion;
use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_vault::VaultStore;

use crate::bao::Bao;

fn reason<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Other { reason, .. }) => reason,
        other => panic!("not a failure of the store: {other:?}"),
    }
}

#[tokio::test]
async fn the_value_lies_in_a_field_that_is_named_after_the_key() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    for (version, data) in [(KvVersion::V1, ""), (KvVersion::V2, "data/")] {
        let engine = bao.mount("", version).await;
        let role = bao.role_for("", &engine, Value::Null).await;
        let mut config = bao.config(&engine, version, &role);
        config.prefix = Some("minio".to_owned());
        let store = VaultStore::open(config).await.unwrap();
        store.create(&name("my-key"), value("text")).await.unwrap();
        let path = format!("{engine}/{data}minio/my-key");
        let entry = bao.ask(Method::GET, "", &path, Value::Null).await.1;
        let fields = if version == KvVersion::V1 {
            &entry["data"]
        } else {
            &entry["data"]["data"]
        };
        assert_eq!(*fields, json!({"my-key": "text"}));
    }
}

#[tokio::test]
async fn foreign_entries_are_neither_listed_nor_overwritten_and_fail_only_themselves() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let (store, engine) = bao.new_store(KvVersion::V2).await;
    store.create(&name("ours"), value("text")).await.unwrap();
    for (path, data) in [
        ("folder/inside", json!({"inside": "text"})),
        ("not a key!", json!({"x": "y"})),
        ("foreign", json!({"password": "hunter2", "n": 1})),
        ("number", json!({"number": 7})),
    ] {
        bao.root(&format!("{engine}/data/{path}"), json!({"data": data}))
            .await;
    }
    let listed = store.list("", None, 100).await.unwrap();
    let names: Vec<&str> = listed.names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["foreign", "number", "ours"]);
    for foreign in ["foreign", "number"] {
        let why = reason(store.get(&name(foreign)).await);
        assert!(why.contains(foreign) && !why.contains("hunter2"), "{why}");
        let made = store.create(&name(foreign), value("text")).await;
        assert!(matches!(made, Err(StoreError::Exists)), "{made:?}");
    }
}

#[tokio::test]
async fn a_soft_deleted_key_is_not_found_and_blocks_its_name_in_words() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let (store, engine) = bao.new_store(KvVersion::V2).await;
    store.create(&name("k"), value("text")).await.unwrap();
    let path = format!("{engine}/data/k");
    bao.ask(Method::DELETE, "", &path, Value::Null).await;
    assert!(matches!(
        store.get(&name("k")).await,
        Err(StoreError::NotFound)
    ));
    let why = reason(store.create(&name("k"), value("other")).await);
    assert!(
        why.contains("metadata") && why.contains(&format!("{engine}/metadata/k")),
        "{why}"
    );
    bao.root(&format!("{engine}/undelete/k"), json!({"versions": [1]}))
        .await;
    assert_eq!(
        store.get(&name("k")).await.unwrap().expose(),
        "text",
        "nothing was lost"
    );
}

#[tokio::test]
async fn later_versions_by_others_do_not_change_a_key() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let (store, engine) = bao.new_store(KvVersion::V2).await;
    store.create(&name("k"), value("first")).await.unwrap();
    bao.root(
        &format!("{engine}/data/k"),
        json!({"data": {"k": "second"}}),
    )
    .await;
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "first");
}

#[tokio::test]
async fn with_transit_no_key_lies_in_clear_and_older_ones_are_still_read() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let plain = VaultStore::open(bao.config(&engine, KvVersion::V2, &role))
        .await
        .unwrap();
    plain
        .create(&name("before"), value("in the clear"))
        .await
        .unwrap();
    let mut config = bao.config(&engine, KvVersion::V2, &role);
    config.transit = Some(bao.with_transit().await);
    let wrapping = VaultStore::open(config).await.unwrap();
    assert_eq!(
        wrapping.get(&name("before")).await.unwrap().expose(),
        "in the clear"
    );
    wrapping
        .create(&name("v1"), value("master key text"))
        .await
        .unwrap();
    bao.root("transit/keys/wrapper/rotate", json!({})).await;
    wrapping
        .create(&name("v2"), value("master key text"))
        .await
        .unwrap();
    for key in ["v1", "v2"] {
        let path = format!("{engine}/data/{key}");
        let entry = bao.ask(Method::GET, "", &path, Value::Null).await.1;
        let stored = entry["data"]["data"][key].as_str().unwrap().to_owned();
        assert!(stored.starts_with(&format!("vault:{key}:")), "{stored}");
        assert!(!stored.contains("master key text"));
        assert_eq!(
            wrapping.get(&name(key)).await.unwrap().expose(),
            "master key text"
        );
        let why = reason(plain.get(&name(key)).await);
        assert!(why.contains(key) && why.contains("vault.transit"), "{why}");
    }
}

#[tokio::test]
async fn an_engine_of_the_other_version_is_found_out_before_anything_is_written() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    for (real, configured) in [
        (KvVersion::V1, KvVersion::V2),
        (KvVersion::V2, KvVersion::V1),
    ] {
        let engine = bao.mount("", real).await;
        let role = bao.role_for("", &engine, Value::Null).await;
        let store = VaultStore::open(bao.config(&engine, configured, &role))
            .await
            .unwrap();
        for outcome in [
            store.create(&name("k"), value("text")).await,
            store.connect().await,
        ] {
            let why = reason(outcome);
            assert!(why.contains("set the version"), "{why}");
        }
        let listing = format!("{engine}/?list=true");
        let (status, _) = bao.ask(Method::GET, "", &listing, Value::Null).await;
        assert_eq!(status, 404, "nothing was written");
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_no_missing_key() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let role = bao
        .role_with(
            "",
            r#"path "*" { capabilities = ["create", "read", "list"] }"#,
            Value::Null,
        )
        .await;
    let store = VaultStore::open(bao.config("nowhere", KvVersion::V2, &role))
        .await
        .unwrap();
    let why = reason(store.get(&name("k")).await);
    assert!(
        why.contains("nowhere/data/k") && why.contains("no handler"),
        "{why}"
    );
}
