#![forbid(unsafe_code)]
//! Where the S3 side gets its data keys.
//!
//! A [`Kms`] makes data keys under named external keys and opens them again. The caller stores the sealed
//! form next to what the key protects and never keeps the plain form. Every implementation passes the
//! exported [`contract`] suite: [`StaticKey`] holds one key in memory, [`KesKms`] asks a KES server.

pub mod contract;
mod error;
mod kes;
mod static_key;

use async_trait::async_trait;
pub use strongroom_envelope::{DataKey, Fingerprint};

pub use crate::error::KmsError;
pub use crate::kes::{KesKms, KesSettings};
pub use crate::static_key::{Entropy, NamedKey, StaticKey, StaticKeyError};

/// A key management system, as the S3 side sees it.
///
/// `context` is the canonical text of the encryption context (a JSON object with sorted members), as
/// bytes, `{}` when there is nothing to say; it is authenticated and not stored, and opening demands the
/// same bytes. All methods may be called at once from many tasks; implementations bound how long a call
/// takes and retry what may be retried before they answer.
#[async_trait]
pub trait Kms: Send + Sync + 'static {
    /// Makes a fresh data key under `key`, or under [`default_key`](Self::default_key) if none is named.
    async fn new_data_key(&self, key: Option<&str>, context: &[u8])
    -> Result<NewDataKey, KmsError>;

    /// Opens a data key that was sealed under `key`.
    ///
    /// `version` is what [`NewDataKey::key_version`] said when the key was made.
    async fn open_data_key(
        &self,
        key: &str,
        version: Option<&str>,
        sealed: &[u8],
        context: &[u8],
    ) -> Result<DataKey, KmsError>;

    /// Creates an external key. [`KmsError::KeyExists`] if it is there already.
    async fn create_key(&self, key: &str) -> Result<(), KmsError>;

    /// What is known of a key. Never needed to seal or open: a KMS that forbids it answers `Denied`.
    async fn describe(&self, key: &str) -> Result<KeyInfo, KmsError>;

    /// How each endpoint of the KMS is, one entry per endpoint, in the order they are configured.
    async fn status(&self) -> Vec<EndpointStatus>;

    /// The key that is meant when none is named.
    fn default_key(&self) -> &str;
}

/// A data key, plain and sealed.
#[derive(Debug)]
pub struct NewDataKey {
    /// The external key that sealed it; never empty.
    pub key_name: String,
    /// The external key's version, where the KMS has versions and needs it told to open the key.
    pub key_version: Option<String>,
    /// The plain form. Never stored.
    pub plaintext: DataKey,
    /// The sealed form, opaque.
    pub sealed: Vec<u8>,
    /// Identifies the external key's material, where it is to be had. Words failures and permits
    /// copies; never decides whether something opens.
    pub fingerprint: Option<Fingerprint>,
}

/// What a KMS tells about an external key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Identifies its material.
    pub fingerprint: Option<Fingerprint>,
    /// When it was made, RFC 3339, as the KMS says it.
    pub created_at: Option<String>,
    /// Who made it, as the KMS says it.
    pub created_by: Option<String>,
    /// Cipher, as the KMS says it.
    pub algorithm: Option<String>,
}

/// How one endpoint of a KMS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its address, or a word for what is not on the network.
    pub endpoint: String,
    /// It answers.
    pub online: bool,
    /// Its version, where it says so.
    pub version: Option<String>,
    /// Why it does not answer: one sentence.
    pub error: Option<String>,
}
