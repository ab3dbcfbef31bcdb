//! CompleteMultipartUpload: which attempt each listed part means, S3's rules for the list, and the ETag
//! and checksum of the whole.

use std::collections::HashMap;

use md5::{Digest as _, Md5};
use s3s::dto::{ChecksumType, CompleteMultipartUploadInput};
use s3s::{S3Result, s3_error};

use crate::checksum::{self, Algorithm, AnnouncedChecksum as _};
use crate::integrity::bad_checksum;
use crate::limits::{OBJECT_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX};
use crate::object::Checksum;
use crate::upload::PartAttempt;

/// A part as the client lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Visible ETag without quotes.
    pub etag: String,
    /// Checksum, if the client repeats it.
    pub checksum: Option<(Algorithm, Vec<u8>)>,
}

/// What the client sees of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleAttempt {
    /// Bytes of plaintext.
    pub size: u64,
    /// ETag without quotes.
    pub etag: String,
    /// Checksum, if one was told or wanted.
    pub checksum: Option<Checksum>,
}

impl VisibleAttempt {
    /// An attempt of a plain upload.
    #[must_use]
    pub fn plain(attempt: &PartAttempt) -> Self {
        Self {
            size: attempt.stored_length,
            etag: attempt.finish.etag.clone(),
            checksum: attempt.finish.checksum.clone(),
        }
    }
}

/// An attempt that becomes part of the object.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    /// As stored.
    pub attempt: &'a PartAttempt,
    /// As seen.
    pub visible: VisibleAttempt,
}

/// Reads the list of a request.
///
/// # Errors
/// `MalformedXML` for an empty list or a part without number or ETag, `InvalidPartOrder` unless numbers
/// ascend, `InvalidArgument` for a number out of bounds, `InvalidPart` for an unreadable checksum.
pub fn listed(input: &CompleteMultipartUploadInput) -> S3Result<Vec<ListedPart>> {
    let parts = input
        .multipart_upload
        .as_ref()
        .and_then(|upload| upload.parts.as_deref());
    let parts = parts.unwrap_or_default();
    if parts.is_empty() || parts.len() > PARTS_MAX as usize {
        return Err(s3_error!(
            MalformedXML,
            "the list must have 1 to {PARTS_MAX} parts"
        ));
    }
    let mut listed: Vec<ListedPart> = Vec::with_capacity(parts.len());
    for part in parts {
        let number = part_number(part.part_number)?;
        let etag = part
            .e_tag
            .as_ref()
            .ok_or_else(|| s3_error!(MalformedXML, "a part has no ETag"))?;
        if listed.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let checksum = part
            .announced_checksum()?
            .map(|(algorithm, text)| {
                checksum::decode(algorithm, text)
                    .map(|digest| (algorithm, digest))
                    .ok_or_else(|| {
                        s3_error!(InvalidPart, "the checksum of part {number} is no digest")
                    })
            })
            .transpose()?;
        listed.push(ListedPart {
            number,
            etag: etag.value().to_owned(),
            checksum,
        });
    }
    Ok(listed)
}

/// Checks a part number.
///
/// # Errors
/// `InvalidArgument`.
pub fn part_number(told: Option<i32>) -> S3Result<u32> {
    told.and_then(|n| u32::try_from(n).ok())
        .filter(|n| (1..=PARTS_MAX).contains(n))
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and {PARTS_MAX}, inclusive"
            )
        })
}

