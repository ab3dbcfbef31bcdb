//! Bodies of the key routes.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::{DeserializeSeed as _, MapAccess};
use zeroize::Zeroizing;

use super::json::{self, BodyError, FromJson, Members, Objects, ToJson};
use crate::error::KesError;
use crate::secret::Secret;

/// Most ciphertexts in one bulk decryption.
pub const BULK_DECRYPT_MAX: usize = 1000;

/// What a key encrypts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// AES-256-GCM under a key derived with HMAC-SHA-256.
    Aes256,
    /// ChaCha20-Poly1305 under a key derived with HChaCha20.
    ChaCha20,
}

impl Algorithm {
    /// The name in answers: clients refuse every other.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::ChaCha20 => "ChaCha20",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Nobody knows the algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("algorithm '{given}' is not supported")]
pub struct UnknownAlgorithm {
    /// The refused name.
    pub given: String,
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Knows the names of 2022 too.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        match name {
            "AES256" | "AES256-GCM_SHA256" => Ok(Self::Aes256),
            "ChaCha20" | "XCHACHA20-POLY1305" => Ok(Self::ChaCha20),
            _ => Err(UnknownAlgorithm {
                given: name.to_owned(),
            }),
        }
    }
}

macro_rules! writes_json {
    ($($name:ty),* $(,)?) => {
        $(impl ToJson for $name {
            fn to_json(&self) -> Zeroizing<Vec<u8>> {
                json::wiped_json_line(self)
            }
        })*
    };
}
pub(super) use writes_json;

/// `import`: key material from elsewhere.
#[derive(Debug, Default, Serialize)]
pub struct ImportKeyRequest {
    /// The key; [`ImportKeyRequest::into_checked`] wants 32 bytes.
    #[serde(serialize_with = "json::write_secret")]
    pub key: Secret,
    /// The algorithm as sent.
    pub cipher: String,
    /// The body had the form of 2022 and before, which needed no algorithm.
    #[serde(skip)]
    is_old_form: bool,
}

impl ImportKeyRequest {
    /// A request in today's form.
    #[must_use]
    pub fn new(key: Secret, algorithm: Algorithm) -> Self {
        Self {
            key,
            cipher: algorithm.as_str().to_owned(),
            is_old_form: false,
        }
    }

    /// The algorithm and the 32 bytes.
    ///
    /// # Errors
    /// The [`KesError`] (406) to answer.
    pub fn into_checked(self) -> Result<(Algorithm, Zeroizing<[u8; 32]>), KesError> {
        let name = match self.cipher.as_str() {
            "" if self.is_old_form => Algorithm::Aes256.as_str(),
            name => name,
        };
        let algorithm = name
            .parse()
            .map_err(|_| KesError::unsupported_algorithm(name))?;
        let mut key = Zeroizing::new([0; 32]);
        if self.key.len() != key.len() {
            return Err(KesError::invalid_key_size(name));
        }
        key.copy_from_slice(self.key.expose());
        Ok((algorithm, key))
    }
}

