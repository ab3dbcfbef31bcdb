//! The two ciphers of the format, over AWS-LC.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;

use crate::package::{AAD_BYTES, NONCE_BYTES, TAG_BYTES};

/// An authenticated cipher with a 32-byte key, a 12-byte nonce and a 16-byte tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// AES-256-GCM (NIST SP 800-38D). The faster one wherever the processor has AES instructions.
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
}

impl Cipher {
    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::Aes256Gcm => 0x00,
            Self::ChaCha20Poly1305 => 0x01,
        }
    }

    pub(crate) const fn from_id(id: u8) -> Option<Self> {
        match id {
            0x00 => Some(Self::Aes256Gcm),
            0x01 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }
}

/// A cipher with its expanded key. AWS-LC zeroes the key schedule when it is dropped.
///
/// Callers never give the same nonce twice to a sealing call: `Sealer` counts.
pub(crate) struct CipherKey {
    key: LessSafeKey,
    cipher: Cipher,
}

impl CipherKey {
    #[expect(
        clippy::expect_used,
        reason = "only a key of another length or a failed allocation"
    )]
    pub(crate) fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        let algorithm = match cipher {
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).expect("both ciphers take a 32-byte key");
        Self {
            key: LessSafeKey::new(key),
            cipher,
        }
    }

    pub(crate) const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Seals straight from `plain` into `out`: a copy first would cost a sixth of the speed.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: [u8; AAD_BYTES],
        plain: &[u8],
        out: &mut [u8],
        tag: &mut [u8; TAG_BYTES],
    ) -> Result<(), Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_out_of_place_scatter(nonce, Aad::from(aad), plain, out, &[], tag)
    }

    pub(crate) fn seal_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: [u8; AAD_BYTES],
        in_out: &mut [u8],
        tag: &mut [u8; TAG_BYTES],
    ) -> Result<(), Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let computed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), in_out)?;
        tag.copy_from_slice(computed.as_ref());
        Ok(())
    }

    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: [u8; AAD_BYTES],
        sealed: &[u8],
        tag: &[u8],
        plain: &mut [u8],
    ) -> Result<(), Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .open_separate_gather(nonce, Aad::from(aad), sealed, tag, plain)
    }

    pub(crate) fn open_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: [u8; AAD_BYTES],
        in_out: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .open_in_place_separate_tag(nonce, Aad::from(aad), tag, in_out)
            .map(|_| ())
    }
}

impl fmt::Debug for CipherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CipherKey")
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}
