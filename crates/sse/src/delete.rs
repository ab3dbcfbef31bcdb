//! Deletes: no key, no KMS. Conditions name what clients see and are put in the store's terms.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3s::dto::{
    DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, ETag, ETagCondition, ObjectIdentifier,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use strongroom_backend::Backend;
use strongroom_backend::condition::{Current, DeleteConditions, strong};
use strongroom_backend::object::Location;

use crate::Sse;
use crate::opening::Seen;

/// Keys of one DeleteObjects that are looked at at once.
const LOOKS_AT_ONCE: usize = 16;
/// An ETag that no object has: what a key's condition becomes when it does not hold, so that the backend
/// reports it among the others.
const NEVER: &str = "condition-does-not-hold";

impl<B: Backend> Sse<B> {
    pub(crate) async fn delete(
        &self,
        mut req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let conditions = DeleteConditions::from(&req.input);
        if conditions.any() {
            let at = Location::new(&req.input.bucket, &req.input.key);
            if let Some(seen) = self.look_for(&at).await? {
                conditions.precondition(Some(&current(&seen)))?;
                if seen.envelope.is_some() {
                    req.input.if_match = Some(ETagCondition::ETag(strong(&seen.stat().etag)));
                    req.input.if_match_size = None;
                }
            }
        }
        self.inner.delete_object(req).await
    }

    pub(crate) async fn delete_many(
        &self,
        mut req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = req.input.bucket.clone();
        let named = std::mem::take(&mut req.input.delete.objects);
        req.input.delete.objects = stream::iter(named)
            .map(|named| self.in_stored_terms(&bucket, named))
            .buffered(LOOKS_AT_ONCE)
            .try_collect()
            .await?;
        self.inner.delete_objects(req).await
    }

    async fn in_stored_terms(
        &self,
        bucket: &str,
        mut named: ObjectIdentifier,
    ) -> S3Result<ObjectIdentifier> {
        let conditions = DeleteConditions::from(&named);
        if !conditions.any() {
            return Ok(named);
        }
        let at = Location::new(bucket, &named.key);
        match self.look_for(&at).await {
            Ok(Some(seen)) if seen.envelope.is_some() => {
                let holds = conditions.precondition(Some(&current(&seen))).is_ok();
                named.e_tag = Some(if holds {
                    strong(&seen.stat().etag)
                } else {
                    ETag::Strong(NEVER.to_owned())
                });
                named.size = None;
            }
            Ok(_) => {}
            Err(error) if error.code() == &S3ErrorCode::NoSuchBucket => return Err(error),
            // What cannot be looked at is not deleted under a condition; the others are.
            Err(_) => named.e_tag = Some(ETag::Strong(NEVER.to_owned())),
        }
        Ok(named)
    }

    async fn look_for(&self, at: &Location) -> S3Result<Option<Seen>> {
        match self.look(at).await {
            Ok(seen) => Ok(Some(seen)),
            Err(error) if error.code() == &S3ErrorCode::NoSuchKey => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A bucket takes its settings with it. Only those that were there before it went: a new bucket of that
    /// name may have its own by the time the old ones are cleared.
    pub(crate) async fn delete_bucket_and_settings(
        &self,
        req: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = req.input.bucket.clone();
        let before = self
            .settings
            .before_delete(&bucket, &self.inner, &self.keys)
            .await;
        let response = self.inner.delete_bucket(req).await?;
        // Left behind they would only make a new bucket of that name encrypt.
        if let Err(error) = self.settings.clear_deleted(&bucket, before, self).await {
            tracing::warn!(bucket, %error, "the settings of a deleted bucket could not be deleted");
        }
        Ok(response)
    }
}

fn current(seen: &Seen) -> Current<'_> {
    Current {
        etag: &seen.etag,
        size: seen.size,
        last_modified: &seen.stat().last_modified,
        generation: &seen.stat().generation,
    }
}
