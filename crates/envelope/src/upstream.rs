//! Objects as MinIO stores them: its metadata entries, read into one typed record.
//!
//! The only file that knows their names. What looks encrypted and does not parse is an error, never a plain object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_dare::Accept;

use crate::context::Context;
use crate::object_key::{ExternalKey, KeyMismatch, SEALED_KEY_BYTES};
use crate::path::ObjectPath;
use crate::scheme::Scheme;
use crate::secret::{ObjectKey, PartKey};

const IV: &str = "x-minio-internal-server-side-encryption-iv";
const ALGORITHM: &str = "x-minio-internal-server-side-encryption-seal-algorithm";
const SEALED_KEY_C: &str = "x-minio-internal-server-side-encryption-sealed-key";
const SEALED_KEY_S3: &str = "x-minio-internal-server-side-encryption-s3-sealed-key";
const SEALED_KEY_KMS: &str = "x-minio-internal-server-side-encryption-kms-sealed-key";
const KEY_NAME: &str = "x-minio-internal-server-side-encryption-s3-kms-key-id";
const DATA_KEY: &str = "x-minio-internal-server-side-encryption-s3-kms-sealed-key";
const CONTEXT: &str = "x-minio-internal-server-side-encryption-context";
const MULTIPART: &str = "x-minio-internal-encrypted-multipart";
const ACTUAL_SIZE: &str = "x-minio-internal-actual-size";
const ETAG: &str = "etag";

/// Longest text of an entry that is read: the context is the longest, within S3's 8 KiB of headers.
const ENTRY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a sealed ETag: one package of 16 bytes.
const SEALED_ETAG_BYTES: usize = 48;

/// The entries look encrypted and are not as MinIO writes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored encryption metadata is damaged: {reason}")]
pub struct MetadataDamage {
    /// What is wrong.
    pub reason: &'static str,
}

/// How the object key was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealAlgorithm {
    /// `DAREv2-HMAC-SHA256`: bound to bucket and key.
    DareV2HmacSha256,
    /// `DARE-SHA256`: early SSE-C objects.
    DareSha256,
}

/// The encryption of an object that MinIO stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRecord {
    scheme: Scheme,
    algorithm: SealAlgorithm,
    iv: [u8; 32],
    sealed_key: [u8; SEALED_KEY_BYTES],
    data_key: Option<(String, Vec<u8>)>,
    client_context: Context,
    multipart: bool,
    actual_size: Option<u64>,
    etag: Option<String>,
}

impl UpstreamRecord {
    /// Reads an object's metadata entries; `None` if none of them is about encryption, so that the object is plain.
    ///
    /// # Errors
    /// [`MetadataDamage`]: the object is encrypted, and cannot be read.
    pub fn parse<'m>(
        entries: impl IntoIterator<Item = (&'m str, &'m str)>,
    ) -> Result<Option<Self>, MetadataDamage> {
        let entries = Entries::collect(entries)?;
        let (scheme, sealed_key) = match &entries {
            Entries {
                sealed_key_kms: Some(key),
                ..
            } => (Scheme::SseKms, key),
            Entries {
                sealed_key_s3: Some(key),
                ..
            } => (Scheme::SseS3, key),
            Entries {
                sealed_key_c: Some(key),
                ..
            } => (Scheme::SseC, key),
            entries if entries.look_encrypted() => return damage("there is no sealed object key"),
            _ => return Ok(None),
        };
        let algorithm = match (entries.algorithm, scheme) {
            (Some("DAREv2-HMAC-SHA256"), _) => SealAlgorithm::DareV2HmacSha256,
            (Some("DARE-SHA256"), Scheme::SseC) => SealAlgorithm::DareSha256,
            _ => return damage("the seal algorithm is missing or unknown"),
        };
        let data_key = match (entries.key_name, entries.data_key) {
            (Some(name), Some(sealed)) => Some((name.to_owned(), base64(sealed)?)),
            (None, None) => None,
            _ => return damage("key name and sealed data key must be there both or neither"),
        };
        if scheme.needs_kms() && data_key.is_none() {
            return damage("the sealed data key is missing");
        }
        let client_context = match entries.context {
            None => Context::new(),
            Some(text) => Context::parse_json(&base64(text)?)
                .or_else(|_| damage("the context is not a JSON object of strings"))?,
        };
        let actual_size = match entries.actual_size {
            None => None,
            Some(text) => Some(
                text.parse()
                    .or_else(|_| damage("the actual size is no number"))?,
            ),
        };
        Ok(Some(Self {
            scheme,
            algorithm,
            iv: fixed(entries.iv.unwrap_or(""), "the IV has not 32 bytes")?,
            sealed_key: fixed(sealed_key, "the sealed object key has not 64 bytes")?,
            data_key,
            client_context,
            multipart: entries.multipart,
            actual_size,
            etag: entries.etag.map(str::to_owned),
        }))
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name of the external key and the sealed data key, of SSE-S3 and SSE-KMS.
    #[must_use]
    pub fn data_key(&self) -> Option<(&str, &[u8])> {
        self.data_key
            .as_ref()
            .map(|(name, sealed)| (name.as_str(), sealed.as_slice()))
    }

    /// The context that the data key is bound to. If the KMS says that it is not authentic, and the two texts differ,
    /// [`Context::unescaped`] is worth one more try.
    #[must_use]
    pub fn kms_context(&self, path: &ObjectPath<'_>) -> Context {
        Context::for_object(&self.client_context, path)
    }

    /// Whether the body is a sequence of streams, one for each part.
    #[must_use]
    pub const fn is_multipart(&self) -> bool {
        self.multipart
    }

    /// Plaintext bytes, where it was recorded. Not authenticated.
    #[must_use]
    pub const fn actual_size(&self) -> Option<u64> {
        self.actual_size
    }

    /// Opens the object key.
    ///
    /// # Errors
    /// [`KeyMismatch`]: another key or place, or entries that were changed.
    pub fn unseal<'k>(
        &self,
        path: &ObjectPath<'_>,
        key: impl Into<ExternalKey<'k>>,
    ) -> Result<ObjectKey, KeyMismatch> {
        let key = key.into();
        match (self.algorithm, &key) {
            (SealAlgorithm::DareV2HmacSha256, key) if key.fits(self.scheme) => {
                ObjectKey::unseal(&self.sealed_key, key, self.scheme, &self.iv, path)
            }
            (SealAlgorithm::DareSha256, ExternalKey::Client(key)) => {
                ObjectKey::unseal_legacy(&self.sealed_key, key, &self.iv)
            }
            _ => Err(KeyMismatch),
        }
    }

    /// The key of the body's stream: of a part of that number, or of a plain PUT, which MinIO seals under the object
    /// key itself.
    #[must_use]
    pub fn content_key(&self, object_key: &ObjectKey, part_number: u32) -> PartKey {
        if self.multipart {
            object_key.part_key(part_number)
        } else {
            PartKey::from_bytes(*object_key.expose())
        }
    }

    /// The ETag that clients see: of a plain PUT it is sealed, of a multipart object it is stored in clear.
    ///
    /// # Errors
    /// [`KeyMismatch`]: it is sealed and does not open.
    pub fn etag(&self, object_key: &ObjectKey) -> Result<Option<String>, KeyMismatch> {
        let Some(etag) = self.etag.as_deref().filter(|etag| !etag.is_empty()) else {
            return Ok(None);
        };
        match hex::decode(etag) {
            Ok(sealed) if sealed.len() == SEALED_ETAG_BYTES => {
                let key = object_key.upstream_etag_key();
                let md5 = strongroom_dare::open_to_vec(&key, Accept::V2Only, &sealed);
                md5.map(|md5| Some(hex::encode(&*md5)))
                    .map_err(|_| KeyMismatch)
            }
            _ => Ok(Some(etag.to_owned())),
        }
    }
}

