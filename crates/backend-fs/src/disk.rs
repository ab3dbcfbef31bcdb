//! Everything that changes the disk, so that it can be counted, refused and forgotten in tests: a crash is
//! a disk that does nothing any more, a power cut one that also forgets what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Fault;
use crate::options::Durability;

/// Only the server's own user reads the store.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// One change of the disk.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "only the tests' disks look at what changes")
)]
pub(crate) enum Change<'a> {
    CreateFile(&'a Path),
    MakeFolder(&'a Path),
    RemoveFile(&'a Path),
    RemoveFolder(&'a Path),
    Rename { from: &'a Path, to: &'a Path },
    SyncFile(&'a Path),
    SyncFolder(&'a Path),
    Write,
}

/// Sees every change before it is made, and may refuse it.
pub(crate) trait Watch: Send + Sync {
    fn before(&self, change: Change<'_>) -> io::Result<()>;
    fn after(&self, change: Change<'_>);
}

/// The disk of one store.
#[derive(Clone)]
pub(crate) struct Disk {
    durability: Durability,
    watch: Option<Arc<dyn Watch>>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk")
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl Disk {
    pub(crate) fn new(durability: Durability, watch: Option<Arc<dyn Watch>>) -> Self {
        Self { durability, watch }
    }

    fn change<T>(
        &self,
        doing: &'static str,
        path: &Path,
        change: Change<'_>,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, Fault> {
        let acted = match &self.watch {
            None => act(),
            Some(watch) => watch
                .before(change)
                .and_then(|()| act())
                .inspect(|_| watch.after(change)),
        };
        acted.map_err(|source| Fault::new(doing, path, source))
    }

    /// Makes a new file; one that is there already is an error.
    pub(crate) fn create_file(&self, path: &Path) -> Result<File, Fault> {
        self.change("create", path, Change::CreateFile(path), || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(FILE_MODE)
                .open(path)
        })
    }

    /// Appends all of `pieces`.
    pub(crate) fn write(
        &self,
        mut file: &File,
        path: &Path,
        pieces: &[Bytes],
    ) -> Result<(), Fault> {
        self.change("write", path, Change::Write, || {
            let mut slices: Vec<IoSlice<'_>> =
                pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut left = slices.as_mut_slice();
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                match file.write_vectored(left) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => IoSlice::advance_slices(&mut left, written),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// Reserves room for `bytes` where the file system can; its length stays.
    pub(crate) fn reserve(&self, file: &File, path: &Path, bytes: u64) -> Result<(), Fault> {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, bytes) {
            Err(
                full @ (rustix::io::Errno::NOSPC
                | rustix::io::Errno::DQUOT
                | rustix::io::Errno::FBIG),
            ) => Err(Fault::new("reserve room for", path, full)),
            // Many file systems cannot; writing will tell what it has to.
            _ => Ok(()),
        }
    }

    /// Waits until the file's bytes and length are on the disk.
    pub(crate) fn sync_file(&self, file: &File, path: &Path) -> Result<(), Fault> {
        self.change("sync", path, Change::SyncFile(path), || {
            match self.durability {
                Durability::Full => file.sync_data(),
                Durability::RelaxedLosesDataOnPowerCut => Ok(()),
            }
        })
    }

    /// Waits until the names in the folder are on the disk.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), Fault> {
        self.change("sync", path, Change::SyncFolder(path), || {
            match self.durability {
                Durability::Full => File::open(path)?.sync_all(),
                Durability::RelaxedLosesDataOnPowerCut => Ok(()),
            }
        })
    }

    /// A new file with these bytes, synced.
    pub(crate) fn write_file(&self, path: &Path, bytes: Vec<u8>) -> Result<(), Fault> {
        let file = self.create_file(path)?;
        self.write(&file, path, &[Bytes::from(bytes)])?;
        self.sync_file(&file, path)
    }

    /// Puts `from` in the place of `to`.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.change("rename to", to, Change::Rename { from, to }, || {
            fs::rename(from, to)
        })
    }

    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), Fault> {
        self.change("remove", path, Change::RemoveFile(path), || {
            fs::remove_file(path)
        })
    }

    /// Makes a folder; its parent must be there, and it must not.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), Fault> {
        self.change("create folder", path, Change::MakeFolder(path), || {
            fs::DirBuilder::new().mode(FOLDER_MODE).create(path)
        })
    }

    /// Removes an empty folder.
    pub(crate) fn remove_folder(&self, path: &Path) -> Result<(), Fault> {
        self.change("remove folder", path, Change::RemoveFolder(path), || {
            fs::remove_dir(path)
        })
    }

    /// Removes whatever `path` is, with all below it, without recursion: folders may nest a thousand deep.
    pub(crate) fn remove_tree(&self, path: &Path) -> Result<(), Fault> {
        let list = |path: &Path| -> Result<Vec<fs::DirEntry>, Fault> {
            fs::read_dir(path)
                .and_then(Iterator::collect)
                .map_err(|source| Fault::new("read folder", path, source))
        };
        let kind = fs::symlink_metadata(path).map_err(|source| Fault::new("read", path, source))?;
        if !kind.is_dir() {
            return self.remove_file(path);
        }
        // Every folder is visited twice: to empty it of files and find its folders, and to remove it.
        let mut open = vec![(path.to_path_buf(), false)];
        while let Some((folder, emptied)) = open.pop() {
            if emptied {
                self.remove_folder(&folder)?;
                continue;
            }
            open.push((folder.clone(), true));
            for entry in list(&folder)? {
                let path = entry.path();
                let is_folder = entry
                    .file_type()
                    .map_err(|source| Fault::new("read", &path, source))?
                    .is_dir();
                if is_folder {
                    open.push((path, false))
                } else {
                    self.remove_file(&path)?
                }
            }
        }
        Ok(())
    }
}
