//! Where parts lie in a stored body, and which stored bytes a range of the plaintext needs.

use strongroom_dare::geometry::{self, PackageRange};
use strongroom_dare::{GeometryError, StreamNonce};

use crate::footer::Manifest;
use crate::geometry::LengthError;

/// One part within the stored body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartPlace {
    /// Part number, which its key is derived from.
    pub number: u32,
    /// Where its plaintext begins within the object's.
    pub plain_offset: u64,
    /// Bytes of its plaintext.
    pub plain_length: u64,
    /// Where its stream begins within the stored body.
    pub stored_offset: u64,
    /// Bytes of its stream; none for an empty part.
    pub sealed_length: u64,
    /// The nonce that its stream must have; `None` for a plain PUT whose footer has not been read.
    pub nonce: Option<StreamNonce>,
}

/// What to read of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRead {
    /// The part.
    pub part: PartPlace,
    /// First byte to read of the stored body.
    pub stored_start: u64,
    /// One past the last byte to read of the stored body. The next part's read begins here.
    pub stored_end: u64,
    /// First package, bytes to skip and to release, and whether the final package is among them.
    pub packages: PackageRange,
}

/// All parts of a stored body, in order and without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyLayout {
    parts: Vec<PartPlace>,
    plain_length: u64,
}

impl BodyLayout {
    /// The body of a plain PUT: one part, number 1.
    ///
    /// # Errors
    /// The length is more than an object can have.
    pub fn single(plain_length: u64) -> Result<Self, LengthError> {
        Self::of([(1, plain_length, None)])
    }

    /// The body that a manifest describes.
    ///
    /// # Errors
    /// A part is longer than a stream can be.
    pub fn from_manifest(manifest: &Manifest) -> Result<Self, LengthError> {
        Self::of(
            manifest
                .parts()
                .iter()
                .map(|part| (part.number, part.plain_length, Some(part.nonce))),
        )
    }

    fn of(
        entries: impl IntoIterator<Item = (u32, u64, Option<StreamNonce>)>,
    ) -> Result<Self, LengthError> {
        let (mut plain_offset, mut stored_offset) = (0, 0);
        let mut parts = Vec::new();
        for (number, plain_length, nonce) in entries {
            let sealed_length =
                geometry::sealed_length(plain_length).map_err(|_| LengthError::TooLong {
                    plain: plain_length,
                })?;
            parts.push(PartPlace {
                number,
                plain_offset,
                plain_length,
                stored_offset,
                sealed_length,
                nonce,
            });
            plain_offset += plain_length;
            stored_offset += sealed_length;
        }
        Ok(Self {
            parts,
            plain_length: plain_offset,
        })
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[PartPlace] {
        &self.parts
    }

    /// The part of this number.
    #[must_use]
    pub fn part(&self, number: u32) -> Option<&PartPlace> {
        self.parts.iter().find(|part| part.number == number)
    }

    /// Bytes of plaintext in all.
    #[must_use]
    pub const fn plain_length(&self) -> u64 {
        self.plain_length
    }

    /// Bytes of all streams: where the footer begins.
    #[must_use]
    pub fn sealed_length(&self) -> u64 {
        self.parts
            .last()
            .map_or(0, |part| part.stored_offset + part.sealed_length)
    }

    /// What to read for `length` bytes of plaintext from `offset`: parts in order, none empty. Their stored ranges
    /// adjoin, so one request fetches them all.
    ///
    /// # Errors
    /// The range ends after the plaintext does.
    pub fn read(&self, offset: u64, length: u64) -> Result<Vec<PartRead>, GeometryError> {
        let plain_bytes = self.plain_length;
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= plain_bytes)
            .ok_or(GeometryError::OutOfRange {
                offset,
                length,
                plain_bytes,
            })?;
        let mut reads = Vec::new();
        for part in &self.parts {
            let from = offset.max(part.plain_offset);
            let to = end.min(part.plain_offset + part.plain_length);
            if from >= to {
                continue;
            }
            let packages =
                geometry::package_range(from - part.plain_offset, to - from, part.plain_length)?;
            reads.push(PartRead {
                part: *part,
                stored_start: part.stored_offset + packages.sealed_start,
                stored_end: part.stored_offset + packages.sealed_end,
                packages,
            });
        }
        Ok(reads)
    }
}

#[cfg(test)]
mod tests;
