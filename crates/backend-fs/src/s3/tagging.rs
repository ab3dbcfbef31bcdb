//! Tags of objects, sealed ones included: tags are the client's headers and lie beside the envelope.

use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use strongroom_backend::object::{EnvelopeChange, Location, ObjectHeaders};
use strongroom_backend::{Backend, tags};

/// A change of tags that meets another write begins again this many times: the last writer wins, as in S3.
const TRIES: usize = 5;

pub(super) async fn get(
    store: &impl Backend,
    req: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = req.input;
    let at = Location::new(input.bucket, input.key).with_version(input.version_id);
    let object = store.open(&at).await?;
    let stat = object.stat();
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: tags::to_set(stat.headers.tagging.as_deref()),
        version_id: stat.version_id.clone(),
    }))
}

pub(super) async fn put(
    store: &impl Backend,
    req: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = req.input;
    let tagging = tags::from_set(&input.tagging.tag_set)?;
    let at = Location::new(input.bucket, input.key).with_version(input.version_id);
    let version_id = set(store, &at, tagging).await?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

pub(super) async fn delete(
    store: &impl Backend,
    req: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = req.input;
    let at = Location::new(input.bucket, input.key).with_version(input.version_id);
    let version_id = set(store, &at, None).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
}

async fn set(
    store: &impl Backend,
    at: &Location,
    tagging: Option<String>,
) -> S3Result<Option<String>> {
    let mut tries = 0;
    loop {
        let object = store.open(at).await?;
        let stat = object.stat();
        let headers = ObjectHeaders {
            tagging: tagging.clone(),
            ..stat.headers.clone()
        };
        let change = EnvelopeChange {
            headers: Some(headers),
            ..Default::default()
        };
        tries += 1;
        match store.replace_envelope(at, &stat.generation, change).await {
            Ok(stored) => return Ok(stored.version_id),
            Err(error) if error.code() == &S3ErrorCode::PreconditionFailed && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}
