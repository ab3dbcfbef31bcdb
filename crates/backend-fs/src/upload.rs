//! Multipart uploads: a folder each, with a file for the upload and one for every attempt of a part.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use s3s::s3_error;
use strongroom_backend::object::{Location, PartStat, Stored};
use strongroom_backend::put::Finish;
use strongroom_backend::upload::{
    CompleteUpload, NewPart, NewUpload, PartAttempt, Upload, UploadId,
};

use crate::body::{Landed, land};
use crate::bucket::folders_in;
use crate::data::DataFile;
use crate::error::{Fault, StoreError};
use crate::format::field::PART_NUMBER_MAX;
use crate::format::root::{Extent, Layout};
use crate::format::upload::{AttemptFile, UploadFile};
use crate::format::{FILE_BYTES_MAX, FormatError};
use crate::id::Id;
use crate::object::{NewObject, check_key, check_metadata, stored};
use crate::store::{Store, blocking, open_if_there, read_up_to};

/// Most bytes of the wrapper's notes on an upload or on an attempt.
const NOTES_BYTES_MAX: usize = 64 * 1024;

/// The upload's own file in its folder. No attempt has this name.
const UPLOAD_FILE: &str = "upload";

impl Store {
    pub(crate) async fn create_upload(
        self: &Arc<Self>,
        new: NewUpload,
    ) -> Result<UploadId, StoreError> {
        check_key(&new.at.key)?;
        check_metadata(&new.headers, new.envelope.as_ref())?;
        check_notes(&new.record)?;
        let store = Arc::clone(self);
        blocking(move || {
            store.must_have_bucket(&new.at.bucket)?;
            let initiated = store.now();
            let id = upload_id(initiated.seconds, initiated.nanos, store.new_id());
            let uploads = store.uploads_folder(&new.at.bucket);
            let file = UploadFile {
                id,
                bucket: new.at.bucket,
                key: new.at.key,
                initiated,
                checksum: new.checksum,
                envelope: new.envelope,
                headers: new.headers,
                record: new.record,
            };
            let temp = store.temp_folder().join(store.new_id().to_string());
            store.disk.make_folder(&temp)?;
            store
                .disk
                .write_file(&temp.join(UPLOAD_FILE), file.encode())?;
            store.disk.sync_folder(&temp)?;
            store
                .disk
                .rename(&temp, &uploads.join(id.to_string()))
                .map_err(|fault| {
                    // What stays in tmp/ is removed when the store is opened next.
                    let _ = store.disk.remove_tree(&temp);
                    if fault.is_absent() {
                        StoreError::NoSuchBucket
                    } else {
                        fault.into()
                    }
                })?;
            store.disk.sync_folder(&uploads).map_err(|fault| {
                if fault.is_absent() {
                    StoreError::NoSuchBucket
                } else {
                    fault.into()
                }
            })?;
            Ok(UploadId(id.to_string()))
        })
        .await
    }

    pub(crate) async fn upload(
        self: &Arc<Self>,
        at: &Location,
        id: &UploadId,
    ) -> Result<Upload, StoreError> {
        let (store, at, id) = (Arc::clone(self), at.clone(), parse_id(id)?);
        blocking(move || store.upload_file(&at, id).map(upload_of)).await
    }

