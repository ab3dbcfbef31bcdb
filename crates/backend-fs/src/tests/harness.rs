//! A store in a temporary directory, with a clock that ticks and names that repeat from run to run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, StdError};
use strongroom_backend::object::{
    ListItem, ListQuery, Location, ObjectHeaders, OpenObject, Stored,
};
use strongroom_backend::put::{Finish, FinishSlot, Precondition, Put};
use strongroom_backend::upload::{CompleteUpload, NewPart, NewUpload, PartAttempt, UploadId};
use tempfile::TempDir;

use crate::disk::Watch;
use crate::error::StoreError;
use crate::options::{Durability, Options};
use crate::store::Store;

pub(super) const BUCKET: &str = "photos";

/// Options that make runs repeat. Seconds pass with each look at the clock.
pub(super) fn options() -> Options {
    let ticks = AtomicU64::new(0);
    let names = AtomicU64::new(0);
    Options::new(
        Arc::new(move || {
            let tick = ticks.fetch_add(1, Ordering::Relaxed);
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + tick)
        }),
        Arc::new(move || {
            // Knuth's multiplier spreads the names over the folders of `data/`.
            let count = names.fetch_add(1, Ordering::Relaxed) + 1;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            id[8..].copy_from_slice(&count.to_be_bytes());
            id
        }),
    )
    .sweep_grace(Duration::ZERO)
    // Tests that are about syncing watch the disk; the others need not wait for it.
    .durability(Durability::RelaxedLosesDataOnPowerCut)
}

/// Random names, for stores that are opened more than once.
pub(super) fn random_options() -> Options {
    let mut options = options();
    options.entropy = Arc::new(|| *uuid::Uuid::new_v4().as_bytes());
    options
}

/// In memory where the system has a place for it: nothing here depends on a real disk.
pub(super) fn temp_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap()
}

pub(super) fn open(path: &Path, watch: Option<Arc<dyn Watch>>) -> Arc<Store> {
    let mut options = random_options();
    options.watch = watch;
    Store::open(path, options).unwrap()
}

/// A store with one bucket.
pub(super) struct Fixture {
    pub(super) store: Arc<Store>,
    pub(super) dir: TempDir,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let dir = temp_dir();
        let store = open(dir.path(), None);
        store.create_bucket(BUCKET).await.unwrap();
        Self { store, dir }
    }

    /// Data files, roots' bodies and pages alike.
    pub(super) fn data_files(&self) -> usize {
        data_files(self.dir.path())
    }

    /// Waits until so many are left. A file goes with the last task that touches it, and that may be one that
    /// nobody waits for: the write under way when a body broke off.
    pub(super) async fn data_files_become(&self, expected: usize) {
        for _ in 0..1000 {
            if self.data_files() == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(self.data_files(), expected);
    }
}

pub(super) fn data_files(root: &Path) -> usize {
    std::fs::read_dir(root.join("data"))
        .unwrap()
        .map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

/// Bytes that tell their place.
pub(super) fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u64 * 31 + (at as u64 >> 8) * 7).to_le_bytes()[0] ^ seed)
        .collect()
}

pub(super) fn at(key: &str) -> Location {
    Location::new(BUCKET, key)
}

pub(super) fn chunked(bytes: &[u8], chunk: usize) -> StreamingBlob {
    let chunks: Vec<Result<Bytes, std::io::Error>> = bytes
        .chunks(chunk)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    StreamingBlob::wrap(futures::stream::iter(chunks))
}

/// A body that fails after `bytes`.
pub(super) fn failing(bytes: &[u8]) -> StreamingBlob {
    let chunks = vec![
        Ok(Bytes::copy_from_slice(bytes)),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    StreamingBlob::wrap(futures::stream::iter(chunks))
}

pub(super) fn finished(etag: &str) -> FinishSlot {
    FinishSlot::filled(Finish {
        etag: etag.to_owned(),
        ..Finish::default()
    })
}

pub(super) fn put_of(key: &str, bytes: &[u8]) -> Put {
    Put {
        at: at(key),
        headers: ObjectHeaders::default(),
        body: chunked(bytes, 60_000),
        stored_length: Some(bytes.len() as u64),
        envelope: None,
        finish: finished("etag-1"),
        precondition: Precondition::None,
    }
}

pub(super) async fn put(store: &Arc<Store>, key: &str, bytes: &[u8]) -> Stored {
    store.put(put_of(key, bytes)).await.unwrap()
}

pub(super) async fn read(
    object: &impl OpenObject,
    from: u64,
    to: u64,
) -> Result<Vec<u8>, StdError> {
    let mut stream = object.read(from..to).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

pub(super) async fn get(store: &Arc<Store>, key: &str) -> Result<Vec<u8>, StoreError> {
    let object = store.open_object(&at(key)).await?;
    let length = object.stat().stored_length;
    Ok(read(&object, 0, length).await.unwrap())
}

/// The S3 code that a client sees.
pub(super) fn code(error: StoreError) -> String {
    S3Error::from(error).code().as_str().to_owned()
}

pub(super) async fn keys(store: &Arc<Store>) -> Vec<String> {
    let query = ListQuery {
        bucket: BUCKET.to_owned(),
        max: 1000,
        ..ListQuery::default()
    };
    let page = store.list(&query).await.unwrap();
    assert!(!page.truncated);
    page.items
        .into_iter()
        .map(|item| match item {
            ListItem::Object(object) => object.key,
            ListItem::Prefix(prefix) => prefix,
        })
        .collect()
}

pub(super) async fn begin_upload(store: &Arc<Store>, key: &str) -> UploadId {
    let new = NewUpload {
        at: at(key),
        headers: ObjectHeaders::default(),
        envelope: None,
        record: Bytes::from_static(b"notes"),
        checksum: None,
    };
    store.create_upload(new).await.unwrap()
}

pub(super) fn part_of(key: &str, upload: &UploadId, number: u32, bytes: &[u8]) -> NewPart {
    NewPart {
        at: at(key),
        upload: upload.clone(),
        number,
        body: chunked(bytes, 50_000),
        stored_length: Some(bytes.len() as u64),
        finish: finished(&format!("part-{number}")),
    }
}

pub(super) async fn put_part(
    store: &Arc<Store>,
    key: &str,
    upload: &UploadId,
    number: u32,
    bytes: &[u8],
) -> PartAttempt {
    store
        .put_part(part_of(key, upload, number, bytes))
        .await
        .unwrap()
}

pub(super) fn complete_of(
    key: &str,
    upload: &UploadId,
    attempts: &[&PartAttempt],
) -> CompleteUpload {
    CompleteUpload {
        at: at(key),
        upload: upload.clone(),
        attempts: attempts
            .iter()
            .map(|attempt| attempt.attempt.clone())
            .collect(),
        footer: Bytes::new(),
        envelope: None,
        etag: "whole-2".to_owned(),
        checksum: None,
        precondition: Precondition::None,
    }
}
