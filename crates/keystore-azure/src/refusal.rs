//! What Key Vault says when it does not do what it was asked, in words.
//!
//! `{"error":{"code","message","innererror":{"code"}}}`
//! (<https://learn.microsoft.com/azure/key-vault/general/rest-error-codes>).

use serde::Deserialize;
use strongroom_keystore::StoreError;

use crate::web::Answer;

/// Longest part of a message of Azure's that is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// What Key Vault calls a secret, or version, that it does not have.
const NOT_FOUND: &str = "SecretNotFound";

/// A refusal, taken apart.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    /// Not from Key Vault: some proxy, or another service at that address.
    is_foreign: bool,
    code: String,
    inner: String,
    message: String,
}

#[derive(Deserialize)]
struct Wire {
    error: ErrorWire,
}

#[derive(Deserialize)]
struct ErrorWire {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    innererror: Option<InnerWire>,
}

#[derive(Deserialize)]
struct InnerWire {
    #[serde(default)]
    code: String,
}

impl Refusal {
    pub(crate) fn of(answer: &Answer) -> Self {
        let wire: Option<Wire> = serde_json::from_slice(&answer.body).ok();
        let is_foreign = wire.is_none();
        let error = wire.map(|w| w.error);
        let message = error.as_ref().map_or("", |e| e.message.as_str());
        let line = message.lines().next().unwrap_or_default();
        Self {
            status: answer.status,
            is_foreign,
            message: line.chars().take(MESSAGE_CHARS_MAX).collect(),
            inner: error
                .as_ref()
                .and_then(|e| e.innererror.as_ref())
                .map_or_else(String::new, |i| i.code.clone()),
            code: error.map_or_else(String::new, |e| e.code),
        }
    }

    /// In the words for a secret, and no others: a vault, a path or a gateway that is not found says nothing of keys,
    /// and whoever is told that a key is missing makes a new one.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == 404 && (self.code == NOT_FOUND || self.inner == NOT_FOUND)
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.status == 403 && self.inner == "SecretDisabled"
    }

    pub(crate) fn is_denied(&self) -> bool {
        self.status == 403 && !self.is_foreign
    }

    /// The name is taken by a secret that was deleted, or is just being deleted, recovered or purged.
    pub(crate) fn is_conflict_with_deleted(&self) -> bool {
        self.status == 409
            && ["ObjectIsDeletedButRecoverable", "ObjectIsBeingDeleted"]
                .contains(&self.inner.as_str())
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.status == 409
    }

    /// Azure's own words.
    pub(crate) fn quoted(&self) -> String {
        let code = if self.inner.is_empty() {
            &self.code
        } else {
            &self.inner
        };
        format!("HTTP {} {code}: {}", self.status, self.message)
    }

    /// The sentence for an operator. `what` was being done: `reading key 'k'`.
    pub(crate) fn on(&self, what: &str) -> StoreError {
        let quoted = self.quoted();
        let advice = match self.status {
            502..=504 => {
                return StoreError::Unreachable {
                    reason: format!(
                        "HTTP {} came back from Azure Key Vault on {what}",
                        self.status
                    ),
                    source: None,
                };
            }
            404 if self.is_not_found() => return StoreError::NotFound,
            _ if self.is_foreign => {
                return StoreError::other(format!(
                    "{what} failed: HTTP {} came back that is no answer of Azure Key Vault; check \
                     azure.keyvault.endpoint, and any proxy in between",
                    self.status
                ));
            }
            401 => {
                "the token is not good for this vault; check that the vault belongs to the tenant"
            }
            403 if self.is_disabled() => "enable the secret",
            403 if self.inner.starts_with("ForbiddenByFirewall")
                || self.inner.starts_with("ForbiddenByConnection") =>
            {
                "let this machine through the vault's firewall or private endpoint"
            }
            403 => {
                "give the application the permissions get, list, set, delete and purge on secrets (or the role Key \
                 Vault Secrets Officer)"
            }
            429 => {
                "the vault's limit of requests is reached; wait, or keep keys in a vault of their own"
            }
            404 => "check azure.keyvault.endpoint",
            _ => "see Azure's activity log",
        };
        StoreError::other(format!(
            "Azure Key Vault refused {what} ({quoted}): {advice}"
        ))
    }
}
