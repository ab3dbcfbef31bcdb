//! Multipart uploads, attempt by attempt.

use bytes::Bytes;
use s3s::dto::{StreamingBlob, Timestamp};

use crate::object::{Checksum, Location, ObjectHeaders};
use crate::put::{Finish, FinishSlot, Precondition};

/// Names an upload; opaque to clients, safe in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(pub String);

/// An upload to begin.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Where the object will be.
    pub at: Location,
    /// The client's headers.
    pub headers: ObjectHeaders,
    /// The wrapper's envelope; `None` for a plain upload.
    pub envelope: Option<Bytes>,
    /// The wrapper's own notes, sealed by it.
    pub record: Bytes,
    /// Checksum algorithm and type that the client announced (S3's names).
    pub checksum: Option<(String, String)>,
}

/// An upload in progress.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What it was begun with.
    pub new: NewUpload,
    /// When it was begun.
    pub initiated: Timestamp,
}

/// One attempt of a part to store.
#[derive(Debug)]
pub struct NewPart {
    /// Where the object will be.
    pub at: Location,
    /// The upload.
    pub upload: UploadId,
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes as they are to be stored.
    pub body: StreamingBlob,
    /// Length of `body` if known: a body of another length is refused.
    pub stored_length: Option<u64>,
    /// Told by the body before it ends.
    pub finish: FinishSlot,
}

/// A stored attempt of a part.
#[derive(Clone, Debug)]
pub struct PartAttempt {
    /// Names this attempt within its upload.
    pub attempt: String,
    /// Part number.
    pub number: u32,
    /// Bytes as stored.
    pub stored_length: u64,
    /// ETag, checksum and record as the body told them.
    pub finish: Finish,
    /// When it was finished.
    pub last_modified: Timestamp,
}

/// An upload to turn into an object.
#[derive(Clone, Debug)]
pub struct CompleteUpload {
    /// Where the object will be.
    pub at: Location,
    /// The upload.
    pub upload: UploadId,
    /// Attempts by name, in the order of the object's bytes.
    pub attempts: Vec<String>,
    /// Bytes to follow the last part; empty for a plain object.
    pub footer: Bytes,
    /// The final envelope; `None` for a plain object.
    pub envelope: Option<Bytes>,
    /// ETag to store, without quotes.
    pub etag: String,
    /// Checksum of a plain object.
    pub checksum: Option<Checksum>,
    /// Checked atomically with the commit.
    pub precondition: Precondition,
}
