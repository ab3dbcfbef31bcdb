//! What an [`Sse`](crate::Sse) is made with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use strongroom_kms::Entropy;
use strongroom_kms::Kms;

/// Monotonic time since any fixed moment.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What happens to a write that asks for nothing, in a bucket without a default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoEncryption {
    /// It is stored plain.
    #[default]
    Off,
    /// SSE-S3.
    SseS3,
    /// SSE-KMS under the default key.
    SseKms,
}

/// How long data keys live in memory. Together with the KMS's own cache and streams that are open, the sum
/// of both times is how long a key that was disabled still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWindows {
    /// How long one data key serves new objects of a bucket, from the start of the KMS call; zero: a data
    /// key for each object.
    pub bucket_key: Duration,
    /// Objects that one data key serves at most.
    pub bucket_key_objects: u64,
    /// How long an opened data key is remembered for reading; at most `bucket_key`, zero: not at all.
    pub opened: Duration,
}

impl Default for KeyWindows {
    fn default() -> Self {
        Self {
            bucket_key: Duration::from_secs(300),
            bucket_key_objects: 1 << 20,
            opened: Duration::from_secs(300),
        }
    }
}

/// What an [`Sse`](crate::Sse) is made with.
#[derive(Clone)]
pub struct Config {
    /// Where data keys come from; without one only SSE-C is to be had.
    pub kms: Option<Arc<dyn Kms>>,
    /// For writes that say nothing.
    pub auto_encryption: AutoEncryption,
    /// SSE-S3 objects have MD5 ETags, as S3 promises. Off: every ETag is opaque and no MD5 is computed.
    pub compat_etags: bool,
    /// How long data keys live in memory.
    pub windows: KeyWindows,
    /// How long bucket settings may be remembered when others can change them too (several gateways on one
    /// remote); a setter answers only after that time. `None`: this process alone writes them.
    pub settings_lease: Option<Duration>,
    /// Time for the windows.
    pub clock: Clock,
    /// Random bytes, from a cryptographic generator.
    pub entropy: Entropy,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("kms", &self.kms.is_some())
            .field("auto_encryption", &self.auto_encryption)
            .field("compat_etags", &self.compat_etags)
            .field("windows", &self.windows)
            .field("settings_lease", &self.settings_lease)
            .finish_non_exhaustive()
    }
}

/// Why an [`Sse`](crate::Sse) cannot begin to serve.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Automatic encryption needs keys.
    #[error("automatic encryption is on, but no KMS is configured")]
    AutoEncryptionWithoutKms,
    /// The store was used with a KMS, whose key its state is sealed under.
    #[error(
        "the store's state is sealed under the KMS key {key:?}; configure the KMS it was used with"
    )]
    KmsMissing {
        /// The key's name.
        key: String,
    },
    /// The KMS does not give the key.
    #[error("the KMS does not open or make the key of the store's state")]
    Kms(#[from] strongroom_kms::KmsError),
    /// A record of ours is damaged.
    #[error("the record {name} in the store's system area is damaged: {cause}")]
    Record {
        /// Its name.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The store fails.
    #[error("the store cannot read or write its system area")]
    Store(#[source] s3s::S3Error),
    /// The random source fails.
    #[error("no random bytes: {0}")]
    Entropy(String),
}
