//! A store that is slow, away, or full of rubbish.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use strongroom_kes_api::KeyName;
use strongroom_keystore::{KeyStore, MemoryStore, Page, StoreError, StoredValue};

use crate::harness::{Fixture, Who};

/// A store in memory that counts, and does as it is told.
#[derive(Debug, Default)]
struct Told {
    inner: MemoryStore,
    gets: AtomicUsize,
    deletes: AtomicUsize,
    delay: Duration,
    /// Before a deletion alone.
    deletion_delay: Duration,
    is_away: bool,
}

impl Told {
    async fn outcome(&self) -> Result<(), StoreError> {
        tokio::time::sleep(self.delay).await;
        if self.is_away {
            let reason = "connection to secret-host:8200 refused".to_owned();
            return Err(StoreError::Unreachable {
                reason,
                source: None,
            });
        }
        Ok(())
    }
}

#[async_trait]
impl KeyStore for Told {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        if self.is_away {
            self.outcome().await?;
        }
        self.inner.create(name, value).await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.outcome().await?;
        self.inner.get(name).await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        self.deletes.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.deletion_delay).await;
        self.outcome().await?;
        self.inner.delete(name).await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.outcome().await?;
        self.inner.list(prefix, from, limit).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.outcome().await
    }

    fn describe(&self) -> String {
        "Told".to_owned()
    }
}

