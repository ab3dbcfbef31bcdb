//! Keys on disk, sealed, for the time when the key store is out of reach: off unless `cache.disk` asks for it.
//!
//! - A key is kept when it was read from the store, and used only while the store is *unreachable*; any other error of the
//!   store stands. At most `max_age` after it was last read from the store it is used no more, and wiped.
//! - A deletion, and a store that says "no such key", remove it.
//! - Entries are sealed under a key derived from the server's TLS private key: the folder alone opens nothing. With another
//!   private key they are worthless, and removed.
//!
//! One thread owns the folder, so that writes and removals come in the order in which they were asked for and no request waits
//! for a disk. A second process on the same folder is refused.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use strongroom_kes_api::KeyName;
use strongroom_keystore::StoredValue;
use tokio::sync::{mpsc, oneshot};

use crate::cache::ENTRIES_MAX;
use crate::config::DiskCacheConfig;
use crate::disk_entry::{
    BadEntry, ENTRY_BYTES_MAX, Entry, NONCE_BYTES, SALT_BYTES, Sealing, read_salt, write_salt,
};
use crate::log::Level;
use crate::surroundings::{Clock, Entropy, NoEntropy};

/// Writes that wait for the disk; what comes on top is written at the next read from the store.
const WAITING_MAX: usize = 1024;
/// An entry is written again when it is older than this part of its life, or than [`REFRESH_MAX`].
const REFRESH_PART: u32 = 16;
/// See [`REFRESH_PART`].
const REFRESH_MAX: Duration = Duration::from_secs(10 * 60);
/// How far an entry may seem to come from the future: clocks are set back by a little.
const SKEW_MAX: Duration = Duration::from_secs(60);
/// Reports that wait to be logged.
const REPORTS_MAX: usize = 64;

const SALT_FILE: &str = "salt";
const ENTRY_SUFFIX: &str = ".entry";
const NEW_SUFFIX: &str = ".new";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskCacheError {
    /// A file or the folder.
    #[error("disk cache: '{}' cannot be used; check that the server may write there", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("disk cache: '{}' is in use by another server; give each server a folder of its own", .0.display())]
    InUse(PathBuf),
    /// The salt was changed.
    #[error("disk cache: '{}' is damaged; remove the folder, it is made anew", .0.display())]
    Salt(PathBuf),
    /// Without a private key nothing can be sealed.
    #[error("disk cache: entries are sealed with the TLS private key, which is not in a file here")]
    NoPrivateKey,
    /// There is no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// What the metrics say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DiskCacheSample {
    pub(crate) entries: u64,
    pub(crate) is_serving: bool,
    pub(crate) served: u64,
    pub(crate) written: u64,
    pub(crate) failed: u64,
}

/// Taken before a key is read from the store: what was removed since then is not brought back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    removals: u64,
    at_ms: u64,
}

/// An entry in use, with what is left of its life.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) value: StoredValue,
    pub(crate) good_for: Duration,
}

