//! One key, held in memory.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_envelope::master::RANDOM_BYTES;
use strongroom_envelope::{Context, DataKey, MasterCipher, MasterKey, is_publicly_known};
use zeroize::Zeroizing;

use crate::{EndpointStatus, KeyInfo, Kms, KmsError, NewDataKey};

/// Longest key name in bytes: it is stored with every object.
const NAME_BYTES_MAX: usize = 80;

/// Where random bytes come from. Fills the slice or fails; an error is a sentence.
pub type Entropy = Arc<dyn Fn(&mut [u8]) -> Result<(), String> + Send + Sync>;

/// What is wrong with a key that an operator gave. Never shows the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StaticKeyError {
    /// There is no colon, or nothing before it.
    #[error("it is not of the form <name>:<key>")]
    NoName,
    /// The name is too long or has characters that a header cannot carry.
    #[error("its name must be at most {NAME_BYTES_MAX} printable ASCII characters without spaces")]
    BadName,
    /// The key is not in the encoding that this form has.
    #[error("its key is not {expected}")]
    BadEncoding {
        /// The encoding in words.
        expected: &'static str,
    },
    /// The key has not 32 bytes.
    #[error("its key has {bytes} bytes, 32 are needed")]
    BadLength {
        /// What was given.
        bytes: usize,
    },
    /// Everybody knows this key.
    #[error("its key is a published sample that everybody knows, so it protects nothing")]
    PubliclyKnown,
}

/// A named key, as an operator writes it.
#[derive(Debug)]
pub struct NamedKey {
    name: String,
    key: MasterKey,
    /// Opens data keys that MinIO sealed with its first master key format (2018 to 2021).
    opens_legacy: bool,
}

impl NamedKey {
    /// Reads `<name>:<base64 of 32 bytes>`, the form of `MINIO_KMS_SECRET_KEY`.
    ///
    /// # Errors
    /// It is not that, or the key is publicly known and `allow_public` is not set.
    pub fn parse_base64(text: &str, allow_public: bool) -> Result<Self, StaticKeyError> {
        Self::parse(text, false, allow_public, "standard base64", |key| {
            STANDARD.decode(key).ok().map(Zeroizing::new)
        })
    }

    /// Reads `<name>:<64 hex digits>`, the form of `MINIO_SSE_MASTER_KEY`.
    ///
    /// # Errors
    /// As [`parse_base64`](Self::parse_base64).
    pub fn parse_hex(text: &str, allow_public: bool) -> Result<Self, StaticKeyError> {
        Self::parse(text, true, allow_public, "hexadecimal", |key| {
            hex::decode(key).ok().map(Zeroizing::new)
        })
    }

