use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::*;
use crate::{FsStore, MemoryStore, Page};

struct NobodyWatches;

impl Observer for NobodyWatches {
    fn begin(&self, _: Phase, _: usize) {}
    fn advance(&self) {}
}

/// Stops the migration after some keys of a phase.
struct StopsAfter(Phase, AtomicUsize, Stop, AtomicBool);

impl Observer for StopsAfter {
    fn begin(&self, phase: Phase, _: usize) {
        self.3.store(phase == self.0, Ordering::Relaxed);
    }

    fn advance(&self) {
        if self.3.load(Ordering::Relaxed) && self.1.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.2.set();
        }
    }
}

#[derive(Default)]
struct MemoryJournal(Mutex<Option<(KeyName, StoredValue)>>);

impl Journal for MemoryJournal {
    fn keep(&self, name: &KeyName, old: &StoredValue) -> io::Result<()> {
        *self.0.lock().unwrap() = Some((name.clone(), old.duplicate()));
        Ok(())
    }

    fn kept(&self) -> io::Result<Option<(KeyName, StoredValue)>> {
        let kept = self.0.lock().unwrap();
        Ok(kept.as_ref().map(|(n, v)| (n.clone(), v.duplicate())))
    }

    fn forget(&self) -> io::Result<()> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }
}

/// A store that fails for good after so many calls; the last one may still have done its work.
#[derive(Debug)]
struct Breaking {
    inner: Arc<MemoryStore>,
    calls_left: AtomicUsize,
    does_the_last: bool,
}

impl Breaking {
    fn spend(&self) -> Result<(), bool> {
        let spent = self
            .calls_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match spent {
            Ok(1) if self.does_the_last => Err(true),
            Ok(_) => Ok(()),
            Err(_) => Err(false),
        }
    }
}

fn gone<T>() -> Result<T, StoreError> {
    Err(StoreError::unreachable("pulled the plug", "test"))
}

#[async_trait]
impl KeyStore for Breaking {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        match self.spend() {
            Ok(()) => self.inner.create(name, value).await,
            Err(is_done) => {
                if is_done {
                    let _ = self.inner.create(name, value).await;
                }
                gone()
            }
        }
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        match self.spend() {
            Ok(()) => self.inner.get(name).await,
            Err(_) => gone(),
        }
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        match self.spend() {
            Ok(()) => self.inner.delete(name).await,
            Err(is_done) => {
                if is_done {
                    let _ = self.inner.delete(name).await;
                }
                gone()
            }
        }
    }

    async fn list(&self, p: &str, f: Option<&KeyName>, l: usize) -> Result<Page, StoreError> {
        self.inner.list(p, f, l).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn describe(&self) -> String {
        "Breaking".to_owned()
    }
}

fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

fn value(text: &str) -> StoredValue {
    StoredValue::new(Zeroizing::new(text.to_owned())).unwrap()
}

async fn memory(keys: &[(&str, &str)]) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    for (key, text) in keys {
        store.create(&name(key), value(text)).await.unwrap();
    }
    store
}

async fn all(store: &dyn KeyStore) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for name in store.list("", None, 10_000).await.unwrap().names {
        let value = store.get(&name).await.unwrap();
        values.insert(name.as_str().to_owned(), value.expose().to_owned());
    }
    values
}

fn migration(
    source: Arc<dyn KeyStore>,
    target: Arc<dyn KeyStore>,
    conflict: Conflict,
) -> Migration {
    Migration {
        source,
        target,
        pattern: Pattern::new("*"),
        conflict,
        dry_run: false,
    }
}

async fn run(migration: &Migration) -> Result<Report, MigrateError> {
    migration
        .run(&MemoryJournal::default(), &NobodyWatches, &Stop::default())
        .await
}

#[tokio::test]
async fn values_move_byte_for_byte_and_a_second_run_finds_nothing_to_do() {
    let texts = [
        ("a", " {\"bytes\":\"x\"}\n"),
        ("b", "\u{fe}\u{ff}\r\n"),
        ("c", ""),
    ];
    let (source, target) = (memory(&texts).await, memory(&[("other", "o")]).await);
    let migration = migration(source.clone(), target.clone(), Conflict::Stop);
    let report = run(&migration).await.unwrap();
    assert_eq!((report.migrated, report.equal, report.verified), (3, 0, 3));
    let mut expected = all(&*source).await;
    expected.insert("other".to_owned(), "o".to_owned());
    assert_eq!(all(&*target).await, expected);

    let again = run(&migration).await.unwrap();
    assert_eq!((again.written(), again.equal, again.verified), (0, 3, 3));
    assert_eq!(again.digest, report.digest);
}

