//! Objects: stored, read, changed and deleted, each by one rename or one removal of a root.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_backend::object::{
    Deleted, EnvelopeChange, Generation, Location, ObjectHeaders, PartStat, Stat, Stored,
};
use strongroom_backend::put::{Finish, Precondition, Put};
use tokio::sync::OwnedMutexGuard;

use crate::body::{Landed, LandedFile, land, land_bytes};
use crate::data::{DataFile, Draft};
use crate::error::StoreError;
use crate::format::field::length;
use crate::format::root::{
    ENVELOPE_BYTES_MAX, Extent, HEADERS_BYTES_MAX, INLINE_BYTES_MAX, LAYOUT_INLINE_BYTES_MAX,
    Layout, LayoutPlace, Root, SHORT_TEXT_BYTES_MAX, Summary,
};
use crate::layout::{self, KEY_BYTES_MAX};
use crate::read::LocalObject;
use crate::store::{Store, Temp, blocking};

/// The version id that stands for "not versioned" in S3.
const NULL_VERSION: &str = "null";

impl Store {
    pub(crate) async fn open_object(
        self: &Arc<Self>,
        at: &Location,
    ) -> Result<LocalObject, StoreError> {
        check_location(at)?;
        let (store, at) = (Arc::clone(self), at.clone());
        blocking(move || LocalObject::open(&store, &at.bucket, &at.key)).await
    }

    pub(crate) async fn put(self: &Arc<Self>, put: Put) -> Result<Stored, StoreError> {
        let Put {
            at,
            headers,
            body,
            stored_length,
            envelope,
            finish,
            precondition,
        } = put;
        check_key(&at.key)?;
        check_metadata(&headers, envelope.as_ref())?;
        let (early, asked) = (at.clone(), precondition.clone());
        let landed = land(self, body, stored_length, INLINE_BYTES_MAX, move |store| {
            store.must_have_bucket(&early.bucket)?;
            if asked == Precondition::None {
                return Ok(());
            }
            check(&asked, store.read_root(&early.bucket, &early.key)?.as_ref())
        })
        .await?;
        let Finish { etag, checksum, .. } = finish.get().ok_or(StoreError::Unfinished)?.clone();
        let new = NewObject {
            at,
            headers,
            envelope,
            etag,
            checksum,
            upload_id: None,
        };
        let (layout, inline, files) = match landed {
            Landed::Inline(bytes) => (Layout::default(), bytes, Vec::new()),
            Landed::File(file) => {
                let extents = vec![Extent {
                    data: file.draft.file.id(),
                    bytes: file.bytes,
                }];
                (
                    Layout {
                        extents,
                        parts: Vec::new(),
                    },
                    Bytes::new(),
                    vec![file],
                )
            }
        };
        self.commit(new, layout, inline, files, precondition).await
    }

