//! The footer: a sealed table of the object's parts, padded so that the stored length tells the plaintext length.
//!
//! ```text
//! footer    = 0^(32·(N − 1 − X)) ‖ manifest
//! manifest  = nonce[12] ‖ AES-256-GCM ciphertext ‖ tag[16] ‖ trailer[32]
//! ```
//! Byte by byte: `docs/formats/sealed-object.md` §4.

use strongroom_dare::StreamNonce;
use zeroize::Zeroizing;

use crate::aead::{self, Algorithm, NONCE_BYTES, TAG_BYTES};
use crate::checksum::{
    CHECKSUM_BYTES_MAX, Checksum, ChecksumAlgorithm, ChecksumType, ObjectChecksum,
};
use crate::codec::{DecodeError, Reader};
use crate::geometry::{
    self, LengthError, MANIFEST_BYTES_BASE, MANIFEST_BYTES_PER_PART, PART_BYTES_MAX,
    PART_BYTES_MIN, extra_packages, manifest_length, plain_length_of_stored, table_rows,
};
use crate::object_key::PART_NUMBER_MAX;
use crate::secret::FooterKey;

/// First bytes of the trailer.
const MAGIC: [u8; 8] = *b"SRfooter";
const VERSION: u8 = 1;
const TRAILER_BYTES: usize = 32;
/// The plaintext before the table.
const HEAD_BYTES: usize = BASE_BYTES - NONCE_BYTES - TAG_BYTES - TRAILER_BYTES;
const ROW_BYTES: usize = 96;
const BASE_BYTES: usize = 256;
const SINGLE: u8 = 1;
const MULTIPART: u8 = 2;

/// One part as it was chosen when the object was completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartEntry {
    /// Part number as uploaded, 1 to 10,000; 1 for a plain PUT.
    pub number: u32,
    /// Bytes of plaintext.
    pub plain_length: u64,
    /// Nonce of the stream of the attempt that was chosen.
    pub nonce: StreamNonce,
    /// The part's own checksum.
    pub checksum: Option<Checksum>,
}

/// Why a table of parts cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// There is no part, or a plain PUT has not exactly part 1.
    #[error("an object needs a part, and a plain one exactly part 1")]
    NoParts,
    /// Part numbers are not 1 to 10,000 in ascending order.
    #[error("part {number} is out of order or not in 1 to {PART_NUMBER_MAX}")]
    PartNumber {
        /// The number.
        number: u32,
    },
    /// A part that is not the last has less than 5 MiB, or a part more than 5 GiB.
    #[error(
        "part {number} has {plain_length} bytes: only the last may have less than 5 MiB, none more than 5 GiB"
    )]
    PartLength {
        /// Its number.
        number: u32,
        /// Its length.
        plain_length: u64,
    },
}

/// Why a footer does not open. All of these are permanent faults of the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FooterError {
    /// A multipart object always has a footer, even an empty one: the body was cut.
    #[error("the stored body is empty and has no footer")]
    EmptyBody,
    /// The stored length is none that an object has.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// The bytes are not those of the whole manifest.
    #[error("the manifest has {bytes} bytes, not {expected}")]
    WrongBytes {
        /// Given.
        bytes: usize,
        /// Computed from the stored length.
        expected: u64,
    },
    /// The trailer is not that of a footer: bytes were lost or added, or the object is not ours.
    #[error("the stored body does not end in a footer")]
    NoFooter,
    /// The trailer has a version or kind that this program does not know.
    #[error("the footer is of a newer version")]
    Newer(#[source] DecodeError),
    /// The manifest was changed, or belongs to another object.
    #[error("the footer is not authentic")]
    NotAuthentic,
    /// An authentic manifest that contradicts itself or the stored length.
    #[error("the footer contradicts itself or the stored length")]
    Inconsistent,
}

/// Where the manifest lies in a stored body; known from the stored length alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestPlace {
    /// Bytes of plaintext that the object has.
    pub plain_length: u64,
    /// Where the manifest begins.
    pub offset: u64,
    /// Its bytes; it ends where the body does.
    pub length: u64,
}

