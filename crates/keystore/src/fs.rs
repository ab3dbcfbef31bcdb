//! Keys in a directory: one file per key, named as the key, holding the value (docs/formats/kes-keystore.md).
//!
//! A new key is written to a temporary file, made durable, and linked to its name. `link(2)` fails when the name
//! exists, so nothing is ever overwritten, also not by another server on the same directory; and a name never shows half
//! a value, whenever the power goes. Temporary files start with a dot, which no key name holds.
//!
//! Some file systems have no links (SMB shares, FAT, many in user space). There a key is made under its own name right
//! away, as upstream does: nothing is overwritten either, but a reader may meet half a value, and a power cut leave one.
//!
//! A Kubernetes Secret that is mounted as a volume consists of symbolic links into a hidden folder of its own. Links are
//! read as far as they stay below the directory; one that leads out of it could make any file of the server a key.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use strongroom_kes_api::KeyName;
use zeroize::Zeroizing;

use crate::{KeyStore, Page, StoreError, StoredValue, VALUE_BYTES_MAX};

const KEY_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIRECTORY_MODE: u32 = 0o755;
const TEMPORARY_PREFIX: &str = ".strongroom-";
/// Hexadecimal digits of a number of 64 bits.
const NUMBER_DIGITS: usize = 16;
/// A temporary file lives for as long as one write. This is far longer, also where the clock of a file server differs from
/// ours: what is older was left by a crash, and is not of another server that is writing now.
const STALE_AFTER: Duration = Duration::from_secs(15 * 60);
/// openat2(2) asks to try again when something was renamed while it followed links.
const OPEN_ATTEMPTS: usize = 8;

/// A directory of keys.
#[derive(Debug, Clone)]
pub struct FsStore(Arc<Directory>);

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    handle: OwnedFd,
    /// Tells this store's temporary files from those of every other process and machine on the directory.
    temporary_nonce: u64,
    /// Device and inode: what tells this directory from another at the same path.
    identity: (u64, u64),
    temporary_count: AtomicU64,
    /// The file system has hard links, as far as is known.
    has_links: AtomicBool,
}

impl FsStore {
    /// Opens a directory of keys, and makes it when it is missing. Removes what crashes left there long ago.
    ///
    /// # Errors
    /// [`StoreError::Other`] when the path is a file or cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let failed = |source: io::Error| {
            let reason = format!("cannot open key store directory '{}'", path.display());
            StoreError::failed(reason, source)
        };
        make_directory(&path).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let metadata = std::fs::File::from(handle.try_clone().map_err(failed)?).metadata();
        let identity = metadata.map(|m| (m.dev(), m.ino())).map_err(failed)?;
        let temporary_nonce =
            getrandom::u64().map_err(|e| StoreError::other(format!("no randomness: {e}")))?;
        let temporary_count = AtomicU64::new(0);
        let directory = Directory {
            path,
            handle,
            temporary_nonce,
            identity,
            temporary_count,
            has_links: AtomicBool::new(true),
        };
        // A directory that may only be read has none, or keeps them: its keys can be used all the same.
        let _ = directory.sweep(SystemTime::now());
        Ok(Self(Arc::new(directory)))
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Directory) -> Result<T, StoreError> + Send + 'static,
    {
        let directory = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&directory)).await {
            Ok(outcome) => outcome,
            Err(error) => Err(StoreError::failed("file operation did not finish", error)),
        }
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
}

/// A name as [`Directory::temporary_name`] makes them, and no other.
fn is_temporary(name: &str) -> bool {
    let is_number = |text: &str| {
        text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) && !text.is_empty()
    };
    name.strip_prefix(TEMPORARY_PREFIX)
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(nonce, count)| {
            nonce.len() == NUMBER_DIGITS
                && count.len() <= NUMBER_DIGITS
                && is_number(nonce)
                && is_number(count)
        })
}

/// What `link(2)` answers where there are no links; EPERM by its manual, the others by what is seen.
fn is_without_links(error: &io::Error) -> bool {
    let known = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
}

