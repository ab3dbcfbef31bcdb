//! Why a store did not do what it was asked.

use std::error::Error as StdError;

type Source = Box<dyn StdError + Send + Sync>;

/// Variants by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name is taken. Nothing was changed.
    #[error("key exists already")]
    Exists,
    /// There is no such name.
    #[error("key does not exist")]
    NotFound,
    /// The store did not answer: later, or from another place, it may.
    #[error("key store is not reachable: {reason}")]
    Unreachable {
        /// What was tried.
        reason: String,
        /// The failure below.
        #[source]
        source: Option<Source>,
    },
    /// The store answered with a failure, or holds something that cannot be used. An operator has to look.
    #[error("{reason}")]
    Other {
        /// What happened, with the name of what it happened to.
        reason: String,
        /// The failure below.
        #[source]
        source: Option<Source>,
    },
}

impl StoreError {
    /// [`StoreError::Other`] without a cause below.
    #[must_use]
    pub fn other(reason: impl Into<String>) -> Self {
        Self::Other {
            reason: reason.into(),
            source: None,
        }
    }

    /// [`StoreError::Other`] for a failure below.
    #[must_use]
    pub fn failed(reason: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Other {
            reason: reason.into(),
            source: Some(source.into()),
        }
    }

    /// [`StoreError::Unreachable`] for a failure below.
    #[must_use]
    pub fn unreachable(reason: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Unreachable {
            reason: reason.into(),
            source: Some(source.into()),
        }
    }

    /// The error with all its causes, for a log.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