#[derive(Debug)]
pub(crate) struct DiskCache {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

struct Shared {
    folder: PathBuf,
    salt: [u8; SALT_BYTES],
    settings: RwLock<Settings>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    index: Mutex<HashMap<KeyName, Known>>,
    removals: AtomicU64,
    /// The regular check found the store out of reach.
    is_store_away: AtomicBool,
    is_serving: AtomicBool,
    served: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    reports: Mutex<Vec<(Level, String)>>,
    /// Holds the lock on the folder.
    _lock: File,
}

struct Settings {
    sealing: Arc<Sealing>,
    max_age: Duration,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskCache")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What is known of a file without opening it.
#[derive(Clone, Copy)]
struct Known {
    fetched_at_ms: u64,
    /// Of the value, to see that it is still the same.
    digest: [u8; 32],
}

enum Job {
    Write(KeyName, StoredValue, Ticket),
    Remove(KeyName, oneshot::Sender<()>),
    Sweep,
    /// Seals everything under another private key.
    Adopt(Arc<Sealing>, Duration, oneshot::Sender<()>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest_of(value: &StoredValue) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, value.expose().as_bytes()).as_ref());
    out
}

impl DiskCache {
    /// Opens the folder, or makes it, and looks at every entry. Blocks.
    pub(crate) fn open(
        config: &DiskCacheConfig,
        private_key: &[u8],
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DiskCacheError> {
        let folder = config.path.clone();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DiskCacheError::Io { path, source }
        };
        make_folder(&folder).map_err(failed(&folder))?;
        let path = folder.join(SALT_FILE);
        let mut file = options()
            .read(true)
            .create(true)
            .open(&path)
            .map_err(failed(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DiskCacheError::InUse(folder)),
            Err(TryLockError::Error(source)) => return Err(DiskCacheError::Io { path, source }),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed(&path))?;
        let salt = if text.is_empty() {
            let mut salt = [0; SALT_BYTES];
            entropy.fill(&mut salt)?;
            let written = file.write_all(&write_salt(&salt));
            written
                .and_then(|()| file.sync_all())
                .and_then(|()| sync_folder(&folder))
                .map_err(failed(&path))?;
            salt
        } else {
            read_salt(&text).ok_or(DiskCacheError::Salt(path))?
        };
        let sealing = Sealing::derive(private_key, &salt).ok_or(DiskCacheError::NoPrivateKey)?;
        let shared = Arc::new(Shared {
            settings: RwLock::new(Settings {
                sealing: Arc::new(sealing),
                max_age: config.max_age,
            }),
            salt,
            clock,
            entropy,
            index: Mutex::default(),
            removals: 0.into(),
            is_store_away: false.into(),
            is_serving: false.into(),
            served: 0.into(),
            written: 0.into(),
            failed: 0.into(),
            reports: Mutex::default(),
            _lock: file,
            folder,
        });
        shared.look_around().map_err(failed(&shared.folder))?;
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let worker = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("disk-cache".to_owned())
            .spawn(move || worker.work(waiting))
            .map_err(failed(&shared.folder))?;
        Ok(Self { shared, jobs })
    }

    /// Is this the cache that a configuration asks for, whatever its private key and age?
    pub(crate) fn is_at(&self, config: &DiskCacheConfig) -> bool {
        self.shared.folder == config.path
    }

    /// Goes on under another private key and age; entries keep their times.
    pub(crate) async fn adopt(
        &self,
        config: &DiskCacheConfig,
        private_key: &[u8],
    ) -> Result<(), DiskCacheError> {
        let sealing = Sealing::derive(private_key, &self.shared.salt);
        let sealing = Arc::new(sealing.ok_or(DiskCacheError::NoPrivateKey)?);
        let (done, wait) = oneshot::channel();
        let _ = self
            .jobs
            .send(Job::Adopt(sealing, config.max_age, done))
            .await;
        let _ = wait.await;
        Ok(())
    }