#[async_trait]
impl KeyStore for FsStore {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        let name = name.clone();
        self.blocking(move |directory| directory.create(&name, &value))
            .await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        let name = name.clone();
        self.blocking(move |directory| directory.get(&name)).await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        let name = name.clone();
        self.blocking(move |directory| directory.delete(&name))
            .await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (prefix, from) = (prefix.to_owned(), from.cloned());
        self.blocking(move |directory| {
            let names = directory.names()?;
            Ok(Page::cut(names, &prefix, from.as_ref(), limit))
        })
        .await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.blocking(Directory::check).await
    }

    fn describe(&self) -> String {
        format!("Filesystem: {}", self.0.path.display())
    }
}

impl Directory {
    fn failed(&self, what: &str, name: &KeyName, error: impl Into<io::Error>) -> StoreError {
        let path = self.path.display();
        StoreError::failed(
            format!("cannot {what} key '{name}' in '{path}'"),
            error.into(),
        )
    }

    fn create(&self, name: &KeyName, value: &StoredValue) -> Result<(), StoreError> {
        // Spares the write when the answer is known; what decides is the link below.
        if rustix::fs::statat(&self.handle, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(StoreError::Exists);
        }
        self.check()?;
        let outcome = if self.has_links.load(Ordering::Relaxed) {
            match self.create_by_link(name, value) {
                Err(error) if is_without_links(&error) => {
                    self.has_links.store(false, Ordering::Relaxed);
                    self.write_new(name.as_str(), value)
                }
                outcome => outcome,
            }
        } else {
            self.write_new(name.as_str(), value)
        };
        match outcome {
            Ok(()) => self.sync().map_err(|e| self.failed("store", name, e)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(StoreError::Exists),
            Err(error) => Err(self.failed("store", name, error)),
        }
    }

    fn create_by_link(&self, name: &KeyName, value: &StoredValue) -> io::Result<()> {
        let temporary = self.temporary_name();
        let outcome = self.write_new(&temporary, value).and_then(|()| {
            rustix::fs::linkat(
                &self.handle,
                &temporary,
                &self.handle,
                name.as_str(),
                AtFlags::empty(),
            )
            .map_err(io::Error::from)
        });
        // A crash before this leaves key text under a name that nobody lists, which `sweep` removes later: the key that it
        // belongs to may be deleted by then.
        let _ = rustix::fs::unlinkat(&self.handle, &temporary, AtFlags::empty());
        outcome
    }

    fn temporary_name(&self) -> String {
        let count = self.temporary_count.fetch_add(1, Ordering::Relaxed);
        format!("{TEMPORARY_PREFIX}{:016x}-{count:x}", self.temporary_nonce)
    }

    /// Removes the temporary files of processes that are gone.
    fn sweep(&self, now: SystemTime) -> io::Result<()> {
        let mut is_changed = false;
        for entry in rustix::fs::Dir::read_from(&self.handle)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().filter(|n| is_temporary(n)) else {
                continue;
            };
            let Ok(stat) = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            let written = u64::try_from(stat.st_mtime).ok().and_then(|seconds| {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
            });
            // A time in the future tells nothing of the age.
            let age = written.and_then(|written| now.duration_since(written).ok());
            if is_file && age.is_some_and(|age| age > STALE_AFTER) {
                is_changed |= rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()).is_ok();
            }
        }
        if is_changed { self.sync() } else { Ok(()) }
    }

    fn write_new(&self, file_name: &str, value: &StoredValue) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, file_name, flags, KEY_MODE)?;
        let mut file = std::fs::File::from(file);
        let written = file
            .write_all(value.expose().as_bytes())
            .and_then(|()| file.sync_all());
        if written.is_err() {
            // Only what was made here: another server may have taken the name otherwise.
            let _ = rustix::fs::unlinkat(&self.handle, file_name, AtFlags::empty());
        }
        written
    }

    fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        // Without NONBLOCK, opening a FIFO would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match self.open_below(name, flags) {
            Ok(file) => std::fs::File::from(file),
            Err(Errno::NOENT) => return Err(self.missing()),
            Err(Errno::LOOP | Errno::XDEV) => return Err(self.not_a_file(name)),
            Err(error) => return Err(self.failed("read", name, error)),
        };
        let metadata = file.metadata().map_err(|e| self.failed("read", name, e))?;
        if !metadata.is_file() {
            return Err(self.not_a_file(name));
        }
        let limit = VALUE_BYTES_MAX as u64;
        // Reserved in full: a buffer that grew would leave copies behind.
        let capacity = usize::try_from(metadata.len().min(limit) + 1).unwrap_or(VALUE_BYTES_MAX);
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| self.failed("read", name, e))?;
        let unusable = |why: &str| {
            let path = self.path.display();
            StoreError::other(format!("key '{name}' in '{path}' {why}"))
        };
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => Zeroizing::new(text.to_owned()),
            Err(_) => return Err(unusable("is no text")),
        };
        StoredValue::new(text).map_err(|_| unusable("is larger than any key"))
    }

    /// Opens an entry, following links that stay below the directory.
    fn open_below(&self, name: &KeyName, flags: OFlags) -> Result<OwnedFd, Errno> {
        let below = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..OPEN_ATTEMPTS {
            match rustix::fs::openat2(&self.handle, name.as_str(), flags, Mode::empty(), below) {
                Err(Errno::AGAIN) => {}
                // Old kernels, and containers whose guard does not know the call: then without any links.
                Err(Errno::NOSYS | Errno::PERM) => break,
                outcome => return outcome,
            }
        }
        let flags = flags | OFlags::NOFOLLOW;
        rustix::fs::openat(&self.handle, name.as_str(), flags, Mode::empty())
    }

    fn not_a_file(&self, name: &KeyName) -> StoreError {
        let path = self.path.display();
        StoreError::other(format!(
            "key '{name}' in '{path}' is no regular file; links are followed only inside that directory, copy the file instead"
        ))
    }

    fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(&self.handle, name.as_str(), AtFlags::empty()) {
            Ok(()) => self.sync().map_err(|e| self.failed("delete", name, e)),
            Err(Errno::NOENT) => Err(self.missing()),
            Err(error) => Err(self.failed("delete", name, error)),
        }
    }

    fn names(&self) -> Result<Vec<KeyName>, StoreError> {
        let failed = |error: Errno| {
            let path = self.path.display();
            StoreError::failed(
                format!("cannot list keys in '{path}'"),
                io::Error::from(error),
            )
        };
        self.check()?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry
                .file_name()
                .to_str()
                .ok()
                .and_then(|text| KeyName::parse(text).ok())
            else {
                continue;
            };
            if self.is_regular_file(&name, entry.file_type()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn is_regular_file(&self, name: &KeyName, known: FileType) -> bool {
        match known {
            FileType::RegularFile => return true,
            FileType::Symlink => return self.leads_to_a_file(name),
            // Some file systems leave the type out of the directory.
            FileType::Unknown => {}
            _ => return false,
        }
        match rustix::fs::statat(&self.handle, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => self.leads_to_a_file(name),
                kind => kind == FileType::RegularFile,
            },
            Err(_) => false,
        }
    }

    fn leads_to_a_file(&self, name: &KeyName) -> bool {
        self.open_below(name, OFlags::PATH | OFlags::CLOEXEC)
            .and_then(rustix::fs::fstat)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    }

    fn check(&self) -> Result<(), StoreError> {
        let failed = |error: io::Error| {
            let reason = format!("key store directory '{}' is gone", self.path.display());
            StoreError::unreachable(reason, error)
        };
        // The handle outlives a removed directory, so the path itself is asked.
        let metadata = std::fs::metadata(&self.path).map_err(failed)?;
        if !metadata.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        if (metadata.dev(), metadata.ino()) == self.identity {
            return Ok(());
        }
        let path = self.path.display();
        Err(StoreError::Unreachable {
            reason: format!(
                "key store directory '{path}' is another than the one that was opened, since it was replaced or something \
                 was mounted there: restart the server"
            ),
            source: None,
        })
    }

    /// No such key, as far as this is still the directory: one that was removed, or hidden by a mount, has no keys at
    /// all, and whoever believes that makes new keys for old data.
    fn missing(&self) -> StoreError {
        self.check().err().unwrap_or(StoreError::NotFound)
    }

    fn sync(&self) -> io::Result<()> {
        rustix::fs::fsync(&self.handle).map_err(Into::into)
    }
}

#[cfg(test)]
mod tests;
