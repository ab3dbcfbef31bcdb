//! What `kes doctor` learns from the store.

use reqwest::Method;
use serde_json::Value;
use strongroom_keystore::config::{self, ClientTls, KvVersion, SecretText, VaultLogin};
use strongroom_keystore::{Finding, KeyStore as _, StoreError};
use strongroom_keystore_vault::VaultStore;

use crate::bao::Bao;
use crate::certificates;

async fn examined(config: config::Vault) -> Vec<Finding> {
    VaultStore::open(config).await.unwrap().examine().await
}

/// The one bad finding, which is the last where the rest depends on it.
fn last_is_bad(findings: &[Finding]) -> &str {
    let (last, before) = findings.split_last().unwrap();
    assert!(
        before.iter().all(|finding| finding.outcome.is_ok()),
        "{before:?}"
    );
    last.outcome.as_ref().unwrap_err()
}

fn bad(findings: &[Finding]) -> Vec<&str> {
    let bad = findings.iter().filter_map(|f| f.outcome.as_ref().err());
    bad.map(String::as_str).collect()
}

#[tokio::test]
async fn trouble_with_certificates_is_named() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let good = bao.over_tls(bao.config(&engine, KvVersion::V2, &role));
    let findings = examined(good.clone()).await;
    assert!(bad(&findings).is_empty(), "{findings:?}");

    let folder = tempfile::tempdir().unwrap();
    let stranger = certificates::make(folder.path());
    let mut wrong_ca = good.clone();
    wrong_ca.tls.ca = Some(stranger.ca.clone());
    let findings = examined(wrong_ca).await;
    let why = last_is_bad(&findings);
    let ca = stranger.ca.display().to_string();
    assert!(
        why.contains("signed by none of the authorities in") && why.contains(&ca),
        "{why}"
    );

    let mut system_roots = good.clone();
    system_roots.tls.ca = None;
    let findings = examined(system_roots).await;
    assert!(last_is_bad(&findings).contains("name the one that signed it in tls.ca"));

    let mut anonymous = good.clone();
    anonymous.tls = ClientTls {
        ca: good.tls.ca.clone(),
        ..ClientTls::default()
    };
    let findings = examined(anonymous).await;
    let why = last_is_bad(&findings);
    assert!(
        why.contains("client certificate") && why.contains("tls.cert"),
        "{why}"
    );

    let mut other_name = good.clone();
    other_name.endpoint = good.endpoint.replace("127.0.0.1", "localhost");
    let findings = examined(other_name).await;
    let why = last_is_bad(&findings);
    assert!(why.contains("not valid for name"), "{why}");
}

#[tokio::test]
async fn missing_permissions_are_told_as_lines_of_a_policy() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let policy = format!(r#"path "{engine}/data/minio/*" {{ capabilities = ["read"] }}"#);
    let role = bao.role_with("", &policy, Value::Null).await;
    let mut config = bao.config(&engine, KvVersion::V2, &role);
    config.prefix = Some("minio".to_owned());
    config.transit = Some(bao.with_transit().await);
    let findings = examined(config).await;
    let bad = bad(&findings).join("\n");
    for line in [
        format!(
            r#"lack create: add  path "{engine}/data/minio/*" {{ capabilities = ["create", "read"] }}"#
        ),
        format!(
            r#"lack delete: add  path "{engine}/metadata/minio/*" {{ capabilities = ["delete"] }}"#
        ),
        format!(
            r#"lack list: add  path "{engine}/metadata/minio/*" {{ capabilities = ["list"] }}"#
        ),
        r#"lack update: add  path "transit/encrypt/wrapper" { capabilities = ["update"] }"#
            .to_owned(),
        r#"lack update: add  path "transit/decrypt/wrapper" { capabilities = ["update"] }"#
            .to_owned(),
    ] {
        assert!(bad.contains(&line), "no {line:?} in\n{bad}");
    }
}

#[tokio::test]
async fn each_step_that_fails_ends_the_walk_with_its_reason() {
    let Some(mut bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let good = bao.config(&engine, KvVersion::V2, &role);

    let mut refused = good.clone();
    refused.login = VaultLogin::AppRole {
        engine: "approle".to_owned(),
        id: role.id.clone(),
        secret: SecretText::new("hunter2".to_owned()),
    };
    let findings = examined(refused).await;
    let why = last_is_bad(&findings);
    assert!(
        why.contains("is refused") && why.contains("check the credentials"),
        "{why}"
    );
    assert!(!format!("{findings:?}").contains("hunter2"));

    let mut unmounted = good.clone();
    unmounted.login = VaultLogin::AppRole {
        engine: "elsewhere".to_owned(),
        id: role.id.clone(),
        secret: SecretText::new(role.secret.clone()),
    };
    let findings = examined(unmounted).await;
    assert!(
        last_is_bad(&findings).contains("auth/elsewhere"),
        "{findings:?}"
    );

    let mut other_version = good.clone();
    other_version.version = KvVersion::V1;
    let findings = examined(other_version).await;
    assert!(
        bad(&findings)
            .iter()
            .any(|why| why.contains("is K/V version 2")),
        "{findings:?}"
    );

    bao.ask(Method::PUT, "", "sys/seal", Value::Null).await;
    let findings = examined(good.clone()).await;
    assert!(last_is_bad(&findings).contains("unseal it"), "{findings:?}");

    bao.peer.kill().unwrap();
    let findings = examined(good).await;
    assert!(
        last_is_bad(&findings).contains("cannot be connected to"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_when_the_store_is_opened() {
    let good = config::Vault {
        endpoint: "https://vault.example:8200".to_owned(),
        engine: "kv".to_owned(),
        version: KvVersion::V2,
        namespace: None,
        prefix: None,
        transit: None,
        login: VaultLogin::AppRole {
            engine: "approle".to_owned(),
            id: "id".to_owned(),
            secret: SecretText::new("hunter2".to_owned()),
        },
        login_namespace: None,
        tls: ClientTls::default(),
        ping: std::time::Duration::from_secs(15),
    };
    let store = VaultStore::open(good.clone()).await.unwrap();
    assert_eq!(
        store.describe(),
        "Hashicorp Vault: https://vault.example:8200"
    );
    assert!(!format!("{store:?}").contains("hunter2"));
    assert!(store.caveat().is_none());
    type Change = fn(&mut config::Vault);
    let changes: [(&str, Change); 6] = [
        ("no URL", |c| c.endpoint = "vault".to_owned()),
        ("vault.engine is empty", |c| c.engine = "/".to_owned()),
        ("'..'", |c| c.prefix = Some("a/../b".to_owned())),
        ("/nowhere/ca", |c| c.tls.ca = Some("/nowhere/ca".into())),
        ("both tls.key and tls.cert", |c| {
            c.tls.key = Some("/nowhere/key".into())
        }),
        ("vault.transit.key is empty", |c| {
            c.transit = Some(config::VaultTransit {
                engine: "transit".to_owned(),
                key: String::new(),
            });
        }),
    ];
    for (words, change) in changes {
        let mut config = good.clone();
        change(&mut config);
        let Err(StoreError::Other { reason, .. }) = VaultStore::open(config).await else {
            panic!("accepted: {words}");
        };
        assert!(reason.contains(words), "{reason}");
    }
    let mut racy = good;
    racy.version = KvVersion::V1;
    let caveat = VaultStore::open(racy).await.unwrap().caveat();
    let caveat = caveat.unwrap();
    for part in ["no atomic create", "lost to a time-out", "applied later"] {
        assert!(caveat.contains(part), "{part}: {caveat}");
    }
}
