use std::sync::atomic::AtomicI64;
use std::time::Instant;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const START_S: i64 = 1_767_323_045;

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Relaxed)).unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

struct TestEntropy;

impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(buffer).map_err(|_| NoEntropy)
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(TestClock(START_S.into())),
        }
    }

    fn config(&self) -> DiskCacheConfig {
        DiskCacheConfig {
            path: self.folder.path().join("cache"),
            max_age: DAY,
        }
    }

    fn try_open(&self, private_key: &[u8]) -> Result<DiskCache, DiskCacheError> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        DiskCache::open(&self.config(), private_key, clock, Arc::new(TestEntropy))
    }

    /// Opens the folder once the one who had it before has let go of it.
    async fn open(&self, private_key: &[u8]) -> DiskCache {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            match self.try_open(private_key) {
                Err(DiskCacheError::InUse(_)) if Instant::now() < limit => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                outcome => return outcome.unwrap(),
            }
        }
    }

    fn pass(&self, time: Duration) {
        self.clock
            .0
            .fetch_add(i64::try_from(time.as_secs()).unwrap(), Relaxed);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.config().path.join(name)
    }
}

fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

fn value(text: &str) -> StoredValue {
    StoredValue::new(Zeroizing::new(text.to_owned())).unwrap()
}

/// Keeps a value and waits until it is on the disk.
async fn keep(cache: &DiskCache, key: &str, text: &str) {
    cache.remember(&name(key), &value(text), cache.ticket());
    settle(cache).await;
}

/// Jobs come in order: when this one is done, those before it are.
async fn settle(cache: &DiskCache) {
    let (done, wait) = oneshot::channel();
    let job = Job::Remove(name("nobody-has-this-name"), done);
    assert!(cache.jobs.send(job).await.is_ok());
    wait.await.unwrap();
}

async fn text_of(cache: &DiskCache, key: &str) -> Option<String> {
    let found = cache.get(&name(key)).await?;
    Some(found.value.expose().to_owned())
}

#[tokio::test]
async fn a_key_outlives_the_process_and_its_folder_shows_nothing_of_it() {
    let f = Fixture::new();
    let cache = f.open(b"private key").await;
    keep(&cache, "a", "the secret of a").await;
    drop(cache);
    let cache = f.open(b"private key").await;
    assert_eq!(
        text_of(&cache, "a").await.as_deref(),
        Some("the secret of a")
    );
    assert!(
        cache
            .reports()
            .iter()
            .any(|(_, text)| text.contains("not reachable"))
    );
    let bytes = std::fs::read(f.file("a.entry")).unwrap();
    assert!(!bytes.windows(6).any(|w| w == b"secret"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&f.file("a.entry")), mode(&f.file(""))),
            (0o600, 0o700)
        );
    }
}

#[tokio::test]
async fn a_key_is_used_up_to_its_age_and_wiped_then() {
    let f = Fixture::new();
    let cache = f.open(b"k").await;
    keep(&cache, "a", "x").await;
    f.pass(DAY - Duration::from_secs(1));
    let found = cache.get(&name("a")).await.unwrap();
    assert_eq!(
        found.good_for,
        Duration::from_secs(1),
        "no use after that either"
    );
    f.pass(Duration::from_secs(1));
    assert!(cache.get(&name("a")).await.is_none());
    assert!(f.file("a.entry").exists());
    cache.sweep();
    settle(&cache).await;
    assert!(!f.file("a.entry").exists());
    assert_eq!(cache.sample().entries, 0);
    // Too old while nobody ran: gone at the next start.
    keep(&cache, "b", "x").await;
    drop(cache);
    f.pass(DAY);
    let cache = f.open(b"k").await;
    assert_eq!(cache.sample().entries, 0);
    assert!(!f.file("b.entry").exists());
}

#[tokio::test]
async fn a_time_in_the_future_is_not_believed() {
    let f = Fixture::new();
    let cache = f.open(b"k").await;
    f.pass(DAY);
    keep(&cache, "a", "x").await;
    f.clock.0.fetch_sub(3600, Relaxed);
    assert!(cache.get(&name("a")).await.is_none());
}