    pub(crate) async fn put_part(
        self: &Arc<Self>,
        part: NewPart,
    ) -> Result<PartAttempt, StoreError> {
        let NewPart {
            at,
            upload,
            number,
            body,
            stored_length,
            finish,
        } = part;
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            return Err(StoreError::S3(s3_error!(
                InvalidArgument,
                "the part number must be from 1 to {PART_NUMBER_MAX}"
            )));
        }
        let id = parse_id(&upload)?;
        let early = at.clone();
        // A part is born where its object will have it, however small: Complete moves no byte.
        let landed = land(self, body, stored_length, 0, move |store| {
            store.upload_file(&early, id).map(drop)
        })
        .await?;
        let Finish {
            etag,
            checksum,
            record,
        } = finish.get().ok_or(StoreError::Unfinished)?.clone();
        check_notes(&record)?;
        let file = match landed {
            Landed::Inline(_) => None,
            Landed::File(file) => Some(file),
        };
        let store = Arc::clone(self);
        blocking(move || {
            store.upload_file(&at, id)?;
            if let Some(file) = &file {
                file.sync(&store)?;
            }
            let attempt = AttemptFile {
                upload: id,
                attempt: store.new_id(),
                number,
                finished: store.now(),
                sequence: store.next_in_sequence(),
                stored_length: file.as_ref().map_or(0, |file| file.bytes),
                data: file.as_ref().map(|file| file.draft.file.id()),
                etag,
                checksum,
                record,
            };
            let folder = store.uploads_folder(&at.bucket).join(id.to_string());
            let mut temp = store.write_temp(attempt.encode())?;
            let target = folder.join(attempt_name(&attempt));
            store
                .bodies
                .referring(
                    || Ok(attempt.data.into_iter().collect()),
                    || Ok(store.disk.rename(&temp.path, &target)?),
                )
                .map_err(no_such_upload_if_absent)?;
            temp.placed();
            if let Some(file) = &file {
                file.draft.keep();
            }
            store.disk.sync_folder(&folder).map_err(|fault| {
                // Completed or aborted right after this part came.
                if fault.is_absent() {
                    StoreError::NoSuchUpload
                } else {
                    fault.into()
                }
            })?;
            Ok(part_attempt(attempt))
        })
        .await
    }

    pub(crate) async fn part_attempts(
        self: &Arc<Self>,
        at: &Location,
        id: &UploadId,
    ) -> Result<Vec<PartAttempt>, StoreError> {
        let (store, at, id) = (Arc::clone(self), at.clone(), parse_id(id)?);
        blocking(move || {
            store.upload_file(&at, id)?;
            let folder = store.uploads_folder(&at.bucket).join(id.to_string());
            let mut attempts = Vec::new();
            for name in folders_in(&folder)? {
                attempts.extend(read_attempt(&folder, &name)?);
            }
            attempts.sort_by_key(|a| (a.number, a.finished, a.sequence, a.attempt));
            Ok(attempts.into_iter().map(part_attempt).collect())
        })
        .await
    }

    /// Runs to its end also when the caller goes away: an upload whose object is there must not stay.
    pub(crate) async fn complete_upload(
        self: &Arc<Self>,
        complete: CompleteUpload,
    ) -> Result<Stored, StoreError> {
        let id = parse_id(&complete.upload)?;
        let store = Arc::clone(self);
        tokio::spawn(async move { store.complete(complete, id).await })
            .await
            .unwrap_or(Err(StoreError::TaskLost))
    }

    async fn complete(
        self: Arc<Self>,
        complete: CompleteUpload,
        id: Id,
    ) -> Result<Stored, StoreError> {
        // One Complete or Abort of an upload at a time: an attempt's data is either the object's or gone.
        let _alone = self
            .uploads
            .lock(&[&complete.at.bucket, &complete.upload.0])
            .await;
        let CompleteUpload {
            at,
            upload,
            attempts,
            footer,
            envelope,
            etag,
            checksum,
            precondition,
        } = complete;
        let (store, place) = (Arc::clone(&self), at.clone());
        let prepared = blocking(move || {
            let file = store.upload_file(&place, id)?;
            if let Some(done) = store.done_before(&file)? {
                return Ok(Prepared::Done(done));
            }
            let folder = store.uploads_folder(&place.bucket).join(id.to_string());
            let layout = store.layout_of_attempts(&folder, &attempts)?;
            Ok(Prepared::Layout(file.headers, layout))
        })
        .await?;
        let (headers, layout) = match prepared {
            Prepared::Done(done) => return Ok(done),
            Prepared::Layout(headers, layout) => (headers, layout),
        };
        let kept: Vec<Id> = layout.extents.iter().map(|extent| extent.data).collect();
        let bucket = at.bucket.clone();
        let new = NewObject {
            at,
            headers,
            envelope,
            etag,
            checksum,
            upload_id: Some(upload.0),
        };
        let stored = self
            .commit(new, layout, footer, Vec::new(), precondition)
            .await?;
        let store = Arc::clone(&self);
        let removed = blocking(move || store.remove_upload(&bucket, id, &kept)).await;
        if let Err(error) = removed {
            // The object is there and knows the upload; the next start removes what is left.
            tracing::warn!(%error, upload = %id, "a completed upload stays until the next start");
        }
        Ok(stored)
    }

    pub(crate) async fn abort_upload(
        self: &Arc<Self>,
        at: &Location,
        id: &UploadId,
    ) -> Result<(), StoreError> {
        let (at, parsed) = (at.clone(), parse_id(id)?);
        let alone = self.uploads.lock(&[&at.bucket, &id.0]).await;
        let store = Arc::clone(self);
        blocking(move || {
            let _alone = alone;
            let file = store.upload_file(&at, parsed)?;
            if store.done_before(&file)?.is_some() {
                return Err(StoreError::NoSuchUpload);
            }
            store.remove_upload(&at.bucket, parsed, &[])
        })
        .await
    }

    /// The upload's own file, if it is an upload to this key.
    fn upload_file(&self, at: &Location, id: Id) -> Result<UploadFile, StoreError> {
        self.must_have_bucket(&at.bucket)?;
        self.read_upload(&at.bucket, &id.to_string())?
            .filter(|file| file.key == at.key)
            .ok_or(StoreError::NoSuchUpload)
    }

    /// Reads the upload in a folder of `uploads/`; `None` when it is gone or no upload's.
    pub(crate) fn read_upload(
        &self,
        bucket: &str,
        folder: &str,
    ) -> Result<Option<UploadFile>, StoreError> {
        let Some(id) = Id::parse(folder) else {
            return Ok(None);
        };
        let path = self.uploads_folder(bucket).join(folder).join(UPLOAD_FILE);
        let Some(file) = open_if_there(&path)? else {
            return Ok(None);
        };
        let decoded = UploadFile::decode(&read_up_to(&file, &path, FILE_BYTES_MAX)?)
            .map_err(|why| StoreError::damaged(&path, why))?;
        if decoded.id != id || decoded.bucket != bucket {
            let owner = format!("upload {} in bucket {:?}", decoded.id, decoded.bucket);
            return Err(StoreError::damaged(&path, FormatError::Stranger { owner }));
        }
        Ok(Some(decoded))
    }

    /// Where a Complete ended between its commit and the removal of the upload: ends it. The object at
    /// the key then tells this upload's id.
    pub(crate) fn done_before(
        self: &Arc<Self>,
        file: &UploadFile,
    ) -> Result<Option<Stored>, StoreError> {
        let root = self.read_root(&file.bucket, &file.key)?;
        let id = file.id.to_string();
        let Some(root) = root.filter(|root| root.upload_id.as_deref() == Some(&id)) else {
            return Ok(None);
        };
        let kept: Vec<Id> = self
            .files_of(&root)?
            .into_iter()
            .map(DataFile::id)
            .collect();
        self.remove_upload(&file.bucket, file.id, &kept)?;
        Ok(Some(stored(&root.summary)))
    }

    /// The object's extents and parts; every data file must be there and whole.
    fn layout_of_attempts(&self, folder: &Path, names: &[String]) -> Result<Layout, StoreError> {
        let mut layout = Layout::default();
        let mut seen = HashSet::new();
        for name in names {
            let invalid = || StoreError::InvalidPart(name.clone());
            let attempt = read_attempt(folder, name)?.ok_or_else(invalid)?;
            if !seen.insert(attempt.attempt) {
                return Err(invalid());
            }
            if let Some(data) = attempt.data {
                let path = self.data_path(DataFile::Bytes(data));
                let there = fs::metadata(&path).map_err(|source| Fault::new("read", &path, source));
                match there {
                    Ok(found) if found.len() == attempt.stored_length => {}
                    Ok(found) => {
                        let length = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
                        let (have, says) = (length(found.len()), length(attempt.stored_length));
                        return Err(StoreError::damaged(
                            &path,
                            FormatError::Length { have, says },
                        ));
                    }
                    Err(fault) if fault.is_absent() => {
                        tracing::error!(path = %path.display(), "the data of a part is gone");
                        return Err(invalid());
                    }
                    Err(fault) => return Err(fault.into()),
                }
                layout.extents.push(Extent {
                    data,
                    bytes: attempt.stored_length,
                });
            }
            layout.parts.push(PartStat {
                number: attempt.number,
                stored_length: attempt.stored_length,
                checksum: attempt.checksum,
            });
        }
        Ok(layout)
    }

    /// Takes an upload out of sight, then removes it and the data of all attempts but `kept`.
    fn remove_upload(
        self: &Arc<Self>,
        bucket: &str,
        id: Id,
        kept: &[Id],
    ) -> Result<(), StoreError> {
        let uploads = self.uploads_folder(bucket);
        let temp = self.temp_folder().join(self.new_id().to_string());
        self.disk
            .rename(&uploads.join(id.to_string()), &temp)
            .map_err(|fault| no_such_upload_if_absent(fault.into()))?;
        self.disk.sync_folder(&uploads)?;
        self.remove_attempt_data(&temp, kept);
        if let Err(fault) = self.disk.remove_tree(&temp) {
            tracing::warn!(cause = %fault.source, "the remains of an upload stay until the next start");
        }
        Ok(())
    }

    /// Removes the data of an upload that is out of sight already.
    pub(crate) fn remove_attempt_data(self: &Arc<Self>, folder: &Path, kept: &[Id]) {
        let kept: HashSet<&Id> = kept.iter().collect();
        let names = folders_in(folder).unwrap_or_default();
        let superfluous = names
            .iter()
            // Data of an attempt that cannot be read is found by the sweep.
            .filter_map(|name| read_attempt(folder, name).ok().flatten()?.data)
            .filter(|data| !kept.contains(data))
            .map(DataFile::Bytes)
            .collect();
        self.remove_data(superfluous);
    }
}

