//! Data keys: fresh ones for new objects, opened ones for old, and how long either stays in memory.
//!
//! As S3's bucket keys do, one data key serves a bucket for a bounded window, so that the KMS sees calls per
//! bucket and not per object. The window counts from the *start* of the KMS call and is never extended.

mod window;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use s3s::S3Result;
use strongroom_envelope::{
    Context, DataKey, Envelope, Fingerprint, ObjectPath, Scheme, SealedDataKey,
};
use strongroom_kms::{Kms, KmsError};

use self::window::Window;
use crate::config::{Clock, KeyWindows};
use crate::error;

/// Buckets times keys times contexts that have a data key at the same time, and opened data keys that are
/// remembered: some hundred bytes each.
const ENTRIES_MAX: usize = 4096;

/// A data key for a new object.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) plaintext: Arc<DataKey>,
    pub(crate) sealed: SealedDataKey,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct BucketKeyId {
    scheme: Scheme,
    bucket: String,
    key: Option<String>,
    context: String,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct SealedKeyId {
    key: String,
    version: Option<String>,
    sealed: [u8; 32],
    context: String,
}

pub(crate) struct DataKeys {
    kms: Arc<dyn Kms>,
    bucket_keys: Option<Window<BucketKeyId, Issued>>,
    opened: Option<Window<SealedKeyId, Arc<DataKey>>>,
}

/// What a data key is wanted for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) scheme: Scheme,
    /// `None`: the default key.
    pub(crate) key: Option<&'a str>,
    /// The client's members of the context.
    pub(crate) context: &'a Context,
    pub(crate) bucket_key: bool,
}

impl DataKeys {
    pub(crate) fn new(kms: Arc<dyn Kms>, windows: KeyWindows, clock: &Clock) -> Self {
        let bucket_keys =
            (!windows.bucket_key.is_zero() && windows.bucket_key_objects > 0).then(|| {
                Window::new(
                    windows.bucket_key,
                    windows.bucket_key_objects,
                    ENTRIES_MAX,
                    Arc::clone(clock),
                )
            });
        // A remembered key must not outlive what the operator was told of bucket keys.
        let ttl = windows.opened.min(windows.bucket_key);
        let opened =
            (!ttl.is_zero()).then(|| Window::new(ttl, u64::MAX, ENTRIES_MAX, Arc::clone(clock)));
        Self {
            kms,
            bucket_keys,
            opened,
        }
    }

    /// A data key for a new object at `path`.
    pub(crate) async fn issue(
        &self,
        wanted: Wanted<'_>,
        path: &ObjectPath<'_>,
    ) -> S3Result<Issued> {
        let made = match self.bucket_keys.as_ref().filter(|_| wanted.bucket_key) {
            Some(window) => {
                let context = Context::for_bucket_key(wanted.context, path.bucket()).canonical();
                let id = BucketKeyId {
                    scheme: wanted.scheme,
                    bucket: path.bucket().to_owned(),
                    key: wanted.key.map(str::to_owned),
                    context: context.clone(),
                };
                window
                    .get(id, || self.make(wanted.key, &context, true))
                    .await
            }
            None => {
                let context = Context::for_object(wanted.context, path).canonical();
                self.make(wanted.key, &context, false).await
            }
        };
        made.map_err(|e| error::kms(&e))
    }

    async fn make(
        &self,
        key: Option<&str>,
        context: &str,
        bucket_key: bool,
    ) -> Result<Issued, KmsError> {
        let made = self.kms.new_data_key(key, context.as_bytes()).await?;
        Ok(Issued {
            plaintext: Arc::new(made.plaintext),
            sealed: SealedDataKey {
                key_name: made.key_name,
                key_version: made.key_version,
                fingerprint: made.fingerprint,
                sealed: made.sealed,
                bucket_key,
            },
        })
    }

    /// The data key of a stored object.
    pub(crate) async fn open(
        &self,
        envelope: &Envelope,
        path: &ObjectPath<'_>,
    ) -> S3Result<Arc<DataKey>> {
        let (Some(sealed), Some(context)) =
            (envelope.protection().data_key(), envelope.kms_context(path))
        else {
            return Err(error::not_authentic("its envelope has no data key"));
        };
        let context = context.canonical();
        let opened = match &self.opened {
            Some(window) => {
                let mut hash = [0; 32];
                hash.copy_from_slice(digest::digest(&digest::SHA256, &sealed.sealed).as_ref());
                let id = SealedKeyId {
                    key: sealed.key_name.clone(),
                    version: sealed.key_version.clone(),
                    sealed: hash,
                    context: context.clone(),
                };
                window.get(id, || self.ask(sealed, &context)).await
            }
            None => self.ask(sealed, &context).await,
        };
        match opened {
            Ok(key) => Ok(key),
            Err(KmsError::InvalidCiphertext { key }) if self.has_other_material(sealed).await => {
                tracing::error!(
                    key,
                    "the key of this name has other material than the object's"
                );
                Err(error::other_material(&key))
            }
            Err(e) => Err(error::kms(&e)),
        }
    }

    async fn ask(&self, sealed: &SealedDataKey, context: &str) -> Result<Arc<DataKey>, KmsError> {
        let version = sealed.key_version.as_deref();
        let opened = self.kms.open_data_key(
            &sealed.key_name,
            version,
            &sealed.sealed,
            context.as_bytes(),
        );
        opened.await.map(Arc::new)
    }

    /// Only words a failure: what cannot be told counts as the same.
    async fn has_other_material(&self, sealed: &SealedDataKey) -> bool {
        let Some(then) = &sealed.fingerprint else {
            return false;
        };
        match self.kms.describe(&sealed.key_name).await {
            Ok(now) => now
                .fingerprint
                .is_some_and(|now| comparable(&now, then) && now != *then),
            Err(_) => false,
        }
    }
}

fn comparable(a: &Fingerprint, b: &Fingerprint) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeys").finish_non_exhaustive()
    }
}
