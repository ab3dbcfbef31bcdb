#![forbid(unsafe_code)]
//! The seam between an S3 that encrypts and an S3 that stores.
//!
//! A [`Backend`] is an [`S3`] plus what an encrypting wrapper must be able to ask, typed, so that
//! nothing can be ignored silently: an object opened at one [`Generation`], a body whose ETag is told only
//! at its end, listings that carry envelopes, an envelope replaced by compare-and-swap, uploads whose
//! parts are chosen by attempt, and records for the wrapper's own state. A backend never looks inside an
//! envelope or a record: they are bytes.
//!
//! Around the trait lie the pieces of S3 that every implementation needs and that must behave the same
//! everywhere: [`headers`] and [`tags`] (what the client says of an object), [`integrity`] (Content-MD5,
//! checksums, trailers), [`condition`] (`If-Match` and its kin), [`answer`] and [`attributes`] (ranges, GET and
//! HEAD replies), [`listing`] and [`parts`] (list replies), [`complete`] (what a multipart upload becomes). The
//! exported suite `contract` (of the feature of that name) says what all of them promise.

pub mod answer;
pub mod attributes;
pub mod body;
mod capabilities;
pub mod checksum;
pub mod complete;
pub mod condition;
#[cfg(feature = "contract")]
pub mod contract;
pub mod error;
pub mod headers;
pub mod integrity;
pub mod limits;
pub mod listing;
pub mod object;
pub mod parts;
pub mod put;
pub mod record;
pub mod tags;
pub mod upload;

use async_trait::async_trait;
use s3s::{S3, S3Result};

pub use crate::capabilities::Capabilities;
use crate::object::{Generation, ListPage, ListQuery, Location, OpenObject, Stored};
use crate::put::{Precondition, Put};
use crate::record::{Record, RecordName};
use crate::upload::{CompleteUpload, NewPart, NewUpload, PartAttempt, Upload, UploadId};

/// A place where objects are kept.
///
/// All methods are atomic as seen by others and durable when they return `Ok`. Errors are S3 errors with
/// the code that a client should see: `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `NoSuchUpload`,
/// `PreconditionFailed` (a [`Precondition`] or expected generation did not hold), `NotImplemented`
/// (a capability that is not there), `ServiceUnavailable` (try again), `InternalError`.
#[async_trait]
pub trait Backend: S3 + Send + Sync + 'static {
    /// What this backend can do. Does not change while it runs.
    fn capabilities(&self) -> Capabilities;

    /// Opens an object, its newest version unless one is named. Everything read through the returned
    /// value is of one generation, also when the object is replaced or deleted meanwhile.
    async fn open(&self, at: &Location) -> S3Result<Box<dyn OpenObject>>;

    /// Stores an object. The body is read to its end before anything becomes visible; a body that fails,
    /// or whose [`FinishSlot`](put::FinishSlot) is empty at the end, leaves no trace.
    async fn put(&self, put: Put) -> S3Result<Stored>;

    /// Replaces envelope, headers or ETag of the object at `at` without moving its bytes, if its
    /// generation is still `expected`; else `PreconditionFailed`.
    async fn replace_envelope(
        &self,
        at: &Location,
        expected: &Generation,
        change: object::EnvelopeChange,
    ) -> S3Result<Stored>;

    /// Deletes an object (in a versioned bucket: as S3 does). A missing object is not an error unless the
    /// precondition names a generation.
    async fn delete(&self, at: &Location, precondition: Precondition) -> S3Result<object::Deleted>;

    /// One page of a bucket, in the byte order of the keys' UTF-8, with the envelope of every object.
    async fn list(&self, query: &ListQuery) -> S3Result<ListPage>;

    /// Begins a multipart upload.
    async fn create_upload(&self, new: NewUpload) -> S3Result<UploadId>;

    /// Reads an upload in progress: its headers, envelope and record.
    async fn upload(&self, at: &Location, id: &UploadId) -> S3Result<Upload>;

    /// Stores one attempt of a part. Attempts of the same number do not replace each other: all are
    /// kept until the upload ends, and [`CompleteUpload`] chooses.
    async fn put_part(&self, part: NewPart) -> S3Result<PartAttempt>;

    /// All attempts of all parts of an upload, ascending by number, then by the time they were finished.
    async fn part_attempts(&self, at: &Location, id: &UploadId) -> S3Result<Vec<PartAttempt>>;

    /// Makes the object from chosen attempts, in the order given, followed by the footer if there is one.
    /// Moves no stored byte. The upload is gone afterwards, its id remembered with the object so that
    /// the wrapper can answer a repeated Complete ([`object::Stat::upload_id`]).
    async fn complete_upload(&self, complete: CompleteUpload) -> S3Result<Stored>;

    /// Drops an upload and its parts.
    async fn abort_upload(&self, at: &Location, id: &UploadId) -> S3Result<()>;

    /// Reads one of the wrapper's own records.
    async fn read_record(&self, name: &RecordName) -> S3Result<Option<Record>>;

    /// Writes a record if it is still as `expected` (`None`: it must not exist); else `PreconditionFailed`.
    async fn write_record(
        &self,
        name: &RecordName,
        expected: Option<&Generation>,
        bytes: bytes::Bytes,
    ) -> S3Result<Generation>;

    /// Deletes a record; a missing one is not an error.
    async fn delete_record(&self, name: &RecordName) -> S3Result<()>;

    /// Names of all records that begin with `prefix`, ascending.
    async fn list_records(&self, prefix: &str) -> S3Result<Vec<RecordName>>;
}