    /// Makes a landed body an object. The lock of the key is taken as late as can be, and without leaving
    /// the blocking task when nobody holds it.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        new: NewObject,
        layout: Layout,
        inline: Bytes,
        files: Vec<LandedFile>,
        precondition: Precondition,
    ) -> Result<Stored, StoreError> {
        let names = [new.at.bucket.clone(), new.at.key.clone()];
        let store = Arc::clone(self);
        let begun = blocking(move || {
            let staged = Staged::stage(&store, new, layout, inline, files, precondition)?;
            let at = &staged.root.summary;
            match store.keys.try_lock(&[&at.bucket, &at.key]) {
                Some(lock) => staged.publish(&store, &lock).map(Begun::Done),
                None => Ok(Begun::Staged(Box::new(staged))),
            }
        })
        .await?;
        match begun {
            Begun::Done(stored) => Ok(stored),
            Begun::Staged(staged) => {
                let lock = self.keys.lock(&[&names[0], &names[1]]).await;
                let store = Arc::clone(self);
                blocking(move || staged.publish(&store, &lock)).await
            }
        }
    }

    pub(crate) async fn replace_envelope(
        self: &Arc<Self>,
        at: &Location,
        expected: &Generation,
        change: EnvelopeChange,
    ) -> Result<Stored, StoreError> {
        check_location(at)?;
        if let Some(headers) = &change.headers {
            check_metadata(headers, None)?;
        }
        check_metadata(&ObjectHeaders::default(), change.envelope.as_ref())?;
        if let Some(etag) = &change.etag {
            check_short("ETag", etag)?;
        }
        let (at, expected) = (at.clone(), expected.clone());
        let lock = self.keys.lock(&[&at.bucket, &at.key]).await;
        let store = Arc::clone(self);
        blocking(move || {
            let Some(mut root) = store.read_root(&at.bucket, &at.key)? else {
                store.must_have_bucket(&at.bucket)?;
                return Err(StoreError::NoSuchKey);
            };
            check(&Precondition::Generation(expected), Some(&root))?;
            let EnvelopeChange {
                envelope,
                etag,
                headers,
                touch,
            } = change;
            root.summary.generation = store.new_id();
            root.summary.envelope = envelope.or(root.summary.envelope);
            root.summary.etag = etag.unwrap_or(root.summary.etag);
            if let Some(headers) = headers {
                root.summary
                    .storage_class
                    .clone_from(&headers.storage_class);
                root.headers = headers;
            }
            if touch {
                root.summary.modified = store.now();
            }
            let temp = store.write_temp(root.encode())?;
            store.publish_root(temp, &root, &[], &lock)?;
            Ok(stored(&root.summary))
        })
        .await
    }

    pub(crate) async fn delete(
        self: &Arc<Self>,
        at: &Location,
        precondition: Precondition,
    ) -> Result<Deleted, StoreError> {
        match check_location(at) {
            Err(StoreError::NoSuchVersion) => return Ok(Deleted::default()),
            checked => checked?,
        }
        let at = at.clone();
        let lock = self.keys.lock(&[&at.bucket, &at.key]).await;
        let store = Arc::clone(self);
        blocking(move || {
            let root = store.read_root(&at.bucket, &at.key)?;
            let Some(root) = root else {
                store.must_have_bucket(&at.bucket)?;
                return match precondition {
                    Precondition::Generation(_) => Err(StoreError::PreconditionFailed),
                    Precondition::Absent | Precondition::None => Ok(Deleted::default()),
                };
            };
            check(&precondition, Some(&root))?;
            let base = store.names_folder(&at.bucket);
            store
                .trees
                .remove(&store.disk, &base, &layout::path(&base, &at.key))?;
            drop(lock);
            store.discard(&root);
            Ok(Deleted::default())
        })
        .await
    }

    /// The one commit: puts a synced root in its place, then makes that durable. `_lock` is the key's.
    fn publish_root(
        &self,
        mut temp: Temp,
        root: &Root,
        drafts: &[&Draft],
        _lock: &OwnedMutexGuard<()>,
    ) -> Result<(), StoreError> {
        let Summary { bucket, key, .. } = &root.summary;
        let base = self.names_folder(bucket);
        let target = layout::path(&base, key);
        self.bodies.referring(
            || Ok(self.files_of(root)?.into_iter().map(DataFile::id).collect()),
            || {
                self.trees
                    .place(&self.disk, &base, &temp.path, &target)
                    .map_err(|fault| {
                        if fault.is_absent() {
                            StoreError::NoSuchBucket
                        } else {
                            fault.into()
                        }
                    })
            },
        )?;
        // From here on the root may be what a restart finds, also if the next sync fails.
        temp.placed();
        drafts.iter().for_each(|draft| draft.keep());
        Ok(self.trees.settle(&self.disk, &base, &target)?)
    }
}

/// What a write says of its object.
#[derive(Debug)]
pub(crate) struct NewObject {
    pub(crate) at: Location,
    pub(crate) headers: ObjectHeaders,
    pub(crate) envelope: Option<Bytes>,
    pub(crate) etag: String,
    pub(crate) checksum: Option<strongroom_backend::object::Checksum>,
    pub(crate) upload_id: Option<String>,
}

enum Begun {
    Done(Stored),
    Staged(Box<Staged>),
}

/// A write of which everything but the commit is done and durable.
struct Staged {
    root: Root,
    temp: Temp,
    files: Vec<LandedFile>,
    page: Option<Draft>,
    precondition: Precondition,
}

impl Staged {
    fn stage(
        store: &Arc<Store>,
        new: NewObject,
        mut layout: Layout,
        mut inline: Bytes,
        mut files: Vec<LandedFile>,
        precondition: Precondition,
    ) -> Result<Self, StoreError> {
        let NewObject {
            at,
            headers,
            envelope,
            etag,
            checksum,
            upload_id,
        } = new;
        // A bucket that is not there is the client's error; say so before anything is written.
        store.must_have_bucket(&at.bucket)?;
        check_metadata(&headers, envelope.as_ref())?;
        check_short("ETag", &etag)?;
        if let Some(checksum) = &checksum {
            check_short("checksum", &checksum.algorithm)?;
            check_short("checksum", &checksum.value)?;
        }
        if inline.len() > INLINE_BYTES_MAX {
            let file = land_bytes(store, std::mem::take(&mut inline))?;
            layout.extents.push(Extent {
                data: file.draft.file.id(),
                bytes: file.bytes,
            });
            files.push(file);
        }
        for file in &files {
            file.sync(store)?;
        }
        let stored_length = layout
            .extent_bytes()
            .and_then(|sum| sum.checked_add(inline.len() as u64))
            .ok_or(StoreError::Length {
                have: u64::MAX,
                says: u64::MAX,
            })?;
        // The one extent of a plain object names the body as well as a new name would.
        let body = match (files.first(), layout.extents.as_slice()) {
            (Some(_), [only]) => only.data,
            _ => store.new_id(),
        };
        let (layout, page) = place_layout(store, &at, layout)?;
        let summary = Summary {
            bucket: at.bucket,
            key: at.key,
            generation: store.new_id(),
            modified: store.now(),
            stored_length,
            etag,
            envelope,
            storage_class: headers.storage_class.clone(),
            checksum,
        };
        let root = Root {
            summary,
            headers,
            upload_id,
            body,
            layout,
            inline,
        };
        let temp = store.write_temp(root.encode())?;
        Ok(Self {
            root,
            temp,
            files,
            page,
            precondition,
        })
    }

