//! Objects as a backend knows them.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use s3s::S3Result;
use s3s::dto::{StreamingBlob, Timestamp};

/// Names an object: bucket, raw key, and a version if one is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Bucket name, already checked by the protocol layer.
    pub bucket: String,
    /// Raw key: 1 to 1,024 bytes of UTF-8, exactly as the client wrote it.
    pub key: String,
    /// A version id, or `None` for the newest.
    pub version_id: Option<String>,
}

impl Location {
    /// The newest version of `bucket`/`key`.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            key: key.into(),
            version_id: None,
        }
    }

    /// The same object at another version.
    #[must_use]
    pub fn with_version(mut self, version_id: Option<String>) -> Self {
        self.version_id = version_id;
        self
    }
}

/// Changes whenever an object's bytes, envelope or headers change; opaque, compared for equality only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Generation(pub String);

/// What the client said about an object and gets back with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHeaders {
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// `Content-Disposition`
    pub content_disposition: Option<String>,
    /// `Content-Encoding` without `aws-chunked`, which is of the transfer, not of the object.
    pub content_encoding: Option<String>,
    /// `Content-Language`
    pub content_language: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Expires`, as the client wrote it.
    pub expires: Option<String>,
    /// `x-amz-storage-class`, when it is not `STANDARD`.
    pub storage_class: Option<String>,
    /// `x-amz-meta-…`: lower-case names without the prefix.
    pub user_metadata: BTreeMap<String, String>,
    /// `x-amz-website-redirect-location`
    pub website_redirect_location: Option<String>,
    /// `x-amz-tagging`: the object's tags in query form, or `None`.
    pub tagging: Option<String>,
}

/// A checksum of a plain object that the store verified and keeps. Sealed objects keep theirs sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// S3's name: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1`, `SHA256`.
    pub algorithm: String,
    /// Base64 as S3 shows it; a composite one ends in `-N`.
    pub value: String,
    /// True for a checksum over the parts' checksums.
    pub composite: bool,
}

/// One part of a completed multipart object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartStat {
    /// Part number as uploaded, 1 to 10,000.
    pub number: u32,
    /// Bytes as stored.
    pub stored_length: u64,
    /// The part's checksum of a plain object.
    pub checksum: Option<Checksum>,
}

/// What is known of an object without reading its body.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Which state of the object this is.
    pub generation: Generation,
    /// Version id as clients see it; `None` in a bucket without versioning.
    pub version_id: Option<String>,
    /// Length of the stored body in bytes, footer included.
    pub stored_length: u64,
    /// ETag as stored, without quotes.
    pub etag: String,
    /// When this generation's bytes were written.
    pub last_modified: Timestamp,
    /// The wrapper's envelope; `None`: the object is plain.
    pub envelope: Option<Bytes>,
    /// The client's headers.
    pub headers: ObjectHeaders,
    /// Checksum of a plain object.
    pub checksum: Option<Checksum>,
    /// Parts of a multipart object in order (the footer is not a part); empty for a plain PUT.
    pub parts: Vec<PartStat>,
    /// The upload that made this object.
    pub upload_id: Option<String>,
}

/// An object held open at one generation.
#[async_trait]
pub trait OpenObject: Send + Sync {
    /// What is known of it.
    fn stat(&self) -> &Stat;

    /// Reads stored bytes `range`, which must lie within `0..stored_length`. The stream yields exactly
    /// that many bytes or fails.
    async fn read(&self, range: Range<u64>) -> S3Result<StreamingBlob>;
}

impl std::fmt::Debug for dyn OpenObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenObject")
            .field("stat", self.stat())
            .finish_non_exhaustive()
    }
}

/// What a write left behind.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The new generation.
    pub generation: Generation,
    /// Version id in a versioned bucket.
    pub version_id: Option<String>,
    /// ETag as stored.
    pub etag: String,
    /// When it was written.
    pub last_modified: Timestamp,
}

/// What a delete did.
#[derive(Clone, Debug, Default)]
pub struct Deleted {
    /// Version removed, or of the delete marker made.
    pub version_id: Option<String>,
    /// A delete marker was made, or the version removed was one.
    pub delete_marker: bool,
}

/// What to change of an object without moving its bytes. `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct EnvelopeChange {
    /// New envelope.
    pub envelope: Option<Bytes>,
    /// New stored ETag.
    pub etag: Option<String>,
    /// New client headers.
    pub headers: Option<ObjectHeaders>,
    /// Set `last_modified` to now, as CopyObject onto itself does; a rewrap leaves it.
    pub touch: bool,
}

/// Asks for one page of a bucket.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Bucket name.
    pub bucket: String,
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that share prefix ‖ … ‖ delimiter are rolled up into one common prefix.
    pub delimiter: Option<String>,
    /// Only keys and common prefixes greater than this (bytewise). A common prefix that equals it or that it
    /// lies in counts as told already, and is skipped with all keys below.
    pub after: Option<String>,
    /// Most keys and common prefixes together; 0 to 1,000.
    pub max: usize,
}

/// One page of a bucket.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// Keys and common prefixes in one ascending order.
    pub items: Vec<ListItem>,
    /// There is more after the last item.
    pub truncated: bool,
}

/// One row of a listing.
#[derive(Clone, Debug)]
pub enum ListItem {
    /// A common prefix, ending in the delimiter.
    Prefix(String),
    /// An object.
    Object(Box<ListedObject>),
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub struct ListedObject {
    /// Raw key.
    pub key: String,
    /// Which state of the object this is.
    pub generation: Generation,
    /// Length of the stored body in bytes.
    pub stored_length: u64,
    /// ETag as stored.
    pub etag: String,
    /// When it was written.
    pub last_modified: Timestamp,
    /// The wrapper's envelope.
    pub envelope: Option<Bytes>,
    /// Storage class when not `STANDARD`.
    pub storage_class: Option<String>,
    /// Checksum of a plain object.
    pub checksum: Option<Checksum>,
}
