//! What can go wrong, and what a client is told of it.

use std::io;
use std::path::{Path, PathBuf};

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, s3_error};
use strongroom_backend::error::custom;

use crate::format::FormatError;

/// An operation of the file system that failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {} failed", path.display())]
pub struct Fault {
    /// What was tried, as a verb: `write`, `sync`, `rename to`.
    pub doing: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl Fault {
    pub(crate) fn new(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self {
            doing,
            path: path.to_path_buf(),
            source: source.into(),
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    pub(crate) fn is_full(&self) -> bool {
        // A quota is a disk of its own to the one who has it.
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// Why a directory cannot be opened as a store. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Something else than a directory.
    #[error("{} is not a directory; name a directory, or one that does not exist yet", .0.display())]
    NotADirectory(PathBuf),
    /// No leave to read or write it.
    #[error("{} cannot be read and written by this user; change its owner or mode", path.display())]
    NoAccess {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file system takes no writes.
    #[error("{} is on a read-only file system; mount it for writing", .0.display())]
    ReadOnly(PathBuf),
    /// A directory with other files in it.
    #[error(
        "{} is not empty and is not a store (it holds {found:?}); name an empty directory",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the names that are not ours.
        found: String,
    },
    /// Another process has it.
    #[error("{} is in use by another server; stop that server, or name another directory", .0.display())]
    InUse(PathBuf),
    /// Written by a newer release.
    #[error("{} was written by a newer release ({what}); use that release", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
        /// What is new.
        what: String,
    },
    /// `strongroom.json` cannot be understood.
    #[error("{} is damaged ({why}); restore it from a backup of the store", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Keys of full length would not fit below it.
    #[error(
        "the path {} has {} bytes; at most {max} leave room for the longest keys: name a shorter one",
        path.display(), path.as_os_str().len()
    )]
    PathTooLong {
        /// The directory.
        path: PathBuf,
        /// Most bytes.
        max: usize,
    },
    /// Anything else that the file system refuses.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why an operation on an open store failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the bucket exists")]
    BucketExists,
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    #[error("a stored file is damaged: {}: {why}", path.display())]
    Damaged { path: PathBuf, why: FormatError },
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the name cannot be a bucket's")]
    InvalidBucketName,
    #[error("the part attempt {0} is not of this upload")]
    InvalidPart(String),
    #[error("the key has {0} bytes")]
    KeyTooLong(usize),
    #[error("the body has {have} bytes and {says} were announced")]
    Length { have: u64, says: u64 },
    #[error("{what} have {have} bytes, at most {max} fit")]
    MetadataTooLarge {
        what: &'static str,
        have: usize,
        max: usize,
    },
    #[error("no such bucket")]
    NoSuchBucket,
    #[error("no such key")]
    NoSuchKey,
    #[error("no such upload")]
    NoSuchUpload,
    #[error("no such version")]
    NoSuchVersion,
    #[error("a precondition does not hold")]
    PreconditionFailed,
    #[error("a background task of the store ended early")]
    TaskLost,
    #[error("the body ended without telling its ETag")]
    Unfinished,
    /// Of the body, or of a range: already in the client's words.
    #[error("{0}")]
    S3(S3Error),
}

impl StoreError {
    pub(crate) fn damaged(path: &Path, why: FormatError) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            why,
        }
    }
}

impl From<StoreError> for S3Error {
    /// Where S3 has words of its own they are used: clients show them, and some compare them.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BucketExists => {
                s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket succeeded and you already own it."
                )
            }
            StoreError::BucketNotEmpty => {
                s3_error!(
                    BucketNotEmpty,
                    "The bucket you tried to delete is not empty: delete its objects first."
                )
            }
            StoreError::Damaged { path, why } => {
                tracing::error!(path = %path.display(), %why, "a stored file is damaged; restore or remove it");
                // Not a 5xx: clients would ask again for minutes, and nothing would have changed.
                custom(
                    "ObjectNotAuthentic",
                    StatusCode::CONFLICT,
                    "what is stored here is damaged; the server's log names the file",
                )
            }
            StoreError::Fault(fault) => of_fault(&fault),
            StoreError::InvalidBucketName => {
                s3_error!(InvalidBucketName, "The specified bucket is not valid.")
            }
            StoreError::InvalidPart(_) => {
                s3_error!(
                    InvalidPart,
                    "a part that was named was not uploaded, or its data is gone"
                )
            }
            StoreError::KeyTooLong(have) => s3_error!(
                KeyTooLongError,
                "the key has {have} bytes, at most {} are allowed",
                crate::layout::KEY_BYTES_MAX
            ),
            StoreError::Length { have, says } => s3_error!(
                IncompleteBody,
                "the body has {have} bytes and {says} were announced; nothing was stored"
            ),
            StoreError::MetadataTooLarge { what, have, max } => {
                s3_error!(
                    MetadataTooLarge,
                    "{what} have {have} bytes, at most {max} are allowed"
                )
            }
            StoreError::NoSuchBucket => {
                s3_error!(NoSuchBucket, "The specified bucket does not exist")
            }
            StoreError::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
            StoreError::NoSuchUpload => {
                s3_error!(
                    NoSuchUpload,
                    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
                     completed."
                )
            }
            StoreError::NoSuchVersion => {
                s3_error!(NoSuchVersion, "The specified version does not exist.")
            }
            StoreError::PreconditionFailed => {
                s3_error!(
                    PreconditionFailed,
                    "the object is not as the request demands"
                )
            }
            StoreError::TaskLost | StoreError::Unfinished => {
                tracing::error!(%error, "a write was given up");
                s3_error!(InternalError, "the write was given up; nothing was stored")
            }
            StoreError::S3(error) => error,
        }
    }
}

/// The client learns what it can act on; paths and causes go to the log.
fn of_fault(fault: &Fault) -> S3Error {
    tracing::error!(path = %fault.path.display(), cause = %fault.source, "{} failed", fault.doing);
    if fault.is_full() {
        let mut full = S3Error::with_message(
            S3ErrorCode::Custom("XMinioStorageFull".into()),
            "the disk is full; free space and try again",
        );
        full.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
        return full;
    }
    match fault.source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => s3_error!(
            InternalError,
            "the server may not read or write its own files; its log names the file"
        ),
        _ => s3_error!(
            InternalError,
            "the server's disk failed; its log says where"
        ),
    }
}
