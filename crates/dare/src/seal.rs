//! Writing a stream, package by package.

use std::fmt;

use aws_lc_rs::error::Unspecified;

use crate::cipher::{Cipher, CipherKey};
use crate::error::SealError;
use crate::package::{
    HEADER_BYTES, Header, NONCE_BYTES, OVERHEAD_BYTES, PACKAGE_BYTES, PACKAGES_MAX,
    SEALED_PACKAGE_BYTES, StreamNonce, TAG_BYTES,
};

/// Seals one stream, in version 2.0.
///
/// The writer must know whether more follows before it seals a full package: the last one goes to
/// [`seal_final`](Self::seal_final), even when it is full. A stream that never got its final package reads as truncated,
/// so an upload that was broken off cannot be taken for a whole one. An empty plaintext has no stream at all: write
/// nothing.
pub struct Sealer {
    key: CipherKey,
    nonce: StreamNonce,
    /// Sequence number of the next package.
    next: u64,
}

impl Sealer {
    /// Begins a stream. `nonce` must never have been used under `key` before: draw it anew for each attempt to write.
    #[must_use]
    pub fn new(key: &[u8; 32], cipher: Cipher, nonce: StreamNonce) -> Self {
        Self {
            key: CipherKey::new(cipher, key),
            nonce,
            next: 0,
        }
    }

    /// Seals one full package; more must follow, or the stream reads as truncated.
    ///
    /// # Errors
    /// `sealed` is not [`SEALED_PACKAGE_BYTES`] long, or no sequence number would be left for the final package.
    pub fn seal(
        &mut self,
        plain: &[u8; PACKAGE_BYTES],
        sealed: &mut [u8],
    ) -> Result<(), SealError> {
        self.leave_room_for_final()?;
        self.seal_between(plain, sealed, u16::MAX, false)
    }

    /// Seals the last package, of 1 to 65,536 bytes. Takes `self`: nothing can follow the end.
    ///
    /// # Errors
    /// `plain` is empty or too long, or `sealed` is not [`OVERHEAD_BYTES`] longer than it.
    pub fn seal_final(mut self, plain: &[u8], sealed: &mut [u8]) -> Result<(), SealError> {
        self.seal_between(plain, sealed, payload_last(plain.len())?, true)
    }

    /// [`seal`](Self::seal) for a plaintext that already lies where its ciphertext goes, after [`HEADER_BYTES`] bytes.
    ///
    /// # Errors
    /// No sequence number would be left for the final package.
    pub fn seal_in_place(
        &mut self,
        package: &mut [u8; SEALED_PACKAGE_BYTES],
    ) -> Result<(), SealError> {
        self.leave_room_for_final()?;
        self.seal_within(package, u16::MAX, false)
    }

    /// [`seal_final`](Self::seal_final) in place: `package` holds [`HEADER_BYTES`] bytes of any value, 1 to 65,536 bytes
    /// of plaintext and [`TAG_BYTES`] bytes of any value.
    ///
    /// # Errors
    /// `package` has another length than that of a package.
    pub fn seal_final_in_place(mut self, package: &mut [u8]) -> Result<(), SealError> {
        let payload_last = payload_last(package.len().saturating_sub(OVERHEAD_BYTES))?;
        self.seal_within(package, payload_last, true)
    }

    /// The last sequence number belongs to a final package: a full one sealed there could not be followed by any.
    const fn leave_room_for_final(&self) -> Result<(), SealError> {
        if self.next >= PACKAGES_MAX - 1 {
            Err(SealError::StreamTooLong)
        } else {
            Ok(())
        }
    }

    fn seal_between(
        &mut self,
        plain: &[u8],
        sealed: &mut [u8],
        payload_last: u16,
        is_final: bool,
    ) -> Result<(), SealError> {
        let (expected, found) = (plain.len() + OVERHEAD_BYTES, sealed.len());
        if found != expected {
            return Err(SealError::OutputLength { expected, found });
        }
        let (header, nonce) = self.begin(payload_last, is_final)?;
        let done = match split(sealed) {
            Some((head, body, tag)) => {
                *head = header.encode();
                self.key.seal(nonce, header.aad(), plain, body, tag)
            }
            None => Err(Unspecified),
        };
        self.end(done, sealed)
    }

