//! The record that lies beside every sealed object.
//!
//! It says how to get back to the object key, and its last field, the commitment, is an HMAC under that key over every
//! other field, the bucket and the raw key. Nothing of an object may be released before [`Envelope::open`] succeeded.
//! Byte by byte: `docs/formats/sealed-object.md` §3.

mod record;

pub(crate) use record::{put_data_key, take_data_key};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checksum::{ChecksumType, ObjectChecksum};
pub use crate::codec::DecodeError;
use crate::context::{Context, ContextError};
use crate::etag::EtagKeyId;
use crate::fingerprint::Fingerprint;
use crate::footer::{BodyKind, FooterError, Manifest};
use crate::geometry::{self, PLAIN_LENGTH_MAX};
use crate::hmac::{equal, hmac_prefixed};
use crate::object_key::{ExternalKey, SEALED_KEY_BYTES};
use crate::path::ObjectPath;
use crate::scheme::Scheme;
use crate::secret::ObjectKey;

/// Longest name of an external key: KES allows 80 bytes, Vault and cloud stores up to 255.
pub const KEY_NAME_BYTES_MAX: usize = 255;
/// Longest version of an external key; Vault's are small numbers.
pub const KEY_VERSION_BYTES_MAX: usize = 64;
/// Longest sealed data key: KES makes 76 bytes, cloud services a few hundred.
pub const SEALED_DATA_KEY_BYTES_MAX: usize = 2048;
/// Longest text in a fingerprint: a time has 35 bytes at most.
pub const FINGERPRINT_TEXT_BYTES_MAX: usize = 64;
/// Longest record: all fields at their limits, rounded up.
pub const ENVELOPE_BYTES_MAX: usize = 12 * 1024;
/// Fresh random bytes that [`Envelope::create`] takes: object key 32, IV 32, nonce 12, generation id 8.
pub const OBJECT_RANDOM_BYTES: usize = 84;
/// Fresh random bytes that [`Envelope::rewrap`] takes: IV 32, nonce 12.
pub const REWRAP_RANDOM_BYTES: usize = 44;
/// Fresh random bytes that [`Envelope::copy`] takes: IV 32, nonce 12, generation id 8.
pub const COPY_RANDOM_BYTES: usize = 52;

/// Identifies one sealing of an object: random, made with its object key, the upload's for a multipart object.
/// Kept when the object key is sealed anew in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenerationId(pub [u8; 8]);

/// How the body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By a multipart upload, or of a length that was not known before.
    Multipart,
    /// By one request of known length.
    Single {
        /// Bytes of plaintext.
        plain_length: u64,
    },
}

/// A data key as the KMS sealed it, and all that is needed to have it opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedDataKey {
    /// The external key's name: 1 to [`KEY_NAME_BYTES_MAX`] bytes.
    pub key_name: String,
    /// The external key's version, where the KMS needs it: 1 to [`KEY_VERSION_BYTES_MAX`] bytes.
    pub key_version: Option<String>,
    /// Identifies the external key's material.
    pub fingerprint: Option<Fingerprint>,
    /// What the KMS returned: 1 to [`SEALED_DATA_KEY_BYTES_MAX`] bytes.
    pub sealed: Vec<u8>,
    /// Whether the data key serves the whole bucket; see [`Context::for_bucket_key`].
    pub bucket_key: bool,
}

impl SealedDataKey {
    /// Checks the limits that the formats have for a sealed data key.
    ///
    /// # Errors
    /// A value is empty or over its limit.
    pub fn check(&self) -> Result<(), CreateError> {
        let within = |field, bytes: usize, most: usize| {
            let (bytes, most) = (bytes as u64, most as u64);
            if (1..=most).contains(&bytes) {
                Ok(())
            } else {
                Err(CreateError::OutOfBounds { field, bytes, most })
            }
        };
        within("the key name", self.key_name.len(), KEY_NAME_BYTES_MAX)?;
        if let Some(version) = &self.key_version {
            within("the key version", version.len(), KEY_VERSION_BYTES_MAX)?;
        }
        if let Some(Fingerprint::KesCreatedAt(time)) = &self.fingerprint {
            within("the fingerprint", time.len(), FINGERPRINT_TEXT_BYTES_MAX)?;
        }
        within(
            "the sealed data key",
            self.sealed.len(),
            SEALED_DATA_KEY_BYTES_MAX,
        )
    }
}