/// The entries that matter, by name.
#[derive(Default)]
struct Entries<'m> {
    iv: Option<&'m str>,
    algorithm: Option<&'m str>,
    sealed_key_c: Option<&'m str>,
    sealed_key_s3: Option<&'m str>,
    sealed_key_kms: Option<&'m str>,
    key_name: Option<&'m str>,
    data_key: Option<&'m str>,
    context: Option<&'m str>,
    multipart: bool,
    actual_size: Option<&'m str>,
    etag: Option<&'m str>,
}

impl<'m> Entries<'m> {
    fn collect(
        entries: impl IntoIterator<Item = (&'m str, &'m str)>,
    ) -> Result<Self, MetadataDamage> {
        let mut found = Self::default();
        for (name, value) in entries {
            let slot = match name.to_ascii_lowercase().as_str() {
                IV => &mut found.iv,
                ALGORITHM => &mut found.algorithm,
                SEALED_KEY_C => &mut found.sealed_key_c,
                SEALED_KEY_S3 => &mut found.sealed_key_s3,
                SEALED_KEY_KMS => &mut found.sealed_key_kms,
                KEY_NAME => &mut found.key_name,
                DATA_KEY => &mut found.data_key,
                CONTEXT => &mut found.context,
                ACTUAL_SIZE => &mut found.actual_size,
                ETAG => &mut found.etag,
                // Its value is empty: that it is there counts.
                MULTIPART => {
                    found.multipart = true;
                    continue;
                }
                _ => continue,
            };
            if value.len() > ENTRY_BYTES_MAX {
                return damage("an entry is too long");
            }
            if slot.replace(value).is_some() {
                return damage("an entry stands twice");
            }
        }
        Ok(found)
    }

    /// Entries that only an encrypted object has.
    const fn look_encrypted(&self) -> bool {
        self.multipart
            || self.iv.is_some()
            || self.algorithm.is_some()
            || self.key_name.is_some()
            || self.data_key.is_some()
            || self.context.is_some()
    }
}

const fn damage<T>(reason: &'static str) -> Result<T, MetadataDamage> {
    Err(MetadataDamage { reason })
}

fn base64(text: &str) -> Result<Vec<u8>, MetadataDamage> {
    STANDARD
        .decode(text)
        .or_else(|_| damage("an entry is not valid base64"))
}

fn fixed<const N: usize>(text: &str, reason: &'static str) -> Result<[u8; N], MetadataDamage> {
    base64(text)?.try_into().or_else(|_| damage(reason))
}

#[cfg(test)]
mod tests;
