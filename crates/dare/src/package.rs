//! One package: its sizes and its header, in both versions (`docs/formats/dare.md`, "Package").

use crate::cipher::Cipher;

/// Plaintext bytes of a full package.
pub const PACKAGE_BYTES: usize = 65_536;
/// Bytes of a package's header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a package's authentication tag.
pub const TAG_BYTES: usize = 16;
/// Bytes that sealing adds to each package.
pub const OVERHEAD_BYTES: usize = 32;
/// Bytes of a full package once sealed.
pub const SEALED_PACKAGE_BYTES: usize = 65_568;
/// Packages in a stream at most: the sequence number has 32 bits and must not repeat under one key and nonce.
pub const PACKAGES_MAX: u64 = 1 << 32;

const _: () = assert!(OVERHEAD_BYTES == HEADER_BYTES + TAG_BYTES);
const _: () = assert!(SEALED_PACKAGE_BYTES == PACKAGE_BYTES + OVERHEAD_BYTES);
// The header stores the payload length less one in 16 bits.
const _: () = assert!(PACKAGE_BYTES - 1 == u16::MAX as usize);

pub(crate) const NONCE_BYTES: usize = 12;
/// The first header bytes, which the tag covers; the rest is the nonce, and so covered too.
pub(crate) const AAD_BYTES: usize = 4;
/// Marks the final package of a version 2.0 stream, in the first nonce byte.
const FINAL_FLAG: u8 = 0x80;

/// The 12 bytes that all packages of a version 2.0 stream carry.
///
/// Not secret, but never to be used twice under the same key: draw it from the system's random source for every stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamNonce([u8; NONCE_BYTES]);

impl StreamNonce {
    /// Takes twelve random bytes. The top bit of the first is cleared, for in a header it marks the final package.
    #[must_use]
    pub const fn from_bytes(mut random: [u8; NONCE_BYTES]) -> Self {
        random[0] &= !FINAL_FLAG;
        Self(random)
    }

    /// The nonce as a header that is not the final one carries it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; NONCE_BYTES] {
        &self.0
    }
}

/// Version of the format, as a package's first byte tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

impl Version {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::V1 => 0x10,
            Self::V2 => 0x20,
        }
    }
}

/// The first byte of a header that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    UnknownVersion(u8),
    UnknownCipher(u8),
}

/// A package's header, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: Version,
    pub(crate) cipher: Cipher,
    /// 1 to [`PACKAGE_BYTES`]; the format cannot express anything else.
    pub(crate) payload_bytes: usize,
    /// V1: sequence number and random value. V2: stream nonce, with the final flag.
    tail: [u8; NONCE_BYTES],
}

impl Header {
    /// A version 2.0 header; `payload_last` is the payload's length less one, which is what the header stores.
    pub(crate) fn sealing(
        cipher: Cipher,
        payload_last: u16,
        nonce: StreamNonce,
        is_final: bool,
    ) -> Self {
        let mut tail = nonce.0;
        if is_final {
            tail[0] |= FINAL_FLAG;
        }
        let payload_bytes = usize::from(payload_last) + 1;
        Self {
            version: Version::V2,
            cipher,
            payload_bytes,
            tail,
        }
    }

    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderFault> {
        let [version, cipher, len_0, len_1, tail @ ..] = *bytes;
        let version = match version {
            0x10 => Version::V1,
            0x20 => Version::V2,
            other => return Err(HeaderFault::UnknownVersion(other)),
        };
        let cipher = Cipher::from_id(cipher).ok_or(HeaderFault::UnknownCipher(cipher))?;
        let payload_bytes = usize::from(u16::from_le_bytes([len_0, len_1])) + 1;
        Ok(Self {
            version,
            cipher,
            payload_bytes,
            tail,
        })
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..AAD_BYTES].copy_from_slice(&self.aad());
        bytes[AAD_BYTES..].copy_from_slice(&self.tail);
        bytes
    }

    /// What the tag covers besides the ciphertext: version, cipher and length.
    pub(crate) fn aad(&self) -> [u8; AAD_BYTES] {
        let [low, high, ..] = (self.payload_bytes - 1).to_le_bytes();
        [self.version.byte(), self.cipher.id(), low, high]
    }

    pub(crate) const fn sealed_bytes(&self) -> usize {
        self.payload_bytes + OVERHEAD_BYTES
    }

    /// Version 1.0 has no such mark.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self.version, Version::V2) && self.tail[0] & FINAL_FLAG != 0
    }

    /// What all packages of a stream have in common: the nonce without its flag, or the random value of version 1.0.
    pub(crate) const fn stream(&self) -> StreamNonce {
        let mut constant = self.tail;
        match self.version {
            Version::V1 => {
                constant[0] = 0;
                constant[1] = 0;
                constant[2] = 0;
                constant[3] = 0;
            }
            Version::V2 => constant[0] &= !FINAL_FLAG,
        }
        StreamNonce(constant)
    }

    /// The sequence number that version 1.0 writes out; in version 2.0 it is implicit.
    pub(crate) const fn written_sequence(&self) -> Option<u32> {
        match self.version {
            Version::V1 => {
                let [a, b, c, d, ..] = self.tail;
                Some(u32::from_le_bytes([a, b, c, d]))
            }
            Version::V2 => None,
        }
    }

    /// The nonce given to the cipher for the package at place `sequence`.
    ///
    /// Version 2.0 folds the place into the last four bytes, and leaves the final flag in: a package moved, repeated or
    /// flagged anew does not open.
    pub(crate) fn cipher_nonce(&self, sequence: u32) -> [u8; NONCE_BYTES] {
        let mut nonce = self.tail;
        if self.version == Version::V2 {
            for (byte, mask) in nonce[8..].iter_mut().zip(sequence.to_le_bytes()) {
                *byte ^= mask;
            }
        }
        nonce
    }
}
