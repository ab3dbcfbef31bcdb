#![forbid(unsafe_code)]
//! Objects in a local directory. Files are the truth: one small checksummed *root* per object, bodies in
//! immutable data files beside, and a rename as the only commit. The format is
//! `docs/formats/local-store.md`.
//!
//! Reading order: [`LocalStore`], `layout` (keys ↔ paths), `format` (bytes of the files), `tree` (placing
//! files so that they stay), `object` (put, delete), `read`, `list` over `walk`, `upload`, `sweep`.
//! `disk` is the only file that changes anything on disk.

mod backend;
mod body;
mod bucket;
mod data;
mod disk;
mod error;
pub mod format;
mod id;
mod layout;
mod list;
mod object;
mod open;
mod options;
mod read;
mod record;
mod store;
mod sweep;
mod tree;
mod upload;
mod uploads_list;
mod walk;

mod s3;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use s3s::S3Result;

pub use crate::bucket::BucketInfo;
pub use crate::error::{Fault, OpenError};
pub use crate::options::{Clock, Durability, Entropy, Options};
pub use crate::sweep::SweepReport;
pub use crate::uploads_list::{ListUploadsQuery, UploadItem, UploadsPage};

use crate::store::Store;

/// A store in a local directory. Clones share it; the directory stays locked until the last one is gone.
#[derive(Clone, Debug)]
pub struct LocalStore {
    store: Arc<Store>,
}

impl LocalStore {
    /// Opens the store in the directory `path`, made if it does not exist. Blocking: call it before serving.
    ///
    /// # Errors
    /// [`OpenError`], one sentence that says what to do.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Store::open(path.as_ref(), options).map(|store| Self { store })
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// `BucketAlreadyOwnedByYou`, `InvalidBucketName`, or a failure of the disk.
    pub async fn create_bucket(&self, name: &str) -> S3Result<()> {
        Ok(self.store.create_bucket(name).await?)
    }

    /// Removes a bucket that holds no objects, with the uploads that were begun in it.
    ///
    /// # Errors
    /// `NoSuchBucket`, `BucketNotEmpty`, or a failure of the disk.
    pub async fn delete_bucket(&self, name: &str) -> S3Result<()> {
        Ok(self.store.delete_bucket(name).await?)
    }

    /// All buckets, by name.
    ///
    /// # Errors
    /// A failure of the disk, or a bucket whose own file is damaged.
    pub async fn buckets(&self) -> S3Result<Vec<BucketInfo>> {
        Ok(self.store.buckets().await?)
    }

    /// One bucket, if it exists.
    ///
    /// # Errors
    /// A failure of the disk, or damage of the bucket's own file.
    pub async fn bucket(&self, name: &str) -> S3Result<Option<BucketInfo>> {
        Ok(self.store.bucket(name).await?)
    }

    /// One page of a bucket's uploads in progress.
    ///
    /// # Errors
    /// `NoSuchBucket`, or a failure of the disk.
    pub async fn list_uploads(&self, query: &ListUploadsQuery) -> S3Result<UploadsPage> {
        Ok(self.store.list_uploads(query).await?)
    }

    /// Removes what crashes left behind: data files that nothing refers to, and empty folders. Safe at any
    /// time, beside all other work; reads every root once, so call it rarely, in the background. A second
    /// sweep at the same time does nothing.
    ///
    /// # Errors
    /// A failure of the disk. Damaged files are no error: they are counted, and then nothing is removed.
    pub async fn sweep(&self) -> S3Result<SweepReport> {
        Ok(self.store.sweep().await?)
    }
}
