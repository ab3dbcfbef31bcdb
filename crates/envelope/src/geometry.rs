//! Plaintext length ↔ stored length.
//!
//! The stored length of an object is a strictly increasing function `f` of its plaintext length alone, however many
//! parts it came in: listings show exact sizes from stored ones. `docs/formats/sealed-object.md` §1 has the argument.

use strongroom_dare::{OVERHEAD_BYTES, PACKAGE_BYTES};

use crate::object_key::PART_NUMBER_MAX;

/// Smallest part that is not the last: S3's limit.
pub const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// Most bytes of a part or of a plain PUT: S3's limit.
pub const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Most parts of an object: S3's limit.
pub const PARTS_MAX: u64 = PART_NUMBER_MAX as u64;
/// Most bytes of an object: all parts at their limit.
pub const PLAIN_LENGTH_MAX: u64 = PARTS_MAX * PART_BYTES_MAX;
/// Bytes of a manifest without its table.
pub const MANIFEST_BYTES_BASE: u64 = 256;
/// Bytes of a manifest for each row that its table has room for.
pub const MANIFEST_BYTES_PER_PART: u64 = 96;

const PACKAGE: u64 = PACKAGE_BYTES as u64;
const OVERHEAD: u64 = OVERHEAD_BYTES as u64;

/// A length that no sealed object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// Bytes were lost or added, or the object is not ours.
    #[error(
        "no sealed object is stored in {stored} bytes: bytes were lost or added, or it is not ours"
    )]
    Impossible {
        /// The stored length.
        stored: u64,
    },
    /// More plaintext than an object can have.
    #[error("{plain} bytes are more than the {PLAIN_LENGTH_MAX} that an object can have")]
    TooLong {
        /// The plaintext length.
        plain: u64,
    },
}

/// `N`: rows that the table of parts has room for. All parts but the last have at least 5 MiB, so this is enough.
#[must_use]
pub const fn table_rows(plain: u64) -> u64 {
    let rows = 1 + plain / PART_BYTES_MIN;
    if rows < PARTS_MAX { rows } else { PARTS_MAX }
}

/// Bytes of the manifest, nonce and trailer included.
#[must_use]
pub const fn manifest_length(plain: u64) -> u64 {
    MANIFEST_BYTES_BASE + MANIFEST_BYTES_PER_PART * table_rows(plain)
}

const fn packages(plain: u64) -> u64 {
    plain.div_ceil(PACKAGE)
}

/// `X`: packages that are there only because parts end off a package boundary.
#[must_use]
pub fn extra_packages(parts: impl IntoIterator<Item = u64>) -> u64 {
    let (mut sum, mut plain) = (0, 0);
    for part in parts {
        sum += packages(part);
        plain += part;
    }
    sum - packages(plain)
}

/// `f`: bytes that an object of this plaintext length is stored in.
///
/// An empty object has this length, with a footer and nothing else, if it came by multipart; a plain PUT of no bytes
/// stores an empty body.
///
/// # Errors
/// [`LengthError::TooLong`].
pub const fn stored_length(plain: u64) -> Result<u64, LengthError> {
    if plain > PLAIN_LENGTH_MAX {
        return Err(LengthError::TooLong { plain });
    }
    let padding = OVERHEAD * (table_rows(plain) - 1);
    Ok(plain + OVERHEAD * packages(plain) + manifest_length(plain) + padding)
}

/// The inverse of `f`, where both stored lengths of an empty object give 0.
///
/// # Errors
/// [`LengthError::Impossible`]: `f` gives no such length.
pub fn plain_length_of_stored(stored: u64) -> Result<u64, LengthError> {
    if stored == 0 {
        return Ok(0);
    }
    // f increases strictly, so the one candidate is the largest length that is not stored in more.
    let (mut low, mut high) = (0, PLAIN_LENGTH_MAX.min(stored));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if stored_length(middle)? <= stored {
            low = middle
        } else {
            high = middle - 1
        }
    }
    if stored_length(low)? == stored {
        Ok(low)
    } else {
        Err(LengthError::Impossible { stored })
    }
}

#[cfg(test)]
mod tests;