/// Finds the attempt that each listed part means: of those with its number and ETag the one that was
/// finished last. Attempts must come as [`part_attempts`](crate::Backend::part_attempts) gives them.
///
/// # Errors
/// `InvalidPart` for one that is not there, `BadDigest` for a checksum that is not its, `EntityTooSmall`
/// for less than 5 MiB before the last part, `EntityTooLarge` for more than 5 TiB together.
pub fn choose<'a>(
    listed: &[ListedPart],
    attempts: &'a [PartAttempt],
    visible: impl Fn(&PartAttempt) -> S3Result<VisibleAttempt>,
) -> S3Result<Vec<Chosen<'a>>> {
    let mut by_number: HashMap<u32, Vec<&PartAttempt>> = HashMap::new();
    for attempt in attempts {
        by_number.entry(attempt.number).or_default().push(attempt);
    }
    let mut chosen = Vec::with_capacity(listed.len());
    let mut total = 0_u64;
    for (index, part) in listed.iter().enumerate() {
        let mut found = None;
        for attempt in by_number.get(&part.number).into_iter().flatten().rev() {
            let seen = visible(attempt)?;
            if seen.etag == part.etag {
                found = Some(Chosen {
                    attempt,
                    visible: seen,
                });
                break;
            }
        }
        let Some(found) = found else {
            return Err(s3_error!(
                InvalidPart,
                "part {} with ETag \"{}\" was not uploaded, or not in this upload",
                part.number,
                part.etag
            ));
        };
        if let Some((algorithm, told)) = &part.checksum {
            let kept = found
                .visible
                .checksum
                .as_ref()
                .and_then(|c| c.digest(*algorithm));
            if kept.is_some_and(|kept| &kept != told) {
                return Err(bad_checksum(*algorithm));
            }
        }
        if index + 1 < listed.len() && found.visible.size < PART_BYTES_MIN {
            return Err(s3_error!(EntityTooSmall));
        }
        total += found.visible.size;
        chosen.push(found);
    }
    if total > OBJECT_BYTES_MAX {
        return Err(s3_error!(EntityTooLarge));
    }
    Ok(chosen)
}

/// S3's ETag of a multipart object: the MD5 of the parts' MD5s, and their number. `None` when an ETag of
/// a part is no MD5.
#[must_use]
pub fn multipart_etag(chosen: &[Chosen<'_>]) -> Option<String> {
    etag_of(chosen.iter().map(|part| part.visible.etag.as_str()))
}

/// The same from a list as the client tells it: what a repeated Complete can be held against.
#[must_use]
pub fn etag_of_list(listed: &[ListedPart]) -> Option<String> {
    etag_of(listed.iter().map(|part| part.etag.as_str()))
}

fn etag_of<'a>(etags: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    let parts = etags.len();
    let mut md5 = Md5::new();
    for etag in etags {
        md5.update(md5_of(etag)?);
    }
    let digest: [u8; 16] = md5.finalize().into();
    Some(format!("{}-{parts}", hex(&digest)))
}

/// Lower-case hex, as ETags are written.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn md5_of(etag: &str) -> Option<[u8; 16]> {
    if etag.len() != 32 || !etag.is_ascii() {
        return None;
    }
    let mut md5 = [0_u8; 16];
    for (byte, pair) in md5.iter_mut().zip(etag.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(md5)
}

/// The checksum that an upload was begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Which.
    pub algorithm: Algorithm,
    /// Over the parts' checksums instead of the bytes.
    pub composite: bool,
}

impl Declared {
    /// From the two headers of a CreateMultipartUpload.
    ///
    /// # Errors
    /// `InvalidRequest` for a pair that S3 has not (CRC64NVME is never composite, SHA always is) or a type
    /// without an algorithm; those of [`Algorithm::parse`].
    pub fn new(algorithm: Option<&str>, checksum_type: Option<&str>) -> S3Result<Option<Self>> {
        let Some(algorithm) = algorithm else {
            if checksum_type.is_some() {
                return Err(s3_error!(
                    InvalidRequest,
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                ));
            }
            return Ok(None);
        };
        let algorithm = Algorithm::parse(algorithm)?;
        let composite = match checksum_type {
            None => algorithm.default_composite(),
            Some(ChecksumType::COMPOSITE) => true,
            Some(ChecksumType::FULL_OBJECT) => false,
            Some(_) => {
                return Err(s3_error!(
                    InvalidRequest,
                    "Value for x-amz-checksum-type is invalid."
                ));
            }
        };
        let possible = match algorithm {
            Algorithm::Crc64Nvme => !composite,
            Algorithm::Sha1 | Algorithm::Sha256 => composite,
            Algorithm::Crc32 | Algorithm::Crc32c => true,
        };
        if !possible {
            return Err(s3_error!(
                InvalidRequest,
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                type_name(composite),
                algorithm.name().to_ascii_lowercase()
            ));
        }
        Ok(Some(Self {
            algorithm,
            composite,
        }))
    }