#[tokio::test]
async fn more_keys_than_a_page_move_between_directories() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    std::fs::create_dir(&from).unwrap();
    for i in 0..PAGE_NAMES + 7 {
        std::fs::write(from.join(format!("key-{i}")), format!("value {i}")).unwrap();
    }
    let source = Arc::new(FsStore::open(from).unwrap());
    let target = Arc::new(FsStore::open(to).unwrap());
    let report = run(&migration(source.clone(), target.clone(), Conflict::Stop))
        .await
        .unwrap();
    assert_eq!(report.verified, PAGE_NAMES + 7);
    assert_eq!(all(&*source).await, all(&*target).await);
}

#[tokio::test]
async fn a_pattern_chooses_keys_as_a_shell_does() {
    for (pattern, expected) in [
        ("app-*", &["app-a", "app-b"][..]),
        ("app-?", &["app-a", "app-b"]),
        ("[^a]*", &["web"]),
        ("web", &["web"]),
        ("we", &[]),
    ] {
        let source = memory(&[("app-a", "1"), ("app-b", "2"), ("web", "3")]).await;
        let target = memory(&[]).await;
        let mut migration = migration(source, target.clone(), Conflict::Stop);
        migration.pattern = Pattern::new(pattern);
        run(&migration).await.unwrap();
        let names: Vec<String> = all(&*target).await.into_keys().collect();
        assert_eq!(names, expected, "{pattern}");
    }
}

#[tokio::test]
async fn a_key_that_differs_stops_everything_before_anything_is_written() {
    let source = memory(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let target = memory(&[("b", "precious"), ("c", "3")]).await;
    let before = all(&*target).await;
    let error = run(&migration(source, target.clone(), Conflict::Stop))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the target has 1 key with another value: b; '--merge' leaves the target's values, '--force' replaces them"
    );
    assert_eq!(all(&*target).await, before);
}

#[tokio::test]
async fn merging_keeps_what_the_target_has() {
    let source = memory(&[("a", "1"), ("b", "2")]).await;
    let target = memory(&[("b", "precious")]).await;
    let report = run(&migration(source, target.clone(), Conflict::Keep))
        .await
        .unwrap();
    assert_eq!(
        (report.migrated, report.kept, report.verified),
        (1, vec![name("b")], 1)
    );
    assert_eq!(all(&*target).await["b"], "precious");
}

