#![forbid(unsafe_code)]
//! `Sse<B>`: makes any [`Backend`] an S3 that encrypts.
//!
//! A PUT walks straight through: `intent` (what is asked for), `data_keys` (the only KMS call),
//! `sealing` (object key and envelope), `body` (the sealed stream), the backend, the answer. A GET is the
//! mirror: look (`opening`) at the object, unlock its key, turn the range into packages, open the body.
//! Multipart is the same line in pieces. `operations` is the table of all S3 operations and what becomes of
//! each.
//!
//! The promises: nothing of an object is released before its key was proved and its bytes authenticated;
//! bytes that were changed, cut or exchanged are an error and never data; settings that cannot be read fail
//! the write; a client's key is neither stored nor logged.

mod body;
mod checksum;
mod config;
mod connection;
mod copy;
mod customer;
mod data_keys;
mod delete;
mod error;
mod etags;
mod get;
mod intent;
mod list;
mod multipart;
mod opening;
mod operations;
mod put;
mod reply;
mod sealing;
mod settings;
mod state;

use std::fmt;
use std::sync::Arc;

use strongroom_backend::Backend;
use strongroom_envelope::Manifest;

pub use crate::config::{AutoEncryption, Clock, Config, Entropy, KeyWindows, OpenError};
pub use crate::connection::ConnectionSecurity;
use crate::data_keys::DataKeys;
use crate::settings::Settings;
use crate::state::Keys;

/// Bytes of manifests that are remembered for reading ranges: that of a 5 GiB object has 100 KB.
const MANIFEST_CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// An S3 that encrypts and keeps what it encrypted in `B`.
pub struct Sse<B> {
    inner: B,
    data_keys: Option<DataKeys>,
    keys: Arc<Keys>,
    settings: Settings,
    manifests: moka::future::Cache<opening::ManifestId, Arc<Manifest>>,
    auto: AutoEncryption,
    compat_etags: bool,
    entropy: Entropy,
}

impl<B: Backend> Sse<B> {
    /// Reads the store's state, or makes it in an empty store.
    ///
    /// # Errors
    /// [`OpenError`]: the server must not start.
    pub async fn open(inner: B, config: Config) -> Result<Self, OpenError> {
        let Config {
            kms,
            auto_encryption,
            compat_etags,
            windows,
            settings_lease,
            clock,
            entropy,
        } = config;
        if kms.is_none() && auto_encryption != AutoEncryption::Off {
            return Err(OpenError::AutoEncryptionWithoutKms);
        }
        let keys = Keys::load(&inner, kms.as_deref(), &entropy).await?;
        let manifests = moka::future::Cache::builder()
            .max_capacity(MANIFEST_CACHE_BYTES)
            .weigher(|_, manifest: &Arc<Manifest>| opening::weight(manifest))
            .build();
        Ok(Self {
            inner,
            data_keys: kms.map(|kms| DataKeys::new(kms, windows, &clock)),
            keys: Arc::new(keys),
            settings: Settings::new(settings_lease, clock),
            manifests,
            auto: auto_encryption,
            compat_etags,
            entropy,
        })
    }

    /// The backend beneath.
    pub const fn inner(&self) -> &B {
        &self.inner
    }
}

impl<B: fmt::Debug> fmt::Debug for Sse<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
