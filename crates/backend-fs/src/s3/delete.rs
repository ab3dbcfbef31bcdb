//! DeleteObject and DeleteObjects.

use futures::{StreamExt as _, stream};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    Error, ObjectIdentifier,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend;
use strongroom_backend::condition::DeleteConditions;
use strongroom_backend::headers::check_key;
use strongroom_backend::limits::DELETE_KEYS_MAX;
use strongroom_backend::object::{Deleted, Location};

use super::read::newest;
use super::write::current;

/// Keys of one DeleteObjects that are deleted at once: enough to hide the disk's latency, few enough that
/// one request does not crowd out the others.
const DELETES_AT_ONCE: usize = 16;

pub(super) async fn one(
    store: &impl Backend,
    req: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let conditions = DeleteConditions::from(&req.input);
    let input = req.input;
    let at = Location::new(input.bucket, input.key).with_version(input.version_id);
    let deleted = delete(store, &at, &conditions).await?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: deleted.delete_marker.then_some(true),
        version_id: deleted.version_id,
        ..Default::default()
    }))
}

pub(super) async fn many(
    store: &impl Backend,
    req: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let DeleteObjectsInput { bucket, delete, .. } = req.input;
    if delete.objects.is_empty() || delete.objects.len() > DELETE_KEYS_MAX {
        return Err(s3_error!(
            MalformedXML,
            "the list must have 1 to {DELETE_KEYS_MAX} keys"
        ));
    }
    let quiet = delete.quiet == Some(true);
    let bucket = bucket.as_str();
    let results: Vec<_> = stream::iter(delete.objects)
        .map(|named| async move {
            let result = delete_named(store, bucket, &named).await;
            (named, result)
        })
        .buffered(DELETES_AT_ONCE)
        .collect()
        .await;

    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for (named, result) in results {
        match result {
            // The bucket is the request's, not the key's.
            Err(error) if error.code() == &S3ErrorCode::NoSuchBucket => return Err(error),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(named.key),
                message: error.message().map(str::to_owned),
                version_id: named.version_id,
            }),
            Ok(_) if quiet => {}
            Ok(done) => deleted.push(DeletedObject {
                delete_marker: done.delete_marker.then_some(true),
                delete_marker_version_id: done
                    .delete_marker
                    .then(|| done.version_id.clone())
                    .flatten(),
                key: Some(named.key),
                version_id: named.version_id,
            }),
        }
    }
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    }))
}

async fn delete_named(
    store: &impl Backend,
    bucket: &str,
    named: &ObjectIdentifier,
) -> S3Result<Deleted> {
    check_key(&named.key)?;
    let at = Location::new(bucket, &named.key).with_version(named.version_id.clone());
    delete(store, &at, &DeleteConditions::from(named)).await
}

async fn delete(
    store: &impl Backend,
    at: &Location,
    conditions: &DeleteConditions,
) -> S3Result<Deleted> {
    let precondition = if conditions.any() {
        let object = newest(store, at).await?;
        let current = object.as_ref().map(|object| current(object.stat()));
        conditions.precondition(current.as_ref())?
    } else {
        conditions.precondition(None)?
    };
    store.delete(at, precondition).await
}
