//! What a client announced about the bytes it sends, and holding it to that.
//!
//! The protocol layer verifies signatures and parses trailers; lengths, Content-MD5 and checksums are
//! verified here, before anything is committed. [`Verifier`] is for code that sees plaintext pass by;
//! [`VerifiedBody`] is the same as a stream, and hashes beside the stream when that is dear (MD5 runs at
//! a fifth of the speed of everything else on the way).

mod stream;
mod verifier;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, StatusCode};
use s3s::dto::{PutObjectInput, UploadPartInput};
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};

pub use self::stream::VerifiedBody;
pub(crate) use self::verifier::bad_checksum;
pub use self::verifier::{Digests, Verifier};
use crate::checksum::{self, Algorithm, AnnouncedChecksum};
use crate::error::custom;
use crate::limits::BODY_BYTES_MAX;

/// What must be true of a body at its end.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// Length in bytes, before any transfer encoding.
    pub length: Option<u64>,
    /// `Content-MD5`
    pub content_md5: Option<[u8; 16]>,
    /// A checksum: announced, or wanted by the caller.
    pub checksum: Option<ExpectedChecksum>,
}

/// A checksum to compute, and where its expected value comes from.
#[derive(Clone, Debug)]
pub struct ExpectedChecksum {
    /// Which.
    pub algorithm: Algorithm,
    /// What it must be.
    pub value: ExpectedValue,
}

/// The value that a checksum must have.
#[derive(Clone, Debug)]
pub enum ExpectedValue {
    /// The client told none: it is computed to be kept.
    Any,
    /// Told in a header.
    Header(Vec<u8>),
    /// Will be told in the trailer.
    Trailer(TrailingHeaders),
}

impl Expectations {
    /// Of a PutObject. As in S3, an object of which the client announced no checksum gets a CRC-64/NVME.
    ///
    /// # Errors
    /// `InvalidDigest`, `InvalidRequest`, `NotImplemented`, `EntityTooLarge`: what was announced cannot be.
    pub fn of_put(req: &S3Request<PutObjectInput>) -> S3Result<Self> {
        let input = &req.input;
        Self::of(
            input.content_length,
            input.content_md5.as_deref(),
            input.checksum_algorithm.as_ref().map(|a| a.as_str()),
            input.announced_checksum()?,
            &req.headers,
            req.trailing_headers.as_ref(),
        )
        .map(|expected| expected.or_compute(Some(Algorithm::Crc64Nvme)))
    }

    /// Of an UploadPart.
    ///
    /// # Errors
    /// As [`of_put`](Self::of_put).
    pub fn of_part(req: &S3Request<UploadPartInput>) -> S3Result<Self> {
        let input = &req.input;
        Self::of(
            input.content_length,
            input.content_md5.as_deref(),
            input.checksum_algorithm.as_ref().map(|a| a.as_str()),
            input.announced_checksum()?,
            &req.headers,
            req.trailing_headers.as_ref(),
        )
    }

    fn of(
        length: Option<i64>,
        content_md5: Option<&str>,
        declared: Option<&str>,
        announced: Option<(Algorithm, &str)>,
        headers: &HeaderMap,
        trailing: Option<&TrailingHeaders>,
    ) -> S3Result<Self> {
        let length = length
            .map(|n| {
                u64::try_from(n).map_err(|_| s3_error!(InvalidArgument, "negative content length"))
            })
            .transpose()?;
        if length.is_some_and(|n| n > BODY_BYTES_MAX) {
            return Err(s3_error!(EntityTooLarge));
        }
        // The protocol layer takes an empty header for none.
        let content_md5 = content_md5
            .or_else(|| headers.contains_key("content-md5").then_some(""))
            .map(|text| {
                let digest = BASE64_STANDARD.decode(text).ok();
                digest
                    .and_then(|d| d.try_into().ok())
                    .ok_or_else(|| s3_error!(InvalidDigest))
            })
            .transpose()?;

        let header = announced
            .map(|(algorithm, text)| {
                let value = checksum::decode(algorithm, text).ok_or_else(|| {
                    s3_error!(
                        InvalidRequest,
                        "Value for {} header is invalid.",
                        algorithm.header()
                    )
                })?;
                Ok::<_, s3s::S3Error>(ExpectedChecksum {
                    algorithm,
                    value: ExpectedValue::Header(value),
                })
            })
            .transpose()?;
        let trailer = announced_trailer(headers)?
            .map(|algorithm| {
                let trailing = trailing.ok_or_else(|| missing_trailer(algorithm))?;
                Ok::<_, s3s::S3Error>(ExpectedChecksum {
                    algorithm,
                    value: ExpectedValue::Trailer(trailing.clone()),
                })
            })
            .transpose()?;
        let checksum = match (header, trailer) {
            (Some(_), Some(_)) => return Err(checksum::more_than_one()),
            (header, trailer) => header.or(trailer),
        };

        if let Some(declared) = declared {
            let declared = Algorithm::parse(declared)?;
            match &checksum {
                // minio-go asks so for empty objects: the server is to compute it.
                None => {
                    return Ok(Self {
                        length,
                        content_md5,
                        checksum: None,
                    }
                    .or_compute(Some(declared)));
                }
                Some(told) if told.algorithm != declared => {
                    return Err(s3_error!(
                        InvalidRequest,
                        "Value for x-amz-sdk-checksum-algorithm header is invalid."
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(Self {
            length,
            content_md5,
            checksum,
        })
    }

    /// Computes a checksum also when the client announced none. One that it did announce stays.
    #[must_use]
    pub fn or_compute(mut self, algorithm: Option<Algorithm>) -> Self {
        if self.checksum.is_none() {
            self.checksum = algorithm.map(|algorithm| ExpectedChecksum {
                algorithm,
                value: ExpectedValue::Any,
            });
        }
        self
    }
}

/// The checksum that `x-amz-trailer` promises.
fn announced_trailer(headers: &HeaderMap) -> S3Result<Option<Algorithm>> {
    let mut promised = None;
    for value in headers.get_all("x-amz-trailer") {
        let names = value
            .to_str()
            .map_err(|_| s3_error!(InvalidArgument, "x-amz-trailer is not text"))?;
        for name in names.split(',').map(str::trim) {
            let lower = name.to_ascii_lowercase();
            let Some(algorithm) = lower.strip_prefix("x-amz-checksum-") else {
                continue;
            };
            if promised.replace(Algorithm::parse(algorithm)?).is_some() {
                return Err(checksum::more_than_one());
            }
        }
    }
    Ok(promised)
}

fn missing_trailer(algorithm: Algorithm) -> s3s::S3Error {
    custom(
        "MalformedTrailerError",
        StatusCode::BAD_REQUEST,
        format!(
            "the request promised the trailer {} and did not send it",
            algorithm.header()
        ),
    )
}

#[cfg(test)]
mod tests;
