#![forbid(unsafe_code)]
//! Keys as secrets in Azure Key Vault.
//!
//! Key Vault differs from other stores in four ways that shape this crate:
//!
//! - Setting a secret that exists adds a version, and nothing can forbid that. So a create looks first, and looks again
//!   afterwards; the *oldest* version is the key, whatever was added later. Between two creators of the same second
//!   that leaves a gap ([`AzureStore`]'s caveat).
//! - A deleted secret blocks its name until it is purged, and a purge takes seconds.
//! - Names have no `_`, and are found without regard to case.
//! - A secret can be disabled, or valid for a time only.

mod endpoint;
mod examine;
mod login;
mod refusal;
mod surroundings;
mod tokens;
mod vault;
mod web;
mod wire;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use jiff::Timestamp;
use strongroom_kes_api::KeyName;
use strongroom_keystore::config::Azure;
use strongroom_keystore::{Finding, KeyStore, Page, StoreError, StoredValue};
use tokio::time::Instant;

pub use surroundings::Surroundings;

use vault::{Deleted, Look, Purge, Set, Vault};
use web::pause;
use wire::{Attributes, Version};

/// Longest that any call may take: below the 15 s after which the key server answers for itself.
const CALL_MAX: Duration = Duration::from_secs(10);
/// How long a create waits for a purge: it leaves the time to say so.
const PURGE_WAIT_MAX: Duration = Duration::from_secs(9);
/// How often a create asks for the purge of what blocks its name.
const PURGES_BEFORE_CREATE_MAX: usize = 25;
/// How often a create is tried again while the purge goes on.
const CREATES_AFTER_PURGE_MAX: usize = 7;
/// How often a delete asks for the purge.
const PURGES_AFTER_DELETE_MAX: usize = 10;

/// A key store in Azure Key Vault.
#[derive(Debug)]
pub struct AzureStore {
    vault: Vault,
    clock: fn() -> SystemTime,
}

impl AzureStore {
    /// Checks the configuration and reads the authorities of `config.ca`; makes no network call.
    ///
    /// # Errors
    /// [`StoreError::Other`] naming the value that cannot be used.
    pub async fn open(config: Azure, surroundings: Surroundings) -> Result<Self, StoreError> {
        let clock = surroundings.clock;
        let vault = Vault::open(config, &surroundings)?;
        Ok(Self { vault, clock })
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(CALL_MAX, work).await.unwrap_or_else(|_| {
            Err(StoreError::Unreachable {
                reason: format!(
                    "{}, or what gives tokens for it, did not answer within {} s: check the network and \
                     https://azure.status.microsoft",
                    self.vault.called(),
                    CALL_MAX.as_secs()
                ),
                source: None,
            })
        })
    }

    /// Sets a secret; where a deleted one blocks the name, after its purge.
    async fn set(
        &self,
        name: &KeyName,
        value: &StoredValue,
        until: Instant,
    ) -> Result<Version, StoreError> {
        if let Set::Done(version) = self.vault.set(name, value).await? {
            return Ok(version);
        }
        let blocked = || {
            StoreError::other(format!(
                "key '{name}' was deleted before and Azure Key Vault is still purging it: try again in a minute"
            ))
        };
        let purge_and_set = async {
            self.purge_before_create(name).await?;
            for _ in 0..CREATES_AFTER_PURGE_MAX {
                if let Set::Done(version) = self.vault.set(name, value).await? {
                    return Ok(version);
                }
                pause().await;
            }
            Err(blocked())
        };
        tokio::time::timeout_at(until, purge_and_set)
            .await
            .unwrap_or_else(|_| Err(blocked()))
    }

