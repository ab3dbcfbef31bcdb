//! Logging in and staying so, with real tokens.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use strongroom_keystore::config::{Jwt, KvVersion, SecretText, VaultLogin};
use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_vault::VaultStore;
use strongroom_peers::{Peer, free_port, repository, tool};

use crate::bao::{Bao, PATIENCE};

#[tokio::test]
async fn a_token_that_lives_for_seconds_is_replaced_again_and_again_without_a_failed_call() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let brief = json!({"token_ttl": "3s", "token_max_ttl": "3s"});
    let role = bao.role_for("", &engine, brief).await;
    let store = VaultStore::open(bao.config(&engine, KvVersion::V2, &role))
        .await
        .unwrap();
    store.create(&name("k"), value("text")).await.unwrap();
    let started = Instant::now();
    while bao.logins() < 4 {
        assert!(started.elapsed() < PATIENCE, "tokens are not replaced");
        assert_eq!(store.get(&name("k")).await.unwrap().expose(), "text");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_token_is_renewed_in_the_background() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    // The shortest life that is renewed rather than replaced.
    let role = bao.role_for("", &engine, json!({"token_ttl": "30s"})).await;
    let store = VaultStore::open(bao.config(&engine, KvVersion::V2, &role))
        .await
        .unwrap();
    store.connect().await.unwrap();
    bao.until("renewed", async || {
        bao.audited("auth/token/renew-self") == 1
    })
    .await;
    store.create(&name("k"), value("text")).await.unwrap();
    assert_eq!(bao.logins(), 1);
}

#[tokio::test]
async fn a_kubernetes_login_reads_its_token_file_each_time() {
    let (Some(bao), Some(python)) = (Bao::start().await, tool("python")) else {
        return;
    };
    let fake = repository().join("e2e/fakes/kubernetes_token_review.py");
    let jwt = |account: &str, flag: &str| {
        let mut command = Command::new(&python);
        command.arg(&fake).args(["--token", account]);
        if !flag.is_empty() {
            command.arg(flag);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let port = free_port().unwrap();
    let args = [
        fake.as_os_str().to_owned(),
        "--port".into(),
        port.to_string().into(),
    ];
    let _reviewer = Peer::start(&python, &args, &[], port, bao.folder.path()).unwrap();
    bao.root("sys/auth/kubernetes", json!({"type": "kubernetes"}))
        .await;
    let ca = std::fs::read_to_string(&bao.certificates.ca).unwrap();
    bao.root(
        "auth/kubernetes/config",
        json!({
            "kubernetes_host": format!("http://127.0.0.1:{port}"),
            "kubernetes_ca_cert": ca,
            "disable_local_ca_jwt": true,
            "token_reviewer_jwt": jwt("kube-system/reviewer", "").trim(),
        }),
    )
    .await;
    let engine = bao.mount("", KvVersion::V2).await;
    let policy = format!(r#"path "{engine}/*" {{ capabilities = ["create", "read"] }}"#);
    bao.root("sys/policies/acl/kes", json!({"policy": policy}))
        .await;
    bao.root(
        "auth/kubernetes/role/kes",
        json!({
            "bound_service_account_names": "kes",
            "bound_service_account_namespaces": "minio",
            "token_policies": "kes",
        }),
    )
    .await;
    let file = bao.folder.path().join("token");
    let role = bao.role_for("", &engine, Value::Null).await;
    let mut config = bao.config(&engine, KvVersion::V2, &role);
    config.login = VaultLogin::Kubernetes {
        engine: "kubernetes".to_owned(),
        role: "kes".to_owned(),
        jwt: Jwt::File(file.clone()),
    };
    let mut fixed = config.clone();
    let store = VaultStore::open(config).await.unwrap();
    let absent = store.connect().await.unwrap_err().to_string();
    assert!(absent.contains(&file.display().to_string()), "{absent}");

    std::fs::write(&file, jwt("minio/kes", "--revoked")).unwrap();
    bao.until("refused by the reviewer", async || {
        let error = store.connect().await.unwrap_err().to_string();
        error.contains("by Kubernetes at 'auth/kubernetes' as role 'kes' is refused")
    })
    .await;

    std::fs::write(&file, jwt("minio/kes", "")).unwrap();
    bao.until("logged in", async || store.connect().await.is_ok())
        .await;
    store.create(&name("k"), value("text")).await.unwrap();
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "text");

    fixed.login = VaultLogin::Kubernetes {
        engine: "kubernetes".to_owned(),
        role: "kes".to_owned(),
        jwt: Jwt::Token(SecretText::new(
            jwt("minio/somebody-else", "").trim().to_owned(),
        )),
    };
    let other = VaultStore::open(fixed).await.unwrap();
    let refused = other.get(&name("k")).await;
    assert!(
        matches!(refused, Err(StoreError::Other { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_store_that_was_away_at_the_start_is_used_when_it_comes() {
    let port = free_port().unwrap();
    let Some(first) = Bao::start_at(port).await else {
        return;
    };
    let engine = first.mount("", KvVersion::V2).await;
    let role = first.role_for("", &engine, Value::Null).await;
    let config = first.config(&engine, KvVersion::V2, &role);
    drop(first);

    let store = VaultStore::open(config).await.unwrap();
    let away = store.connect().await;
    assert!(
        matches!(away, Err(StoreError::Unreachable { .. })),
        "{away:?}"
    );

    // A new server that knows the same role.
    let Some(second) = Bao::start_at(port).await else {
        return;
    };
    assert_eq!(second.mount("", KvVersion::V2).await, engine);
    let policy = format!(r#"path "{engine}/*" {{ capabilities = ["create", "read"] }}"#);
    second
        .root("sys/policies/acl/kes", json!({"policy": policy}))
        .await;
    let path = "auth/approle/role/kes";
    second.root(path, json!({"token_policies": "kes"})).await;
    second
        .root(&format!("{path}/role-id"), json!({"role_id": role.id}))
        .await;
    second
        .root(
            &format!("{path}/custom-secret-id"),
            json!({"secret_id": role.secret}),
        )
        .await;
    second
        .until("connected", async || store.connect().await.is_ok())
        .await;
    store.create(&name("k"), value("text")).await.unwrap();
}
