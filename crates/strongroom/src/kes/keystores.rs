//! From what a configuration says of a key store to the store: the one place that knows all of them.

use std::sync::Arc;
use std::time::SystemTime;

use strongroom_keystore::{FsStore, KeyStore, KeystoreConfig, MemoryStore, StoreError};
use strongroom_keystore_appliance::{CipherTrustStore, KeyControlStore, SdkmsStore};
use strongroom_keystore_aws::AwsStore;
use strongroom_keystore_azure::{AzureStore, Surroundings};
use strongroom_keystore_gcp::GcpStore;
use strongroom_keystore_vault::VaultStore;

/// Opens a key store. No network call is needed for that; [`KeyStore::connect`] makes the first.
pub(crate) async fn open_keystore(
    config: &KeystoreConfig,
) -> Result<Arc<dyn KeyStore>, StoreError> {
    Ok(match config {
        KeystoreConfig::Memory => Arc::new(MemoryStore::new()),
        KeystoreConfig::Fs { path } => Arc::new(FsStore::open(path.clone())?),
        KeystoreConfig::Aws(aws) => Arc::new(AwsStore::open((**aws).clone()).await?),
        KeystoreConfig::Vault(vault) => Arc::new(VaultStore::open((**vault).clone()).await?),
        KeystoreConfig::CipherTrust(ciphertrust) => {
            Arc::new(CipherTrustStore::open((**ciphertrust).clone()).await?)
        }
        KeystoreConfig::KeyControl(keycontrol) => {
            Arc::new(KeyControlStore::open((**keycontrol).clone()).await?)
        }
        KeystoreConfig::Sdkms(sdkms) => Arc::new(SdkmsStore::open((**sdkms).clone()).await?),
        KeystoreConfig::Gcp(gcp) => Arc::new(GcpStore::open((**gcp).clone()).await?),
        KeystoreConfig::Azure(azure) => {
            let around = Surroundings::new(|name| std::env::var(name).ok(), SystemTime::now);
            Arc::new(AzureStore::open((**azure).clone(), around).await?)
        }
    })
}