/// Finds the manifest in a body of `stored` bytes.
///
/// # Errors
/// The body is empty, or of a length that no object has.
pub fn place(stored: u64) -> Result<ManifestPlace, FooterError> {
    if stored == 0 {
        return Err(FooterError::EmptyBody);
    }
    let plain_length = plain_length_of_stored(stored)?;
    let length = manifest_length(plain_length);
    Ok(ManifestPlace {
        plain_length,
        offset: stored - length,
        length,
    })
}

/// How the body of a manifest came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// In parts.
    Multipart,
    /// In one request.
    Single,
}

/// The table of parts and what holds for the whole object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    kind: BodyKind,
    parts: Vec<PartEntry>,
    checksum: Option<ObjectChecksum>,
    plain_length: u64,
}

impl Manifest {
    /// Describes a body.
    ///
    /// # Errors
    /// The parts cannot be those of an object.
    pub fn new(
        kind: BodyKind,
        parts: Vec<PartEntry>,
        checksum: Option<ObjectChecksum>,
    ) -> Result<Self, ManifestError> {
        let Some(last) = parts.last() else {
            return Err(ManifestError::NoParts);
        };
        if kind == BodyKind::Single && (parts.len() != 1 || last.number != 1) {
            return Err(ManifestError::NoParts);
        }
        let (last_number, mut previous, mut sum) = (last.number, 0, 0);
        for &PartEntry {
            number,
            plain_length,
            ..
        } in &parts
        {
            if number <= previous || number > PART_NUMBER_MAX {
                return Err(ManifestError::PartNumber { number });
            }
            let least = if number == last_number {
                0
            } else {
                PART_BYTES_MIN
            };
            if !(least..=PART_BYTES_MAX).contains(&plain_length) {
                return Err(ManifestError::PartLength {
                    number,
                    plain_length,
                });
            }
            previous = number;
            sum += plain_length;
        }
        Ok(Self {
            kind,
            parts,
            checksum,
            plain_length: sum,
        })
    }

    /// The body of a plain PUT.
    ///
    /// # Errors
    /// It is longer than 5 GiB.
    pub fn single(
        plain_length: u64,
        nonce: StreamNonce,
        checksum: Option<ObjectChecksum>,
    ) -> Result<Self, ManifestError> {
        let part = PartEntry {
            number: 1,
            plain_length,
            nonce,
            checksum: None,
        };
        Self::new(BodyKind::Single, vec![part], checksum)
    }

    /// How the body came.
    #[must_use]
    pub const fn kind(&self) -> BodyKind {
        self.kind
    }

    /// Parts in the order of their bytes.
    #[must_use]
    pub fn parts(&self) -> &[PartEntry] {
        &self.parts
    }

    /// Checksum of the whole object.
    #[must_use]
    pub const fn checksum(&self) -> Option<&ObjectChecksum> {
        self.checksum.as_ref()
    }

    /// Bytes of plaintext in all.
    #[must_use]
    pub const fn plain_length(&self) -> u64 {
        self.plain_length
    }

    /// Zero bytes before the manifest, `32·(N − 1 − X)`.
    #[must_use]
    pub fn padding_length(&self) -> u64 {
        let extra = extra_packages(self.parts.iter().map(|part| part.plain_length));
        32 * (table_rows(self.plain_length) - 1 - extra)
    }

    /// Bytes of the whole footer: padding and manifest.
    #[must_use]
    pub fn footer_length(&self) -> u64 {
        self.padding_length() + manifest_length(self.plain_length)
    }

    fn trailer(&self) -> [u8; TRAILER_BYTES] {
        let mut trailer = [0; TRAILER_BYTES];
        trailer[..8].copy_from_slice(&MAGIC);
        trailer[8] = VERSION;
        trailer[9] = match self.kind {
            BodyKind::Single => SINGLE,
            BodyKind::Multipart => MULTIPART,
        };
        trailer[12..16].copy_from_slice(&count(self.parts.len() as u64));
        trailer[16..20].copy_from_slice(&count(table_rows(self.plain_length)));
        trailer
    }

