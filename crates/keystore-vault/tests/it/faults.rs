//! What goes wrong, in one sentence each, and no key is lost for it.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_keystore::config::KvVersion;
use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_vault::{CALL_MAX, VaultStore};

use crate::bao::Bao;
use crate::scripted::{Reply, Scripted};

const FOUND: &str = r#"{"data":{"data":{"k":"text"},"metadata":{"version":1}}}"#;
/// What a machine that builds at the same time may add to a time limit.
const SLACK: Duration = Duration::from_secs(20);

fn unreachable<T: Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(error @ StoreError::Unreachable { .. }) => error.in_full(),
        other => panic!("not unreachable: {other:?}"),
    }
}

fn refused<T: Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Other { reason, .. }) => reason,
        other => panic!("not a failure of the store: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_ends_is_unreachable_for_every_call() {
    let Some(mut bao) = Bao::start().await else {
        return;
    };
    let (store, _) = bao.new_store(KvVersion::V2).await;
    store.create(&name("k"), value("text")).await.unwrap();
    bao.peer.kill().unwrap();
    let endpoint = bao.url.clone();
    for why in [
        unreachable(store.get(&name("k")).await),
        unreachable(store.create(&name("l"), value("text")).await),
        unreachable(store.delete(&name("k")).await),
        unreachable(store.list("", None, 10).await),
        unreachable(store.status().await),
        unreachable(store.connect().await),
    ] {
        assert!(why.contains(&endpoint), "{why}");
    }
}

#[tokio::test]
async fn a_half_dead_connection_is_noticed_and_left_behind() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let plain = bao.config(&engine, KvVersion::V2, &role);
    for config in [plain.clone(), bao.over_tls(plain)] {
        let store = VaultStore::open(config).await.unwrap();
        store.status().await.unwrap();
        let _ = store.create(&name("k"), value("text")).await;
        bao.pause().await;
        let started = Instant::now();
        let outcome = store.get(&name("k")).await;
        let took = started.elapsed();
        bao.peer.resume().unwrap();
        unreachable(outcome);
        assert!(took < CALL_MAX + SLACK, "{took:?}");
        bao.until("answering again", async || {
            store
                .get(&name("k"))
                .await
                .is_ok_and(|v| v.expose() == "text")
        })
        .await;
    }
}

#[tokio::test]
async fn a_sealed_vault_is_unreachable_and_says_so_and_is_used_again_when_open() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let (store, _) = bao.new_store(KvVersion::V2).await;
    store.create(&name("k"), value("text")).await.unwrap();
    bao.ask(Method::PUT, "", "sys/seal", Value::Null).await;
    for why in [
        unreachable(store.status().await),
        unreachable(store.get(&name("k")).await),
        unreachable(store.create(&name("l"), value("text")).await),
        unreachable(store.connect().await),
    ] {
        assert!(why.contains("sealed"), "{why}");
    }
    let key = bao.unseal_key();
    bao.ask(Method::PUT, "", "sys/unseal", json!({"key": key}))
        .await;
    bao.until("open", async || store.get(&name("k")).await.is_ok())
        .await;
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "text");
    assert!(matches!(
        store.get(&name("l")).await,
        Err(StoreError::NotFound)
    ));
}

#[tokio::test]
async fn a_missing_permission_is_told_with_its_path_and_costs_no_login() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let policy = format!(r#"path "{engine}/data/*" {{ capabilities = ["read"] }}"#);
    let role = bao.role_with("", &policy, Value::Null).await;
    let store = VaultStore::open(bao.config(&engine, KvVersion::V2, &role))
        .await
        .unwrap();
    for _ in 0..20 {
        let why = refused(store.create(&name("k"), value("text")).await);
        assert!(
            why.contains("create key 'k'") && why.contains(&format!("{engine}/data/k")),
            "{why}"
        );
    }
    assert!(refused(store.list("", None, 1).await).contains(&format!("{engine}/metadata")));
    assert!(refused(store.delete(&name("k")).await).contains(&format!("{engine}/metadata/k")));
    assert_eq!(bao.logins(), 1);
}

#[tokio::test]
async fn a_token_that_was_revoked_costs_one_login_and_no_failure() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let (store, _) = bao.new_store(KvVersion::V2).await;
    store.create(&name("k"), value("text")).await.unwrap();
    for round in 1..=3 {
        bao.revoke_tokens().await;
        assert_eq!(store.get(&name("k")).await.unwrap().expose(), "text");
        assert_eq!(bao.logins(), 1 + round);
    }
}

