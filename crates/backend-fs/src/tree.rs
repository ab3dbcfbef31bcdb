//! Files placed under keys: a rename makes one visible, folders come and go beneath it, and nothing is
//! answered before all that leads to the file is on the disk.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::disk::Disk;
use crate::error::Fault;

/// Gates for all trees. More than a server has cores: two buckets rarely share one.
const GATES: usize = 64;

/// What this process knows of the trees' folders.
#[derive(Debug)]
pub(crate) struct Trees {
    /// Read: files are being placed, their folders must stay. Write: folders are being removed.
    gates: Vec<RwLock<()>>,
    /// Folders whose name in their parent may not be on the disk yet, each with the token of its making.
    /// Who places a file below such a folder syncs the parent too: the maker may not have come to it.
    fresh: Mutex<Fresh>,
}

#[derive(Debug, Default)]
struct Fresh {
    folders: HashMap<PathBuf, u64>,
    next_token: u64,
}

impl Trees {
    pub(crate) fn new() -> Self {
        Self {
            gates: (0..GATES).map(|_| RwLock::new(())).collect(),
            fresh: Mutex::new(Fresh::default()),
        }
    }

    fn gate(&self, base: &Path) -> &RwLock<()> {
        let mut hasher = DefaultHasher::new();
        base.hash(&mut hasher);
        // The remainder of a division by GATES is an index of it.
        let index = usize::try_from(hasher.finish() % GATES as u64).unwrap_or(0);
        &self.gates[index]
    }

    /// While held, no folder below `base` is removed.
    fn keep_folders(&self, base: &Path) -> RwLockReadGuard<'_, ()> {
        self.gate(base)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// While held, nothing is placed below `base`.
    pub(crate) fn stop_placing(&self, base: &Path) -> RwLockWriteGuard<'_, ()> {
        self.gate(base)
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renames the synced file `temp` to `target` below `base`, making its folders. Absent afterwards:
    /// `base` itself is gone. Visible when this returns; durable after [`settle`](Self::settle).
    pub(crate) fn place(
        &self,
        disk: &Disk,
        base: &Path,
        temp: &Path,
        target: &Path,
    ) -> Result<(), Fault> {
        let _kept = self.keep_folders(base);
        match disk.rename(temp, target) {
            Err(fault) if fault.is_absent() => {
                self.make_folders(disk, base, target)?;
                disk.rename(temp, target)
            }
            done => done,
        }
    }

    fn make_folders(&self, disk: &Disk, base: &Path, target: &Path) -> Result<(), Fault> {
        let mut missing: Vec<&Path> = target
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != base)
            .collect();
        missing.reverse();
        for folder in missing {
            // Made and noted in one step: who finds the folder finds the note.
            let mut fresh = self.fresh();
            match disk.make_folder(folder) {
                Ok(()) => {
                    fresh.next_token += 1;
                    let token = fresh.next_token;
                    fresh.folders.insert(folder.to_path_buf(), token);
                }
                Err(fault) if fault.source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Makes the placing or removing of `target` durable, with every folder on the way to it.
    pub(crate) fn settle(&self, disk: &Disk, base: &Path, target: &Path) -> Result<(), Fault> {
        let Some(parent) = target.parent() else {
            return Ok(());
        };
        let fresh_above: Vec<(PathBuf, u64)> = {
            let fresh = self.fresh();
            if fresh.folders.is_empty() {
                Vec::new()
            } else {
                parent
                    .ancestors()
                    .take_while(|folder| *folder != base)
                    .filter_map(|folder| fresh.folders.get_key_value(folder))
                    .map(|(folder, token)| (folder.clone(), *token))
                    .collect()
            }
        };
        for (folder, token) in fresh_above {
            if let Some(above) = folder.parent() {
                disk.sync_folder(above)?;
            }
            let mut fresh = self.fresh();
            // Removed and made again meanwhile: that making is another's to sync.
            if fresh.folders.get(&folder) == Some(&token) {
                fresh.folders.remove(&folder);
            }
        }
        disk.sync_folder(parent)
    }

    /// Removes the file `target` for good, and the folders that this leaves empty.
    pub(crate) fn remove(&self, disk: &Disk, base: &Path, target: &Path) -> Result<(), Fault> {
        disk.remove_file(target)?;
        self.settle(disk, base, target)?;
        self.prune(disk, base, target);
        Ok(())
    }

    /// Removes empty folders above `target`, up to `base`. Nothing waits for it and nothing depends on it:
    /// an empty folder that stays is no object, and the sweep takes it.
    pub(crate) fn prune(&self, disk: &Disk, base: &Path, target: &Path) {
        let Some(parent) = target.parent().filter(|parent| *parent != base) else {
            return;
        };
        if !is_empty(parent) {
            return;
        }
        let _alone = self.stop_placing(base);
        for folder in parent.ancestors().take_while(|folder| *folder != base) {
            match disk.remove_folder(folder) {
                Ok(()) => {
                    self.fresh().folders.remove(folder);
                }
                Err(fault) if fault.is_absent() => {}
                Err(fault) => {
                    if fault.source.kind() != io::ErrorKind::DirectoryNotEmpty {
                        tracing::warn!(folder = %folder.display(), cause = %fault.source, "an empty folder stays");
                    }
                    return;
                }
            }
        }
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}