    fn plaintext(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.plain_length.to_le_bytes());
        out.extend_from_slice(&count(self.parts.len() as u64));
        out.push(self.checksum.as_ref().map_or(0, |sum| sum.kind.id()));
        put_checksum(out, self.checksum.as_ref().map(|sum| &sum.checksum));
        out.resize(start + HEAD_BYTES, 0);
        for (index, part) in self.parts.iter().enumerate() {
            out.extend_from_slice(&part.plain_length.to_le_bytes());
            out.extend_from_slice(&part.number.to_le_bytes());
            out.extend_from_slice(part.nonce.as_bytes());
            put_checksum(out, part.checksum.as_ref());
            out.resize(start + HEAD_BYTES + (index + 1) * ROW_BYTES, 0);
        }
    }
}

/// Counts of parts are at most 10,000.
fn count(parts: u64) -> [u8; 4] {
    u32::try_from(parts).unwrap_or(u32::MAX).to_le_bytes()
}

/// Algorithm, then the value, then zeros up to the longest value.
fn put_checksum(out: &mut Vec<u8>, checksum: Option<&Checksum>) {
    let end = out.len() + 1 + CHECKSUM_BYTES_MAX;
    if let Some(checksum) = checksum {
        out.push(checksum.algorithm().id());
        out.extend_from_slice(checksum.value());
    }
    out.resize(end, 0);
}

fn take_checksum(reader: &mut Reader<'_>) -> Result<Option<Checksum>, DecodeError> {
    let field = "a checksum";
    let value = reader.u8(field)?;
    let mut room = Reader::new(reader.bytes(field, CHECKSUM_BYTES_MAX)?);
    if value == 0 {
        room.zeros(field, CHECKSUM_BYTES_MAX)?;
        return Ok(None);
    }
    let algorithm =
        ChecksumAlgorithm::from_id(value).ok_or(DecodeError::UnknownValue { field, value })?;
    let bytes = room.bytes(field, algorithm.value_bytes())?;
    room.zeros(field, CHECKSUM_BYTES_MAX - algorithm.value_bytes())?;
    Checksum::new(algorithm, bytes)
        .map(Some)
        .map_err(|_| DecodeError::Invalid { field })
}

impl FooterKey {
    /// Makes the whole footer, padding included, with a fresh nonce.
    #[must_use]
    pub fn seal(&self, manifest: &Manifest, nonce: [u8; 12]) -> Vec<u8> {
        let (padding, length) = (manifest.padding_length(), manifest.footer_length());
        // At most 1.3 MB, for 10,000 parts.
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut out = Vec::with_capacity(size(length));
        out.resize(size(padding), 0);
        out.extend_from_slice(&nonce);
        let start = out.len();
        manifest.plaintext(&mut out);
        out.resize(size(length) - TAG_BYTES - TRAILER_BYTES, 0);
        let trailer = manifest.trailer();
        let sealing = &mut out[start..];
        let tag = aead::seal_in_place(
            Algorithm::Aes256Gcm,
            self.expose(),
            nonce,
            &trailer,
            sealing,
        );
        out.extend_from_slice(&tag);
        out.extend_from_slice(&trailer);
        out
    }

    /// Opens the manifest of a body of `stored` bytes, given the bytes at its [`place`].
    ///
    /// What it returns agrees with itself and with the stored length.
    ///
    /// # Errors
    /// [`FooterError`]: the data is damaged.
    pub fn open(&self, stored: u64, bytes: &[u8]) -> Result<Manifest, FooterError> {
        let place = place(stored)?;
        if bytes.len() as u64 != place.length {
            return Err(FooterError::WrongBytes {
                bytes: bytes.len(),
                expected: place.length,
            });
        }
        let (bytes, trailer) = bytes
            .split_last_chunk::<TRAILER_BYTES>()
            .ok_or(FooterError::NoFooter)?;
        if trailer[..8] != MAGIC {
            return Err(FooterError::NoFooter);
        }
        let kind = read_trailer(trailer).map_err(FooterError::Newer)?;
        let (nonce, sealed) = bytes.split_first_chunk().ok_or(FooterError::NoFooter)?;
        let plain = aead::open(Algorithm::Aes256Gcm, self.expose(), *nonce, trailer, sealed)
            .ok_or(FooterError::NotAuthentic)?;
        let manifest = read_plaintext(kind, &plain).map_err(|_| FooterError::Inconsistent)?;
        let manifest = manifest.ok_or(FooterError::Inconsistent)?;
        // The trailer must be the one that this manifest is written with: n, N and the zeros are checked by that.
        if manifest.plain_length != place.plain_length || manifest.trailer() != *trailer {
            return Err(FooterError::Inconsistent);
        }
        Ok(manifest)
    }
}