    /// To be taken before the store is asked.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket {
            removals: self.shared.removals.load(Relaxed),
            at_ms: self.shared.now_ms(),
        }
    }

    /// Keeps what the store has just given. Never waits.
    pub(crate) fn remember(&self, name: &KeyName, value: &StoredValue, ticket: Ticket) {
        let shared = &self.shared;
        shared.end_serving();
        let known = lock(&shared.index).get(name).copied();
        if let Some(known) = known
            && known.digest == digest_of(value)
            && ticket.at_ms
                < known
                    .fetched_at_ms
                    .saturating_add(ms(shared.refresh_after()))
        {
            return;
        }
        let job = Job::Write(name.clone(), value.duplicate(), ticket);
        let _ = self.jobs.try_send(job);
    }

    /// Removes a name, durably once this returns, with whatever is on its way to the disk.
    pub(crate) async fn forget(&self, name: &KeyName) {
        // Before the look at the index: a write that has not entered its name there yet will see it.
        self.shared.removals.fetch_add(1, Relaxed);
        if !lock(&self.shared.index).contains_key(name) {
            return;
        }
        let (done, wait) = oneshot::channel();
        let _ = self.jobs.send(Job::Remove(name.clone(), done)).await;
        let _ = wait.await;
    }

    /// The value of a name, while it may be used. To be asked only when the store is unreachable.
    pub(crate) async fn get(&self, name: &KeyName) -> Option<Found> {
        let known = lock(&self.shared.index).get(name).copied()?;
        self.shared.good_for(known.fetched_at_ms)?;
        let (shared, wanted) = (Arc::clone(&self.shared), name.clone());
        let read = tokio::task::spawn_blocking(move || shared.read(&wanted));
        let entry = match read.await.ok()? {
            Ok(entry) => entry,
            Err(error) => {
                self.shared.complain(format!(
                    "disk cache: entry of key '{name}' is not used: {error}"
                ));
                let _ = self
                    .jobs
                    .try_send(Job::Remove(name.clone(), oneshot::channel().0));
                return None;
            }
        };
        // The time in the entry is authentic, the one in the index only likely.
        let good_for = self.shared.good_for(entry.fetched_at_ms)?;
        self.shared.begin_serving();
        Some(Found {
            value: entry.value,
            good_for,
        })
    }

    /// Wipes what has become too old.
    pub(crate) fn sweep(&self) {
        let _ = self.jobs.try_send(Job::Sweep);
    }

    pub(crate) fn set_store_away(&self, is_away: bool) {
        self.shared.is_store_away.store(is_away, Relaxed);
        if !is_away {
            self.shared.end_serving();
        }
    }

    /// Found by the regular check, so at most some seconds old: no request has to find out for itself by waiting.
    pub(crate) fn is_store_away(&self) -> bool {
        self.shared.is_store_away.load(Relaxed)
    }

    /// What is to be logged.
    pub(crate) fn reports(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut *lock(&self.shared.reports))
    }

    pub(crate) fn sample(&self) -> DiskCacheSample {
        let shared = &self.shared;
        DiskCacheSample {
            entries: lock(&shared.index).len() as u64,
            is_serving: shared.is_serving.load(Relaxed),
            served: shared.served.load(Relaxed),
            written: shared.written.load(Relaxed),
            failed: shared.failed.load(Relaxed),
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0)
    }

    fn max_age(&self) -> Duration {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .max_age
    }

    fn sealing(&self) -> Arc<Sealing> {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&settings.sealing)
    }

    fn refresh_after(&self) -> Duration {
        (self.max_age() / REFRESH_PART).min(REFRESH_MAX)
    }

    fn good_for(&self, fetched_at_ms: u64) -> Option<Duration> {
        let now = self.now_ms();
        if fetched_at_ms > now.saturating_add(ms(SKEW_MAX)) {
            return None;
        }
        let age = Duration::from_millis(now.saturating_sub(fetched_at_ms));
        self.max_age()
            .checked_sub(age)
            .filter(|left| !left.is_zero())
    }

    fn report(&self, level: Level, message: String) {
        let mut reports = lock(&self.reports);
        if reports.len() < REPORTS_MAX {
            reports.push((level, message));
        }
    }

    fn complain(&self, message: String) {
        self.failed.fetch_add(1, Relaxed);
        self.report(Level::WARN, message);
    }

    fn begin_serving(&self) {
        self.served.fetch_add(1, Relaxed);
        if !self.is_serving.swap(true, Relaxed) {
            self.report(
                Level::WARN,
                format!(
                    "key store is not reachable: keys come from the disk cache, which was filled at most {:?} ago",
                    self.max_age()
                ),
            );
        }
    }

    fn end_serving(&self) {
        if self.is_serving.swap(false, Relaxed) {
            self.report(
                Level::WARN,
                "key store is reachable again: the disk cache is not used any more".to_owned(),
            );
        }
    }

    fn path(&self, name: &KeyName, suffix: &str) -> PathBuf {
        self.folder.join(format!("{name}{suffix}"))
    }

    fn read(&self, name: &KeyName) -> Result<Entry, ReadError> {
        let file = File::open(self.path(name, ENTRY_SUFFIX))?;
        let mut bytes = Vec::new();
        file.take(ENTRY_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(self.sealing().open(name, &bytes)?)
    }

    /// Fills the index. What cannot be opened, or is too old, goes; what is none of ours stays.
    fn look_around(&self) -> io::Result<()> {
        let (mut bad, mut first) = (0_u64, None);
        for file in std::fs::read_dir(&self.folder)? {
            let file = file?;
            let file_name = file.file_name();
            let Some(text) = file_name.to_str() else {
                continue;
            };
            if text.ends_with(NEW_SUFFIX) {
                let _ = std::fs::remove_file(file.path());
            }
            let Some(name) = text
                .strip_suffix(ENTRY_SUFFIX)
                .and_then(|name| KeyName::parse(name).ok())
            else {
                continue;
            };
            match self.read(&name) {
                Ok(entry) if self.good_for(entry.fetched_at_ms).is_some() => {
                    let known = Known {
                        fetched_at_ms: entry.fetched_at_ms,
                        digest: digest_of(&entry.value),
                    };
                    lock(&self.index).insert(name, known);
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    bad += 1;
                    first.get_or_insert_with(|| format!("of key '{name}': {error}"));
                }
            }
            let _ = std::fs::remove_file(file.path());
        }
        if let Some(first) = first {
            self.complain(format!(
                "disk cache: {bad} entries cannot be used and were removed, the first {first}"
            ));
        }
        sync_folder(&self.folder)
    }

    fn work(&self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            match job {
                Job::Write(name, value, ticket) => self.keep(&name, &value, ticket),
                Job::Remove(name, done) => {
                    self.remove(&name);
                    let _ = done.send(());
                }
                Job::Sweep => self.sweep(),
                Job::Adopt(sealing, max_age, done) => {
                    self.adopt(sealing, max_age);
                    let _ = done.send(());
                }
            }
        }
    }

    fn keep(&self, name: &KeyName, value: &StoredValue, ticket: Ticket) {
        let before = {
            let mut index = lock(&self.index);
            let is_full = index.len() >= ENTRIES_MAX && !index.contains_key(name);
            if is_full || self.removals.load(Relaxed) != ticket.removals {
                return;
            }
            let known = Known {
                fetched_at_ms: ticket.at_ms,
                digest: digest_of(value),
            };
            // Before the file is there: whoever removes the name from now on waits for the file.
            index.insert(name.clone(), known)
        };
        match self.write(name, value, ticket.at_ms) {
            Ok(()) => {
                self.written.fetch_add(1, Relaxed);
            }
            Err(error) => {
                // The entry that was there before is still there, whole.
                let mut index = lock(&self.index);
                match before {
                    Some(known) => index.insert(name.clone(), known),
                    None => index.remove(name),
                };
                drop(index);
                self.complain(format!("disk cache: key '{name}' is not kept: {error}"));
            }
        }
    }

    fn write(
        &self,
        name: &KeyName,
        value: &StoredValue,
        fetched_at_ms: u64,
    ) -> Result<(), WriteError> {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce)?;
        let entry = self.sealing().seal(name, fetched_at_ms, value, nonce)?;
        let new = self.path(name, NEW_SUFFIX);
        let mut file = options().truncate(true).create(true).open(&new)?;
        let written = file.write_all(&entry).and_then(|()| file.sync_all());
        let moved = written.and_then(|()| std::fs::rename(&new, self.path(name, ENTRY_SUFFIX)));
        if let Err(error) = moved {
            let _ = std::fs::remove_file(&new);
            return Err(error.into());
        }
        Ok(sync_folder(&self.folder)?)
    }

    fn remove(&self, name: &KeyName) {
        lock(&self.index).remove(name);
        let removed = match std::fs::remove_file(self.path(name, ENTRY_SUFFIX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(()) => sync_folder(&self.folder),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            self.complain(format!(
                "disk cache: entry of key '{name}' cannot be removed: {error}; remove it by hand"
            ));
        }
    }

    fn sweep(&self) {
        let ended: Vec<KeyName> = lock(&self.index)
            .iter()
            .filter(|(_, known)| self.good_for(known.fetched_at_ms).is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for name in ended {
            self.remove(&name);
        }
    }

    fn adopt(&self, sealing: Arc<Sealing>, max_age: Duration) {
        let names: Vec<KeyName> = lock(&self.index).keys().cloned().collect();
        let entries: Vec<_> = names
            .into_iter()
            .map(|name| (self.read(&name), name))
            .collect();
        {
            let mut settings = self
                .settings
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *settings = Settings { sealing, max_age };
        }
        for (entry, name) in entries {
            let kept = entry.map_err(|e| e.to_string()).and_then(|entry| {
                self.write(&name, &entry.value, entry.fetched_at_ms)
                    .map_err(|e| e.to_string())
            });
            if let Err(error) = kept {
                self.complain(format!("disk cache: key '{name}' is not kept: {error}"));
                self.remove(&name);
            }
        }
        self.sweep();
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Bad(#[from] BadEntry),
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Bad(#[from] BadEntry),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Files for the server alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A rename is durable only when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
