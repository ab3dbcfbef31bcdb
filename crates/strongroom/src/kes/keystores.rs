//! From what a configuration says of a key store to the store: the one place that knows all of them.

use std::sync::Arc;

use strongroom_keystore::{FsStore, KeyStore, KeystoreConfig, MemoryStore, StoreError};
use strongroom_keystore_aws::AwsStore;

/// Opens a key store. No network call is needed for that; [`KeyStore::connect`] makes the first.
pub(crate) async fn open_keystore(
    config: &KeystoreConfig,
) -> Result<Arc<dyn KeyStore>, StoreError> {
    Ok(match config {
        KeystoreConfig::Memory => Arc::new(MemoryStore::new()),
        KeystoreConfig::Fs { path } => Arc::new(FsStore::open(path.clone())?),
        KeystoreConfig::Aws(aws) => Arc::new(AwsStore::open((**aws).clone()).await?),
        _ => {
            return Err(StoreError::other(
                "this key store is not part of this build",
            ));
        }
    })
}
