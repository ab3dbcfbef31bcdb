//! Object keys: made from an external key, sealed under one, and what is derived from them.
//!
//! The derivations are MinIO's, bit for bit (`docs/formats/sealed-object.md` §2); the labels that start with
//! `strongroom/v1/` are ours.

use aws_lc_rs::digest;
use strongroom_dare::{Accept, Cipher, StreamNonce};
use zeroize::Zeroizing;

use crate::hmac::hmac;
use crate::path::ObjectPath;
use crate::scheme::Scheme;
use crate::secret::{ClientKey, DataKey, FooterKey, ObjectKey, PartKey};

/// Bytes of a sealed object key: one package of 32 bytes.
pub const SEALED_KEY_BYTES: usize = 64;
/// Most parts of an object, and so the highest part number: S3's limit.
pub const PART_NUMBER_MAX: u32 = 10_000;

const SEAL_ALGORITHM: &[u8] = b"DAREv2-HMAC-SHA256";
const GENERATION_LABEL: &[u8] = b"object-encryption-key generation";
const FOOTER_LABEL: &[u8] = b"strongroom/v1/footer";
const ENVELOPE_LABEL: &[u8] = b"strongroom/v1/envelope";
const ETAG_LABEL: &[u8] = b"SSE-etag";

/// The key that seals an object key: from the KMS, or from the client.
#[derive(Debug, Clone, Copy)]
pub enum ExternalKey<'k> {
    /// The client's key: SSE-C.
    Client(&'k ClientKey),
    /// A data key: SSE-S3 and SSE-KMS.
    Data(&'k DataKey),
}

impl<'k> From<&'k ClientKey> for ExternalKey<'k> {
    fn from(key: &'k ClientKey) -> Self {
        Self::Client(key)
    }
}

impl<'k> From<&'k DataKey> for ExternalKey<'k> {
    fn from(key: &'k DataKey) -> Self {
        Self::Data(key)
    }
}

impl ExternalKey<'_> {
    /// Whether a key of this kind is what the scheme seals with.
    #[must_use]
    pub const fn fits(&self, scheme: Scheme) -> bool {
        matches!(self, Self::Data(_)) == scheme.needs_kms()
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        match self {
            Self::Client(key) => key.expose(),
            Self::Data(key) => key.expose(),
        }
    }

    /// `HMAC(key, IV ‖ domain ‖ "DAREv2-HMAC-SHA256" ‖ cleaned path)`: the key that seals the object key (KEK).
    fn sealing_key(
        &self,
        scheme: Scheme,
        iv: &[u8; 32],
        path: &ObjectPath<'_>,
    ) -> Zeroizing<[u8; 32]> {
        let path = path.cleaned();
        let pieces: [&[u8]; 4] = [
            iv,
            scheme.domain().as_bytes(),
            SEAL_ALGORITHM,
            path.as_bytes(),
        ];
        hmac(self.bytes(), &pieces)
    }
}

/// The object key does not open under this key at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object key does not open under this key at this bucket and key")]
pub struct KeyMismatch;

impl ObjectKey {
    /// Makes an object key from the external key and 32 fresh random bytes.
    #[must_use]
    pub fn generate(external: &ExternalKey<'_>, random: &[u8; 32]) -> Self {
        Self::from(hmac(external.bytes(), &[GENERATION_LABEL, random]))
    }

    /// Seals the object key at its place, with a fresh nonce.
    #[must_use]
    pub fn seal(
        &self,
        external: &ExternalKey<'_>,
        scheme: Scheme,
        iv: &[u8; 32],
        path: &ObjectPath<'_>,
        nonce: [u8; 12],
    ) -> [u8; SEALED_KEY_BYTES] {
        let kek = external.sealing_key(scheme, iv, path);
        let nonce = StreamNonce::from_bytes(nonce);
        let sealed = strongroom_dare::seal_to_vec(&kek, Cipher::Aes256Gcm, nonce, self.expose());
        let mut out = [0; SEALED_KEY_BYTES];
        // 32 bytes of plaintext always seal to 64.
        out.copy_from_slice(&sealed);
        out
    }

    /// Opens a sealed object key.
    ///
    /// # Errors
    /// [`KeyMismatch`]: another key or place, or bytes that were changed; these cannot be told apart.
    pub fn unseal(
        sealed: &[u8; SEALED_KEY_BYTES],
        external: &ExternalKey<'_>,
        scheme: Scheme,
        iv: &[u8; 32],
        path: &ObjectPath<'_>,
    ) -> Result<Self, KeyMismatch> {
        let kek = external.sealing_key(scheme, iv, path);
        Self::open_under(&kek, Accept::V2Only, sealed)
    }

    /// Opens an object key that MinIO sealed by `DARE-SHA256`: early SSE-C objects, not bound to a place. Never
    /// written.
    ///
    /// # Errors
    /// [`KeyMismatch`] as for [`unseal`](Self::unseal).
    pub fn unseal_legacy(
        sealed: &[u8; SEALED_KEY_BYTES],
        external: &ClientKey,
        iv: &[u8; 32],
    ) -> Result<Self, KeyMismatch> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(external.expose());
        context.update(iv);
        let mut kek = Zeroizing::new([0; 32]);
        kek.copy_from_slice(context.finish().as_ref());
        Self::open_under(&kek, Accept::V1Only, sealed)
    }

    fn open_under(kek: &[u8; 32], accept: Accept, sealed: &[u8]) -> Result<Self, KeyMismatch> {
        let plain = strongroom_dare::open_to_vec(kek, accept, sealed).map_err(|_| KeyMismatch)?;
        Self::try_from_slice(&plain).map_err(|_| KeyMismatch)
    }

    /// The key of a part, `HMAC(OEK, LE32(number))`. A plain PUT is part 1.
    #[must_use]
    pub fn part_key(&self, number: u32) -> PartKey {
        PartKey::from(hmac(self.expose(), &[&number.to_le_bytes()]))
    }

    /// The key of the footer.
    #[must_use]
    pub fn footer_key(&self) -> FooterKey {
        FooterKey::from(hmac(self.expose(), &[FOOTER_LABEL]))
    }

    /// The key of the envelope's commitment.
    pub(crate) fn commitment_key(&self) -> Zeroizing<[u8; 32]> {
        hmac(self.expose(), &[ENVELOPE_LABEL])
    }

    /// The key that MinIO seals ETags under, `HMAC(OEK, "SSE-etag")`.
    #[must_use]
    pub fn upstream_etag_key(&self) -> Zeroizing<[u8; 32]> {
        hmac(self.expose(), &[ETAG_LABEL])
    }

    /// The key that MinIO seals a piece of metadata under, `HMAC(OEK, label)`: `object-checksum`,
    /// `compression-index` or `zip-enc`.
    #[must_use]
    pub fn upstream_metadata_key(&self, label: &str) -> Zeroizing<[u8; 32]> {
        hmac(self.expose(), &[label.as_bytes()])
    }
}

#[cfg(test)]
mod tests;