    fn publish(self, store: &Arc<Store>, lock: &OwnedMutexGuard<()>) -> Result<Stored, StoreError> {
        let Self {
            root,
            temp,
            files,
            page,
            precondition,
        } = self;
        let before = store.read_root(&root.summary.bucket, &root.summary.key)?;
        check(&precondition, before.as_ref())?;
        let drafts: Vec<&Draft> = files
            .iter()
            .map(|file| file.draft.as_ref())
            .chain(page.as_ref())
            .collect();
        store.publish_root(temp, &root, &drafts, lock)?;
        if let Some(before) = before.filter(|before| before.body != root.body) {
            store.discard(&before);
        }
        Ok(stored(&root.summary))
    }
}

/// Leaves a small layout to the root, and writes a large one to a page.
fn place_layout(
    store: &Arc<Store>,
    at: &Location,
    layout: Layout,
) -> Result<(LayoutPlace, Option<Draft>), StoreError> {
    if layout.encode().len() <= LAYOUT_INLINE_BYTES_MAX {
        return Ok((LayoutPlace::Here(layout), None));
    }
    let bytes = layout.encode_page(&at.bucket, &at.key);
    let draft = Draft::new(store, DataFile::Page(store.new_id()));
    let place = LayoutPlace::Page {
        data: draft.file.id(),
        bytes: length(bytes.len()),
        extents: length(layout.extents.len()),
        parts: length(layout.parts.len()),
        extent_bytes: layout.extent_bytes().unwrap_or(u64::MAX),
    };
    let path = draft.path();
    store.disk.write_file(&path, bytes)?;
    if let Some(folder) = path.parent() {
        store.disk.sync_folder(folder)?;
    }
    Ok((place, Some(draft)))
}

fn check(asked: &Precondition, root: Option<&Root>) -> Result<(), StoreError> {
    let holds = match asked {
        Precondition::None => true,
        Precondition::Absent => root.is_none(),
        Precondition::Generation(wanted) => {
            root.is_some_and(|root| root.summary.generation.to_string() == wanted.0)
        }
    };
    if holds {
        Ok(())
    } else {
        Err(StoreError::PreconditionFailed)
    }
}

/// Without versions, `null` names the object there is.
fn check_location(at: &Location) -> Result<(), StoreError> {
    check_key(&at.key)?;
    match at.version_id.as_deref() {
        None | Some(NULL_VERSION) => Ok(()),
        Some(_) => Err(StoreError::NoSuchVersion),
    }
}

pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
    match key.len() {
        0 => Err(StoreError::NoSuchKey),
        1..=KEY_BYTES_MAX => Ok(()),
        long => Err(StoreError::KeyTooLong(long)),
    }
}

fn check_short(what: &'static str, text: &str) -> Result<(), StoreError> {
    within(what, text.len(), SHORT_TEXT_BYTES_MAX)
}

fn within(what: &'static str, have: usize, max: usize) -> Result<(), StoreError> {
    if have <= max {
        Ok(())
    } else {
        Err(StoreError::MetadataTooLarge { what, have, max })
    }
}

/// Holds headers and envelope to what a root has room for.
pub(crate) fn check_metadata(
    headers: &ObjectHeaders,
    envelope: Option<&Bytes>,
) -> Result<(), StoreError> {
    if let Some(class) = &headers.storage_class {
        check_short("storage class", class)?;
    }
    let mut fields = crate::format::field::FieldsOut::default();
    fields.headers(headers);
    within("headers", fields.0.len(), HEADERS_BYTES_MAX)?;
    within(
        "envelopes",
        envelope.map_or(0, Bytes::len),
        ENVELOPE_BYTES_MAX,
    )
}

pub(crate) fn stored(summary: &Summary) -> Stored {
    Stored {
        generation: Generation(summary.generation.to_string()),
        version_id: None,
        etag: summary.etag.clone(),
        last_modified: summary.modified.into(),
    }
}

/// What a root tells of its object; `parts` are those of its layout.
pub(crate) fn stat_of(root: Root, parts: Vec<PartStat>) -> Stat {
    let Root {
        summary,
        headers,
        upload_id,
        ..
    } = root;
    Stat {
        generation: Generation(summary.generation.to_string()),
        version_id: None,
        stored_length: summary.stored_length,
        etag: summary.etag,
        last_modified: summary.modified.into(),
        envelope: summary.envelope,
        headers,
        checksum: summary.checksum,
        parts,
        upload_id,
    }
}
