//! What an examination of a store found.

use crate::{KeyStore, StoreError};

/// One step of the way to the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `login by AppRole`.
    pub step: String,
    /// What was seen, or what is wrong and what to do about it; each a sentence.
    pub outcome: Result<String, String>,
}

impl Finding {
    /// A step that went well.
    #[must_use]
    pub fn good(step: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            step: step.into(),
            outcome: Ok(seen.into()),
        }
    }

    /// A step that did not.
    #[must_use]
    pub fn bad(step: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self {
            step: step.into(),
            outcome: Err(wrong.into()),
        }
    }

    /// A step from its result.
    #[must_use]
    pub fn of<T>(step: impl Into<String>, outcome: &Result<T, StoreError>, seen: &str) -> Self {
        Self {
            step: step.into(),
            outcome: match outcome {
                Ok(_) => Ok(seen.to_owned()),
                Err(error) => Err(error.in_full()),
            },
        }
    }
}

/// What can be asked of every store. Stops at the first step that fails: the ones behind it would only repeat it.
pub(crate) async fn of_any<K: KeyStore + ?Sized>(store: &K) -> Vec<Finding> {
    let reached = store.status().await;
    let mut findings = vec![Finding::of("reach the key store", &reached, "it answers")];
    if reached.is_err() {
        return findings;
    }
    let connected = store.connect().await;
    findings.push(Finding::of(
        "connect to the key store",
        &connected,
        "accepted",
    ));
    if connected.is_err() {
        return findings;
    }
    findings.push(match store.list("", None, 1).await {
        Ok(page) if page.names.is_empty() => {
            Finding::good("list keys", "allowed; there are none yet")
        }
        Ok(_) => Finding::good("list keys", "allowed; there are keys"),
        Err(error) => Finding::bad("list keys", error.in_full()),
    });
    findings
}
