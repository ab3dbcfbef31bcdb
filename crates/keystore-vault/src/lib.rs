#![forbid(unsafe_code)]
//! Keys in the K/V engine of HashiCorp Vault or OpenBao, as upstream KES lays them out: the value lies in a field that is
//! named after the key, in an entry that is named after the key, below a prefix; wrapped by a transit key where one is
//! configured.
//!
//! Policies of upstream's users grant `create`, `read`, `delete` and `list`, and no more: nothing here needs another.

mod error;
mod examine;
mod open;

use std::time::Duration;

use async_trait::async_trait;
use strongroom_kes_api::KeyName;
use strongroom_keystore::{Finding, KeyStore, Page, StoreError, StoredValue};
use strongroom_vault::{
    Entry, Kv, KvVersion, Namespace, Path, Session, Transit, VaultError, Written, is_wrapped,
};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::{broken, failed};

/// Longest call, with all its requests: the time limits of the server's routes are longer, so callers hear of this one.
pub const CALL_MAX: Duration = Duration::from_millis(9500);

const RACY_CREATE: &str = "Vault's K/V version 1 has no atomic create: two servers that create the same key at the same moment may both \
     believe that they did, and the later value stays; and a create whose answer was lost to a time-out may still be applied \
     later, over a key that was created meanwhile. Use K/V version 2, which cannot lose a key that way.";

/// Keys in Vault.
#[derive(Debug)]
pub struct VaultStore {
    session: Session,
    kv: Kv,
    prefix: Path,
    transit: Option<Transit>,
    login_namespace: Namespace,
    login: String,
    /// One creator at a time in this server, for K/V version 1: others can still be raced with.
    creating: Mutex<()>,
    /// Set once the engine is known to be of the configured version, or not to tell.
    is_checked: OnceCell<()>,
}

#[async_trait]
impl KeyStore for VaultStore {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        self.in_time(
            &format!("create key '{name}'"),
            self.create_key(name, &value),
        )
        .await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        self.in_time(&format!("read key '{name}'"), self.read_key(name))
            .await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        self.in_time(&format!("delete key '{name}'"), async {
            let path = self.path(name).map_err(Trouble::Vault)?;
            Ok(self.kv.remove(&self.session, &path).await?)
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.in_time("list keys", async {
            let names = self.kv.list(&self.session, &self.prefix).await?;
            // Whatever else lies there has its own owners.
            let names = names.iter().filter_map(|name| KeyName::parse(name).ok());
            Ok(Page::cut(names, prefix, from, limit))
        })
        .await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.in_time("ask for its state", async {
            self.session.client().usable().await?;
            Ok(())
        })
        .await
    }

    async fn connect(&self) -> Result<(), StoreError> {
        self.in_time("connect", async {
            self.session.client().usable().await?;
            self.session.log_in().await?;
            Ok(self.check_engine().await?)
        })
        .await
    }

    fn caveat(&self) -> Option<&'static str> {
        (self.kv.version == KvVersion::V1).then_some(RACY_CREATE)
    }

    async fn examine(&self) -> Vec<Finding> {
        self.look_at_everything().await
    }

    fn describe(&self) -> String {
        format!("Hashicorp Vault: {}", self.session.client().endpoint())
    }
}

/// What can go wrong inside a call.
enum Trouble {
    /// At Vault, or on the way.
    Vault(VaultError),
    /// With what lies there; already in the words of the trait.
    Store(StoreError),
}

impl From<VaultError> for Trouble {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl VaultStore {
    async fn in_time<T>(
        &self,
        action: &str,
        call: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, StoreError> {
        match timeout(CALL_MAX, call).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Trouble::Store(error))) => Err(error),
            Ok(Err(Trouble::Vault(error))) => Err(failed(action, error)),
            Err(_) => {
                let endpoint = self.session.client().endpoint();
                let text = format!(
                    "Vault at {endpoint} does not answer in {} s",
                    CALL_MAX.as_secs_f32()
                );
                Err(failed(action, VaultError::Unreachable(text)))
            }
        }
    }

    fn path(&self, name: &KeyName) -> Result<Path, VaultError> {
        self.prefix.with(name.as_str())
    }

    /// A v2 configuration on a v1 engine, and the other way round, half works and loses the atomic create: it is found
    /// out before the first write.
    async fn check_engine(&self) -> Result<(), VaultError> {
        self.is_checked
            .get_or_try_init(|| self.kv.check(&self.session))
            .await?;
        Ok(())
    }

    async fn create_key(&self, name: &KeyName, value: &StoredValue) -> Result<(), Trouble> {
        self.check_engine().await?;
        let path = self.path(name)?;
        let _one_at_a_time = match self.kv.version {
            KvVersion::V1 => Some(self.creating.lock().await),
            KvVersion::V2 => None,
        };
        self.is_free(name, &path).await?;
        let wrapped;
        let text = match &self.transit {
            None => value.expose(),
            Some(transit) => {
                let plaintext = value.expose().as_bytes();
                wrapped = transit.encrypt(&self.session, plaintext, None).await?;
                &wrapped
            }
        };
        let written = self
            .kv
            .write_new(&self.session, &path, name.as_str(), text)
            .await;
        match written {
            Ok(Written::Created) => Ok(()),
            // Somebody was faster. A login without `update` is denied then, before versions are compared.
            Ok(Written::Taken) => {
                self.is_free(name, &path).await?;
                Err(broken(
                    name,
                    "has later versions in Vault but not its first: delete its metadata to free the name",
                )
                .into())
            }
            Err(denied @ VaultError::Denied { .. }) => {
                self.is_free(name, &path).await?;
                Err(denied.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Fails where there is something under the name.
    async fn is_free(&self, name: &KeyName, path: &Path) -> Result<(), Trouble> {
        match self.kv.read(&self.session, path, name.as_str()).await? {
            Entry::Absent => Ok(()),
            Entry::Deleted => {
                let metadata = self.kv.metadata_path(path);
                let why = format!(
                    "was deleted in Vault but its metadata was kept, which blocks the name: undelete it, or delete '{metadata}' for good"
                );
                Err(broken(name, &why).into())
            }
            // An entry that is no key of ours has the name all the same, and is not overwritten.
            Entry::Unusable | Entry::Value(_) => Err(StoreError::Exists.into()),
        }
    }

    async fn read_key(&self, name: &KeyName) -> Result<StoredValue, Trouble> {
        let path = self.path(name)?;
        let text = match self.kv.read(&self.session, &path, name.as_str()).await? {
            Entry::Absent | Entry::Deleted => return Err(StoreError::NotFound.into()),
            Entry::Unusable => {
                let at = self.kv.data_path(&path);
                let why = format!(
                    "is unusable: the entry '{at}' of Vault has no text in a field that is named after the key"
                );
                return Err(broken(name, &why).into());
            }
            Entry::Value(text) => text,
        };
        let text = match &self.transit {
            _ if !is_wrapped(text.expose()) => text.into_text(),
            None => {
                let why = "is wrapped by a transit key, and the configuration names none: set vault.transit as it was when the key was created";
                return Err(broken(name, why).into());
            }
            Some(transit) => {
                let bytes = transit.decrypt(&self.session, text.expose(), None).await?;
                let text = std::str::from_utf8(&bytes)
                    .map_err(|_| broken(name, "is unusable: what transit unwraps is no text"))?;
                Zeroizing::new(text.to_owned())
            }
        };
        StoredValue::new(text)
            .map_err(|error| broken(name, &format!("is unusable: {error}")).into())
    }
}
