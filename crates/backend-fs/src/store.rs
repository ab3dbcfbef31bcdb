//! What all operations share: the places in the directory, time and names, locks, and the disk.

use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::data::{Bodies, DataFile};
use crate::disk::Disk;
use crate::error::{Fault, StoreError};
use crate::format::field::UnixTime;
use crate::format::root::{Layout, LayoutPlace, ROOT_BYTES_MAX, Root};
use crate::id::Id;
use crate::layout;
use crate::options::{Clock, Entropy};
use crate::tree::Trees;

/// Locks for all keys. Two keys that share one wait for each other's commit, some milliseconds.
const KEY_LOCKS: usize = 1024;

/// Files removed at once by the one who makes them superfluous; more are left to a thread of their own.
const REMOVED_AT_ONCE: usize = 4;

/// One open store.
pub(crate) struct Store {
    pub(crate) root: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) trees: Trees,
    pub(crate) bodies: Bodies,
    pub(crate) keys: Locks,
    pub(crate) uploads: Locks,
    pub(crate) compat_etags: bool,
    pub(crate) sweep_grace: Duration,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) sequence: AtomicU64,
    /// Locked as long as the store is open.
    pub(crate) lock_file: File,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Striped locks that may be held over an await.
#[derive(Debug)]
pub(crate) struct Locks(Vec<Arc<Mutex<()>>>);

impl Locks {
    pub(crate) fn new() -> Self {
        Self((0..KEY_LOCKS).map(|_| Arc::default()).collect())
    }

    fn of(&self, names: &[&str]) -> Arc<Mutex<()>> {
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        // The remainder of a division by KEY_LOCKS is an index of it.
        let index = usize::try_from(hasher.finish() % KEY_LOCKS as u64).unwrap_or(0);
        Arc::clone(&self.0[index])
    }

    pub(crate) async fn lock(&self, names: &[&str]) -> OwnedMutexGuard<()> {
        self.of(names).lock_owned().await
    }

    pub(crate) fn try_lock(&self, names: &[&str]) -> Option<OwnedMutexGuard<()>> {
        self.of(names).try_lock_owned().ok()
    }
}

/// Runs file operations off the reactor. They run to their end also when the caller goes away.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::TaskLost))
}

/// A file in `tmp/`, removed unless it was renamed away.
#[derive(Debug)]
pub(crate) struct Temp {
    store: Arc<Store>,
    pub(crate) path: PathBuf,
    placed: bool,
}

impl Temp {
    pub(crate) fn placed(&mut self) {
        self.placed = true;
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.placed {
            // What stays is removed when the store is opened next.
            let _ = self.store.disk.remove_file(&self.path);
        }
    }
}

impl Store {
    pub(crate) fn now(&self) -> UnixTime {
        (self.clock)().into()
    }

    pub(crate) fn new_id(&self) -> Id {
        Id((self.entropy)())
    }

