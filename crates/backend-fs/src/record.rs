//! The wrapper's own records, in a tree that no bucket name reaches.

use std::sync::Arc;

use bytes::Bytes;
use s3s::s3_error;
use strongroom_backend::object::Generation;
use strongroom_backend::record::{RECORD_BYTES_MAX, Record, RecordName};

use crate::error::StoreError;
use crate::format::FormatError;
use crate::format::record::RecordFile;
use crate::layout::{self, NameKind};
use crate::store::{Store, blocking, open_if_there, read_up_to};
use crate::walk::{Start, Walk};

/// Frame, name and generation around the bytes of a record.
const RECORD_FRAME_BYTES_MAX: usize = 1024;

/// Stands for a bucket among the locks; no bucket has this name.
const NO_BUCKET: &str = "";

impl Store {
    pub(crate) async fn read_record(
        self: &Arc<Self>,
        name: &RecordName,
    ) -> Result<Option<Record>, StoreError> {
        let (store, name) = (Arc::clone(self), name.clone());
        blocking(move || {
            Ok(store.record_file(name.as_str())?.map(|file| Record {
                generation: Generation(file.generation.to_string()),
                bytes: file.bytes,
            }))
        })
        .await
    }

    pub(crate) async fn write_record(
        self: &Arc<Self>,
        name: &RecordName,
        expected: Option<&Generation>,
        bytes: Bytes,
    ) -> Result<Generation, StoreError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(StoreError::S3(s3_error!(
                EntityTooLarge,
                "a record has {} bytes, at most {RECORD_BYTES_MAX} are allowed",
                bytes.len()
            )));
        }
        let (name, expected) = (name.clone(), expected.cloned());
        let lock = self.keys.lock(&[NO_BUCKET, name.as_str()]).await;
        let store = Arc::clone(self);
        blocking(move || {
            let _lock = lock;
            let found = store
                .record_file(name.as_str())?
                .map(|file| Generation(file.generation.to_string()));
            if found != expected {
                return Err(StoreError::PreconditionFailed);
            }
            let name = name.as_str();
            let file = RecordFile {
                name: name.to_owned(),
                generation: store.new_id(),
                bytes,
            };
            let generation = Generation(file.generation.to_string());
            let base = store.records_folder();
            let target = layout::path(&base, name);
            let mut temp = store.write_temp(file.encode())?;
            store.trees.place(&store.disk, &base, &temp.path, &target)?;
            temp.placed();
            store.trees.settle(&store.disk, &base, &target)?;
            Ok(generation)
        })
        .await
    }

    pub(crate) async fn delete_record(
        self: &Arc<Self>,
        name: &RecordName,
    ) -> Result<(), StoreError> {
        let name = name.clone();
        let lock = self.keys.lock(&[NO_BUCKET, name.as_str()]).await;
        let store = Arc::clone(self);
        blocking(move || {
            let _lock = lock;
            let base = store.records_folder();
            match store
                .trees
                .remove(&store.disk, &base, &layout::path(&base, name.as_str()))
            {
                Err(fault) if fault.is_absent() => Ok(()),
                removed => Ok(removed?),
            }
        })
        .await
    }

    pub(crate) async fn list_records(
        self: &Arc<Self>,
        prefix: &str,
    ) -> Result<Vec<RecordName>, StoreError> {
        let (store, prefix) = (Arc::clone(self), prefix.to_owned());
        blocking(move || {
            let mut names = Vec::new();
            let mut walk = Walk::new(&store.records_folder(), &prefix, Start::First)?;
            while let Some(child) = walk.next_child()? {
                if child.kind != NameKind::Object {
                    walk.enter_child(child)?;
                    continue;
                }
                let name = String::from_utf8(child.start).ok().map(RecordName::new);
                match name {
                    Some(Ok(name)) => names.push(name),
                    _ => {
                        tracing::error!(path = %child.path.display(), "a file that is no record lies among the records");
                    }
                }
            }
            Ok(names)
        })
        .await
    }

    fn record_file(&self, name: &str) -> Result<Option<RecordFile>, StoreError> {
        let path = layout::path(&self.records_folder(), name);
        let Some(file) = open_if_there(&path)? else {
            return Ok(None);
        };
        let bytes = read_up_to(&file, &path, RECORD_BYTES_MAX + RECORD_FRAME_BYTES_MAX)?;
        let decoded = RecordFile::decode(&bytes).map_err(|why| StoreError::damaged(&path, why))?;
        if decoded.name != name {
            let owner = format!("record {:?}", decoded.name);
            return Err(StoreError::damaged(&path, FormatError::Stranger { owner }));
        }
        Ok(Some(decoded))
    }
}