    fn seal_within(
        &mut self,
        package: &mut [u8],
        payload_last: u16,
        is_final: bool,
    ) -> Result<(), SealError> {
        let (header, nonce) = self.begin(payload_last, is_final)?;
        let done = match split(package) {
            Some((head, body, tag)) => {
                *head = header.encode();
                self.key.seal_in_place(nonce, header.aad(), body, tag)
            }
            None => Err(Unspecified),
        };
        self.end(done, package)
    }

    /// Uses up a sequence number, whatever becomes of the package: no nonce is ever given to the cipher twice.
    fn begin(
        &mut self,
        payload_last: u16,
        is_final: bool,
    ) -> Result<(Header, [u8; NONCE_BYTES]), SealError> {
        let sequence = u32::try_from(self.next).map_err(|_| SealError::StreamTooLong)?;
        self.next += 1;
        let header = Header::sealing(self.key.cipher(), payload_last, self.nonce, is_final);
        Ok((header, header.cipher_nonce(sequence)))
    }

    /// Leaves no half-sealed package, and in place no plaintext, behind a failure.
    fn end(&self, done: Result<(), Unspecified>, package: &mut [u8]) -> Result<(), SealError> {
        done.map_err(|Unspecified| {
            package.fill(0);
            SealError::Cipher {
                index: self.next - 1,
            }
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("cipher", &self.key.cipher())
            .field("nonce", &self.nonce)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

fn payload_last(payload_bytes: usize) -> Result<u16, SealError> {
    payload_bytes
        .checked_sub(1)
        .and_then(|last| u16::try_from(last).ok())
        .ok_or(SealError::PayloadLength {
            found: payload_bytes,
        })
}

type Parts<'p> = (
    &'p mut [u8; HEADER_BYTES],
    &'p mut [u8],
    &'p mut [u8; TAG_BYTES],
);

fn split(package: &mut [u8]) -> Option<Parts<'_>> {
    let (header, rest) = package.split_first_chunk_mut()?;
    let (body, tag) = rest.split_last_chunk_mut()?;
    Some((header, body, tag))
}

/// Seals a plaintext that is at hand whole; an empty one gives an empty stream.
///
/// # Panics
/// If AWS-LC fails to seal, which it does only for lengths that no package has.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "every length is computed here, so no SealError can occur"
)]
pub fn seal_to_vec(key: &[u8; 32], cipher: Cipher, nonce: StreamNonce, plain: &[u8]) -> Vec<u8> {
    let count = plain.len().div_ceil(PACKAGE_BYTES);
    let mut sealed = vec![0; plain.len() + count * OVERHEAD_BYTES];
    let Some(last) = count.checked_sub(1) else {
        return sealed;
    };

    let (full, rest) = plain.split_at(last * PACKAGE_BYTES);
    let (full_sealed, rest_sealed) = sealed.split_at_mut(last * SEALED_PACKAGE_BYTES);
    let mut sealer = Sealer::new(key, cipher, nonce);
    for (plain, sealed) in full
        .as_chunks()
        .0
        .iter()
        .zip(full_sealed.chunks_exact_mut(SEALED_PACKAGE_BYTES))
    {
        sealer.seal(plain, sealed).expect("a full package");
    }
    sealer
        .seal_final(rest, rest_sealed)
        .expect("a last package of 1 to 65536 bytes");
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: u64) -> Sealer {
        let nonce = StreamNonce::from_bytes([0; 12]);
        Sealer {
            next,
            ..Sealer::new(&[1; 32], Cipher::Aes256Gcm, nonce)
        }
    }

    #[test]
    fn the_last_place_is_kept_for_the_final_package() {
        let plain = [0; PACKAGE_BYTES];
        let mut sealed = Box::new([0; SEALED_PACKAGE_BYTES]);
        let mut sealer = at(PACKAGES_MAX - 2);
        sealer.seal(&plain, &mut *sealed).unwrap();
        assert_eq!(
            sealer.seal(&plain, &mut *sealed),
            Err(SealError::StreamTooLong)
        );
        assert_eq!(
            sealer.seal_in_place(&mut sealed),
            Err(SealError::StreamTooLong)
        );
        sealer.seal_final(&[1], &mut [0; 33]).unwrap();
    }

    #[test]
    fn no_place_follows_the_last() {
        let mut sealed = [0; 33];
        assert_eq!(
            at(PACKAGES_MAX).seal_final(&[1], &mut sealed),
            Err(SealError::StreamTooLong)
        );
        assert_eq!(sealed, [0; 33]);
        assert_eq!(
            at(PACKAGES_MAX).seal_final_in_place(&mut sealed),
            Err(SealError::StreamTooLong)
        );
    }
}