    pub(crate) fn next_in_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn temp_folder(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn buckets_folder(&self) -> PathBuf {
        self.root.join("buckets")
    }

    pub(crate) fn bucket_folder(&self, bucket: &str) -> PathBuf {
        self.buckets_folder().join(bucket)
    }

    /// The base of a bucket's tree of roots.
    pub(crate) fn names_folder(&self, bucket: &str) -> PathBuf {
        self.bucket_folder(bucket).join("names")
    }

    pub(crate) fn uploads_folder(&self, bucket: &str) -> PathBuf {
        self.bucket_folder(bucket).join("uploads")
    }

    /// The base of the tree of the wrapper's records.
    pub(crate) fn records_folder(&self) -> PathBuf {
        self.root.join("system").join("records")
    }

    pub(crate) fn data_folder(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn data_path(&self, file: DataFile) -> PathBuf {
        self.data_folder().join(file.path())
    }

    /// Removes data files that nobody needs; what cannot be removed is found again by the sweep.
    pub(crate) fn remove_data(self: &Arc<Self>, files: Vec<DataFile>) {
        let remove = |store: &Self, files: Vec<DataFile>| {
            for file in files {
                match store.disk.remove_file(&store.data_path(file)) {
                    Err(fault) if !fault.is_absent() => {
                        tracing::warn!(path = %fault.path.display(), cause = %fault.source, "a data file stays until the next sweep");
                    }
                    _ => {}
                }
            }
        };
        match Handle::try_current() {
            Ok(runtime) if files.len() > REMOVED_AT_ONCE => {
                let store = Arc::clone(self);
                runtime.spawn_blocking(move || remove(&store, files));
            }
            _ => remove(self, files),
        }
    }

    /// Writes and syncs a file in `tmp/`.
    pub(crate) fn write_temp(self: &Arc<Self>, bytes: Vec<u8>) -> Result<Temp, StoreError> {
        let path = self.temp_folder().join(self.new_id().to_string());
        let temp = Temp {
            store: Arc::clone(self),
            path,
            placed: false,
        };
        self.disk.write_file(&temp.path, bytes)?;
        Ok(temp)
    }

    /// Checks that the bucket is there.
    pub(crate) fn must_have_bucket(&self, bucket: &str) -> Result<(), StoreError> {
        if !is_bucket_name(bucket) {
            return Err(StoreError::NoSuchBucket);
        }
        let names = self.names_folder(bucket);
        match fs::symlink_metadata(&names) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NoSuchBucket),
            Err(error) => Err(Fault::new("read", &names, error).into()),
        }
    }

    /// The root at a key, if there is one.
    pub(crate) fn read_root(&self, bucket: &str, key: &str) -> Result<Option<Root>, StoreError> {
        let path = layout::path(&self.names_folder(bucket), key);
        let Some(file) = open_if_there(&path)? else {
            return Ok(None);
        };
        self.read_root_of(&file, &path, bucket, key).map(Some)
    }

    pub(crate) fn read_root_of(
        &self,
        file: &File,
        path: &Path,
        bucket: &str,
        key: &str,
    ) -> Result<Root, StoreError> {
        let bytes = read_up_to(file, path, ROOT_BYTES_MAX)?;
        Root::decode(&bytes)
            .and_then(|root| root.summary.must_be(bucket, key).map(|()| root))
            .map_err(|why| StoreError::damaged(path, why))
    }

    /// The extents and parts of an object.
    pub(crate) fn layout_of(&self, root: &Root) -> Result<Layout, StoreError> {
        match &root.layout {
            LayoutPlace::Here(layout) => Ok(layout.clone()),
            LayoutPlace::Page { data, .. } => {
                let path = self.data_path(DataFile::Page(*data));
                let file = File::open(&path).map_err(|source| Fault::new("open", &path, source))?;
                let bytes = read_up_to(&file, &path, crate::format::FILE_BYTES_MAX)?;
                root.read_page(&bytes)
                    .map_err(|why| StoreError::damaged(&path, why))
            }
        }
    }

    /// All data files of an object.
    pub(crate) fn files_of(&self, root: &Root) -> Result<Vec<DataFile>, StoreError> {
        let layout = self.layout_of(root)?;
        let page = match &root.layout {
            LayoutPlace::Here(_) => None,
            LayoutPlace::Page { data, .. } => Some(DataFile::Page(*data)),
        };
        Ok(layout
            .extents
            .iter()
            .map(|extent| DataFile::Bytes(extent.data))
            .chain(page)
            .collect())
    }

    /// Gives up the body of a root that was replaced or removed.
    pub(crate) fn discard(self: &Arc<Self>, root: &Root) {
        match self.files_of(root) {
            Ok(files) => self.remove_data(self.bodies.doom(root.body, files)),
            Err(error) => {
                tracing::warn!(%error, "data files of a replaced object stay until the next sweep");
            }
        }
    }
}

/// Opens a file that may be absent.
pub(crate) fn open_if_there(path: &Path) -> Result<Option<File>, Fault> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::new("open", path, error)),
    }
}

/// Reads a small file whole; of a longer one, one byte more than `max`, so that decoding refuses it.
pub(crate) fn read_up_to(file: &File, path: &Path, max: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(4096);
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Fault::new("read", path, source))?;
    Ok(bytes)
}

/// S3's rule for bucket names, which makes every one a harmless file name.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let ends = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes
            .iter()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
}