#[tokio::test]
async fn another_private_key_opens_nothing_and_is_told_once() {
    let f = Fixture::new();
    let cache = f.open(b"old").await;
    for key in ["a", "b", "c"] {
        keep(&cache, key, "x").await;
    }
    drop(cache);
    let cache = f.open(b"new").await;
    assert_eq!(cache.sample().entries, 0);
    let reports = cache.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].1.contains("3 entries"), "{reports:?}");
    assert!(!f.file("a.entry").exists());
}

#[tokio::test]
async fn a_running_server_takes_its_entries_along_to_a_new_private_key() {
    let f = Fixture::new();
    let cache = f.open(b"old").await;
    keep(&cache, "a", "x").await;
    f.pass(Duration::from_secs(3600));
    cache.adopt(&f.config(), b"new").await.unwrap();
    drop(cache);
    let cache = f.open(b"new").await;
    let found = cache.get(&name("a")).await.unwrap();
    assert_eq!(
        found.good_for,
        DAY - Duration::from_secs(3600),
        "as old as before"
    );
}

#[tokio::test]
async fn what_was_removed_stays_away_though_a_read_was_under_way() {
    let f = Fixture::new();
    let cache = f.open(b"k").await;
    let ticket = cache.ticket();
    cache.forget(&name("a")).await;
    cache.remember(&name("a"), &value("x"), ticket);
    settle(&cache).await;
    assert!(!f.file("a.entry").exists());
    // And with the write still waiting.
    cache.remember(&name("a"), &value("x"), cache.ticket());
    cache.forget(&name("a")).await;
    settle(&cache).await;
    assert!(!f.file("a.entry").exists());
    assert!(cache.get(&name("a")).await.is_none());
}

#[tokio::test]
async fn writes_are_rare_unless_the_value_changes() {
    let f = Fixture::new();
    let cache = f.open(b"k").await;
    for _ in 0..3 {
        keep(&cache, "a", "x").await;
    }
    assert_eq!(cache.sample().written, 1);
    keep(&cache, "a", "y").await;
    assert_eq!(cache.sample().written, 2);
    f.pass(REFRESH_MAX);
    keep(&cache, "a", "y").await;
    assert_eq!(cache.sample().written, 3);
}

#[tokio::test]
async fn a_damaged_entry_is_passed_over_and_told() {
    let f = Fixture::new();
    let cache = f.open(b"k").await;
    keep(&cache, "a", "x").await;
    keep(&cache, "b", "x").await;
    for damage in [&b"KESCACHE"[..], b"", &[0; 100_000]] {
        std::fs::write(f.file("a.entry"), damage).unwrap();
        assert!(cache.get(&name("a")).await.is_none());
        assert!(cache.reports().iter().any(|(_, text)| text.contains("'a'")));
        settle(&cache).await;
        assert!(!f.file("a.entry").exists());
        keep(&cache, "a", "x").await;
    }
    assert!(text_of(&cache, "b").await.is_some());
    // An entry under another name is none.
    std::fs::copy(f.file("b.entry"), f.file("c.entry")).unwrap();
    std::fs::write(f.file("d.new"), "half").unwrap();
    std::fs::write(f.file("notes.txt"), "mine").unwrap();
    drop(cache);
    let cache = f.open(b"k").await;
    assert_eq!(cache.sample().entries, 2);
    assert!(!f.file("c.entry").exists() && !f.file("d.new").exists());
    assert!(f.file("notes.txt").exists(), "what is none of ours stays");
}

#[tokio::test]
async fn a_folder_has_one_server() {
    let f = Fixture::new();
    let cache = f.open(b"k").await;
    assert!(matches!(f.try_open(b"k"), Err(DiskCacheError::InUse(_))));
    drop(cache);
    std::fs::write(f.file("salt"), "other").unwrap();
    let limit = Instant::now() + Duration::from_secs(30);
    while matches!(f.try_open(b"k"), Err(DiskCacheError::InUse(_))) && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(f.try_open(b"k"), Err(DiskCacheError::Salt(_))));
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_costs_the_entry_and_nothing_else() {
    let f = Fixture::new();
    let cache = f.open(b"k").await;
    // A folder where the new file has to go.
    std::fs::create_dir(f.file("a.new")).unwrap();
    keep(&cache, "a", "x").await;
    assert_eq!((cache.sample().entries, cache.sample().failed), (0, 1));
    assert!(cache.reports()[0].1.contains("'a' is not kept"));
    keep(&cache, "b", "x").await;
    assert!(text_of(&cache, "b").await.is_some());
}
