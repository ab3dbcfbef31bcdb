//! Why Vault did not do what it was asked.

use std::fmt;

/// Longest text taken from an answer into an error: real ones are a sentence, pages of proxies are not.
const SAID_CHARS_MAX: usize = 300;

/// Variants by what the caller can do about it. None holds a token or a stored value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The settings cannot be used.
    #[error("{0}")]
    Config(String),
    /// Nobody answered, or somebody in between did: later it may work.
    #[error("{0}")]
    Unreachable(String),
    /// Vault is there and waits to be unsealed.
    #[error("Vault at {endpoint} is sealed: unseal it")]
    Sealed {
        /// Which one.
        endpoint: String,
    },
    /// The login was refused.
    #[error("login {how} is refused (status {status}: {said})")]
    LoginRefused {
        /// `by AppRole at auth/approle`.
        how: String,
        /// HTTP status.
        status: u16,
        /// What Vault said.
        said: Said,
    },
    /// The token may not do that, or is none.
    #[error("Vault denies access to '{path}' ({said}): the policies of the login do not allow it")]
    Denied {
        /// What was asked for.
        path: String,
        /// What Vault said.
        said: Said,
    },
    /// There is nothing at that path.
    #[error("Vault has nothing at '{path}'")]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// Vault refused for another reason.
    #[error("Vault refuses '{path}' (status {status}: {said})")]
    Refused {
        /// What was asked for.
        path: String,
        /// HTTP status.
        status: u16,
        /// What Vault said.
        said: Said,
    },
    /// The answer is none of Vault's.
    #[error(
        "the answer for '{path}' is not one of Vault ({what}): check the endpoint and what lies in between"
    )]
    Garbage {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        what: String,
    },
}

impl VaultError {
    /// Is it no use to ask again with the same credentials?
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable(_) | Self::Sealed { .. } | Self::Garbage { .. }
        ) && !matches!(self, Self::Refused { status, .. } if *status >= 500)
    }
}

/// The `errors` of an answer, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said(String);

impl Said {
    /// Vault formats lists over several lines (`1 error occurred:\n\t* …`); logs want one.
    pub(crate) fn new(errors: &[String]) -> Self {
        let mut line = String::new();
        for error in errors {
            for word in error.split_whitespace().filter(|word| *word != "*") {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.extend(word.chars().filter(|c| !c.is_control()));
            }
        }
        let line = line
            .strip_prefix("1 error occurred: ")
            .map_or_else(|| line.clone(), str::to_owned);
        Self(line.chars().take(SAID_CHARS_MAX).collect())
    }

    /// Does Vault use these words?
    #[must_use]
    pub fn contains(&self, words: &str) -> bool {
        self.0.contains(words)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "without a reason"
        } else {
            &self.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vault_says_is_one_short_line() {
        let said = Said::new(&["1 error occurred:\n\t* permission denied\n\n".to_owned()]);
        assert_eq!(said.to_string(), "permission denied");
        let long = Said::new(&["x".repeat(10_000)]);
        assert_eq!(long.to_string().chars().count(), SAID_CHARS_MAX);
        assert_eq!(Said::new(&[]).to_string(), "without a reason");
    }

    #[test]
    fn failures_of_the_way_are_no_refusals() {
        let refused = |status| VaultError::Refused {
            path: "p".to_owned(),
            status,
            said: Said::default(),
        };
        assert!(refused(400).is_refusal());
        assert!(!refused(500).is_refusal());
        assert!(!VaultError::Unreachable(String::new()).is_refusal());
    }
}
