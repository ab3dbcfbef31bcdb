//! Bodies on their way in: small ones stay in memory, others stream into a data file of their own.
//!
//! A stream holds no thread while it waits for its client: full batches are written by short blocking
//! tasks, one at a time, while the next batch gathers. Hence at most three times [`BATCH_BYTES`] are in memory.

use std::fs::File;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use s3s::dto::StreamingBlob;
use strongroom_backend::body;
use tokio::task::JoinHandle;

use crate::data::{DataFile, Draft};
use crate::error::StoreError;
use crate::store::{Store, blocking};

/// Bytes given to the disk at once: large enough that handing over costs nothing beside writing.
const BATCH_BYTES: usize = 256 * 1024;
/// Chunks smaller than this are copied together: each one costs an entry of a vectored write.
const COPIED_BYTES_MAX: usize = 16 * 1024;
/// From here on the length that was announced is reserved first: a full disk is told before the body is
/// read, and the file lies in one piece.
const RESERVED_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A body that was read to its end, not yet synced.
#[derive(Debug)]
pub(crate) enum Landed {
    /// Few bytes.
    Inline(Bytes),
    /// A data file.
    File(LandedFile),
}

/// A data file that was written to its end, not yet synced.
#[derive(Debug)]
pub(crate) struct LandedFile {
    pub(crate) draft: Arc<Draft>,
    file: Arc<File>,
    pub(crate) bytes: u64,
}

impl LandedFile {
    /// Makes the file and its name durable.
    pub(crate) fn sync(&self, store: &Store) -> Result<(), StoreError> {
        let path = self.draft.path();
        store.disk.sync_file(&self.file, &path)?;
        if let Some(folder) = path.parent() {
            store.disk.sync_folder(folder)?;
        }
        Ok(())
    }
}

/// Reads a body to its end. `admit` is asked once the body turns out to need a data file, before it is made: a
/// request that must fail should fail before gigabytes have travelled.
pub(crate) async fn land(
    store: &Arc<Store>,
    mut body: StreamingBlob,
    announced: Option<u64>,
    inline_max: usize,
    admit: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
) -> Result<Landed, StoreError> {
    let mut begun = Batch::default();
    let mut total = 0_u64;
    let mut admit = Some(admit);
    let mut writer: Option<Writer> = None;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| StoreError::S3(body::error(error)))?;
        total += chunk.len() as u64;
        if let Some(says) = announced.filter(|says| total > *says) {
            return Err(StoreError::Length { have: total, says });
        }
        begun.push(chunk);
        if begun.bytes > inline_max
            && let Some(admit) = admit.take()
        {
            writer = Some(Writer::create(store, announced, admit).await?);
        }
        if let Some(writer) = writer.as_mut().filter(|_| begun.bytes >= BATCH_BYTES) {
            writer.write(begun.take()).await?;
        }
    }
    if let Some(says) = announced.filter(|says| total != *says) {
        return Err(StoreError::Length { have: total, says });
    }
    match writer {
        None => Ok(Landed::Inline(begun.into_bytes())),
        Some(mut writer) => {
            writer.write(begun.take()).await?;
            writer.finish(total).await.map(Landed::File)
        }
    }
}

/// A body, or a footer, that is in memory already and needs a data file. Blocking.
pub(crate) fn land_bytes(store: &Arc<Store>, bytes: Bytes) -> Result<LandedFile, StoreError> {
    let draft = Arc::new(Draft::new(store, DataFile::Bytes(store.new_id())));
    let path = draft.path();
    let file = store.disk.create_file(&path)?;
    let length = bytes.len() as u64;
    store.disk.write(&file, &path, &[bytes])?;
    Ok(LandedFile {
        draft,
        file: Arc::new(file),
        bytes: length,
    })
}

/// Chunks to be written together.
#[derive(Debug, Default)]
struct Batch {
    pieces: Vec<Bytes>,
    /// Small chunks since the last large one.
    copied: BytesMut,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        if chunk.len() < COPIED_BYTES_MAX {
            self.copied.extend_from_slice(&chunk);
        } else {
            self.close_copied();
            self.pieces.push(chunk);
        }
    }

    fn close_copied(&mut self) {
        if !self.copied.is_empty() {
            self.pieces.push(self.copied.split().freeze());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.close_copied();
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }

    fn into_bytes(mut self) -> Bytes {
        let mut pieces = self.take();
        match pieces.len() {
            1 => pieces.remove(0),
            _ => pieces.concat().into(),
        }
    }
}

/// A data file being written.
struct Writer {
    store: Arc<Store>,
    draft: Arc<Draft>,
    file: Arc<File>,
    in_flight: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Writer {
    async fn create(
        store: &Arc<Store>,
        announced: Option<u64>,
        admit: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let store = Arc::clone(store);
        blocking(move || {
            admit(&store)?;
            // The draft is shared with every task that touches the file: a caller that goes away takes the
            // file with it, after the last of them.
            let draft = Arc::new(Draft::new(&store, DataFile::Bytes(store.new_id())));
            let path = draft.path();
            let file = store.disk.create_file(&path)?;
            if let Some(bytes) = announced.filter(|bytes| *bytes >= RESERVED_BYTES_MIN) {
                store.disk.reserve(&file, &path, bytes)?;
            }
            Ok(Self {
                store,
                draft,
                file: Arc::new(file),
                in_flight: None,
            })
        })
        .await
    }

    async fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        self.landed().await?;
        if !pieces.is_empty() {
            let (store, draft, file) = (
                Arc::clone(&self.store),
                Arc::clone(&self.draft),
                Arc::clone(&self.file),
            );
            self.in_flight = Some(tokio::task::spawn_blocking(move || {
                Ok(store.disk.write(&file, &draft.path(), &pieces)?)
            }));
        }
        Ok(())
    }

    async fn landed(&mut self) -> Result<(), StoreError> {
        match self.in_flight.take() {
            Some(task) => task.await.unwrap_or(Err(StoreError::TaskLost)),
            None => Ok(()),
        }
    }

    async fn finish(mut self, bytes: u64) -> Result<LandedFile, StoreError> {
        self.landed().await?;
        Ok(LandedFile {
            draft: self.draft,
            file: self.file,
            bytes,
        })
    }
}