    /// Back from [`NewUpload::checksum`](crate::upload::NewUpload::checksum).
    ///
    /// # Errors
    /// As [`new`](Self::new): what was stored is not what we store.
    pub fn of_upload(stored: Option<&(String, String)>) -> S3Result<Option<Self>> {
        match stored {
            None => Ok(None),
            Some((algorithm, kind)) => Self::new(Some(algorithm), Some(kind)),
        }
    }

    /// As [`NewUpload::checksum`](crate::upload::NewUpload::checksum) keeps it.
    #[must_use]
    pub fn to_stored(self) -> (String, String) {
        (
            self.algorithm.name().to_owned(),
            type_name(self.composite).to_owned(),
        )
    }

    /// S3's name of the type.
    #[must_use]
    pub fn checksum_type(self) -> ChecksumType {
        ChecksumType::from_static(type_name(self.composite))
    }
}

fn type_name(composite: bool) -> &'static str {
    if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    }
}

/// The checksum of the whole, and the client's word on it.
///
/// # Errors
/// `BadDigest` when the request tells another value, `InvalidRequest` when it tells another algorithm,
/// type or size than the upload has.
pub fn checksum(
    input: &CompleteMultipartUploadInput,
    declared: Option<Declared>,
    chosen: &[Chosen<'_>],
) -> S3Result<Option<Checksum>> {
    let size: u64 = chosen.iter().map(|part| part.visible.size).sum();
    if input
        .mpu_object_size
        .is_some_and(|told| u64::try_from(told) != Ok(size))
    {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match what was computed."
        ));
    }
    let told = input.announced_checksum()?;
    // Without a declaration S3 keeps no checksum. One that is told then is over the whole object, and can
    // be verified if the parts have it.
    let declared = declared.or_else(|| {
        told.filter(|(algorithm, _)| algorithm.is_crc())
            .map(|(algorithm, _)| Declared {
                algorithm,
                composite: false,
            })
    });
    let Some(declared) = declared else {
        return match told {
            None => Ok(None),
            Some((algorithm, _)) => Err(s3_error!(
                InvalidRequest,
                "{} was told, but the upload was begun without a checksum algorithm",
                algorithm.header()
            )),
        };
    };
    if input
        .checksum_type
        .as_ref()
        .is_some_and(|t| t.as_str() != type_name(declared.composite))
    {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using the {} checksum mode. The complete request must use the same \
             checksum mode.",
            type_name(declared.composite)
        ));
    }
    let Some(computed) = of_parts(declared, chosen) else {
        return match told {
            // Some part has no such checksum: there is none of the whole.
            None => Ok(None),
            Some(_) => Err(s3_error!(
                InvalidRequest,
                "One or more parts were uploaded without the {} checksum; upload them with it",
                declared.algorithm.name()
            )),
        };
    };
    match told {
        None => Ok(Some(computed)),
        Some((algorithm, _)) if algorithm != declared.algorithm => Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            declared.algorithm.name().to_ascii_lowercase(),
            algorithm.name().to_ascii_lowercase()
        )),
        // Some clients tell a composite value without its count.
        Some((_, value)) if value == computed.value => Ok(Some(computed)),
        Some((_, value))
            if computed.composite && computed.value.split('-').next() == Some(value) =>
        {
            Ok(Some(computed))
        }
        Some((algorithm, _)) => Err(bad_checksum(algorithm)),
    }
}

fn of_parts(declared: Declared, chosen: &[Chosen<'_>]) -> Option<Checksum> {
    let mut digests = Vec::with_capacity(chosen.len());
    for part in chosen {
        let digest = part.visible.checksum.as_ref()?.digest(declared.algorithm)?;
        digests.push((digest, part.visible.size));
    }
    if declared.composite {
        let digests: Vec<_> = digests.into_iter().map(|(digest, _)| digest).collect();
        Some(Checksum::composite_of(declared.algorithm, &digests))
    } else {
        Checksum::combined(declared.algorithm, &digests)
    }
}

#[cfg(test)]
mod tests;
