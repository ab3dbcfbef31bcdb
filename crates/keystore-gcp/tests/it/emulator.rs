//! Against drongo, an emulator of Google Secret Manager.

use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom_keystore::contract::{self, name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_peers::{Peer, free_port, tool};
use tempfile::TempDir;

use crate::store;

struct Drongo {
    peer: Peer,
    _folder: TempDir,
}

impl Drongo {
    fn start() -> Option<Self> {
        let program = tool("drongo")?;
        let folder = TempDir::new().unwrap();
        let port = free_port().unwrap();
        let args = ["server", "--host", "127.0.0.1", "-p", &port.to_string()];
        let peer = Peer::start(&program, &args, &[], port, folder.path()).unwrap();
        Some(Self {
            peer,
            _folder: folder,
        })
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.peer.address)
    }

    /// A call that the store does not make.
    async fn call(&self, method: &str, path: &str, body: &str) -> String {
        let url = format!("{}/v1/projects/p/{path}", self.endpoint());
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = reqwest::Client::new()
            .request(method, url)
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn google_secret_manager_keeps_the_promises_of_a_key_store() {
    let Some(drongo) = Drongo::start() else {
        return;
    };
    let projects = AtomicUsize::new(0);
    contract::holds(|| {
        let number = projects.fetch_add(1, Ordering::Relaxed);
        let endpoint = drongo.endpoint();
        async move { store(&endpoint, &format!("project-{number}")).await }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_a_version_is_no_key_and_the_next_creator_completes_it() {
    let Some(drongo) = Drongo::start() else {
        return;
    };
    let store = store(&drongo.endpoint(), "p").await;
    drongo
        .call(
            "POST",
            "secrets?secretId=half",
            r#"{"replication":{"automatic":{}}}"#,
        )
        .await;
    assert!(matches!(
        store.get(&name("half")).await,
        Err(StoreError::NotFound)
    ));
    store.create(&name("half"), value("whole")).await.unwrap();
    assert_eq!(store.get(&name("half")).await.unwrap().expose(), "whole");
    let again = store.create(&name("half"), value("other")).await;
    assert!(matches!(again, Err(StoreError::Exists)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_does_not_change_the_key() {
    let Some(drongo) = Drongo::start() else {
        return;
    };
    let store = store(&drongo.endpoint(), "p").await;
    store.create(&name("k"), value("first")).await.unwrap();
    drongo
        .call(
            "POST",
            "secrets/k:addVersion",
            r#"{"payload":{"data":"c2Vjb25k"}}"#,
        )
        .await;
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_version_is_told_in_words_and_is_not_created_over() {
    let Some(drongo) = Drongo::start() else {
        return;
    };
    let store = store(&drongo.endpoint(), "p").await;
    store.create(&name("k"), value("v")).await.unwrap();
    drongo
        .call("POST", "secrets/k/versions/1:disable", "{}")
        .await;
    let error = store.get(&name("k")).await.unwrap_err().to_string();
    assert!(
        error.contains("'k'") && error.contains("disabled"),
        "{error}"
    );
    let created = store.create(&name("k"), value("other")).await;
    assert!(matches!(created, Err(StoreError::Exists)), "{created:?}");
    drongo
        .call("POST", "secrets/k/versions/1:enable", "{}")
        .await;
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_bytes_fail_their_own_get_only() {
    let Some(drongo) = Drongo::start() else {
        return;
    };
    let store = store(&drongo.endpoint(), "p").await;
    drongo
        .call(
            "POST",
            "secrets?secretId=foreign",
            r#"{"replication":{"automatic":{}}}"#,
        )
        .await;
    drongo
        .call(
            "POST",
            "secrets/foreign:addVersion",
            r#"{"payload":{"data":"//79"}}"#,
        )
        .await;
    store.create(&name("mine"), value("v")).await.unwrap();
    let error = store.get(&name("foreign")).await.unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
    assert_eq!(store.get(&name("mine")).await.unwrap().expose(), "v");
    assert_eq!(store.list("", None, 10).await.unwrap().names.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_or_stands_still_is_unreachable_and_comes_back() {
    let Some(mut drongo) = Drongo::start() else {
        return;
    };
    let store = store(&drongo.endpoint(), "p").await;
    store.create(&name("k"), value("v")).await.unwrap();
    drongo.peer.pause().unwrap();
    let (got, status) = tokio::join!(async { store.get(&name("k")).await.unwrap_err() }, async {
        store.status().await.unwrap_err()
    });
    drongo.peer.resume().unwrap();
    assert!(matches!(got, StoreError::Unreachable { .. }), "{got:?}");
    assert!(
        matches!(status, StoreError::Unreachable { .. }),
        "{status:?}"
    );
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "v");
    drongo.peer.kill().unwrap();
    let error = store.get(&name("k")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let findings = store.examine().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].outcome.is_err());
}
