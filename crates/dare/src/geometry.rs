//! Lengths and ranges of one stream: plain to sealed and back (`docs/formats/dare.md`, "Sizes").
//!
//! All of it is true of version 2.0, and of version 1.0 streams whose writer filled every package but the last.
//! An object of several parts has a stream for each; these functions see one part at a time.

use crate::error::GeometryError;
use crate::package::{OVERHEAD_BYTES, PACKAGE_BYTES, PACKAGES_MAX, SEALED_PACKAGE_BYTES};

const PACKAGE: u64 = PACKAGE_BYTES as u64;
const OVERHEAD: u64 = OVERHEAD_BYTES as u64;
const SEALED_PACKAGE: u64 = SEALED_PACKAGE_BYTES as u64;

/// Plaintext bytes of the longest stream: 2^32 full packages, 256 TiB.
pub const PLAIN_BYTES_MAX: u64 = PACKAGES_MAX * PACKAGE;
/// Sealed bytes of the longest stream.
pub const SEALED_BYTES_MAX: u64 = PACKAGES_MAX * SEALED_PACKAGE;

/// Packages that hold this many plaintext bytes.
#[must_use]
pub const fn package_count(plain_bytes: u64) -> u64 {
    plain_bytes.div_ceil(PACKAGE)
}

/// Length of the stream that seals this many plaintext bytes.
///
/// # Errors
/// More than [`PLAIN_BYTES_MAX`].
pub const fn sealed_length(plain_bytes: u64) -> Result<u64, GeometryError> {
    if plain_bytes > PLAIN_BYTES_MAX {
        return Err(GeometryError::TooLong { bytes: plain_bytes });
    }
    Ok(plain_bytes + package_count(plain_bytes) * OVERHEAD)
}

/// Plaintext bytes in a stream of this length.
///
/// # Errors
/// More than [`SEALED_BYTES_MAX`], or a length that no stream has.
pub const fn plain_length(sealed_bytes: u64) -> Result<u64, GeometryError> {
    if sealed_bytes > SEALED_BYTES_MAX {
        return Err(GeometryError::TooLong {
            bytes: sealed_bytes,
        });
    }
    let (full, rest) = (sealed_bytes / SEALED_PACKAGE, sealed_bytes % SEALED_PACKAGE);
    match rest {
        0 => Ok(full * PACKAGE),
        1..=OVERHEAD => Err(GeometryError::ImpossibleLength { sealed_bytes }),
        _ => Ok(full * PACKAGE + rest - OVERHEAD),
    }
}

/// The packages that cover a range of the plaintext.
///
/// To read it: fetch the sealed bytes from `sealed_start` up to `sealed_end`, open them with an
/// [`Opener`](crate::Opener) that starts at `first_package`, drop `skip` bytes of plaintext and release `length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageRange {
    /// Sequence number of the first package to read.
    pub first_package: u64,
    /// Packages to read; none for an empty range.
    pub package_count: u64,
    /// Where the first package begins in the stream.
    pub sealed_start: u64,
    /// Where the last package ends: one past the last byte to fetch.
    pub sealed_end: u64,
    /// Plaintext bytes before the range in its first package, fewer than a package.
    pub skip: usize,
    /// Plaintext bytes of the range itself.
    pub length: u64,
    /// Whether the last package of the range is the last of the stream: it must then be the final one, so call
    /// [`Opener::finish`](crate::Opener::finish).
    pub ends_stream: bool,
}

impl PackageRange {
    /// Sealed bytes to fetch.
    #[must_use]
    pub const fn sealed_bytes(&self) -> u64 {
        self.sealed_end - self.sealed_start
    }
}

/// Finds the packages for `length` bytes of plaintext from `offset`, in a stream that seals `plain_bytes`.
///
/// A range of no bytes needs no package.
///
/// # Errors
/// The range ends after the plaintext does, or the stream would be too long.
pub const fn package_range(
    offset: u64,
    length: u64,
    plain_bytes: u64,
) -> Result<PackageRange, GeometryError> {
    let sealed_bytes = match sealed_length(plain_bytes) {
        Ok(sealed_bytes) => sealed_bytes,
        Err(error) => return Err(error),
    };
    let end = match offset.checked_add(length) {
        Some(end) if end <= plain_bytes => end,
        _ => {
            return Err(GeometryError::OutOfRange {
                offset,
                length,
                plain_bytes,
            });
        }
    };
    let first_package = offset / PACKAGE;
    let sealed_start = first_package * SEALED_PACKAGE;
    if length == 0 {
        return Ok(PackageRange {
            first_package,
            package_count: 0,
            sealed_start,
            sealed_end: sealed_start,
            skip: 0,
            length: 0,
            ends_stream: false,
        });
    }
    let end_package = package_count(end);
    let ends_stream = end_package == package_count(plain_bytes);
    Ok(PackageRange {
        first_package,
        package_count: end_package - first_package,
        sealed_start,
        sealed_end: if ends_stream {
            sealed_bytes
        } else {
            end_package * SEALED_PACKAGE
        },
        skip: (offset % PACKAGE) as usize,
        length,
        ends_stream,
    })
}
