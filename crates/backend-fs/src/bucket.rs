//! Buckets: a folder each, made and removed by one rename.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use s3s::dto::Timestamp;

use crate::error::{Fault, StoreError};
use crate::format::FormatError;
use crate::format::record::BucketFile;
use crate::store::{Store, blocking, is_bucket_name, open_if_there, read_up_to};
use crate::walk::holds_an_object;

/// Most bytes of a bucket's own file.
const BUCKET_FILE_BYTES_MAX: usize = 64 * 1024;

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketInfo {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Store {
    pub(crate) async fn create_bucket(self: &Arc<Self>, name: &str) -> Result<(), StoreError> {
        if !is_bucket_name(name) || !is_dns_name(name) {
            return Err(StoreError::InvalidBucketName);
        }
        let (store, name) = (Arc::clone(self), name.to_owned());
        blocking(move || {
            let target = store.bucket_folder(&name);
            if fs::symlink_metadata(&target).is_ok() {
                return Err(StoreError::BucketExists);
            }
            let temp = store.temp_folder().join(store.new_id().to_string());
            let file = BucketFile {
                name,
                created: store.now(),
            };
            store.disk.make_folder(&temp)?;
            store.disk.make_folder(&temp.join("names"))?;
            store.disk.make_folder(&temp.join("uploads"))?;
            store.disk.write_file(&temp.join("bucket"), file.encode())?;
            store.disk.sync_folder(&temp)?;
            let placed = match store.disk.rename(&temp, &target) {
                // Another was quicker: a folder is not put in the place of one that holds something.
                Err(fault) if is_occupied(&fault) => Err(StoreError::BucketExists),
                placed => placed.map_err(StoreError::from),
            };
            if placed.is_err() {
                // What stays is removed when the store is opened next.
                let _ = store.disk.remove_tree(&temp);
            }
            placed?;
            Ok(store.disk.sync_folder(&store.buckets_folder())?)
        })
        .await
    }

    /// Removes a bucket without objects, and the uploads that were begun in it.
    pub(crate) async fn delete_bucket(self: &Arc<Self>, name: &str) -> Result<(), StoreError> {
        let (store, name) = (Arc::clone(self), name.to_owned());
        blocking(move || {
            store.must_have_bucket(&name)?;
            let names = store.names_folder(&name);
            let temp = store.temp_folder().join(store.new_id().to_string());
            {
                // Whoever would place an object now finds it placed before, or the bucket gone.
                let _alone = store.trees.stop_placing(&names);
                if holds_an_object(&names)? {
                    return Err(StoreError::BucketNotEmpty);
                }
                store.disk.rename(&store.bucket_folder(&name), &temp).map_err(|fault| {
                    if fault.is_absent() { StoreError::NoSuchBucket } else { fault.into() }
                })?;
            }
            store.disk.sync_folder(&store.buckets_folder())?;
            let uploads = temp.join("uploads");
            for folder in folders_in(&uploads)? {
                store.remove_attempt_data(&uploads.join(folder), &[]);
            }
            if let Err(fault) = store.disk.remove_tree(&temp) {
                tracing::warn!(cause = %fault.source, "the remains of a bucket stay until the next start");
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn buckets(self: &Arc<Self>) -> Result<Vec<BucketInfo>, StoreError> {
        let store = Arc::clone(self);
        blocking(move || {
            let mut buckets = Vec::new();
            for name in folders_in(&store.buckets_folder())? {
                if is_bucket_name(&name) {
                    buckets.extend(store.read_bucket(&name)?);
                }
            }
            buckets.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(buckets)
        })
        .await
    }

    pub(crate) async fn bucket(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Option<BucketInfo>, StoreError> {
        if !is_bucket_name(name) {
            return Ok(None);
        }
        let (store, name) = (Arc::clone(self), name.to_owned());
        blocking(move || store.read_bucket(&name)).await
    }

    fn read_bucket(&self, name: &str) -> Result<Option<BucketInfo>, StoreError> {
        let path = self.bucket_folder(name).join("bucket");
        let Some(file) = open_if_there(&path)? else {
            return Ok(None);
        };
        let decoded = BucketFile::decode(&read_up_to(&file, &path, BUCKET_FILE_BYTES_MAX)?)
            .map_err(|why| StoreError::damaged(&path, why))?;
        if decoded.name != name {
            let owner = format!("bucket {:?}", decoded.name);
            return Err(StoreError::damaged(&path, FormatError::Stranger { owner }));
        }
        Ok(Some(BucketInfo {
            name: decoded.name,
            created: decoded.created.into(),
        }))
    }
}

fn is_occupied(fault: &Fault) -> bool {
    use std::io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    matches!(fault.source.kind(), AlreadyExists | DirectoryNotEmpty)
}

/// Names in a folder that are UTF-8, as all of ours are; none when it is gone.
pub(crate) fn folders_in(folder: &Path) -> Result<Vec<String>, Fault> {
    let read = |error| Fault::new("read folder", folder, error);
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| {
                entry
                    .map(|entry| entry.file_name().into_string())
                    .map_err(read)
            })
            .filter_map(|name| name.map(Result::ok).transpose())
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(read(error)),
    }
}
/// Whether a name can be a host name under a domain: clients that address buckets so cannot reach others. Only asked of
/// new buckets.
fn is_dns_name(name: &str) -> bool {
    name.split('.')
        .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}
