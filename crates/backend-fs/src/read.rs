//! An object held open, and its bytes on their way out.
//!
//! A stream holds no thread while it waits for its client: each buffer is read by a short blocking task,
//! begun when the one before is handed out. Hence at most two buffers are in memory.

use std::fs::File;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use rustix::buffer::spare_capacity;
use s3s::dto::StreamingBlob;
use s3s::{S3Result, StdError, s3_error};
use strongroom_backend::body;
use strongroom_backend::object::{OpenObject, Stat};
use tokio::task::JoinHandle;

use crate::data::{DataFile, Pin};
use crate::error::{Fault, StoreError};
use crate::format::FormatError;
use crate::format::root::{Extent, Layout, Root};
use crate::object::stat_of;
use crate::store::{Store, open_if_there};

/// Bytes of one buffer: four whole packages of a sealed body (docs/formats/dare.md), so that a wrapper opens each where
/// it lies. Cut elsewhere, every fourth package would be put together from two buffers by a copy.
const BUFFER_BYTES: usize = 4 * 65_568;

/// An object held open at one generation.
#[derive(Debug)]
pub(crate) struct LocalObject {
    stat: Stat,
    body: Arc<Body>,
}

#[derive(Debug)]
struct Body {
    store: Arc<Store>,
    extents: Vec<Extent>,
    inline: Bytes,
    /// Dropped last: the files may go then.
    _pin: Option<Pin>,
}

impl LocalObject {
    /// Opens the newest state of a key. Blocking.
    pub(crate) fn open(store: &Arc<Store>, bucket: &str, key: &str) -> Result<Self, StoreError> {
        let path = crate::layout::path(&store.names_folder(bucket), key);
        loop {
            let Some(file) = open_if_there(&path)? else {
                store.must_have_bucket(bucket)?;
                return Err(StoreError::NoSuchKey);
            };
            let root = store.read_root_of(&file, &path, bucket, key)?;
            if root.has_no_files() {
                return Ok(Self::new(store, root, Layout::default(), None));
            }
            let pin = Pin::new(store, root.body);
            // Files are given up only after the root that names them was replaced. It still stands after
            // the pin was set: whoever replaces it from now on finds the pin.
            if !is_still_at(&file, &path)? {
                continue;
            }
            let layout = store.layout_of(&root)?;
            return Ok(Self::new(store, root, layout, Some(pin)));
        }
    }

    fn new(store: &Arc<Store>, root: Root, layout: Layout, pin: Option<Pin>) -> Self {
        let inline = root.inline.clone();
        let parts = match &root.layout {
            crate::format::root::LayoutPlace::Here(layout) => layout.parts.clone(),
            crate::format::root::LayoutPlace::Page { .. } => layout.parts,
        };
        let body = Body {
            store: Arc::clone(store),
            extents: layout.extents,
            inline,
            _pin: pin,
        };
        Self {
            stat: stat_of(root, parts),
            body: Arc::new(body),
        }
    }
}

/// Whether `path` still names the open `file`. Its inode is not given to another file while it is open.
pub(crate) fn is_still_at(file: &File, path: &std::path::Path) -> Result<bool, StoreError> {
    use std::os::unix::fs::MetadataExt;
    let open = file
        .metadata()
        .map_err(|source| Fault::new("read", path, source))?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok(named.dev() == open.dev() && named.ino() == open.ino()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Fault::new("read", path, error).into()),
    }
}

#[async_trait]
impl OpenObject for LocalObject {
    fn stat(&self) -> &Stat {
        &self.stat
    }

    async fn read(&self, range: Range<u64>) -> S3Result<StreamingBlob> {
        let length = self.stat.stored_length;
        if range.start > range.end || range.end > length {
            return Err(s3_error!(
                InvalidRange,
                "bytes {}..{} do not lie in an object of {length} bytes",
                range.start,
                range.end
            ));
        }
        let in_files = length - self.body.inline.len() as u64;
        if range.start >= in_files || range.is_empty() {
            let within =
                |at: u64| usize::try_from(at.saturating_sub(in_files)).unwrap_or(usize::MAX);
            let (start, end) = (within(range.start), within(range.end));
            return Ok(StreamingBlob::from_bytes(
                self.body.inline.slice(start.min(end)..end),
            ));
        }
        let bytes = range.end - range.start;
        let cursor = Cursor::new(Arc::clone(&self.body), range);
        Ok(body::sized(
            Reading {
                next: Next::Idle(Some(Box::new(cursor))),
            },
            bytes,
        ))
    }
}

