#![forbid(unsafe_code)]
//! Where a key server keeps its master keys: one trait, and its implementations.
//!
//! A store knows nothing of keys. It maps names to short texts, which the key server makes and reads
//! (docs/formats/kes-keystore.md); the same text lies under the same name in every kind of store, so that keys move
//! between them by copying.

pub mod config;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod error;
mod finding;
pub mod fs;
pub mod memory;
pub mod migrate;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_kes_api::KeyName;

pub use config::KeystoreConfig;
pub use error::StoreError;
pub use finding::Finding;
pub use fs::FsStore;
pub use memory::MemoryStore;
pub use value::{StoredValue, VALUE_BYTES_MAX, ValueTooLong};

/// Maps key names to texts.
///
/// Every promise below holds while other callers, and other servers on the same store, do the same. Where a service
/// cannot keep one, its implementation says so. Dropping a future leaves the operation undone or done, never half done.
#[async_trait]
pub trait KeyStore: std::fmt::Debug + Send + Sync {
    /// Stores a new value, durably once this returns. Never overwrites: of concurrent creators of one name exactly one
    /// succeeds, and the others get [`StoreError::Exists`].
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError>;

    /// The value as it was stored, whole. A value that cannot be read fails its own `get` and nothing else.
    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError>;

    /// Removes a value, durably once this returns. [`StoreError::NotFound`] where the store can tell.
    async fn delete(&self, name: &KeyName) -> Result<(), StoreError>;

    /// One page of the names that start with `prefix`, ascending bytewise, at most `limit` (at least one).
    ///
    /// `from` is the first name wanted: [`Page::next`] of the page before. Entries that are no valid names are passed
    /// over. A name that exists during the whole listing is listed exactly once.
    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// Is the store there and usable? Costs no more than one short request.
    async fn status(&self) -> Result<(), StoreError>;

    /// Proves at start that the store can be used: logs in where that is needed. Opening a store costs no network
    /// call, so that a server with keys of its own can start while the store is away.
    async fn connect(&self) -> Result<(), StoreError> {
        self.status().await
    }

    /// What this store cannot promise, in a sentence for the operator, told at start.
    fn caveat(&self) -> Option<&'static str> {
        None
    }

    /// Why this store can hold no key of that name, in a sentence; without asking it. Most can hold all.
    fn refuses(&self, _name: &KeyName) -> Option<String> {
        None
    }

    /// Looks at everything between here and the keys, one step after the other, for `kes doctor`. Changes nothing.
    async fn examine(&self) -> Vec<Finding> {
        finding::of_any(self).await
    }

    /// What an operator calls it, for the banner and for errors: `Filesystem: /var/lib/kes`.
    fn describe(&self) -> String;
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Names, ascending bytewise.
    pub names: Vec<KeyName>,
    /// Where the next page starts; none at the end.
    pub next: Option<KeyName>,
}

impl Page {
    /// Cuts a page out of all names, in any order: for stores that cannot page by themselves.
    #[must_use]
    pub fn cut(
        names: impl IntoIterator<Item = KeyName>,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Self {
        let is_wanted =
            |n: &KeyName| n.as_str().starts_with(prefix) && from.is_none_or(|from| n >= from);
        let mut names: Vec<KeyName> = names.into_iter().filter(is_wanted).collect();
        names.sort_unstable();
        names.dedup();
        let next = names.get(limit.max(1)).cloned();
        names.truncate(limit.max(1));
        Self { names, next }
    }
}

#[async_trait]
impl<K: KeyStore + ?Sized> KeyStore for Arc<K> {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        (**self).create(name, value).await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        (**self).get(name).await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        (**self).delete(name).await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        (**self).list(prefix, from, limit).await
    }

    async fn status(&self) -> Result<(), StoreError> {
        (**self).status().await
    }

    async fn connect(&self) -> Result<(), StoreError> {
        (**self).connect().await
    }

    fn caveat(&self) -> Option<&'static str> {
        (**self).caveat()
    }

    fn refuses(&self, name: &KeyName) -> Option<String> {
        (**self).refuses(name)
    }

    async fn examine(&self) -> Vec<Finding> {
        (**self).examine().await
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}