fn read_trailer(trailer: &[u8; TRAILER_BYTES]) -> Result<BodyKind, DecodeError> {
    match trailer[8] {
        VERSION => {}
        version => return Err(DecodeError::UnknownVersion { version }),
    }
    match trailer[9] {
        SINGLE => Ok(BodyKind::Single),
        MULTIPART => Ok(BodyKind::Multipart),
        value => Err(DecodeError::UnknownValue {
            field: "the footer's kind",
            value,
        }),
    }
}

/// `None` if the fields are well-formed but not those of an object.
fn read_plaintext(
    kind: BodyKind,
    plain: &Zeroizing<Vec<u8>>,
) -> Result<Option<Manifest>, DecodeError> {
    let mut reader = Reader::new(plain);
    let plain_length = reader.u64("the plaintext length")?;
    let parts_count = reader.u32("the number of parts")?;
    let field = "the checksum's type";
    let checksum_kind = match reader.u8(field)? {
        0 => None,
        value => {
            let unknown = DecodeError::UnknownValue { field, value };
            Some(ChecksumType::from_id(value).ok_or(unknown)?)
        }
    };
    let checksum = match (checksum_kind, take_checksum(&mut reader)?) {
        (None, None) => None,
        (Some(kind), Some(checksum)) => Some(ObjectChecksum { checksum, kind }),
        _ => return Ok(None),
    };
    reader.zeros(
        "reserved bytes",
        HEAD_BYTES - (8 + 4 + 1 + 1 + CHECKSUM_BYTES_MAX),
    )?;
    let rows = (plain.len() - HEAD_BYTES) / ROW_BYTES;
    let used = usize::try_from(parts_count).unwrap_or(usize::MAX);
    if used > rows {
        return Ok(None);
    }
    let mut parts = Vec::with_capacity(used);
    for _ in 0..used {
        let plain_length = reader.u64("a part's length")?;
        let number = reader.u32("a part's number")?;
        let nonce_bytes = reader.array("a part's nonce")?;
        let nonce = StreamNonce::from_bytes(nonce_bytes);
        if nonce.as_bytes() != &nonce_bytes {
            return Ok(None);
        }
        let checksum = take_checksum(&mut reader)?;
        reader.zeros(
            "reserved bytes",
            ROW_BYTES - (8 + 4 + 12 + 1 + CHECKSUM_BYTES_MAX),
        )?;
        parts.push(PartEntry {
            number,
            plain_length,
            nonce,
            checksum,
        });
    }
    reader.zeros("unused rows", (rows - used) * ROW_BYTES)?;
    reader.end()?;
    let manifest = Manifest::new(kind, parts, checksum).ok();
    Ok(manifest.filter(|manifest| manifest.plain_length == plain_length))
}

const _: () = assert!(BASE_BYTES as u64 == MANIFEST_BYTES_BASE);
const _: () = assert!(ROW_BYTES as u64 == MANIFEST_BYTES_PER_PART);
const _: () = assert!(HEAD_BYTES >= 8 + 4 + 1 + 1 + CHECKSUM_BYTES_MAX);
const _: () = assert!(ROW_BYTES >= 8 + 4 + 12 + 1 + CHECKSUM_BYTES_MAX);
const _: () = assert!(geometry::PART_BYTES_MAX <= strongroom_dare::geometry::PLAIN_BYTES_MAX);

#[cfg(test)]
mod tests;