    fn parse(
        text: &str,
        opens_legacy: bool,
        allow_public: bool,
        expected: &'static str,
        decode: impl Fn(&str) -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, StaticKeyError> {
        let (name, key) = text.split_once(':').ok_or(StaticKeyError::NoName)?;
        if name.is_empty() {
            return Err(StaticKeyError::NoName);
        }
        if name.len() > NAME_BYTES_MAX || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(StaticKeyError::BadName);
        }
        let bytes = decode(key).ok_or(StaticKeyError::BadEncoding { expected })?;
        let key = MasterKey::try_from_slice(MasterCipher::Aes256, &bytes)
            .map_err(|wrong| StaticKeyError::BadLength { bytes: wrong.bytes })?;
        if !allow_public && is_publicly_known(key.expose()) {
            return Err(StaticKeyError::PubliclyKnown);
        }
        Ok(Self {
            name: name.to_owned(),
            key,
            opens_legacy,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A KMS that is one key in memory, and perhaps an older one that only opens.
///
/// Data keys are sealed in the form that MinIO and KES use now (`docs/formats/kes-ciphertext.md`); all older
/// forms open.
pub struct StaticKey {
    current: NamedKey,
    old: Option<NamedKey>,
    entropy: Entropy,
}

impl StaticKey {
    /// Seals under `current`; what `old` sealed still opens.
    #[must_use]
    pub fn new(current: NamedKey, old: Option<NamedKey>, entropy: Entropy) -> Self {
        Self {
            current,
            old,
            entropy,
        }
    }

    fn current_if_named(&self, key: &str) -> Result<&NamedKey, KmsError> {
        if key == self.current.name {
            Ok(&self.current)
        } else {
            Err(KmsError::KeyNotFound {
                key: key.to_owned(),
            })
        }
    }

    fn random<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, KmsError> {
        let mut bytes = Zeroizing::new([0; N]);
        (self.entropy)(bytes.as_mut_slice()).map_err(|message| KmsError::Unavailable {
            key: Some(self.current.name.clone()),
            message: format!("no random bytes: {message}"),
            source: None,
        })?;
        Ok(bytes)
    }

    fn keys(&self) -> impl Iterator<Item = &NamedKey> {
        std::iter::once(&self.current).chain(&self.old)
    }

    /// The first format was bound to the name that the object recorded, and nobody compared that name with
    /// the configured one: whatever it is, it is only an input here.
    fn open_legacy(&self, key: &str, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if !MasterKey::is_legacy_hex(sealed) {
            return None;
        }
        let context = Context::parse_json(context).ok()?;
        self.keys()
            .filter(|known| known.opens_legacy)
            .find_map(|known| known.key.open_legacy_hex(sealed, key, &context).ok())
    }
}

#[async_trait]
impl Kms for StaticKey {
    async fn new_data_key(
        &self,
        key: Option<&str>,
        context: &[u8],
    ) -> Result<NewDataKey, KmsError> {
        let known = self.current_if_named(key.unwrap_or(&self.current.name))?;
        let plaintext = DataKey::from(self.random()?);
        let sealed = known
            .key
            .seal(plaintext.expose(), context, *self.random::<RANDOM_BYTES>()?);
        Ok(NewDataKey {
            key_name: known.name.clone(),
            key_version: None,
            plaintext,
            sealed,
            fingerprint: Some(known.key.fingerprint()),
        })
    }

    async fn open_data_key(
        &self,
        key: &str,
        _version: Option<&str>,
        sealed: &[u8],
        context: &[u8],
    ) -> Result<DataKey, KmsError> {
        let mut is_known = false;
        let mut opened = None;
        for known in self.keys().filter(|known| known.name == key) {
            is_known = true;
            opened = opened.or_else(|| known.key.open(sealed, context).ok());
        }
        let opened = opened.or_else(|| self.open_legacy(key, sealed, context));
        match opened
            .as_deref()
            .map(|bytes| DataKey::try_from_slice(bytes))
        {
            Some(Ok(data_key)) => Ok(data_key),
            None if !is_known => Err(KmsError::KeyNotFound {
                key: key.to_owned(),
            }),
            _ => Err(KmsError::InvalidCiphertext {
                key: key.to_owned(),
            }),
        }
    }

    async fn create_key(&self, key: &str) -> Result<(), KmsError> {
        match self.current_if_named(key) {
            Ok(_) => Err(KmsError::KeyExists {
                key: key.to_owned(),
            }),
            Err(_) => Err(KmsError::NotSupported {
                what: "creating keys: it has a single one",
            }),
        }
    }

    async fn describe(&self, key: &str) -> Result<KeyInfo, KmsError> {
        let known = self.current_if_named(key)?;
        Ok(KeyInfo {
            name: known.name.clone(),
            fingerprint: Some(known.key.fingerprint()),
            algorithm: Some("AES256".to_owned()),
            ..KeyInfo::default()
        })
    }

    async fn status(&self) -> Vec<EndpointStatus> {
        vec![EndpointStatus {
            endpoint: "static key".to_owned(),
            online: true,
            version: None,
            error: None,
        }]
    }

    fn default_key(&self) -> &str {
        &self.current.name
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKey")
            .field("current", &self.current)
            .field("old", &self.old)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
