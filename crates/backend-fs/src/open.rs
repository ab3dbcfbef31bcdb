//! Opening a directory as a store: made if it is new, refused if it is not ours, locked against others,
//! and cleaned of what the last process left undone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rustix::fs::{FlockOperation, flock};

use crate::bucket::folders_in;
use crate::data::Bodies;
use crate::disk::Disk;
use crate::error::{Fault, OpenError};
use crate::format::record::{StoreFile, StoreFileOfAnyFormat};
use crate::id::Id;
use crate::options::{Durability, Options};
use crate::store::{Locks, Store, is_bucket_name, read_up_to};
use crate::tree::Trees;

/// Longest path of a store. A key of 1,024 bytes may need 3,400 more (the tests of `layout`), and the
/// system takes 4,096.
const ROOT_PATH_BYTES_MAX: usize = 512;

/// Most bytes of `strongroom.json`.
const STORE_FILE_BYTES_MAX: usize = 64 * 1024;

const STORE_FILE: &str = "strongroom.json";
const LOCK_FILE: &str = "lock";

/// All that a store has at its top. A directory of these and no `strongroom.json` was left half made.
const OWN_NAMES: [&str; 6] = [LOCK_FILE, STORE_FILE, "buckets", "data", "system", "tmp"];

/// Some file systems have this at their top.
const HARMLESS_NAMES: [&str; 1] = ["lost+found"];

impl Store {
    /// Blocking: reads little, and waits for the disk once.
    pub(crate) fn open(path: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        let root = directory(path)?;
        let is_store = examine(&root)?;
        let lock_file = lock(&root)?;
        let disk = Disk::new(options.durability, options.watch);
        let store = Self {
            disk,
            trees: Trees::new(),
            bodies: Bodies::default(),
            keys: Locks::new(),
            uploads: Locks::new(),
            compat_etags: options.compat_etags,
            sweep_grace: options.sweep_grace,
            clock: options.clock,
            entropy: options.entropy,
            sequence: AtomicU64::new(0),
            lock_file,
            root,
        };
        if is_store {
            read_store_file(&store.root)?;
            store.make_lost_folders()?;
        } else {
            store.make()?;
        }
        if options.durability == Durability::Full {
            // The last process may have been killed between a rename and its sync. What we see and build
            // on must not vanish in a power cut.
            rustix::fs::syncfs(&store.lock_file)
                .map_err(|errno| Fault::new("sync", &store.root, errno))?;
        }
        let store = Arc::new(store);
        store.remove_temp()?;
        store.end_completed_uploads();
        Ok(store)
    }

    /// Makes a new store; `strongroom.json` comes last.
    fn make(&self) -> Result<(), Fault> {
        for folder in ["buckets", "data", "system", "system/records", "tmp"] {
            self.make_folder_if_missing(&self.root.join(folder))?;
        }
        self.make_data_folders()?;
        self.disk.sync_folder(&self.data_folder())?;
        self.disk.sync_folder(&self.root.join("system"))?;
        let file = StoreFile {
            what: StoreFile::WHAT.to_owned(),
            format: StoreFile::FORMAT,
            store: self.new_id().to_string(),
            epoch: 1,
            features: Vec::new(),
        };
        let text = serde_json::to_vec_pretty(&file)
            .map_err(|error| Fault::new("write", &self.root.join(STORE_FILE), error))?;
        let temp = self.temp_folder().join(self.new_id().to_string());
        self.disk.write_file(&temp, text)?;
        self.disk.rename(&temp, &self.root.join(STORE_FILE))?;
        self.disk.sync_folder(&self.root)?;
        match self.root.parent() {
            // Not ours to read, perhaps; then its owner made the directory before us.
            Some(parent) => match self.disk.sync_folder(parent) {
                Err(fault) if fault.source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                synced => synced,
            },
            None => Ok(()),
        }
    }

    /// Copies of a store made by tools may lack empty folders.
    fn make_lost_folders(&self) -> Result<(), Fault> {
        for folder in ["system", "system/records", "tmp"] {
            self.make_folder_if_missing(&self.root.join(folder))?;
        }
        self.make_data_folders()?;
        for bucket in folders_in(&self.buckets_folder())? {
            if is_bucket_name(&bucket) {
                self.make_folder_if_missing(&self.names_folder(&bucket))?;
                self.make_folder_if_missing(&self.uploads_folder(&bucket))?;
            }
        }
        Ok(())
    }

    fn make_data_folders(&self) -> Result<(), Fault> {
        let there = folders_in(&self.data_folder())?;
        for byte in 0..=u8::MAX {
            let name = format!("{byte:02x}");
            if !there.contains(&name) {
                self.make_folder_if_missing(&self.data_folder().join(name))?;
            }
        }
        Ok(())
    }

