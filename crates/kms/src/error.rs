//! What can go wrong, by what the caller can do about it.

/// Why a KMS did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// The name cannot be a key's name.
    #[error("{key:?} is not a valid key name: {reason}")]
    InvalidKeyName {
        /// As asked for.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such key: name another or create it.
    #[error("key {key:?} does not exist")]
    KeyNotFound {
        /// Its name.
        key: String,
    },
    /// There is such a key already, and nothing was changed.
    #[error("key {key:?} exists already")]
    KeyExists {
        /// Its name.
        key: String,
    },
    /// The KMS knows who asks and says no: change its policy.
    #[error("the key management system denies access to key {key:?}")]
    Denied {
        /// The key that was asked for.
        key: String,
    },
    /// The key is there and switched off: enable it.
    #[error("key {key:?} is disabled")]
    Disabled {
        /// Its name.
        key: String,
    },
    /// The sealed data key is damaged, or was sealed under another key or context: trying again is of no use.
    #[error("the sealed data key is not authentic under key {key:?}")]
    InvalidCiphertext {
        /// The key it should have opened under.
        key: String,
    },
    /// The KMS refuses the request, or answers with what cannot be used: trying again is of no use.
    #[error("the key management system refused a request for key {key:?}: {message}")]
    Refused {
        /// The key that was asked for.
        key: String,
        /// What it said.
        message: String,
    },
    /// The KMS does not answer, or cannot reach its keys: try again later.
    #[error("the key management system is unavailable{}: {message}", naming(key.as_deref()))]
    Unavailable {
        /// The key that was asked for.
        key: Option<String>,
        /// What was seen, in words.
        message: String,
        /// The cause beneath, for the log.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// This kind of KMS cannot do that.
    #[error("this key management system does not support {what}")]
    NotSupported {
        /// What was asked.
        what: &'static str,
    },
}

fn naming(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!(" for key {key:?}"))
}

impl KmsError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
