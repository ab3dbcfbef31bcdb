//! Bodies: what their errors mean to a client, and making them from streams of our own.

use bytes::Bytes;
use futures::Stream;
use http::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::stream::aws_chunked_stream::AwsChunkedStreamError;
use s3s::stream::upload_stream::UploadStreamError;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, S3ErrorCode, StdError, s3_error};

use crate::error::custom;

/// The S3 error that a failed body means. Streams of ours carry an [`S3Error`] and it is handed on as
/// it is; the protocol layer's tell of signatures and lengths; anything else is a connection that broke.
#[must_use]
pub fn error(error: StdError) -> S3Error {
    let error = match error.downcast::<S3Error>() {
        Ok(ours) => return *ours,
        Err(other) => other,
    };
    if let Some(chunked) = error.downcast_ref::<AwsChunkedStreamError>() {
        let code = match chunked {
            AwsChunkedStreamError::Underlying(_) => S3ErrorCode::IncompleteBody,
            other => other.to_s3_error_code(),
        };
        return S3Error::with_source(code, error);
    }
    if let Some(upload) = error.downcast_ref::<UploadStreamError>() {
        return match upload {
            UploadStreamError::Sha256Mismatch => custom(
                "XAmzContentSHA256Mismatch",
                StatusCode::BAD_REQUEST,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ),
            UploadStreamError::Underlying(_)
            | UploadStreamError::LengthMismatch
            | UploadStreamError::Incomplete => {
                S3Error::with_source(S3ErrorCode::IncompleteBody, error)
            }
        };
    }
    let mut broken = s3_error!(
        IncompleteBody,
        "the request body ended early: the connection broke"
    );
    broken.set_source(error);
    broken
}

/// An [`S3Error`] as a body carries it.
#[must_use]
pub fn carry(error: S3Error) -> StdError {
    Box::new(error)
}

/// A body of no bytes.
#[must_use]
pub fn empty() -> StreamingBlob {
    StreamingBlob::from_bytes(Bytes::new())
}

/// A body of exactly `length` bytes read from `stream`. The stream is trusted to keep to it: the length
/// is what HTTP announces.
pub fn sized<S>(stream: S, length: u64) -> StreamingBlob
where
    S: Stream<Item = Result<Bytes, StdError>> + Send + Sync + 'static,
{
    StreamingBlob::new(Sized {
        stream: Box::pin(stream),
        left: length,
    })
}

struct Sized<S> {
    stream: std::pin::Pin<Box<S>>,
    left: u64,
}

impl<S> Stream for Sized<S>
where
    S: Stream<Item = Result<Bytes, StdError>>,
{
    type Item = Result<Bytes, StdError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let polled = self.stream.as_mut().poll_next(cx);
        if let std::task::Poll::Ready(Some(Ok(bytes))) = &polled {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        polled
    }
}

impl<S> ByteStream for Sized<S>
where
    S: Stream<Item = Result<Bytes, StdError>>,
{
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_s3_error_in_a_body_keeps_its_code() {
        let back = error(carry(s3_error!(BadDigest, "no")));
        assert_eq!(back.code(), &S3ErrorCode::BadDigest);
    }

    #[test]
    fn a_payload_hash_that_differs_is_told_as_such() {
        let back = error(Box::new(UploadStreamError::Sha256Mismatch));
        assert_eq!(back.code().as_str(), "XAmzContentSHA256Mismatch");
    }

    #[test]
    fn a_broken_connection_is_an_incomplete_body() {
        let back = error(Box::new(std::io::Error::from(
            std::io::ErrorKind::ConnectionReset,
        )));
        assert_eq!(back.code(), &S3ErrorCode::IncompleteBody);
    }
}