enum Prepared {
    Done(Stored),
    Layout(strongroom_backend::object::ObjectHeaders, Layout),
}

/// Forty-eight bits of milliseconds, then eighty random ones: uploads sort by their beginning.
fn upload_id(seconds: i64, nanos: u32, random: Id) -> Id {
    let millis = seconds
        .unsigned_abs()
        .wrapping_mul(1000)
        .wrapping_add(u64::from(nanos / 1_000_000));
    let mut id = random;
    id.0[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id
}

fn parse_id(id: &UploadId) -> Result<Id, StoreError> {
    Id::parse(&id.0).ok_or(StoreError::NoSuchUpload)
}

fn check_notes(notes: &Bytes) -> Result<(), StoreError> {
    let have = notes.len();
    if have <= NOTES_BYTES_MAX {
        return Ok(());
    }
    Err(StoreError::MetadataTooLarge {
        what: "notes on an upload",
        have,
        max: NOTES_BYTES_MAX,
    })
}

fn no_such_upload_if_absent(error: StoreError) -> StoreError {
    match error {
        StoreError::Fault(fault) if fault.is_absent() => StoreError::NoSuchUpload,
        other => other,
    }
}

/// An attempt's file, and its name towards the wrapper.
fn attempt_name(file: &AttemptFile) -> String {
    format!("{:05}-{}", file.number, file.attempt)
}

/// The attempt of this name in an upload's folder; `None` when there is none, or it cannot be a name.
pub(crate) fn read_attempt(folder: &Path, name: &str) -> Result<Option<AttemptFile>, StoreError> {
    if name
        .split_once('-')
        .and_then(|(_, id)| Id::parse(id))
        .is_none()
        || name.contains('/')
    {
        return Ok(None);
    }
    let path: PathBuf = folder.join(name);
    let Some(file) = open_if_there(&path)? else {
        return Ok(None);
    };
    let decoded = AttemptFile::decode(&read_up_to(&file, &path, FILE_BYTES_MAX)?)
        .map_err(|why| StoreError::damaged(&path, why))?;
    if attempt_name(&decoded) != name {
        let owner = format!("attempt {}", attempt_name(&decoded));
        return Err(StoreError::damaged(&path, FormatError::Stranger { owner }));
    }
    Ok(Some(decoded))
}

fn part_attempt(file: AttemptFile) -> PartAttempt {
    PartAttempt {
        attempt: attempt_name(&file),
        number: file.number,
        stored_length: file.stored_length,
        finish: Finish {
            etag: file.etag,
            checksum: file.checksum,
            record: file.record,
        },
        last_modified: file.finished.into(),
    }
}

pub(crate) fn upload_of(file: UploadFile) -> Upload {
    Upload {
        new: NewUpload {
            at: Location::new(file.bucket, file.key),
            headers: file.headers,
            envelope: file.envelope,
            record: file.record,
            checksum: file.checksum,
        },
        initiated: file.initiated.into(),
    }
}
