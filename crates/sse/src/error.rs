//! Every failure of keys and data as the S3 error that a client should see. One place, so that the same
//! fault has one code everywhere.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use s3s::{S3Error, s3_error};
use strongroom_backend::error::custom;
use strongroom_envelope::{CreateError, FooterError, LengthError};
use strongroom_kms::KmsError;

/// Seconds after which a client may try again while the KMS is away.
const RETRY_AFTER_SECONDS: &str = "5";

/// A KMS that did not do what was asked. The key is named, the KMS's address is not.
pub(crate) fn kms(error: &KmsError) -> S3Error {
    tracing::warn!(%error, source = std::error::Error::source(error), "key management system");
    let bad = StatusCode::BAD_REQUEST;
    match error {
        KmsError::KeyNotFound { key } => custom(
            "KMS.NotFoundException",
            bad,
            format!(
                "The key \"{key}\" does not exist in the key management system. Create it or name another; \
                 objects sealed under a deleted key cannot be read."
            ),
        ),
        KmsError::Denied { key } => s3_error!(
            AccessDenied,
            "The key management system (KMS) denies this server the use of the key \"{key}\"."
        ),
        KmsError::Disabled { key } => custom(
            "KMS.DisabledException",
            bad,
            format!("The key \"{key}\" is disabled. Enable it in the key management system."),
        ),
        KmsError::InvalidCiphertext { key } => custom(
            "KMS.InvalidCiphertextException",
            bad,
            format!(
                "The data key does not open under the key \"{key}\": it is damaged, or the key of that name has \
                 other material than when the object was written."
            ),
        ),
        KmsError::InvalidKeyName { key, reason } => {
            s3_error!(
                InvalidArgument,
                "\"{key}\" cannot be the name of a key: {reason}"
            )
        }
        KmsError::KeyExists { key } => custom(
            "KMS.AlreadyExistsException",
            StatusCode::CONFLICT,
            format!("The key \"{key}\" exists already."),
        ),
        KmsError::Refused { key, message } => custom(
            "KMS.KMSInvalidStateException",
            bad,
            format!("The key management system refused to use the key \"{key}\": {message}"),
        ),
        KmsError::Unavailable { key, .. } => unavailable(key.as_deref()),
        KmsError::NotSupported { what } => {
            s3_error!(
                NotImplemented,
                "The key management system does not support {what}."
            )
        }
    }
}

fn unavailable(key: Option<&str>) -> S3Error {
    let mut error = match key {
        Some(key) => s3_error!(
            ServiceUnavailable,
            "The key management system does not answer or cannot reach the key \"{key}\". Nothing is lost; try \
             again later."
        ),
        None => s3_error!(
            ServiceUnavailable,
            "The key management system does not answer. Nothing is lost; try again later."
        ),
    };
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    error.set_headers(headers);
    error
}

/// The key of that name has other material than when the object was written.
pub(crate) fn other_material(key: &str) -> S3Error {
    custom(
        "KMS.InvalidCiphertextException",
        StatusCode::BAD_REQUEST,
        format!(
            "The key \"{key}\" is not the key that this object was sealed under: a key of the same name with other \
             material took its place. Restore the old key from its backup."
        ),
    )
}

/// A request that needs a KMS where there is none.
pub(crate) fn no_kms() -> S3Error {
    s3_error!(
        NotImplemented,
        "Server side encryption specified but KMS is not configured"
    )
}

const NOT_AUTHENTIC: &str = "ObjectNotAuthentic";

/// Whether this is [`not_authentic`]'s.
pub(crate) fn is_not_authentic(error: &S3Error) -> bool {
    error.code().as_str() == NOT_AUTHENTIC
}

/// An object was replaced while a copy onto itself ran: the copy would undo that write.
pub(crate) fn replaced_meanwhile() -> S3Error {
    s3_error!(
        OperationAborted,
        "The object was replaced while it was being copied onto itself. Nothing was changed by the copy; try again."
    )
}

/// A permanent fault of stored data. Never a 5xx: clients would retry it for minutes.
pub(crate) fn not_authentic(what: impl std::fmt::Display) -> S3Error {
    tracing::error!(fault = %what, "stored object is not authentic");
    custom(
        NOT_AUTHENTIC,
        StatusCode::CONFLICT,
        format!(
            "The stored object was changed, cut or exchanged since it was written, and is not released: {what}."
        ),
    )
}

/// A body or footer that does not hold together.
pub(crate) fn footer(error: &FooterError) -> S3Error {
    not_authentic(error)
}

/// A stored length that no object has.
pub(crate) fn length(error: &LengthError) -> S3Error {
    not_authentic(error)
}

/// An envelope that cannot be made.
pub(crate) fn create(error: &CreateError) -> S3Error {
    match error {
        CreateError::Context(context) => s3_error!(InvalidArgument, "{context}"),
        CreateError::OutOfBounds { .. } => s3_error!(InvalidArgument, "{error}"),
        CreateError::ChecksumNotEmpty | CreateError::SchemeMismatch { .. } => {
            s3_error!(InternalError, "{error}")
        }
    }
}

/// Our own state cannot be read or written: settings that cannot be read never mean "none".
pub(crate) fn state(what: &str, cause: impl std::fmt::Display) -> S3Error {
    tracing::error!(what, %cause, "own state is unreadable");
    s3_error!(
        InternalError,
        "{what} cannot be read, so the request is refused rather than guessed at; see the server's log"
    )
}

/// The random source failed.
pub(crate) fn entropy(cause: &str) -> S3Error {
    tracing::error!(cause, "no random bytes");
    s3_error!(InternalError, "the server has no random bytes")
}