    async fn purge_before_create(&self, name: &KeyName) -> Result<(), StoreError> {
        for _ in 0..PURGES_BEFORE_CREATE_MAX {
            match self.vault.purge(name).await? {
                Purge::Done | Purge::NotThere => return Ok(()),
                Purge::Busy => pause().await,
                Purge::Denied(why) => {
                    return Err(StoreError::other(format!(
                        "key '{name}' was deleted before, and its secret is kept in Azure Key Vault ({why}): recover \
                         or purge it there, or give the application the permission 'purge'"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The key is gone already; without a purge its secret can be recovered, and blocks the name.
    async fn purge_after_delete(&self, name: &KeyName, is_kept: bool) {
        let kept = |why: &str| {
            tracing::warn!(
                key = name.as_str(),
                "the key is deleted, and Azure Key Vault keeps its secret recoverable: {why}"
            );
        };
        for _ in 0..PURGES_AFTER_DELETE_MAX {
            match self.vault.purge(name).await {
                Ok(Purge::Done) => return,
                // A vault without soft delete has nothing to purge.
                Ok(Purge::NotThere) if !is_kept => return,
                Ok(Purge::NotThere | Purge::Busy) => pause().await,
                Ok(Purge::Denied(why)) => return kept(&why),
                Err(error) => return kept(&error.in_full()),
            }
        }
        kept("its deletion takes long; purge it in the portal, or delete the key again");
    }

    /// Where another creator was faster, its version is older and is the key.
    async fn confirm(&self, name: &KeyName, ours: &Version) -> Result<(), StoreError> {
        let versions = self.vault.versions(name).await?;
        match oldest(&versions) {
            Some(oldest) if oldest.id != ours.id => Err(StoreError::Exists),
            _ => Ok(()),
        }
    }
}

/// The order that makes one version the key: creation, in seconds as Key Vault tells it, then the version's own ID, so
/// that all who look agree.
fn oldest(versions: &[Version]) -> Option<&Version> {
    versions
        .iter()
        .min_by_key(|v| (v.attributes.created, v.id.as_str()))
}

/// Key Vault hands disabled and expired values out, or refuses them, by mood of the API version: decided here.
fn usable(name: &KeyName, is: &Attributes, now: SystemTime) -> Result<(), StoreError> {
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    let tell = |seconds: i64| {
        Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
    };
    let wrong = match (is.enabled, is.nbf, is.exp) {
        (Some(false), _, _) => "is disabled: enable it".to_owned(),
        (_, Some(from), _) if now < from => {
            format!(
                "is not valid before {}: wait, or change its activation date",
                tell(from)
            )
        }
        (_, _, Some(until)) if now >= until => {
            format!("expired at {}: change its expiration date", tell(until))
        }
        _ => return Ok(()),
    };
    Err(StoreError::other(format!(
        "the oldest version of secret '{name}' in Azure Key Vault, which is the key, {wrong}"
    )))
}

/// What Key Vault can hold: `^[0-9a-zA-Z-]+$` (REST reference, Set Secret). Names of keys may have `_` besides.
fn fits(name: &KeyName) -> bool {
    !name.as_str().contains('_')
}

#[async_trait]
impl KeyStore for AzureStore {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        if !fits(name) {
            return Err(StoreError::other(format!(
                "Azure Key Vault cannot hold key '{name}': its names have letters, digits and '-' only"
            )));
        }
        let until = Instant::now() + PURGE_WAIT_MAX;
        self.within(async {
            match self.vault.look(name).await? {
                Look::Missing => {}
                Look::Found => return Err(StoreError::Exists),
                Look::FoundAs(other) => {
                    return Err(StoreError::other(format!(
                        "Azure Key Vault does not tell '{name}' from its secret '{other}', because it looks names up \
                         without regard to case: use another name"
                    )));
                }
            }
            let ours = self.set(name, &value, until).await?;
            self.confirm(name, &ours).await
        })
        .await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        if !fits(name) {
            return Err(StoreError::NotFound);
        }
        self.within(async {
            let versions = self.vault.versions(name).await?;
            let version = oldest(&versions).ok_or(StoreError::NotFound)?;
            usable(name, &version.attributes, (self.clock)())?;
            self.vault.value(name, &version.id).await
        })
        .await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        if !fits(name) {
            return Err(StoreError::NotFound);
        }
        let until = Instant::now() + PURGE_WAIT_MAX;
        self.within(async {
            if let Look::FoundAs(_) = self.vault.look(name).await? {
                return Err(StoreError::NotFound);
            }
            let is_kept = match self.vault.delete(name).await? {
                Deleted::Now { is_kept } => is_kept,
                Deleted::UnderWay => true,
                // A delete that was cut off before its purge is finished by the next.
                Deleted::NotThere => {
                    return match self.vault.purge(name).await? {
                        Purge::Done => Ok(()),
                        _ => Err(StoreError::NotFound),
                    };
                }
            };
            let purged = self.purge_after_delete(name, is_kept);
            if tokio::time::timeout_at(until, purged).await.is_err() {
                tracing::warn!(
                    key = name.as_str(),
                    "the key is deleted; its purge from Azure Key Vault was not finished in time"
                );
            }
            Ok(())
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.within(async {
            let names = self.vault.names().await?;
            Ok(Page::cut(names, prefix, from, limit))
        })
        .await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.within(async { self.vault.reach().await.map(drop) })
            .await
    }

    async fn connect(&self) -> Result<(), StoreError> {
        self.within(self.vault.prove()).await
    }

    fn caveat(&self) -> Option<&'static str> {
        Some(
            "Azure Key Vault has no atomic create: of two servers that create the same key within the same second, both may \
             believe that they did, and the key of one is lost; create keys on one server at a time",
        )
    }

    fn refuses(&self, name: &KeyName) -> Option<String> {
        (!fits(name))
            .then(|| "names in Azure Key Vault have letters, digits and '-' only".to_owned())
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }

    fn describe(&self) -> String {
        format!("Azure KeyVault: {}", self.vault.endpoint())
    }
}

#[cfg(test)]
mod tests;
