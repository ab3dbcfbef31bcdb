//! From an intent to an object key and the envelope that seals it: where a write gets its keys.

use s3s::{S3Result, s3_error};
use strongroom_backend::Backend;
use strongroom_backend::object::{Location, ObjectHeaders};
use strongroom_envelope::{
    Context, Envelope, ExternalKey, Kind, NewEnvelope, OBJECT_RANDOM_BYTES, ObjectChecksum,
    ObjectKey, ObjectPath, Protection, REWRAP_RANDOM_BYTES, Scheme,
};

use crate::Sse;
use crate::data_keys::{Issued, Wanted};
use crate::error;
use crate::intent::Intent;
use crate::reply::Encryption;
use crate::state::draw;

/// A new object's key and envelope.
#[derive(Debug)]
pub(crate) struct Sealing {
    pub(crate) object_key: ObjectKey,
    pub(crate) envelope: Envelope,
    pub(crate) encryption: Encryption,
}

/// Bucket and key of a location, as keys are bound to them.
pub(crate) fn path(at: &Location) -> ObjectPath<'_> {
    ObjectPath::new(&at.bucket, &at.key)
}

impl<B: Backend> Sse<B> {
    /// Makes an object key for `at` and seals it as `intent` says. The only KMS call of a write is here.
    pub(crate) async fn seal_key(
        &self,
        intent: &Intent,
        at: &Location,
        kind: Kind,
        empty_checksum: Option<ObjectChecksum>,
    ) -> S3Result<Sealing> {
        let path = path(at);
        let issued = self.issue(intent, &path).await?;
        let (protection, key) = protect(intent, issued.as_ref())?;
        let promises_md5 = protection.scheme() == Scheme::SseS3
            && self.compat_etags
            && self.inner.capabilities().chosen_etags;
        let new = NewEnvelope {
            path,
            kind,
            protection,
            empty_checksum,
            etag_key: promises_md5.then(|| self.keys.etag_keys().current().id()),
        };
        let random = zeroize::Zeroizing::new(draw::<OBJECT_RANDOM_BYTES>(&self.entropy)?);
        let (object_key, envelope) =
            Envelope::create(new, key, &random).map_err(|e| error::create(&e))?;
        let encryption = Encryption::of(&envelope, intent.customer());
        Ok(Sealing {
            object_key,
            envelope,
            encryption,
        })
    }

    /// Seals the key of the object at `at` anew as `intent` says; its body stays as it is.
    pub(crate) async fn rewrap(
        &self,
        old: &Envelope,
        object_key: &ObjectKey,
        intent: &Intent,
        at: &Location,
    ) -> S3Result<Envelope> {
        let path = path(at);
        let issued = self.issue(intent, &path).await?;
        let (protection, key) = protect(intent, issued.as_ref())?;
        let random = draw::<REWRAP_RANDOM_BYTES>(&self.entropy)?;
        old.rewrap(object_key, &path, protection, key, &random)
            .map_err(|e| error::create(&e))
    }

    async fn issue(&self, intent: &Intent, path: &ObjectPath<'_>) -> S3Result<Option<Issued>> {
        let none = Context::new();
        let wanted = match intent {
            Intent::Plain | Intent::SseC(_) => return Ok(None),
            Intent::SseS3 => Wanted {
                scheme: Scheme::SseS3,
                key: None,
                context: &none,
                bucket_key: true,
            },
            Intent::SseKms {
                key,
                context,
                bucket_key,
            } => Wanted {
                scheme: Scheme::SseKms,
                key: key.as_deref(),
                context,
                bucket_key: *bucket_key,
            },
        };
        let data_keys = self.data_keys.as_ref().ok_or_else(error::no_kms)?;
        data_keys.issue(wanted, path).await.map(Some)
    }

    /// Refuses an envelope that the backend has no room for, before the body is read.
    pub(crate) fn check_room(&self, envelope: &Envelope, headers: &ObjectHeaders) -> S3Result<()> {
        let Some(most) = self.inner.capabilities().metadata_bytes_max else {
            return Ok(());
        };
        let told: usize = headers
            .user_metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let needed = told + envelope.to_base64().len();
        if needed <= most {
            return Ok(());
        }
        Err(s3_error!(
            MetadataTooLarge,
            "Your metadata and the object's encryption record have {needed} bytes together; the store behind this \
             gateway takes {most}."
        ))
    }
}

/// What goes into the envelope, and the key that seals the object key.
fn protect<'k>(
    intent: &'k Intent,
    issued: Option<&'k Issued>,
) -> S3Result<(Protection, ExternalKey<'k>)> {
    match (intent, issued) {
        (Intent::SseC(customer), None) => Ok((Protection::SseC, (&customer.key).into())),
        (Intent::SseS3, Some(issued)) => {
            let protection = Protection::SseS3 {
                data_key: issued.sealed.clone(),
            };
            Ok((protection, (&*issued.plaintext).into()))
        }
        (Intent::SseKms { context, .. }, Some(issued)) => {
            let (data_key, context) = (issued.sealed.clone(), context.clone());
            Ok((
                Protection::SseKms { data_key, context },
                (&*issued.plaintext).into(),
            ))
        }
        _ => Err(s3_error!(InternalError, "a plain write has no key")),
    }
}
