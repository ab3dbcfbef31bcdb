//! What a request sees of the server: one snapshot, whole and unchanging. A reload puts a new one in its place; requests
//! that run keep theirs.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_kes_api::{Identity, KeyName, PolicyName};
use strongroom_keystore::{KeyStore, StoreError};
use strongroom_transport::tls::ClientRoots;

use crate::cache::{Cache, Fetched};
use crate::config::{Config, PolicyConfig};
use crate::disk_cache::DiskCache;
use crate::stored_key::{Key, UnreadableKey};

pub(crate) type KeyCache = Cache<Key, ReadKeyError>;

pub(crate) struct State {
    pub(crate) config: Config,
    /// When the configuration was taken; policies count as created then.
    pub(crate) loaded_at: Timestamp,
    pub(crate) store: Arc<dyn KeyStore>,
    pub(crate) cache: Arc<KeyCache>,
    /// When `cache.disk` asks for it.
    pub(crate) disk: Option<Arc<DiskCache>>,
    /// Against whom certificates are verified, when they are.
    pub(crate) client_roots: Option<ClientRoots>,
    /// Counts from 1; a reload of anything makes a new one.
    pub(crate) generation: u64,
    assigned: HashMap<Identity, PolicyName>,
}

/// Why a key could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadKeyError {
    #[error("{}", .0.in_full())]
    Store(StoreError),
    #[error(transparent)]
    Unreadable(UnreadableKey),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(
        config: Config,
        loaded_at: Timestamp,
        store: Arc<dyn KeyStore>,
        client_roots: Option<ClientRoots>,
        disk: Option<Arc<DiskCache>>,
        previous: Option<&Self>,
    ) -> Self {
        let mut assigned = HashMap::new();
        for (name, policy) in &config.policies {
            let identities = policy.identities.iter().filter_map(|i| i.identity());
            assigned.extend(identities.map(|identity| (identity, name.clone())));
        }
        // The same store under the same settings keeps what is remembered.
        let kept = previous
            .filter(|p| Arc::ptr_eq(&p.store, &store) && *p.cache.config() == config.cache)
            .map(|p| Arc::clone(&p.cache));
        let cache = kept.unwrap_or_else(|| Arc::new(Cache::new(config.cache.clone())));
        Self {
            config,
            loaded_at,
            store,
            cache,
            disk,
            client_roots,
            generation: previous.map_or(0, |p| p.generation) + 1,
            assigned,
        }
    }

    pub(crate) fn policy_of(&self, identity: &Identity) -> Option<(&PolicyName, &PolicyConfig)> {
        self.config
            .policies
            .get_key_value(self.assigned.get(identity)?)
    }

    /// A key: remembered, or read from the store.
    pub(crate) async fn key(
        &self,
        name: &KeyName,
        elapsed: impl Fn() -> Duration,
    ) -> Result<Arc<Key>, Arc<ReadKeyError>> {
        self.cache.get(name, elapsed, || self.fetch(name)).await
    }

    /// Asks the store; where that is unreachable, and only then, the disk.
    async fn fetch(&self, name: &KeyName) -> Result<Fetched<Key>, ReadKeyError> {
        let Some(disk) = &self.disk else {
            let value = self.store.get(name).await.map_err(ReadKeyError::Store)?;
            let key = Key::from_stored(&value).map_err(ReadKeyError::Unreadable)?;
            return Ok(key.into());
        };
        // The regular check has just found the store away: waiting for it here would help nobody.
        if disk.is_store_away()
            && let Some(found) = from_disk(disk, name).await
        {
            return Ok(found);
        }
        let ticket = disk.ticket();
        match self.store.get(name).await {
            Ok(value) => {
                let key = Key::from_stored(&value).map_err(ReadKeyError::Unreadable)?;
                disk.remember(name, &value, ticket);
                Ok(key.into())
            }
            Err(error @ StoreError::NotFound) => {
                disk.forget(name).await;
                Err(ReadKeyError::Store(error))
            }
            Err(error @ StoreError::Unreachable { .. }) => from_disk(disk, name)
                .await
                .ok_or(ReadKeyError::Store(error)),
            Err(error) => Err(ReadKeyError::Store(error)),
        }
    }

    /// Removes what is remembered of a key that the store does not have any more.
    pub(crate) async fn forget(&self, name: &KeyName) {
        self.cache.evict(name);
        if let Some(disk) = &self.disk {
            disk.forget(name).await;
        }
    }

    /// Whose work policies and configured keys are.
    pub(crate) fn creator(&self) -> Option<String> {
        self.config
            .admin
            .identity()
            .map(|identity| identity.to_string())
    }
}

async fn from_disk(disk: &DiskCache, name: &KeyName) -> Option<Fetched<Key>> {
    let found = disk.get(name).await?;
    let value = Key::from_stored(&found.value).ok()?;
    Some(Fetched {
        value,
        good_for: Some(found.good_for),
    })
}