/// Where a stream is in a body.
struct Cursor {
    body: Arc<Body>,
    /// The extent to read from; beyond the last one, the inline bytes.
    extent: usize,
    /// Bytes of it that were passed.
    passed: u64,
    left: u64,
    file: Option<File>,
}

impl Cursor {
    fn new(body: Arc<Body>, range: Range<u64>) -> Self {
        let mut passed = range.start;
        let mut extent = 0;
        while let Some(bytes) = body.extents.get(extent).map(|extent| extent.bytes) {
            if passed < bytes {
                break;
            }
            passed -= bytes;
            extent += 1;
        }
        Self {
            body,
            extent,
            passed,
            left: range.end - range.start,
            file: None,
        }
    }

    /// Bytes that the next buffer must have room for.
    fn wants(&self) -> usize {
        let Some(extent) = self.body.extents.get(self.extent) else {
            return 0;
        };
        let want = self.left.min(extent.bytes - self.passed);
        usize::try_from(want).map_or(BUFFER_BYTES, |want| want.min(BUFFER_BYTES))
    }

    /// The next bytes, in `buffer` where they come from a file; empty at the end. Blocking.
    fn read(&mut self, buffer: Vec<u8>) -> Result<Bytes, StoreError> {
        if self.left == 0 {
            return Ok(Bytes::new());
        }
        let Some(extent) = self.body.extents.get(self.extent).copied() else {
            let start = usize::try_from(self.passed).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left = 0;
            return Ok(self.body.inline.slice(start..end));
        };
        let bytes = self.read_extent(extent, self.wants(), buffer)?;
        self.left -= bytes.len() as u64;
        self.passed += bytes.len() as u64;
        if self.passed == extent.bytes {
            self.extent += 1;
            self.passed = 0;
            self.file = None;
        }
        Ok(bytes.into())
    }

    fn read_extent(
        &mut self,
        extent: Extent,
        want: usize,
        mut bytes: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let path = self.body.store.data_path(DataFile::Bytes(extent.data));
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&path).map_err(|source| Fault::new("open", &path, source))?,
        };
        while bytes.len() < want {
            let at = self.passed + bytes.len() as u64;
            let spare = want - bytes.len();
            match rustix::io::pread(&file, spare_capacity(&mut bytes), at) {
                Ok(0) => {
                    let have = usize::try_from(at).unwrap_or(usize::MAX);
                    let says = usize::try_from(extent.bytes).unwrap_or(usize::MAX);
                    return Err(StoreError::damaged(
                        &path,
                        FormatError::Length { have, says },
                    ));
                }
                // The allocator may have given more room than was asked for.
                Ok(read) if read > spare => bytes.truncate(want),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Fault::new("read", &path, error).into()),
            }
        }
        self.file = Some(file);
        Ok(bytes)
    }
}

type Turn = (Box<Cursor>, Result<Bytes, StoreError>);

enum Next {
    /// Not begun (`Some`), or over.
    Idle(Option<Box<Cursor>>),
    Reading(JoinHandle<Turn>),
}

/// The stream of a range.
struct Reading {
    next: Next,
}

fn turn(mut cursor: Box<Cursor>) -> JoinHandle<Turn> {
    // Made here, by one of few threads: made by the many that block, buffers freed elsewhere stay in each one's heap, and
    // a server that reads much holds hundreds of megabytes for nothing.
    let buffer = Vec::with_capacity(cursor.wants());
    tokio::task::spawn_blocking(move || {
        let read = cursor.read(buffer);
        (cursor, read)
    })
}

impl Stream for Reading {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: StdPin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Next::Idle(cursor) = &mut self.next {
            let Some(cursor) = cursor.take() else {
                return Poll::Ready(None);
            };
            self.next = Next::Reading(turn(cursor));
        }
        let Next::Reading(task) = &mut self.next else {
            return Poll::Ready(None);
        };
        let turned = ready!(StdPin::new(task).poll(cx)).map_err(|_| StoreError::TaskLost);
        self.next = Next::Idle(None);
        match turned {
            Ok((cursor, Ok(bytes))) if !bytes.is_empty() => {
                // The buffer after this one is read while this one travels.
                if cursor.left > 0 {
                    self.next = Next::Reading(turn(cursor));
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Ok((_, Ok(_))) => Poll::Ready(None),
            Ok((_, Err(error))) | Err(error) => Poll::Ready(Some(Err(body::carry(error.into())))),
        }
    }
}
