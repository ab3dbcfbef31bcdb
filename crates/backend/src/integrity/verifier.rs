use md5::{Digest as _, Md5};
use s3s::{S3Result, s3_error};

use super::{Expectations, ExpectedValue, missing_trailer};
use crate::checksum::{self, Algorithm, Hasher};
use crate::limits::BODY_BYTES_MAX;
use crate::object::Checksum;

/// What was computed of a body that kept its promises.
#[derive(Clone, Debug)]
pub struct Digests {
    /// MD5, if it was wanted or announced.
    pub md5: Option<[u8; 16]>,
    /// The checksum, if one was announced or wanted.
    pub checksum: Option<Checksum>,
    /// Bytes seen.
    pub length: u64,
}

/// Sees a body pass and says at its end whether it is what was announced.
#[derive(Debug)]
pub struct Verifier {
    expected: Expectations,
    length: u64,
    hashes: Hashes,
}

/// The running hashes alone, so that they can work on another thread.
#[derive(Debug)]
pub(super) struct Hashes {
    md5: Option<Md5>,
    checksum: Option<Hasher>,
}

impl Hashes {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
    }
}

impl Verifier {
    /// Begins. MD5 is computed when `want_md5` or when Content-MD5 was sent, and only then.
    #[must_use]
    pub fn new(expected: Expectations, want_md5: bool) -> Self {
        let md5 = (want_md5 || expected.content_md5.is_some()).then(Md5::new);
        let checksum = expected.checksum.as_ref().map(|c| Hasher::new(c.algorithm));
        Self {
            expected,
            length: 0,
            hashes: Hashes { md5, checksum },
        }
    }

    /// Sees the next bytes.
    ///
    /// # Errors
    /// `IncompleteBody` when there are more than announced, `EntityTooLarge` when more than S3 takes.
    pub fn update(&mut self, bytes: &[u8]) -> S3Result<()> {
        self.count(bytes.len())?;
        self.hashes.update(bytes);
        Ok(())
    }

    /// Sees the end.
    ///
    /// # Errors
    /// `IncompleteBody`, `BadDigest`, `InvalidRequest` (an unreadable trailer), `MalformedTrailerError`
    /// (a trailer that was promised and did not come). Nothing may be committed then.
    pub fn finish(self) -> S3Result<Digests> {
        if self
            .expected
            .length
            .is_some_and(|expected| expected != self.length)
        {
            return Err(s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header."
            ));
        }
        let md5: Option<[u8; 16]> = self.hashes.md5.map(|md5| md5.finalize().into());
        if self.expected.content_md5.is_some() && md5 != self.expected.content_md5 {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let checksum = match (self.expected.checksum, self.hashes.checksum) {
            (Some(expected), Some(hasher)) => {
                let computed = hasher.finish();
                let told = match expected.value {
                    ExpectedValue::Any => None,
                    ExpectedValue::Header(value) => Some(value),
                    ExpectedValue::Trailer(trailer) => {
                        Some(trailer_value(expected.algorithm, &trailer)?)
                    }
                };
                if told.is_some_and(|told| told != computed) {
                    return Err(bad_checksum(expected.algorithm));
                }
                Some(Checksum::full(expected.algorithm, &computed))
            }
            _ => None,
        };
        Ok(Digests {
            md5,
            checksum,
            length: self.length,
        })
    }

    /// Counts bytes that are hashed elsewhere.
    pub(super) fn count(&mut self, bytes: usize) -> S3Result<()> {
        self.length += bytes as u64;
        if self
            .expected
            .length
            .is_some_and(|expected| self.length > expected)
        {
            return Err(s3_error!(
                IncompleteBody,
                "the body is longer than the Content-Length that was announced"
            ));
        }
        if self.length > BODY_BYTES_MAX {
            return Err(s3_error!(EntityTooLarge));
        }
        Ok(())
    }

    /// The announced length.
    pub(super) fn expected_length(&self) -> Option<u64> {
        self.expected.length
    }

    /// True when hashing costs more than passing bytes on: MD5 and SHA, not CRCs.
    pub(super) fn is_dear(&self) -> bool {
        let sha = self
            .expected
            .checksum
            .as_ref()
            .is_some_and(|c| !c.algorithm.is_crc());
        self.hashes.md5.is_some() || sha
    }

    pub(super) fn take_hashes(&mut self) -> Hashes {
        std::mem::replace(
            &mut self.hashes,
            Hashes {
                md5: None,
                checksum: None,
            },
        )
    }

    pub(super) fn put_hashes(&mut self, hashes: Hashes) {
        self.hashes = hashes;
    }
}

fn trailer_value(algorithm: Algorithm, trailer: &s3s::TrailingHeaders) -> S3Result<Vec<u8>> {
    let text = trailer
        .read(|headers| {
            headers
                .get(algorithm.header())
                .map(|v| v.as_bytes().to_vec())
        })
        .flatten()
        .ok_or_else(|| missing_trailer(algorithm))?;
    std::str::from_utf8(&text)
        .ok()
        .and_then(|text| checksum::decode(algorithm, text.trim()))
        .ok_or_else(|| {
            s3_error!(
                InvalidRequest,
                "Value for {} trailing header is invalid.",
                algorithm.header()
            )
        })
}

/// The answer to a checksum that does not fit.
pub(crate) fn bad_checksum(algorithm: Algorithm) -> s3s::S3Error {
    s3_error!(
        BadDigest,
        "The {} you specified did not match the calculated checksum.",
        algorithm.name()
    )
}
