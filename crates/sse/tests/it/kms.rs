//! A KMS in memory that counts its calls and can be made to fail.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use strongroom_envelope::{MasterCipher, MasterKey};
use strongroom_kms::{DataKey, EndpointStatus, KeyInfo, Kms, KmsError, NewDataKey};
use tokio::sync::Notify;

pub(crate) const DEFAULT_KEY: &str = "default-key";
pub(crate) const OTHER_KEY: &str = "other-key";

pub(crate) struct FakeKms {
    keys: Mutex<HashMap<String, [u8; 32]>>,
    pub(crate) made: AtomicU64,
    pub(crate) opened: AtomicU64,
    fault: Mutex<Option<fn(&str) -> KmsError>>,
    gate: Mutex<Option<Arc<Gate>>>,
}

/// Holds a call for a data key until it is let go.
#[derive(Default)]
pub(crate) struct Gate {
    reached: Notify,
    released: Notify,
}

impl Gate {
    pub(crate) async fn is_reached(&self) {
        self.reached.notified().await;
    }

    pub(crate) fn release(&self) {
        self.released.notify_one();
    }
}

impl FakeKms {
    pub(crate) fn new() -> Self {
        let keys = [(DEFAULT_KEY, [1; 32]), (OTHER_KEY, [2; 32])];
        Self {
            keys: Mutex::new(keys.map(|(name, key)| (name.to_owned(), key)).into()),
            made: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            fault: Mutex::new(None),
            gate: Mutex::new(None),
        }
    }

    pub(crate) fn fail_with(&self, fault: Option<fn(&str) -> KmsError>) {
        *self.fault.lock().unwrap() = fault;
    }

    /// The next call for a data key waits.
    pub(crate) fn hold_next(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    pub(crate) fn remove(&self, name: &str) {
        self.keys.lock().unwrap().remove(name);
    }

    pub(crate) fn replace(&self, name: &str, material: u8) {
        self.keys
            .lock()
            .unwrap()
            .insert(name.to_owned(), [material; 32]);
    }

    fn key(&self, name: &str) -> Result<MasterKey, KmsError> {
        if let Some(fault) = *self.fault.lock().unwrap() {
            return Err(fault(name));
        }
        let keys = self.keys.lock().unwrap();
        let key = keys.get(name).ok_or_else(|| KmsError::KeyNotFound {
            key: name.to_owned(),
        })?;
        Ok(MasterKey::try_from_slice(MasterCipher::Aes256, key).unwrap())
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

#[async_trait]
impl Kms for FakeKms {
    async fn new_data_key(
        &self,
        key: Option<&str>,
        context: &[u8],
    ) -> Result<NewDataKey, KmsError> {
        self.made.fetch_add(1, Ordering::SeqCst);
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.reached.notify_one();
            gate.released.notified().await;
        }
        let name = key.unwrap_or(DEFAULT_KEY);
        let master = self.key(name)?;
        let plain = random::<32>();
        Ok(NewDataKey {
            key_name: name.to_owned(),
            key_version: None,
            sealed: master.seal(&plain, context, random()),
            plaintext: DataKey::from_bytes(plain),
            fingerprint: Some(master.fingerprint()),
        })
    }

    async fn open_data_key(
        &self,
        key: &str,
        _version: Option<&str>,
        sealed: &[u8],
        context: &[u8],
    ) -> Result<DataKey, KmsError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let plain =
            self.key(key)?
                .open(sealed, context)
                .map_err(|_| KmsError::InvalidCiphertext {
                    key: key.to_owned(),
                })?;
        Ok(DataKey::try_from_slice(&plain).unwrap())
    }

    async fn create_key(&self, key: &str) -> Result<(), KmsError> {
        self.keys.lock().unwrap().insert(key.to_owned(), random());
        Ok(())
    }

    async fn describe(&self, key: &str) -> Result<KeyInfo, KmsError> {
        let fingerprint = Some(self.key(key)?.fingerprint());
        Ok(KeyInfo {
            name: key.to_owned(),
            fingerprint,
            ..KeyInfo::default()
        })
    }

    async fn status(&self) -> Vec<EndpointStatus> {
        Vec::new()
    }

    fn default_key(&self) -> &str {
        DEFAULT_KEY
    }
}