    fn make_folder_if_missing(&self, path: &Path) -> Result<(), Fault> {
        match self.disk.make_folder(path) {
            Err(fault) if fault.source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// With the store locked, everything in `tmp/` is of a process that is gone.
    fn remove_temp(&self) -> Result<(), Fault> {
        for name in folders_in(&self.temp_folder())? {
            self.disk.remove_tree(&self.temp_folder().join(name))?;
        }
        Ok(())
    }

    /// Ends each Complete that was cut off between its commit and the removal of its upload. It must come
    /// before anything can replace the object, whose data the upload would otherwise outlive.
    fn end_completed_uploads(self: &Arc<Self>) {
        for bucket in folders_in(&self.buckets_folder()).unwrap_or_default() {
            if !is_bucket_name(&bucket) {
                continue;
            }
            for upload in folders_in(&self.uploads_folder(&bucket)).unwrap_or_default() {
                let ended = match self.read_upload(&bucket, &upload) {
                    Ok(Some(file)) => self.done_before(&file).map(drop),
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = ended {
                    tracing::error!(%bucket, %upload, %error, "an upload cannot be examined");
                }
            }
        }
    }
}

/// The directory's full path; made if it is not there.
fn directory(path: &Path) -> Result<PathBuf, OpenError> {
    let no_access = |error: io::Error| of_access(path, "open", error);
    if let Err(error) = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
    {
        return Err(match fs::metadata(path) {
            Ok(found) if !found.is_dir() => OpenError::NotADirectory(path.to_path_buf()),
            _ if error.kind() == io::ErrorKind::NotADirectory => {
                OpenError::NotADirectory(path.to_path_buf())
            }
            _ => no_access(error),
        });
    }
    let root = fs::canonicalize(path).map_err(no_access)?;
    if root.as_os_str().as_bytes().len() > ROOT_PATH_BYTES_MAX {
        return Err(OpenError::PathTooLong {
            path: root,
            max: ROOT_PATH_BYTES_MAX,
        });
    }
    Ok(root)
}

/// Whether the directory is a store (else it is empty, or left half made).
fn examine(root: &Path) -> Result<bool, OpenError> {
    let entries = fs::read_dir(root).map_err(|error| of_access(root, "read folder", error))?;
    let mut is_store = false;
    let mut found = None;
    for entry in entries {
        let entry = entry.map_err(|error| of_access(root, "read folder", error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        is_store |= name == STORE_FILE;
        if !OWN_NAMES.contains(&name.as_str()) && !HARMLESS_NAMES.contains(&name.as_str()) {
            found = Some(name);
        }
    }
    if is_store {
        for folder in ["buckets", "data"] {
            if !root.join(folder).is_dir() {
                let why = format!("its folder {folder} is missing");
                return Err(OpenError::Damaged {
                    path: root.to_path_buf(),
                    why,
                });
            }
        }
        return Ok(true);
    }
    // A half-made store holds nothing yet.
    for folder in ["buckets", "system/records"] {
        if let Some(name) = folders_in(&root.join(folder))?.pop() {
            found = Some(format!("{folder}/{name}"));
        }
    }
    match found {
        Some(found) => Err(OpenError::Foreign {
            path: root.to_path_buf(),
            found,
        }),
        None => Ok(false),
    }
}

fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join(LOCK_FILE);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| of_access(&path, "open", error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(root.to_path_buf())),
        Err(errno) => Err(of_access(&path, "lock", errno.into())),
    }
}

fn read_store_file(root: &Path) -> Result<StoreFile, OpenError> {
    let path = root.join(STORE_FILE);
    let file = File::open(&path).map_err(|error| of_access(&path, "open", error))?;
    let text = read_up_to(&file, &path, STORE_FILE_BYTES_MAX)?;
    let damaged = |why: String| OpenError::Damaged {
        path: path.clone(),
        why,
    };
    let any: StoreFileOfAnyFormat =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if any.what != StoreFile::WHAT {
        return Err(damaged(format!("it says it is {:?}", any.what)));
    }
    if any.format != StoreFile::FORMAT {
        let what = format!(
            "format {}, this release knows {}",
            any.format,
            StoreFile::FORMAT
        );
        return Err(OpenError::Newer {
            path: root.to_path_buf(),
            what,
        });
    }
    let file: StoreFile =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if Id::parse(&file.store).is_none() {
        return Err(damaged("the store's id is not one".to_owned()));
    }
    match file.features.first() {
        Some(feature) => Err(OpenError::Newer {
            path: root.to_path_buf(),
            what: format!("feature {feature:?}, which this release does not know"),
        }),
        None => Ok(file),
    }
}

fn of_access(path: &Path, doing: &'static str, source: io::Error) -> OpenError {
    match source.kind() {
        io::ErrorKind::PermissionDenied => OpenError::NoAccess {
            path: path.to_path_buf(),
            source,
        },
        io::ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly(path.to_path_buf()),
        _ => Fault::new(doing, path, source).into(),
    }
}