#[tokio::test]
async fn a_transit_key_that_is_gone_fails_only_what_it_wrapped() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let engine = bao.mount("", KvVersion::V2).await;
    let role = bao.role_for("", &engine, Value::Null).await;
    let mut config = bao.config(&engine, KvVersion::V2, &role);
    config.transit = Some(bao.with_transit().await);
    let store = VaultStore::open(config.clone()).await.unwrap();
    store.create(&name("k"), value("text")).await.unwrap();
    bao.root(
        &format!("{engine}/data/clear"),
        json!({"data": {"clear": "text"}}),
    )
    .await;
    bao.root(
        "transit/keys/wrapper/config",
        json!({"deletion_allowed": true}),
    )
    .await;
    bao.ask(Method::DELETE, "", "transit/keys/wrapper", Value::Null)
        .await;
    let why = refused(store.get(&name("k")).await);
    assert!(
        why.contains("'k'") && why.contains("transit/decrypt/wrapper"),
        "{why}"
    );
    refused(store.create(&name("l"), value("text")).await);
    assert_eq!(store.get(&name("clear")).await.unwrap().expose(), "text");
}

#[tokio::test]
async fn garbage_is_neither_a_key_nor_its_absence() {
    let answers: [fn() -> Reply; 12] = [
        || Reply::json(200, "<html>hello</html>"),
        || Reply::json(200, "{}"),
        || Reply::json(200, r#"{"data":[]}"#),
        || Reply::json(200, r#"{"data":{"data":"text"}}"#),
        || Reply::json(200, ""),
        || Reply::json(404, "<html>not found</html>"),
        || Reply::json(404, "{}"),
        || Reply::json(403, "forbidden by the firewall"),
        || Reply::json(418, "{}"),
        || Reply::json(500, "oops"),
        || Reply::Raw(b"\x16\x03\x01 no HTTP at all".to_vec()),
        || Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{".to_vec()),
    ];
    for (i, answer) in answers.into_iter().enumerate() {
        let server = Scripted::start(move |_| answer());
        let store = server.store().await;
        for outcome in [
            store.get(&name("k")).await.map(|_| ()),
            store.create(&name("k"), value("text")).await,
            store.list("", None, 10).await.map(|_| ()),
        ] {
            let Err(StoreError::Other { .. } | StoreError::Unreachable { .. }) = &outcome else {
                panic!("answer {i}: {outcome:?}");
            };
            let text = outcome.unwrap_err().in_full();
            assert!(
                text.len() < 400 && !text.contains('\n'),
                "answer {i}: {text}"
            );
            assert!(
                !text.contains("hunter2") && !text.contains("hvs.token"),
                "{text}"
            );
        }
        assert_eq!(
            server.requests("PUT /v1/kv"),
            0,
            "answer {i}: nothing was written"
        );
    }
}

#[tokio::test]
async fn states_of_the_way_are_unreachable() {
    for status in [429, 500, 502, 503, 504] {
        let body = if status == 429 {
            r#"{"errors":["rate limit quota exceeded"]}"#
        } else {
            ""
        };
        let server = Scripted::start(move |_| Reply::json(status, body));
        unreachable(server.store().await.get(&name("k")).await);
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let server = Scripted::start(|_| {
        let mut bytes = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        bytes.resize(40 << 20, b' ');
        Reply::Raw(bytes)
    });
    let store = server.store().await;
    assert!(refused(store.get(&name("k")).await).contains("longer"));
    assert!(refused(store.list("", None, 10).await).contains("longer"));
}

#[tokio::test]
async fn connections_are_kept_and_dead_ones_replaced() {
    let server = Scripted::start(|_| Reply::json(200, FOUND));
    let store = server.store().await;
    for _ in 0..20 {
        assert_eq!(store.get(&name("k")).await.unwrap().expose(), "text");
    }
    assert_eq!(server.connections(), 1);

    let server = Scripted::start(|_| Reply::JsonAndClose(200, FOUND.to_owned()));
    let store = server.store().await;
    for _ in 0..20 {
        assert_eq!(store.get(&name("k")).await.unwrap().expose(), "text");
    }
}

#[tokio::test]
async fn a_read_is_repeated_on_a_new_connection_and_a_write_never() {
    let is_first = AtomicBool::new(true);
    let server = Scripted::start(move |_| {
        if is_first.swap(false, SeqCst) {
            Reply::Close
        } else {
            Reply::json(200, FOUND)
        }
    });
    assert_eq!(
        server.store().await.get(&name("k")).await.unwrap().expose(),
        "text"
    );

    let server = Scripted::start(|line| {
        if line.starts_with("PUT") {
            Reply::Close
        } else {
            Reply::json(404, r#"{"errors":[]}"#)
        }
    });
    unreachable(server.store().await.create(&name("k"), value("text")).await);
    assert_eq!(server.requests("PUT /v1/kv/data/k"), 1);
}

#[tokio::test]
async fn a_standby_that_names_the_active_node_is_followed() {
    let active = Scripted::start(|_| Reply::json(200, FOUND));
    let url = active.url.clone();
    let standby = Scripted::start(move |line| {
        let path = line.split_once(' ').unwrap().1;
        let head = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n";
        Reply::Raw(format!("{head}Location: {url}{path}\r\n\r\n").into_bytes())
    });
    assert_eq!(
        standby
            .store()
            .await
            .get(&name("k"))
            .await
            .unwrap()
            .expose(),
        "text"
    );
}

/// Nothing is there, and whatever is written or deleted is answered with `reply`.
fn empty_but(reply: fn() -> Reply) -> Scripted {
    Scripted::start(move |line| match line.split(' ').next() {
        Some("GET") => Reply::json(404, r#"{"errors":[]}"#),
        _ => reply(),
    })
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_proof_that_a_key_was_created_or_deleted() {
    let vault = empty_but(|| Reply::json(200, "<html>maintenance</html>"));
    let other = empty_but(|| Reply::json(200, r#"{"status":"ok"}"#));
    for version in [KvVersion::V1, KvVersion::V2] {
        let store = vault.store_of(version).await;
        let why = refused(store.create(&name("k"), value("text")).await);
        assert!(why.contains("'k'") && why.contains("no JSON"), "{why}");
        let why = refused(store.delete(&name("k")).await);
        assert!(why.contains("'k'") && why.contains("no JSON"), "{why}");
    }
    // Version 2 tells which version it made.
    refused(other.store().await.create(&name("k"), value("text")).await);
}

#[tokio::test]
async fn a_redirect_does_not_turn_a_delete_into_a_read_that_looks_done() {
    let vault = Scripted::start(|line| match line.split(' ').next() {
        Some("GET") => Reply::json(200, FOUND),
        _ => Reply::Raw(
            b"HTTP/1.1 302 Found\r\nLocation: /v1/kv/metadata/k\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        ),
    });
    let store = vault.store().await;
    let why = refused(store.delete(&name("k")).await);
    assert!(why.contains("302"), "{why}");
    assert_eq!(vault.requests("GET /v1/kv"), 0);
}

#[tokio::test]
async fn an_engine_that_could_not_be_asked_for_once_is_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let engines = move || match asked.fetch_add(1, SeqCst) {
        0 => Reply::json(500, r#"{"errors":["internal error"]}"#),
        _ => Reply::json(200, r#"{"data":{"type":"kv","options":{"version":"1"}}}"#),
    };
    let vault = Scripted::start_with_engines(engines, |_| Reply::json(404, r#"{"errors":[]}"#));
    let store = vault.store().await;
    let why = refused(store.create(&name("k"), value("text")).await);
    assert!(why.contains("internal error"), "{why}");
    let why = refused(store.create(&name("k"), value("text")).await);
    assert!(why.contains("set the version"), "{why}");
    assert_eq!(
        vault.requests("PUT /v1/kv") + vault.requests("POST /v1/kv"),
        0
    );
}

#[tokio::test]
async fn an_engine_of_which_vault_does_not_tell_is_believed_and_not_asked_for_again() {
    for status in [400, 403, 404] {
        let engines = move || Reply::json(status, r#"{"errors":["unsupported path"]}"#);
        let vault = Scripted::start_with_engines(engines, |line| {
            if line.starts_with("GET") {
                Reply::json(404, r#"{"errors":[]}"#)
            } else {
                Reply::json(200, r#"{"data":{"version":1}}"#)
            }
        });
        let store = vault.store().await;
        store.create(&name("k"), value("text")).await.unwrap();
        let asked = vault.requests("GET /v1/sys/internal");
        assert!(asked > 0, "{status}");
        store.create(&name("l"), value("text")).await.unwrap();
        let again = vault.requests("GET /v1/sys/internal");
        assert_eq!(again, asked, "{status}");
    }
}
