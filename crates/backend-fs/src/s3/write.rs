//! PutObject.

use s3s::dto::{PutObjectInput, PutObjectOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend;
use strongroom_backend::checksum::ShowsChecksum as _;
use strongroom_backend::condition::{Current, WriteConditions, strong};
use strongroom_backend::headers::{self, check_key};
use strongroom_backend::integrity::{Expectations, VerifiedBody};
use strongroom_backend::object::{Location, ObjectHeaders};
use strongroom_backend::put::{Finish, FinishSlot, Precondition, Put};

use super::etags::Etags;
use super::read::newest;
use super::refuse;

pub(super) async fn put(
    store: &impl Backend,
    etags: &Etags,
    req: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    refuse::encryption(&req.input)?;
    refuse::object_lock!(req.input)?;
    if req.input.write_offset_bytes.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "objects cannot be appended to; write the whole object"
        ));
    }
    headers::refuse_internal(&req.headers)?;
    check_key(&req.input.key)?;
    let expected = Expectations::of_put(&req)?;
    let input = req.input;
    let object_headers = ObjectHeaders::from_put_input(&input)?;
    let conditions = WriteConditions::new(input.if_match, input.if_none_match)?;
    let at = Location::new(input.bucket, input.key);
    let precondition = precondition(store, &at, &conditions).await?;

    let stored_length = expected.length;
    let body = VerifiedBody::new(input.body, expected, etags.compat);
    let finish = FinishSlot::new();
    let stored = store
        .put(Put {
            at,
            headers: object_headers,
            body: finishing(body, etags, &finish),
            stored_length,
            envelope: None,
            finish: finish.clone(),
            precondition,
        })
        .await?;

    let mut output = PutObjectOutput {
        e_tag: Some(strong(&stored.etag)),
        version_id: stored.version_id,
        ..Default::default()
    };
    if let Some(checksum) = finish.get().and_then(|finish| finish.checksum.as_ref()) {
        output.show_checksum(checksum);
    }
    Ok(S3Response::new(output))
}

/// A body that fills `finish` at its end.
pub(super) fn finishing(
    body: VerifiedBody,
    etags: &Etags,
    finish: &FinishSlot,
) -> s3s::dto::StreamingBlob {
    let (etags, slot) = (etags.clone(), finish.clone());
    body.into_blob(move |digests| {
        slot.set(Finish {
            etag: etags.of_body(digests),
            checksum: digests.checksum.clone(),
            record: bytes::Bytes::new(),
        });
    })
}

/// Holds a write's conditions against what is there, before its body is read.
pub(super) async fn precondition(
    store: &impl Backend,
    at: &Location,
    conditions: &WriteConditions,
) -> S3Result<Precondition> {
    if !conditions.any() {
        return Ok(Precondition::None);
    }
    let object = newest(store, at).await?;
    let current = object.as_ref().map(|object| current(object.stat()));
    conditions.precondition(current.as_ref())
}

/// A plain object as conditions see it.
pub(super) fn current(stat: &strongroom_backend::object::Stat) -> Current<'_> {
    Current {
        etag: &stat.etag,
        size: stat.stored_length,
        last_modified: &stat.last_modified,
        generation: &stat.generation,
    }
}
