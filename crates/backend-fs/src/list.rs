//! One page of a bucket: a walk of its names, rolled up at the delimiter, each row from the head of a root.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use strongroom_backend::object::{Generation, ListItem, ListPage, ListQuery, ListedObject};

use crate::error::{Fault, StoreError};
use crate::format::root::Summary;
use crate::format::{BEGIN_BYTES, Begin, FormatError, Kind};
use crate::layout::NameKind;
use crate::store::{Store, blocking};
use crate::walk::{Child, Start, Walk, holds_an_object};

/// Bytes read of a root at first: the head of nearly all.
const HEAD_READ_BYTES: usize = 4096;
const _: () = assert!(BEGIN_BYTES <= HEAD_READ_BYTES);

impl Store {
    pub(crate) async fn list(self: &Arc<Self>, query: &ListQuery) -> Result<ListPage, StoreError> {
        let (store, query) = (Arc::clone(self), query.clone());
        blocking(move || store.list_page(&query)).await
    }

    /// Blocking.
    fn list_page(&self, query: &ListQuery) -> Result<ListPage, StoreError> {
        self.must_have_bucket(&query.bucket)?;
        let mut page = ListPage::default();
        if query.max == 0 {
            return Ok(page);
        }
        let roll_up = RollUp {
            prefix: &query.prefix,
            delimiter: query.delimiter.as_deref(),
        };
        let mut walk = Walk::new(
            &self.names_folder(&query.bucket),
            &query.prefix,
            first(query, &roll_up),
        )?;
        while let Some(child) = walk.next_child()? {
            let common = roll_up.common_prefix(&child.start).map(<[u8]>::to_vec);
            let item = match (common, child.kind) {
                (Some(common), kind) => {
                    if kind != NameKind::Object && !holds_an_object(&child.path)? {
                        continue;
                    }
                    // A prefix is as much text as the key it is of: cut at a delimiter, which is text.
                    let name = String::from_utf8_lossy(&common).into_owned();
                    walk.skip_to(Start::AfterAll(common));
                    ListItem::Prefix(name)
                }
                (None, NameKind::Object) => match self.listed(&query.bucket, &child)? {
                    Some(object) => ListItem::Object(Box::new(object)),
                    None => continue,
                },
                (None, NameKind::Folder | NameKind::Continued) => {
                    walk.enter_child(child)?;
                    continue;
                }
            };
            if page.items.len() == query.max {
                page.truncated = true;
                break;
            }
            page.items.push(item);
        }
        Ok(page)
    }

    /// The row of one object; `None` when it has gone, or is damaged: one damaged root must not hide all
    /// others. The log names it, and reading the object says so.
    fn listed(&self, bucket: &str, child: &Child) -> Result<Option<ListedObject>, StoreError> {
        let summary = match read_summary(&child.path) {
            Ok(Some(summary)) => summary,
            Ok(None) => return Ok(None),
            Err(StoreError::Damaged { path, why }) => {
                tracing::error!(path = %path.display(), %why, "an object is damaged and missing from a listing");
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        if summary.bucket != bucket || summary.key.as_bytes() != child.start {
            tracing::error!(path = %child.path.display(), "an object lies at another key's place and is missing from a listing");
            return Ok(None);
        }
        Ok(Some(ListedObject {
            key: summary.key,
            generation: Generation(summary.generation.to_string()),
            stored_length: summary.stored_length,
            etag: summary.etag,
            last_modified: summary.modified.into(),
            envelope: summary.envelope,
            storage_class: summary.storage_class,
            checksum: summary.checksum,
        }))
    }
}

/// Reads only the head of a root.
pub(crate) fn read_summary(path: &Path) -> Result<Option<Summary>, StoreError> {
    let Some(file) = crate::store::open_if_there(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(HEAD_READ_BYTES);
    read_more(&file, path, &mut bytes, HEAD_READ_BYTES)?;
    let damaged = |why: FormatError| StoreError::damaged(path, why);
    let begin = Begin::read(Kind::Root, &bytes).map_err(damaged)?;
    read_more(&file, path, &mut bytes, begin.bytes_to_head_end())?;
    Summary::decode(begin, &bytes).map(Some).map_err(damaged)
}

/// Reads on until `bytes` has `want` bytes or the file ends.
fn read_more(file: &File, path: &Path, bytes: &mut Vec<u8>, want: usize) -> Result<(), Fault> {
    use std::io::Read;
    let missing = want.saturating_sub(bytes.len());
    file.take(missing as u64)
        .read_to_end(bytes)
        .map(drop)
        .map_err(|source| Fault::new("read", path, source))
}

/// Where the walk begins. `after` inside a common prefix has told that prefix: all of it is skipped.
fn first(query: &ListQuery, roll_up: &RollUp<'_>) -> Start {
    match query.after.as_deref().map(str::as_bytes) {
        None | Some([]) => Start::First,
        Some(after) => match roll_up.common_prefix(after) {
            Some(common) => Start::AfterAll(common.to_vec()),
            None => Start::After(after.to_vec()),
        },
    }
}

struct RollUp<'q> {
    prefix: &'q str,
    delimiter: Option<&'q str>,
}

impl RollUp<'_> {
    /// The common prefix that all keys beginning with `start` belong to.
    fn common_prefix<'s>(&self, start: &'s [u8]) -> Option<&'s [u8]> {
        let delimiter = self
            .delimiter
            .filter(|delimiter| !delimiter.is_empty())?
            .as_bytes();
        let rest = start.strip_prefix(self.prefix.as_bytes())?;
        let at = rest
            .windows(delimiter.len())
            .position(|window| window == delimiter)?;
        Some(&start[..self.prefix.len() + at + delimiter.len()])
    }
}
