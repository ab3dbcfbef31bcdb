//! The sweep: removes data files that nothing refers to, which crashes and lost races leave behind, and
//! empty folders.
//!
//! First the data files are listed, then everything that refers to any: uploads before objects, because
//! Complete moves a reference from there to here and never back. What gets a reference while the sweep
//! looks, is being written, or is read by somebody is told by `Bodies`. One root that cannot be read might
//! refer to anything: then nothing is removed.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bucket::folders_in;
use crate::data::DataFile;
use crate::error::StoreError;
use crate::format::root::ROOT_BYTES_MAX;
use crate::layout::{self, NameKind};
use crate::store::{Store, blocking, is_bucket_name, open_if_there, read_up_to};
use crate::upload::read_attempt;

/// Data files looked at in one pass over the store: bounds memory to some 50 MB, and smaller stores to one.
const CANDIDATES_MAX: usize = 1_000_000;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Data files that were looked at.
    pub seen: u64,
    /// Data files that were removed.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Roots, pages and attempts that could not be read. With any, nothing is removed.
    pub damaged: u64,
}

impl Store {
    pub(crate) async fn sweep(self: &Arc<Self>) -> Result<SweepReport, StoreError> {
        let store = Arc::clone(self);
        blocking(move || {
            if !store.bodies.begin_sweep() {
                return Ok(SweepReport::default());
            }
            let report = store.sweep_all();
            store.bodies.end_sweep();
            report
        })
        .await
    }

    fn sweep_all(self: &Arc<Self>) -> Result<SweepReport, StoreError> {
        let mut report = SweepReport::default();
        let mut folders = folders_in(&self.data_folder())?;
        folders.sort_unstable();
        let mut folders = folders.into_iter().peekable();
        while folders.peek().is_some() {
            let mut candidates = HashSet::new();
            while let Some(folder) = folders.next_if(|_| candidates.len() < CANDIDATES_MAX) {
                self.candidates(&self.data_folder().join(folder), &mut candidates)?;
            }
            report.seen += candidates.len() as u64;
            self.unmark_referred(&mut candidates, &mut report)?;
            if report.damaged > 0 {
                tracing::error!(
                    damaged = report.damaged,
                    "the sweep removes nothing: files that cannot be read may refer to data"
                );
                return Ok(report);
            }
            for file in candidates {
                if self.bodies.is_held(file) {
                    continue;
                }
                let path = self.data_path(file);
                let bytes = fs::metadata(&path).map_or(0, |found| found.len());
                match self.disk.remove_file(&path) {
                    Ok(()) => {
                        report.removed += 1;
                        report.removed_bytes += bytes;
                    }
                    Err(fault) if fault.is_absent() => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
        Ok(report)
    }

    /// Data files of a folder that are old enough.
    fn candidates(&self, folder: &Path, into: &mut HashSet<DataFile>) -> Result<(), StoreError> {
        let now = (self.clock)();
        for name in folders_in(folder)? {
            let Some(file) = DataFile::parse(&name) else {
                continue;
            };
            let Ok(found) = fs::symlink_metadata(folder.join(&name)) else {
                continue;
            };
            let age = found
                .modified()
                .ok()
                .and_then(|then| now.duration_since(then).ok());
            if self.sweep_grace.is_zero() || age.is_some_and(|age| age >= self.sweep_grace) {
                into.insert(file);
            }
        }
        Ok(())
    }

    /// Takes out of `candidates` all that is referred to.
    fn unmark_referred(
        self: &Arc<Self>,
        candidates: &mut HashSet<DataFile>,
        report: &mut SweepReport,
    ) -> Result<(), StoreError> {
        let buckets = folders_in(&self.buckets_folder())?;
        let buckets: Vec<&String> = buckets.iter().filter(|name| is_bucket_name(name)).collect();
        for bucket in &buckets {
            let uploads = self.uploads_folder(bucket);
            for upload in folders_in(&uploads)? {
                let folder = uploads.join(upload);
                for name in folders_in(&folder)? {
                    match read_attempt(&folder, &name) {
                        Ok(Some(attempt)) => {
                            attempt
                                .data
                                .map(|data| candidates.remove(&DataFile::Bytes(data)));
                        }
                        Ok(None) => {}
                        Err(error) => damaged(error, report)?,
                    }
                }
            }
        }
        for bucket in &buckets {
            self.unmark_objects(&self.names_folder(bucket), candidates, report)?;
        }
        self.prune_empty(&self.records_folder())
    }

    fn unmark_objects(
        self: &Arc<Self>,
        base: &Path,
        candidates: &mut HashSet<DataFile>,
        report: &mut SweepReport,
    ) -> Result<(), StoreError> {
        self.each_object(base, |store, path| {
            let Some(file) = open_if_there(path)? else {
                return Ok(());
            };
            let referred = read_up_to(&file, path, ROOT_BYTES_MAX)
                .map_err(StoreError::from)
                .and_then(|bytes| {
                    crate::format::root::Root::decode(&bytes)
                        .map_err(|why| StoreError::damaged(path, why))
                })
                .and_then(|root| store.files_of(&root));
            match referred {
                Ok(files) => {
                    for file in files {
                        candidates.remove(&file);
                    }
                    Ok(())
                }
                // Replaced or deleted while it was read: what took its place was told by its writer.
                Err(_) if !is_still_there(&file, path) => Ok(()),
                Err(error) => damaged(error, report),
            }
        })
    }

    fn prune_empty(self: &Arc<Self>, base: &Path) -> Result<(), StoreError> {
        self.each_object(base, |_, _| Ok(()))
    }

    /// Visits all object files of a tree, in no order, and removes folders that are empty.
    fn each_object(
        self: &Arc<Self>,
        base: &Path,
        mut visit: impl FnMut(&Arc<Self>, &Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut folders: Vec<PathBuf> = vec![base.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let names = folders_in(&folder)?;
            if names.is_empty() && folder != base {
                self.trees.prune(&self.disk, base, &folder.join("none"));
            }
            for name in names {
                let path = folder.join(&name);
                match layout::parse_name(&name) {
                    Some((_, NameKind::Object)) => visit(self, &path)?,
                    Some((_, NameKind::Folder | NameKind::Continued)) => folders.push(path),
                    None => {}
                }
            }
        }
        Ok(())
    }
}

fn is_still_there(file: &fs::File, path: &Path) -> bool {
    crate::read::is_still_at(file, path).unwrap_or(true)
}

/// Counts a file that cannot be understood; a disk that fails ends the sweep.
fn damaged(error: StoreError, report: &mut SweepReport) -> Result<(), StoreError> {
    match error {
        StoreError::Damaged { path, why } => {
            tracing::error!(path = %path.display(), %why, "a stored file is damaged");
            report.damaged += 1;
            Ok(())
        }
        // A page that its root names and that is not there.
        StoreError::Fault(fault) if fault.is_absent() => {
            tracing::error!(path = %fault.path.display(), "a stored file is missing");
            report.damaged += 1;
            Ok(())
        }
        other => Err(other),
    }
}