#[tokio::test]
async fn replacing_puts_the_sources_value_in_place_and_leaves_no_journal() {
    let source = memory(&[("a", "1"), ("b", "2")]).await;
    let target = memory(&[("b", "old"), ("c", "mine")]).await;
    let journal = MemoryJournal::default();
    let migration = migration(source, target.clone(), Conflict::Replace);
    let report = migration
        .run(&journal, &NobodyWatches, &Stop::default())
        .await
        .unwrap();
    assert_eq!(
        (report.migrated, report.replaced, report.verified),
        (1, 1, 2)
    );
    let after = all(&*target).await;
    assert_eq!((after["b"].as_str(), after["c"].as_str()), ("2", "mine"));
    assert!(journal.kept().unwrap().is_none());
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let source = memory(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let target = memory(&[("b", "old"), ("c", "3")]).await;
    let before = all(&*target).await;
    let mut migration = migration(source, target.clone(), Conflict::Replace);
    migration.dry_run = true;
    let report = run(&migration).await.unwrap();
    assert_eq!(
        (
            report.migrated,
            report.replaced,
            report.equal,
            report.verified
        ),
        (1, 1, 1, 0)
    );
    assert_eq!(all(&*target).await, before);
}

/// The plug is pulled after every possible number of calls, before or right behind the last one's work; then the
/// migration is run again on a target that works.
#[tokio::test(start_paused = true)]
async fn a_broken_replacement_loses_no_value_whenever_it_breaks() {
    let keys = [("a", "new a"), ("b", "new b"), ("c", "new c")];
    for does_the_last in [false, true] {
        for calls in 0..40 {
            let source = memory(&keys).await;
            let inner = memory(&[("a", "old a"), ("b", "old b")]).await;
            let journal = MemoryJournal::default();
            let breaking = Arc::new(Breaking {
                inner: inner.clone(),
                calls_left: calls.into(),
                does_the_last,
            });
            let broken = migration(source.clone(), breaking, Conflict::Replace);
            let first = broken.run(&journal, &NobodyWatches, &Stop::default()).await;

            let mut held = all(&*inner).await;
            if let Some((name, value)) = journal.kept().unwrap() {
                held.entry(name.as_str().to_owned())
                    .or_insert(value.expose().to_owned());
            }
            for key in ["a", "b"] {
                let value = held
                    .get(key)
                    .unwrap_or_else(|| panic!("{key} lost after {calls} calls"));
                assert!(value.ends_with(key), "{value}");
            }

            let whole = migration(source.clone(), inner.clone(), Conflict::Replace);
            let report = whole
                .run(&journal, &NobodyWatches, &Stop::default())
                .await
                .unwrap();
            assert_eq!(report.verified, 3, "after {calls} calls: {first:?}");
            assert_eq!(all(&*inner).await, all(&*source).await);
            assert!(journal.kept().unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn a_key_that_somebody_else_wrote_meanwhile_is_not_overwritten_by_recovery() {
    let source = memory(&[("a", "new")]).await;
    let target = memory(&[("a", "third")]).await;
    let journal = MemoryJournal::default();
    journal.keep(&name("a"), &value("old")).unwrap();
    let error = migration(source, target.clone(), Conflict::Replace)
        .run(&journal, &NobodyWatches, &Stop::default())
        .await
        .unwrap_err();
    assert!(matches!(error, MigrateError::ThirdValue { .. }), "{error}");
    assert_eq!(all(&*target).await["a"], "third");
    assert!(journal.kept().unwrap().is_some());
}

#[tokio::test]
async fn a_stopped_migration_ends_between_keys_and_goes_on_where_it_was() {
    let keys: Vec<(String, String)> = (0..200)
        .map(|i| (format!("k{i}"), format!("v{i}")))
        .collect();
    let keys: Vec<(&str, &str)> = keys.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let (source, target) = (memory(&keys).await, memory(&[]).await);
    let migration = migration(source.clone(), target.clone(), Conflict::Stop);
    let stop = Stop::default();
    let observer = StopsAfter(Phase::Copy, 20.into(), stop.clone(), false.into());
    let error = migration
        .run(&MemoryJournal::default(), &observer, &stop)
        .await
        .unwrap_err();
    let MigrateError::Stopped { written } = error else {
        panic!("{error}")
    };
    assert!((20..20 + AT_ONCE).contains(&written), "{written}");
    assert_eq!(all(&*target).await.len(), written);
    let report = run(&migration).await.unwrap();
    assert_eq!(
        (report.migrated, report.equal, report.verified),
        (200 - written, written, 200)
    );
}

/// A store that cannot hold names with an underscore, and loses what it is told about one key.
#[derive(Debug)]
struct Odd(Arc<MemoryStore>);

#[async_trait]
impl KeyStore for Odd {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        match name.as_str() {
            "lost" => Ok(()),
            "refused" => Err(StoreError::other("quota is used up")),
            _ => self.0.create(name, value).await,
        }
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        self.0.get(name).await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        self.0.delete(name).await
    }

    async fn list(&self, p: &str, f: Option<&KeyName>, l: usize) -> Result<Page, StoreError> {
        self.0.list(p, f, l).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn refuses(&self, name: &KeyName) -> Option<String> {
        name.as_str()
            .contains('_')
            .then(|| "it has no underscores in names".to_owned())
    }

    fn describe(&self) -> String {
        "Odd".to_owned()
    }
}

#[tokio::test]
async fn names_that_the_target_cannot_hold_are_found_before_anything_is_written() {
    let source = memory(&[("a", "1"), ("b_c", "2")]).await;
    let target = Arc::new(Odd(memory(&[]).await));
    let error = run(&migration(source, target.clone(), Conflict::Stop))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the target cannot hold 1 key: \"b_c\": it has no underscores in names"
    );
    assert!(all(&*target).await.is_empty());
}

#[tokio::test]
async fn a_target_that_loses_a_value_is_found_out() {
    let source = memory(&[("a", "1"), ("lost", "2")]).await;
    let target = Arc::new(Odd(memory(&[]).await));
    let error = run(&migration(source, target, Conflict::Stop))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 key is not the same in both stores: lost; if somebody creates or replaces keys, stop that and run the same \
         command again"
    );
}

#[tokio::test]
async fn one_key_that_is_refused_keeps_no_other_from_moving() {
    let source = memory(&[("a", "1"), ("refused", "2"), ("z", "3")]).await;
    let target = Arc::new(Odd(memory(&[]).await));
    let report = run(&migration(source, target.clone(), Conflict::Stop))
        .await
        .unwrap();
    assert_eq!((report.migrated, report.verified), (2, 2));
    assert_eq!(
        report.failed,
        [(
            name("refused"),
            "the target says: quota is used up".to_owned()
        )]
    );
}
