//! The suite of all stores, in every way that a Vault can be configured.

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_keystore::config::{self, KvVersion};
use strongroom_keystore::contract::{Exceptions, holds, holds_but_for};
use strongroom_keystore_vault::VaultStore;

use crate::bao::Bao;

const RACY: Exceptions = Exceptions {
    create_races: true,
    ..Exceptions::NONE
};

/// Each store has an engine of its own, and what `change` makes of its configuration.
async fn store(
    bao: &Bao,
    version: KvVersion,
    change: impl Fn(&mut config::Vault),
) -> Arc<VaultStore> {
    let engine = bao.mount("", version).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let mut config = bao.config(&engine, version, &role);
    change(&mut config);
    Arc::new(VaultStore::open(config).await.unwrap())
}

#[tokio::test]
async fn version_2_keeps_the_whole_contract() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    holds(|| store(&bao, KvVersion::V2, |_| {})).await;
}

#[tokio::test]
async fn version_1_keeps_it_but_for_races_between_servers() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    holds_but_for(RACY, || store(&bao, KvVersion::V1, |_| {})).await;
}

#[tokio::test]
async fn below_a_prefix_both_versions_keep_it() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let below = |config: &mut config::Vault| config.prefix = Some("/team a/minio/".to_owned());
    holds(|| store(&bao, KvVersion::V2, below)).await;
    holds_but_for(RACY, || store(&bao, KvVersion::V1, below)).await;
}

#[tokio::test]
async fn over_tls_with_a_private_authority_and_a_client_certificate_it_is_kept() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    holds(|| {
        store(&bao, KvVersion::V2, |config| {
            *config = bao.over_tls(config.clone())
        })
    })
    .await;
}

#[tokio::test]
async fn wrapped_by_transit_it_is_kept_also_after_the_transit_key_was_rotated() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let transit = bao.with_transit().await;
    let wrap = |config: &mut config::Vault| config.transit = Some(transit.clone());
    holds(|| store(&bao, KvVersion::V2, wrap)).await;
    bao.root("transit/keys/wrapper/rotate", json!({})).await;
    holds(|| store(&bao, KvVersion::V2, wrap)).await;
    holds_but_for(RACY, || store(&bao, KvVersion::V1, wrap)).await;
}

#[tokio::test]
async fn in_a_namespace_it_is_kept_with_a_login_there_and_with_one_in_the_root() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    bao.root("sys/namespaces/team", json!({})).await;
    bao.root_in("team", "sys/auth/approle", json!({"type": "approle"}))
        .await;
    let there = async || {
        let engine = bao.mount("team", KvVersion::V2).await;
        let role = bao.role_for("team", &engine, Value::Null).await;
        let mut config = bao.config(&engine, KvVersion::V2, &role);
        config.namespace = Some("team".to_owned());
        Arc::new(VaultStore::open(config).await.unwrap())
    };
    holds(there).await;
    let from_the_root = async || {
        let engine = bao.mount("team", KvVersion::V2).await;
        let role = bao
            .role_for("", &format!("team/{engine}"), Value::Null)
            .await;
        let mut config = bao.config(&engine, KvVersion::V2, &role);
        config.namespace = Some("team".to_owned());
        config.login_namespace = Some("/".to_owned());
        Arc::new(VaultStore::open(config).await.unwrap())
    };
    holds(from_the_root).await;
}