/// How the object key is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// By the client's key.
    SseC,
    /// By a data key of the KMS under a context that may have members of the client.
    SseKms {
        /// The sealed data key.
        data_key: SealedDataKey,
        /// The client's members, without those that we add.
        context: Context,
    },
    /// By a data key of the KMS.
    SseS3 {
        /// The sealed data key.
        data_key: SealedDataKey,
    },
}

impl Protection {
    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        match self {
            Self::SseC => Scheme::SseC,
            Self::SseKms { .. } => Scheme::SseKms,
            Self::SseS3 { .. } => Scheme::SseS3,
        }
    }

    /// The sealed data key; `None` for SSE-C.
    #[must_use]
    pub const fn data_key(&self) -> Option<&SealedDataKey> {
        match self {
            Self::SseC => None,
            Self::SseKms { data_key, .. } | Self::SseS3 { data_key } => Some(data_key),
        }
    }

    /// The client's members of the context; `None` if there can be none.
    #[must_use]
    pub const fn client_context(&self) -> Option<&Context> {
        match self {
            Self::SseKms { context, .. } => Some(context),
            Self::SseC | Self::SseS3 { .. } => None,
        }
    }

    /// The whole context that the data key is bound to; `None` for SSE-C.
    #[must_use]
    pub fn kms_context(&self, path: &ObjectPath<'_>) -> Option<Context> {
        let data_key = self.data_key()?;
        let none = Context::new();
        let client = self.client_context().unwrap_or(&none);
        Some(if data_key.bucket_key {
            Context::for_bucket_key(client, path.bucket())
        } else {
            Context::for_object(client, path)
        })
    }
}

/// What a new envelope is made for.
#[derive(Debug)]
pub struct NewEnvelope<'p> {
    /// Where the object will be.
    pub path: ObjectPath<'p>,
    /// How its body comes.
    pub kind: Kind,
    /// What protects its key.
    pub protection: Protection,
    /// The checksum of an empty plain PUT, whose body has no footer to keep it in.
    pub empty_checksum: Option<ObjectChecksum>,
    /// The key that the stored ETag is permuted with; `None` if the ETag is opaque.
    pub etag_key: Option<EtagKeyId>,
}

/// Why an envelope cannot be made. None of these is the data's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The client's context is over a limit or has a reserved member.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A checksum was given for an object that keeps it in its footer.
    #[error("only an empty plain object keeps its checksum, of the whole object, in the envelope")]
    ChecksumNotEmpty,
    /// A value is empty or over its limit.
    #[error("{field} has {bytes} bytes, it must have 1 to {most}")]
    OutOfBounds {
        /// The value.
        field: &'static str,
        /// Its length.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// The key is a client's and the scheme needs the KMS's, or the other way round.
    #[error("the key given is not of the kind that {scheme} needs")]
    SchemeMismatch {
        /// The scheme.
        scheme: Scheme,
    },
}

/// Why an envelope does not open. Nothing of the object may be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key is a client's and the scheme needs the KMS's, or the other way round.
    #[error("the key given is not of the kind that {scheme} needs")]
    SchemeMismatch {
        /// The scheme.
        scheme: Scheme,
    },
    /// The KMS opened the data key, or the object key opened, and yet the record does not hold together: it was
    /// changed, or belongs to another object.
    #[error("the envelope was changed, or belongs to another object")]
    Tampered,
    /// The object key does not open under the client's key. A changed record looks the same.
    #[error("the client's key is not the one that the object was sealed with")]
    WrongClientKey,
}

/// The record itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    kind: Kind,
    generation: GenerationId,
    etag_key: Option<EtagKeyId>,
    iv: [u8; 32],
    sealed_key: [u8; SEALED_KEY_BYTES],
    empty_checksum: Option<ObjectChecksum>,
    protection: Protection,
    commitment: [u8; 32],
}

