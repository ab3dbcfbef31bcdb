//! Keys in memory: for development and tests. They are gone when the process ends.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use strongroom_kes_api::KeyName;
use zeroize::Zeroizing;

use crate::{KeyStore, Page, StoreError, StoredValue};

/// A store that forgets.
#[derive(Default)]
pub struct MemoryStore {
    values: Mutex<BTreeMap<KeyName, StoredValue>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<KeyName, StoredValue>> {
        // No code panics while holding it, and a map of finished values is whole in any case.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("keys", &self.values().len())
            .finish()
    }
}

#[async_trait]
impl KeyStore for MemoryStore {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        match self.values().entry(name.clone()) {
            Entry::Occupied(_) => Err(StoreError::Exists),
            Entry::Vacant(place) => {
                place.insert(value);
                Ok(())
            }
        }
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        let values = self.values();
        let value = values.get(name).ok_or(StoreError::NotFound)?;
        let copy = Zeroizing::new(value.expose().to_owned());
        StoredValue::new(copy).map_err(|e| StoreError::failed("value is unusable", e))
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        self.values()
            .remove(name)
            .map(drop)
            .ok_or(StoreError::NotFound)
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        Ok(Page::cut(
            self.values().keys().cloned(),
            prefix,
            from,
            limit,
        ))
    }

    async fn status(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn describe(&self) -> String {
        "In Memory".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_promises_of_a_key_store() {
        crate::contract::holds(|| async { std::sync::Arc::new(MemoryStore::new()) }).await;
    }
}