#[tokio::test]
async fn a_hundred_requests_for_a_cold_key_read_the_store_once() {
    let store = Arc::new(Told {
        delay: Duration::from_millis(300),
        ..Told::default()
    });
    let f = Fixture::start_over(Arc::clone(&store) as Arc<dyn KeyStore>).await;
    assert_eq!(
        f.post(&Who::app(), "/v1/key/create/app-a", "").await.status,
        200
    );
    assert_eq!(
        store.gets.load(Ordering::Relaxed),
        0,
        "create fills no cache"
    );
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(f.connect(&Who::app()).await.unwrap());
    }
    let requests = connections
        .iter_mut()
        .map(|c| c.request("POST", "/v1/key/generate/app-a", &[], Some("{}")));
    let answers = futures::future::join_all(requests).await;
    assert!(answers.iter().all(|a| a.as_ref().unwrap().status == 200));
    assert_eq!(store.gets.load(Ordering::Relaxed), 1);
    // A missing key is asked for each time.
    for _ in 0..3 {
        assert_eq!(
            f.get(&Who::app(), "/v1/key/describe/app-none").await.status,
            404
        );
    }
    assert_eq!(store.gets.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_failed_handshake_is_in_the_error_log_with_the_address_of_the_client() {
    let f = Fixture::start().await;
    let mut client = tokio::net::TcpStream::connect(f.address).await.unwrap();
    let address = client.local_addr().unwrap();
    // No type that a TLS record has.
    tokio::io::AsyncWriteExt::write_all(&mut client, &[0; 64])
        .await
        .unwrap();
    let words = format!("http: TLS handshake error from {address}: ");
    tokio::time::timeout(Duration::from_secs(30), async {
        while !f.records.error_texts().contains(&words) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert!(f.records.error_texts().contains("level=INFO"));
}

#[tokio::test]
async fn a_store_that_is_away_is_told_in_the_known_words_without_its_address() {
    let store = Arc::new(Told {
        is_away: true,
        ..Told::default()
    });
    let f = Fixture::start_over(store).await;
    let root = Who::root();
    for (method, path, status, message) in [
        ("GET", "/v1/ready", 504, "key store is not reachable"),
        ("GET", "/v1/key/describe/k", 502, "failed to read key"),
        ("POST", "/v1/key/create/k", 502, "failed to create key"),
        ("DELETE", "/v1/key/delete/k", 502, "failed to delete key"),
        ("GET", "/v1/key/list/", 502, "failed to list keys"),
    ] {
        let answer = f.request(&root, method, path, "").await;
        assert_eq!(answer.error(), (status, message.into()), "{path}");
        assert!(!answer.body.contains("secret-host"));
    }
    let status = f.get(&root, "/v1/status").await;
    assert_eq!(status.status, 200);
    // Clients refuse the one without the other.
    assert_eq!(status.json()["keystore_unreachable"], true);
    assert_eq!(status.json()["keystore_unavailable"], true);
    assert!(
        f.records.error_texts().contains("secret-host"),
        "the operator is told"
    );
}

#[tokio::test]
async fn a_store_that_hangs_does_not_hold_a_request_longer_than_its_route_allows() {
    let store = Arc::new(Told {
        delay: Duration::from_secs(3600),
        ..Told::default()
    });
    let (folder, keys, _) = crate::harness::new_store();
    let config = crate::harness::config_of("newest", &keys, |text| {
        text.replace(
            "keys:\n- name: app-declared",
            "api:\n  /v1/key/describe/:\n    timeout: 100ms",
        )
    });
    let f = Fixture::run(config, store, folder, keys).await;
    let answer = f.get(&Who::root(), "/v1/key/describe/k").await;
    assert_eq!(answer.error(), (504, "request timed out".into()));
}

#[tokio::test]
async fn a_deletion_whose_client_went_away_leaves_nothing_in_the_cache() {
    let store = Arc::new(Told {
        delay: Duration::from_millis(300),
        ..Told::default()
    });
    let f = Fixture::start_over(Arc::clone(&store) as Arc<dyn KeyStore>).await;
    let root = Who::root();
    let path = "/v1/key/describe/app-a";
    assert_eq!(f.post(&root, "/v1/key/create/app-a", "").await.status, 200);
    assert_eq!(f.get(&root, path).await.status, 200, "it is cached now");
    let mut leaver = f.connect(&root).await.unwrap();
    let deletion = leaver.request("DELETE", "/v1/key/delete/app-a", &[], None);
    let given_up = tokio::time::timeout(Duration::from_millis(100), deletion).await;
    assert!(given_up.is_err());
    drop(leaver);
    assert_eq!(store.deletes.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(f.get(&root, path).await.status, 404);
}

#[tokio::test]
async fn a_deletion_during_a_reload_leaves_nothing_in_the_new_cache() {
    let store = Arc::new(Told {
        deletion_delay: Duration::from_millis(500),
        ..Told::default()
    });
    let f = Fixture::start_over(Arc::clone(&store) as Arc<dyn KeyStore>).await;
    let root = Who::root();
    let path = "/v1/key/describe/app-a";
    assert_eq!(f.post(&root, "/v1/key/create/app-a", "").await.status, 200);
    let deletion = f.request(&root, "DELETE", "/v1/key/delete/app-a", "");
    let meanwhile = async {
        while store.deletes.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut config = f.server.config();
        config.cache.any = Duration::from_secs(1000);
        f.server.reload(config, f.server.store()).await.unwrap();
        f.get(&root, path).await.status
    };
    let (deleted, seen) = tokio::join!(deletion, meanwhile);
    assert_eq!((deleted.status, seen), (200, 200), "it was read in time");
    assert_eq!(f.get(&root, path).await.status, 404);
}

#[tokio::test]
async fn a_deletion_whose_client_went_away_is_audited_and_counted() {
    let store = Arc::new(Told {
        delay: Duration::from_secs(3600),
        ..Told::default()
    });
    let f = Fixture::start_over(Arc::clone(&store) as Arc<dyn KeyStore>).await;
    let root = Who::root();
    let mut leaver = f.connect(&root).await.unwrap();
    leaver
        .write("DELETE /v1/key/delete/app-a HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    while store.deletes.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(f.records.audit.lock().unwrap().is_empty(), "it still runs");
    drop(leaver);
    let left = async {
        loop {
            if let Some(record) = f.records.audit.lock().unwrap().first().cloned() {
                break record;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let record = tokio::time::timeout(Duration::from_secs(30), left).await;
    let record = record.unwrap();
    assert_eq!(
        (record.request.path.as_str(), record.status),
        ("/v1/key/delete/app-a", 499)
    );
    assert!(record.request.identity.is_some());
    let metrics = f.get(&root, "/v1/metrics").await.body;
    assert!(
        metrics.contains("kes_http_request_error{code=\"499\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn lesson_51_a_broken_stored_key_is_a_502_that_names_it_in_the_log_and_shows_nothing() {
    let f = Fixture::start().await;
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for (name, value) in [
        ("broken-empty", String::new()),
        ("broken-json", format!("{{\"bytes\":\"{secret}\"")),
        ("broken-cut", secret[..20].to_owned()),
        ("broken-binary", "\u{0}\u{1}".to_owned()),
    ] {
        std::fs::write(f.keys.join(name), value).unwrap();
        let answer = f
            .get(&Who::root(), &format!("/v1/key/describe/{name}"))
            .await;
        assert_eq!(answer.error(), (502, "failed to read key".into()), "{name}");
        let log = f.records.error_texts();
        assert!(log.contains(&format!("'{name}'")), "{log}");
        assert!(!log.contains(&secret[..8]), "{log}");
    }
    assert_eq!(
        f.get(&Who::root(), "/v1/key/describe/app-declared")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_listed_key_that_exists_is_left_alone() {
    let (folder, keys, store) = crate::harness::new_store();
    let stored = crate::harness::fixture("newest/keystore/app-declared");
    std::fs::write(keys.join("app-declared"), &stored).unwrap();
    let config = crate::harness::config_of("newest", &keys, |text| text);
    let f = Fixture::run(config, store, folder, keys).await;
    assert_eq!(
        std::fs::read_to_string(f.keys.join("app-declared")).unwrap(),
        stored
    );
}