impl Envelope {
    /// Makes an object key and seals it in a new envelope.
    ///
    /// # Errors
    /// The key does not fit the scheme, or a value is over its limit.
    pub fn create<'k>(
        new: NewEnvelope<'_>,
        key: impl Into<ExternalKey<'k>>,
        random: &[u8; OBJECT_RANDOM_BYTES],
    ) -> Result<(ObjectKey, Self), CreateError> {
        let key = key.into();
        let mut random = Drawn(random);
        let object_key = ObjectKey::generate(&key, &random.next());
        let (iv, nonce, generation) = (random.next(), random.next(), GenerationId(random.next()));
        let NewEnvelope {
            path,
            kind,
            protection,
            empty_checksum,
            etag_key,
        } = new;
        let unsealed = Self::unsealed(kind, generation, etag_key, empty_checksum, protection)?;
        let envelope = unsealed.sealed_at(&path, &object_key, &key, iv, nonce)?;
        Ok((object_key, envelope))
    }

    /// Seals the same object key under another external key, in place: body, ETag and generation id stay.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn rewrap<'k>(
        &self,
        object_key: &ObjectKey,
        path: &ObjectPath<'_>,
        protection: Protection,
        key: impl Into<ExternalKey<'k>>,
        random: &[u8; REWRAP_RANDOM_BYTES],
    ) -> Result<Self, CreateError> {
        let mut random = Drawn(random);
        let (iv, nonce) = (random.next(), random.next());
        let checksum = self.empty_checksum.clone();
        Self::unsealed(
            self.kind,
            self.generation,
            self.etag_key,
            checksum,
            protection,
        )?
        .sealed_at(path, object_key, &key.into(), iv, nonce)
    }

    /// Seals the same object key for a copy of the same sealed body at another place, with a generation id of its own.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn copy<'k>(
        &self,
        object_key: &ObjectKey,
        destination: &ObjectPath<'_>,
        protection: Protection,
        key: impl Into<ExternalKey<'k>>,
        etag_key: Option<EtagKeyId>,
        random: &[u8; COPY_RANDOM_BYTES],
    ) -> Result<Self, CreateError> {
        let mut random = Drawn(random);
        let (iv, nonce, generation) = (random.next(), random.next(), GenerationId(random.next()));
        let checksum = self.empty_checksum.clone();
        Self::unsealed(self.kind, generation, etag_key, checksum, protection)?.sealed_at(
            destination,
            object_key,
            &key.into(),
            iv,
            nonce,
        )
    }

    /// Opens the object key and checks the commitment: every field of the record, the bucket and the raw key.
    ///
    /// # Errors
    /// The key is not the right one, or the record is not what was written for this object.
    pub fn open<'k>(
        &self,
        path: &ObjectPath<'_>,
        key: impl Into<ExternalKey<'k>>,
    ) -> Result<ObjectKey, OpenError> {
        let (key, scheme) = (key.into(), self.scheme());
        if !key.fits(scheme) {
            return Err(OpenError::SchemeMismatch { scheme });
        }
        let object_key = ObjectKey::unseal(&self.sealed_key, &key, scheme, &self.iv, path)
            .map_err(|_| match key {
                ExternalKey::Client(_) => OpenError::WrongClientKey,
                ExternalKey::Data(_) => OpenError::Tampered,
            })?;
        if !equal(&self.commitment_under(&object_key, path), &self.commitment) {
            return Err(OpenError::Tampered);
        }
        Ok(object_key)
    }

    fn unsealed(
        kind: Kind,
        generation: GenerationId,
        etag_key: Option<EtagKeyId>,
        empty_checksum: Option<ObjectChecksum>,
        protection: Protection,
    ) -> Result<Self, CreateError> {
        let (iv, sealed_key, commitment) = ([0; 32], [0; SEALED_KEY_BYTES], [0; 32]);
        let envelope = Self {
            kind,
            generation,
            etag_key,
            iv,
            sealed_key,
            empty_checksum,
            protection,
            commitment,
        };
        envelope.check()?;
        Ok(envelope)
    }

    fn sealed_at(
        mut self,
        path: &ObjectPath<'_>,
        object_key: &ObjectKey,
        key: &ExternalKey<'_>,
        iv: [u8; 32],
        nonce: [u8; 12],
    ) -> Result<Self, CreateError> {
        let scheme = self.scheme();
        if !key.fits(scheme) {
            return Err(CreateError::SchemeMismatch { scheme });
        }
        self.iv = iv;
        self.sealed_key = object_key.seal(key, scheme, &iv, path, nonce);
        self.commitment = self.commitment_under(object_key, path);
        Ok(self)
    }

    /// `HMAC(CK, LP(record without this field) ‖ LP(bucket) ‖ LP(raw key))`.
    fn commitment_under(&self, object_key: &ObjectKey, path: &ObjectPath<'_>) -> [u8; 32] {
        let record = self.encode_uncommitted();
        let inputs = [&record, path.bucket().as_bytes(), path.key().as_bytes()];
        *hmac_prefixed(&*object_key.commitment_key(), b"", &inputs)
    }

    /// What holds for every envelope, made or read.
    fn check(&self) -> Result<(), CreateError> {
        if let Kind::Single { plain_length } = self.kind
            && plain_length > PLAIN_LENGTH_MAX
        {
            let (field, bytes, most) = ("the object", plain_length, PLAIN_LENGTH_MAX);
            return Err(CreateError::OutOfBounds { field, bytes, most });
        }
        if let Some(checksum) = &self.empty_checksum
            && (self.kind != Kind::Single { plain_length: 0 }
                || checksum.kind != ChecksumType::FullObject)
        {
            return Err(CreateError::ChecksumNotEmpty);
        }
        if let Some(data_key) = self.protection.data_key() {
            data_key.check()?;
        }
        if let Some(context) = self.protection.client_context() {
            context.check_client()?;
        }
        Ok(())
    }

    /// Reads the text form: strict, padded base64.
    ///
    /// # Errors
    /// [`DecodeError`]: never means that the object is plain.
    pub fn from_base64(text: &str) -> Result<Self, DecodeError> {
        let most = ENVELOPE_BYTES_MAX.div_ceil(3) * 4;
        if text.len() > most {
            return Err(DecodeError::TooLong {
                bytes: text.len(),
                most,
            });
        }
        let bytes = STANDARD.decode(text).map_err(|_| DecodeError::NotBase64)?;
        Self::decode(&bytes)
    }

    /// The text form.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.encode())
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.protection.scheme()
    }

    /// How the body came.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Which sealing this is.
    #[must_use]
    pub const fn generation(&self) -> GenerationId {
        self.generation
    }

    /// The key that the stored ETag is permuted with.
    #[must_use]
    pub const fn etag_key(&self) -> Option<EtagKeyId> {
        self.etag_key
    }

    /// The checksum of an empty plain object.
    #[must_use]
    pub const fn empty_checksum(&self) -> Option<&ObjectChecksum> {
        self.empty_checksum.as_ref()
    }

    /// How the object key is protected.
    #[must_use]
    pub const fn protection(&self) -> &Protection {
        &self.protection
    }

    /// The commitment. Nothing is proved by it being there: [`open`](Self::open) does that.
    #[must_use]
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// The context that the data key is bound to; `None` for SSE-C.
    #[must_use]
    pub fn kms_context(&self, path: &ObjectPath<'_>) -> Option<Context> {
        self.protection.kms_context(path)
    }

    /// Whether an open manifest is of an object of this envelope's kind and length.
    ///
    /// # Errors
    /// [`FooterError::Inconsistent`]: body and envelope do not belong together.
    pub fn check_manifest(&self, manifest: &Manifest) -> Result<(), FooterError> {
        let agrees = match self.kind {
            Kind::Multipart => manifest.kind() == BodyKind::Multipart,
            Kind::Single { plain_length } => {
                manifest.kind() == BodyKind::Single && manifest.plain_length() == plain_length
            }
        };
        if agrees {
            Ok(())
        } else {
            Err(FooterError::Inconsistent)
        }
    }

    /// How long the stored body of a plain PUT must be; `None` for a multipart object, whose footer says.
    #[must_use]
    pub fn stored_length(&self) -> Option<u64> {
        match self.kind {
            Kind::Multipart => None,
            Kind::Single { plain_length: 0 } => Some(0),
            Kind::Single { plain_length } => geometry::stored_length(plain_length).ok(),
        }
    }
}

/// Random bytes, handed out piece by piece.
struct Drawn<'r>(&'r [u8]);

impl Drawn<'_> {
    #[expect(
        clippy::expect_used,
        reason = "callers take arrays that hold all the pieces"
    )]
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("enough random bytes");
        self.0 = rest;
        *taken
    }
}

#[cfg(test)]
mod tests;
