//! External keys (EK): sealing small secrets under a master key and a context.
//!
//! One form is written; every form that upstream KES and MinIO's static key ever wrote is read. All of them are
//! described in `docs/formats/kes-ciphertext.md`.

mod forms;

use std::fmt;

use strongroom_dare::Accept;
use zeroize::Zeroizing;

use self::forms::{Form, Kdf};
use crate::aead::{self, Algorithm};
use crate::context::Context;
use crate::hmac::hmac;
use crate::secret::WrongKeyLength;

/// Random bytes that sealing needs: 16 of the derivation's IV, 12 of the nonce.
pub const RANDOM_BYTES: usize = 28;
/// What sealing adds: tag, IV and nonce.
pub const OVERHEAD_BYTES: usize = 44;
/// Length of a data key that MinIO sealed with its first master key (2018 to 2021).
const LEGACY_HEX_BYTES: usize = 64;

/// The cipher that a master key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MasterCipher {
    /// AES-256-GCM, subkeys by HMAC-SHA-256. Stored as type 1.
    Aes256,
    /// ChaCha20-Poly1305, subkeys by HChaCha20. Stored as type 2.
    ChaCha20,
}

/// The ciphertext was not made under this key and context, or was changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ciphertext is not authentic")]
pub struct NotAuthentic;

/// A master key: 32 bytes and the cipher they are for.
pub struct MasterKey {
    cipher: MasterCipher,
    bytes: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// Takes the key's bytes. The caller's copy is the caller's to zero.
    #[must_use]
    pub fn from_bytes(cipher: MasterCipher, bytes: [u8; 32]) -> Self {
        Self {
            cipher,
            bytes: Zeroizing::new(bytes),
        }
    }

    /// Takes the key's bytes from a slice.
    ///
    /// # Errors
    /// The slice has not exactly 32 bytes.
    pub fn try_from_slice(cipher: MasterCipher, bytes: &[u8]) -> Result<Self, WrongKeyLength> {
        let mut key = Self {
            cipher,
            bytes: Zeroizing::new([0; 32]),
        };
        if bytes.len() != key.bytes.len() {
            return Err(WrongKeyLength { bytes: bytes.len() });
        }
        key.bytes.copy_from_slice(bytes);
        Ok(key)
    }

    /// The cipher that [`seal`](Self::seal) uses.
    #[must_use]
    pub const fn cipher(&self) -> MasterCipher {
        self.cipher
    }

    /// The bytes of the key. Every call is worth a look in review.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// `HMAC-SHA-256(key, message)`: what MinIO's static key answers to a MAC request.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        *hmac(self.expose(), &[message])
    }

    /// Seals `plaintext` under the key and `context`: 44 bytes longer, no header.
    ///
    /// `random` must be fresh. The context is authenticated as it is and not stored.
    #[must_use]
    pub fn seal(&self, plaintext: &[u8], context: &[u8], random: [u8; RANDOM_BYTES]) -> Vec<u8> {
        let (iv, nonce) = split_random(&random);
        let (algorithm, kdf) = match self.cipher {
            MasterCipher::Aes256 => (Algorithm::Aes256Gcm, Kdf::Hmac),
            MasterCipher::ChaCha20 => (Algorithm::ChaCha20Poly1305, Kdf::HChaCha20),
        };
        let subkey = kdf.subkey(self.expose(), iv);
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(plaintext);
        let tag = aead::seal_in_place(algorithm, &subkey, *nonce, context, &mut sealed);
        sealed.extend_from_slice(&tag);
        sealed.extend_from_slice(&random);
        sealed
    }

    /// Opens what [`seal`](Self::seal), upstream KES of any age or MinIO's static key made.
    ///
    /// # Errors
    /// [`NotAuthentic`] whatever the reason: no form has a part that could be damaged harmlessly.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        match Form::parse(sealed) {
            // A header names its algorithm, and it wins over the key's type: keys stored without one are
            // taken for AES256, though machines without AES instructions sealed with ChaCha20 under them.
            Some(form) => {
                let subkey = form.kdf.subkey(self.expose(), &form.iv);
                aead::open(form.algorithm, &subkey, form.nonce, context, &form.sealed)
            }
            None => self.open_bare(sealed, context),
        }
        .ok_or(NotAuthentic)
    }

    fn open_bare(&self, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (sealed, random) = sealed.split_last_chunk::<RANDOM_BYTES>()?;
        let (iv, nonce) = split_random(random);
        let (algorithm, kdf) = match self.cipher {
            MasterCipher::Aes256 => (Algorithm::Aes256Gcm, Kdf::Hmac),
            MasterCipher::ChaCha20 => (Algorithm::ChaCha20Poly1305, Kdf::HChaCha20),
        };
        aead::open(
            algorithm,
            &kdf.subkey(self.expose(), iv),
            *nonce,
            context,
            sealed,
        )
    }

    /// Whether `sealed` has the shape of a data key that MinIO sealed under its first, hexadecimal master key.
    ///
    /// A current ciphertext of a data key has 76 bytes, so the two cannot be confused.
    #[must_use]
    pub fn is_legacy_hex(sealed: &[u8]) -> bool {
        sealed.len() == LEGACY_HEX_BYTES && sealed.first() == Some(&0x20)
    }

    /// Opens a data key that MinIO sealed under its first, hexadecimal master key (2018 to 2021). Never written.
    ///
    /// `key_name` is the name that the object recorded, whatever the key is called now.
    ///
    /// # Errors
    /// [`NotAuthentic`] whatever the reason.
    pub fn open_legacy_hex(
        &self,
        sealed: &[u8],
        key_name: &str,
        context: &Context,
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        if !Self::is_legacy_hex(sealed) {
            return Err(NotAuthentic);
        }
        let unescaped = context.unescaped();
        let wrapping = hmac(self.expose(), &[key_name.as_bytes(), unescaped.as_bytes()]);
        strongroom_dare::open_to_vec(&wrapping, Accept::V2Only, sealed).map_err(|_| NotAuthentic)
    }
}

fn split_random(random: &[u8; RANDOM_BYTES]) -> (&[u8; 16], &[u8; 12]) {
    const { assert!(RANDOM_BYTES == 16 + aead::NONCE_BYTES) }
    const { assert!(OVERHEAD_BYTES == RANDOM_BYTES + aead::TAG_BYTES) }
    let (iv, nonce) = random.split_at(16);
    // Lengths are fixed by the types above; the fallbacks are unreachable.
    (
        iv.first_chunk().unwrap_or(&[0; 16]),
        nonce.first_chunk().unwrap_or(&[0; 12]),
    )
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?}, secret)", self.cipher)
    }
}