impl Members for ImportKeyRequest {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "key" => self.key = json::secret(map)?,
            "bytes" => {
                self.key = json::secret(map)?;
                self.is_old_form = true;
            }
            "cipher" | "algorithm" => self.cipher = json::text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `describe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// The key.
    pub name: String,
    /// Left out when unknown.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_algorithm"
    )]
    pub algorithm: Option<Algorithm>,
    /// `None` is sent as the zero time.
    #[serde(serialize_with = "json::write_time")]
    pub created_at: Option<Timestamp>,
    /// Identity of the creator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn write_algorithm<S: serde::Serializer>(
    algorithm: &Option<Algorithm>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(algorithm.map_or("", Algorithm::as_str))
}

impl Members for KeyInfo {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "name" => self.name = json::text(map)?,
            "algorithm" => {
                self.algorithm = json::optional_text(map)?
                    .map(|name| name.parse())
                    .transpose()
                    .map_err(serde::de::Error::custom)?;
            }
            "created_at" => self.created_at = json::time(map)?,
            "created_by" => self.created_by = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `generate`. A request with Content-Length 0 means the empty context; one of unknown length that turns out empty is
/// an error, since a client whose body got lost must not receive a key bound to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GenerateRequest {
    /// Associated data, opaque.
    #[serde(
        serialize_with = "json::write_bytes",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub context: Vec<u8>,
}

impl Members for GenerateRequest {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "context" => self.context = json::bytes(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A data key, plain and encrypted.
#[derive(Debug, Default, Serialize)]
pub struct GenerateResponse {
    /// The data key.
    #[serde(serialize_with = "json::write_secret")]
    pub plaintext: Secret,
    /// The data key under the named key.
    #[serde(serialize_with = "json::write_bytes")]
    pub ciphertext: Vec<u8>,
    /// Version of the key; KES has none, other servers of this API may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Members for GenerateResponse {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "plaintext" => self.plaintext = json::secret(map)?,
            "ciphertext" => self.ciphertext = json::bytes(map)?,
            "version" => self.version = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `encrypt`.
#[derive(Debug, Default, Serialize)]
pub struct EncryptRequest {
    /// The message.
    #[serde(serialize_with = "json::write_secret")]
    pub plaintext: Secret,
    /// Associated data, opaque.
    #[serde(
        serialize_with = "json::write_bytes",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub context: Vec<u8>,
}

impl Members for EncryptRequest {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "plaintext" => self.plaintext = json::secret(map)?,
            "context" => self.context = json::bytes(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Answer to `encrypt`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EncryptResponse {
    /// The message under the named key.
    #[serde(serialize_with = "json::write_bytes")]
    pub ciphertext: Vec<u8>,
}

impl Members for EncryptResponse {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "ciphertext" => self.ciphertext = json::bytes(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `decrypt`, and one entry of a bulk decryption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DecryptRequest {
    /// A ciphertext of any age.
    #[serde(serialize_with = "json::write_bytes")]
    pub ciphertext: Vec<u8>,
    /// Associated data, opaque.
    #[serde(
        serialize_with = "json::write_bytes",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub context: Vec<u8>,
    /// Accepted, and without meaning to KES.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Members for DecryptRequest {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "ciphertext" => self.ciphertext = json::bytes(map)?,
            "context" => self.context = json::bytes(map)?,
            "version" => self.version = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Answer to `decrypt`, and one entry of the answer to a bulk decryption.
#[derive(Debug, Default, Serialize)]
pub struct DecryptResponse {
    /// The message.
    #[serde(serialize_with = "json::write_secret")]
    pub plaintext: Secret,
}

impl Members for DecryptResponse {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "plaintext" => self.plaintext = json::secret(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `bulk/decrypt`: at most [`BULK_DECRYPT_MAX`] ciphertexts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BulkDecryptRequest {
    /// To decrypt in this order.
    pub entries: Vec<DecryptRequest>,
}

impl FromJson for BulkDecryptRequest {
    fn from_json(body: &[u8]) -> Result<Self, BodyError> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let objects = Objects {
            max: BULK_DECRYPT_MAX,
            of: PhantomData,
        };
        match objects.deserialize(&mut reader) {
            Ok(entries) => Ok(Self { entries }),
            Err(error) if error.to_string().starts_with(json::TOO_MANY) => {
                Err(BodyError::TooMany {
                    max: BULK_DECRYPT_MAX,
                })
            }
            Err(error) => Err(BodyError::Json(error)),
        }
    }
}

/// Answer to `bulk/decrypt`, in the order of the request.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct BulkDecryptResponse {
    /// The messages.
    pub entries: Vec<DecryptResponse>,
}

impl FromJson for BulkDecryptResponse {
    fn from_json(body: &[u8]) -> Result<Self, BodyError> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let objects = Objects {
            max: BULK_DECRYPT_MAX,
            of: PhantomData,
        };
        objects
            .deserialize(&mut reader)
            .map(|entries| Self { entries })
            .map_err(BodyError::Json)
    }
}

/// `hmac`.
#[derive(Debug, Default, Serialize)]
pub struct HmacRequest {
    /// The message: what is derived from it may be a credential.
    #[serde(serialize_with = "json::write_secret")]
    pub message: Secret,
}

impl Members for HmacRequest {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "message" => self.message = json::secret(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Answer to `hmac`. MinIO derives root credentials from it, so it is a secret.
#[derive(Debug, Default, Serialize)]
pub struct HmacResponse {
    /// HMAC-SHA-256, 32 bytes.
    #[serde(serialize_with = "json::write_secret")]
    pub hmac: Secret,
}

impl Members for HmacResponse {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "hmac" => self.hmac = json::secret(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl ToJson for GenerateResponse {
    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        if self.version.is_some() {
            return json::wiped_json_line(self);
        }
        json::wiped_base64_line(&[
            ("plaintext", self.plaintext.expose()),
            ("ciphertext", &self.ciphertext),
        ])
    }
}

impl ToJson for EncryptResponse {
    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        json::wiped_base64_line(&[("ciphertext", &self.ciphertext)])
    }
}

impl ToJson for DecryptResponse {
    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        json::wiped_base64_line(&[("plaintext", self.plaintext.expose())])
    }
}

writes_json!(
    ImportKeyRequest,
    KeyInfo,
    GenerateRequest,
    EncryptRequest,
    DecryptRequest,
    BulkDecryptRequest,
    BulkDecryptResponse,
    HmacRequest,
    HmacResponse,
);
