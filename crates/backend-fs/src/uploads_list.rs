//! One page of a bucket's uploads in progress.

use std::sync::Arc;

use strongroom_backend::upload::{Upload, UploadId};

use crate::bucket::folders_in;
use crate::error::StoreError;
use crate::format::upload::UploadFile;
use crate::store::{Store, blocking};
use crate::upload::upload_of;

/// Asks for one page of a bucket's uploads.
#[derive(Clone, Debug, Default)]
pub struct ListUploadsQuery {
    /// Bucket name.
    pub bucket: String,
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that share prefix ‖ … ‖ delimiter are rolled up into one common prefix.
    pub delimiter: Option<String>,
    /// Only uploads of keys (and common prefixes) greater than this key; with an upload id also those of
    /// this very key whose id is greater.
    pub after: Option<(String, Option<String>)>,
    /// Most uploads and common prefixes together; 0 to 1,000.
    pub max: usize,
}

/// One page of a bucket's uploads.
#[derive(Clone, Debug, Default)]
pub struct UploadsPage {
    /// By key, then by upload id, which sorts by the beginning of the upload.
    pub items: Vec<UploadItem>,
    /// There is more after the last item.
    pub truncated: bool,
}

/// One row of a listing of uploads.
#[derive(Clone, Debug)]
pub enum UploadItem {
    /// A common prefix, ending in the delimiter.
    Prefix(String),
    /// An upload.
    Upload(UploadId, Box<Upload>),
}

impl Store {
    pub(crate) async fn list_uploads(
        self: &Arc<Self>,
        query: &ListUploadsQuery,
    ) -> Result<UploadsPage, StoreError> {
        let (store, query) = (Arc::clone(self), query.clone());
        blocking(move || {
            store.must_have_bucket(&query.bucket)?;
            let mut files = Vec::new();
            for folder in folders_in(&store.uploads_folder(&query.bucket))? {
                match store.read_upload(&query.bucket, &folder) {
                    Ok(file) => files.extend(file.filter(|file| file.key.starts_with(&query.prefix))),
                    // As with objects: one damaged upload must not hide the others.
                    Err(StoreError::Damaged { path, why }) => {
                        tracing::error!(path = %path.display(), %why, "an upload is damaged and missing from a listing");
                    }
                    Err(other) => return Err(other),
                }
            }
            files.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
            Ok(page_of(files, &query))
        })
        .await
    }
}

fn page_of(files: Vec<UploadFile>, query: &ListUploadsQuery) -> UploadsPage {
    let mut page = UploadsPage::default();
    let mut last_prefix: Option<String> = None;
    for file in files {
        let delimiter = query
            .delimiter
            .as_deref()
            .filter(|delimiter| !delimiter.is_empty());
        let common = delimiter.and_then(|delimiter| {
            let at = file.key[query.prefix.len()..].find(delimiter)?;
            Some(file.key[..query.prefix.len() + at + delimiter.len()].to_owned())
        });
        let is_wanted = match (&query.after, &common) {
            (None, _) => true,
            (Some((key, _)), Some(common)) => common > key,
            (Some((key, None)), None) => file.key > *key,
            (Some((key, Some(id))), None) => {
                file.key > *key || (file.key == *key && file.id.to_string() > *id)
            }
        };
        if !is_wanted || (common.is_some() && common == last_prefix) {
            continue;
        }
        if page.items.len() == query.max {
            page.truncated = query.max > 0;
            break;
        }
        last_prefix.clone_from(&common);
        page.items.push(match common {
            Some(common) => UploadItem::Prefix(common),
            None => UploadItem::Upload(UploadId(file.id.to_string()), Box::new(upload_of(file))),
        });
    }
    page
}
