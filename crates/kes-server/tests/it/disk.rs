//! The disk cache, through a server whose store comes and goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use strongroom_kes_api::KeyName;
use strongroom_kes_server::config::DiskCacheConfig;
use strongroom_keystore::{KeyStore, MemoryStore, Page, StoreError, StoredValue};

use crate::harness::{Fixture, Who, config_of, new_store};

const WELL: usize = 0;
const AWAY: usize = 1;
const FAILING: usize = 2;

/// A store in memory that is there, away, or failing.
#[derive(Debug, Default)]
struct Fickle {
    inner: MemoryStore,
    mood: AtomicUsize,
}

impl Fickle {
    fn is(&self, mood: usize) {
        self.mood.store(mood, Ordering::Relaxed);
    }

    fn outcome(&self) -> Result<(), StoreError> {
        match self.mood.load(Ordering::Relaxed) {
            WELL => Ok(()),
            AWAY => Err(StoreError::Unreachable {
                reason: "connection refused".to_owned(),
                source: None,
            }),
            _ => Err(StoreError::other("permission denied")),
        }
    }
}

#[async_trait]
impl KeyStore for Fickle {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        self.outcome()?;
        self.inner.create(name, value).await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        self.outcome()?;
        self.inner.get(name).await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        self.outcome()?;
        self.inner.delete(name).await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.outcome()?;
        self.inner.list(prefix, from, limit).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.outcome()
    }

    fn describe(&self) -> String {
        "Fickle".to_owned()
    }
}

/// A server that remembers nothing in memory, so that every request asks the store or the disk.
async fn start(store: &Arc<Fickle>, disk: &Path) -> Fixture {
    let (folder, keys, _) = new_store();
    let mut config = config_of("newest", &keys, |text| text);
    config.cache.any = Duration::ZERO;
    config.cache.disk = Some(DiskCacheConfig {
        path: disk.to_owned(),
        max_age: Duration::from_secs(3600),
    });
    Fixture::run(config, Arc::clone(store) as Arc<dyn KeyStore>, folder, keys).await
}

/// Waits for what happens in the background.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

async fn is_written(disk: &Path, name: &str) {
    let entry: PathBuf = disk.join(format!("{name}.entry"));
    until("the entry is written", async || entry.is_file()).await;
}

const GENERATE: &str = "/v1/key/generate/app-declared";

#[tokio::test]
async fn keys_survive_a_restart_while_the_store_is_away_and_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("cache");
    let store = Arc::new(Fickle::default());
    let first = start(&store, &disk).await;
    let sealed = first.post(&Who::app(), GENERATE, "{}").await;
    assert_eq!(sealed.status, 200);
    is_written(&disk, "app-declared").await;
    drop(first);

    store.is(AWAY);
    // The first server may need a moment to let go of the folder: another copy of it does as well.
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in ["salt", "app-declared.entry"] {
        std::fs::copy(disk.join(file), copy.join(file)).unwrap();
    }
    let f = start(&store, &copy).await;
    let body = format!("{{\"ciphertext\":\"{}\"}}", sealed.member("ciphertext"));
    let opened = f
        .post(&Who::app(), "/v1/key/decrypt/app-declared", &body)
        .await;
    assert_eq!(opened.member("plaintext"), sealed.member("plaintext"));
    let log = f.records.error_texts();
    assert!(
        log.contains("level=WARN") && log.contains("disk cache"),
        "{log}"
    );
    assert!(log.contains("not made yet"), "{log}");
    let metrics = f.get(&Who::root(), "/v1/metrics").await.body;
    assert!(metrics.contains("kes_cache_disk_active 1\n"), "{metrics}");
    assert!(metrics.contains("kes_cache_disk_entries 1\n"), "{metrics}");
    // The store's state is told as it is.
    assert_eq!(f.get(&Who::root(), "/v1/ready").await.status, 504);
    // What is not on the disk is not there.
    let missing = f.get(&Who::root(), "/v1/key/describe/app-none").await;
    assert_eq!(missing.error(), (502, "failed to read key".into()));

    store.is(WELL);
    until("the store is used again", async || {
        f.post(&Who::app(), GENERATE, "{}").await;
        f.records.error_texts().contains("reachable again")
    })
    .await;
}

#[tokio::test]
async fn the_disk_overrides_no_answer_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("cache");
    let store = Arc::new(Fickle::default());
    let f = start(&store, &disk).await;
    assert_eq!(f.post(&Who::app(), GENERATE, "{}").await.status, 200);
    is_written(&disk, "app-declared").await;
    store.is(FAILING);
    let refused = f.post(&Who::app(), GENERATE, "{}").await;
    assert_eq!(refused.error(), (502, "failed to read key".into()));
    // Deleted by another server: the next read removes the entry.
    store.is(WELL);
    let name = KeyName::parse("app-declared").unwrap();
    store.inner.delete(&name).await.unwrap();
    assert_eq!(f.post(&Who::app(), GENERATE, "{}").await.status, 404);
    assert!(!disk.join("app-declared.entry").exists());
    store.is(AWAY);
    assert_eq!(f.post(&Who::app(), GENERATE, "{}").await.status, 502);
}

#[tokio::test]
async fn a_deleted_key_is_gone_from_the_disk_when_the_client_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("cache");
    let store = Arc::new(Fickle::default());
    let f = start(&store, &disk).await;
    assert_eq!(f.post(&Who::app(), GENERATE, "{}").await.status, 200);
    is_written(&disk, "app-declared").await;
    let path = "/v1/key/delete/app-declared";
    assert_eq!(
        f.request(&Who::root(), "DELETE", path, "").await.status,
        200
    );
    assert!(!disk.join("app-declared.entry").exists());
}

#[tokio::test]
async fn listed_keys_are_made_when_the_store_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Fickle::default());
    store.is(AWAY);
    let f = start(&store, &folder.path().join("cache")).await;
    store.is(WELL);
    let name = KeyName::parse("app-declared").unwrap();
    until("the key is made", async || {
        store.inner.get(&name).await.is_ok()
    })
    .await;
    assert_eq!(f.post(&Who::app(), GENERATE, "{}").await.status, 200);
}
