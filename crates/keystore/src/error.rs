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

    /// The error with all its causes, each once, for a log: many say those below them too.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let words = error.to_string();
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::StoreError;

    #[test]
    fn causes_are_told_once() {
        let below = io::Error::other("connection refused");
        let above = StoreError::unreachable("no answer", io::Error::other(below));
        let above = StoreError::failed("cannot read key 'k'", above);
        assert_eq!(
            above.in_full(),
            "cannot read key 'k': key store is not reachable: no answer: connection refused"
        );
    }
}
