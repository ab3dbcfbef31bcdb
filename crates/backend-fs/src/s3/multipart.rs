//! Multipart uploads of plain objects.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ListPartsInput, ListPartsOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::checksum::ShowsChecksum as _;
use strongroom_backend::complete::{self, Declared, ListedPart, VisibleAttempt, part_number};
use strongroom_backend::condition::{WriteConditions, strong};
use strongroom_backend::headers::{check_key, refuse_internal};
use strongroom_backend::integrity::{Expectations, VerifiedBody};
use strongroom_backend::object::{Checksum, Location, ObjectHeaders};
use strongroom_backend::put::FinishSlot;
use strongroom_backend::upload::{CompleteUpload, NewPart, NewUpload, PartAttempt, UploadId};
use strongroom_backend::{Backend, parts};

use super::etags::Etags;
use super::read::newest;
use super::refuse;
use super::write::{finishing, precondition};

pub(super) async fn create(
    store: &impl Backend,
    req: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let input = req.input;
    refuse::encryption(&input)?;
    refuse::object_lock!(input)?;
    refuse_internal(&req.headers)?;
    check_key(&input.key)?;
    let declared = Declared::new(
        input
            .checksum_algorithm
            .as_ref()
            .map(ChecksumAlgorithm::as_str),
        input.checksum_type.as_ref().map(|t| t.as_str()),
    )?;
    let id = store
        .create_upload(NewUpload {
            at: Location::new(&input.bucket, &input.key),
            headers: ObjectHeaders::from_create_input(&input)?,
            envelope: None,
            record: bytes::Bytes::new(),
            checksum: declared.map(Declared::to_stored),
        })
        .await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id.0),
        checksum_algorithm: declared.map(|d| d.algorithm.dto()),
        checksum_type: declared.map(Declared::checksum_type),
        ..Default::default()
    }))
}

pub(super) async fn put_part(
    store: &impl Backend,
    etags: &Etags,
    req: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    refuse::encryption(&req.input)?;
    let number = part_number(Some(req.input.part_number))?;
    let expected = Expectations::of_part(&req)?;
    let input = req.input;
    let at = Location::new(input.bucket, input.key);
    let upload_id = UploadId(input.upload_id);
    let upload = store.upload(&at, &upload_id).await?;
    let declared = Declared::of_upload(upload.new.checksum.as_ref())?;
    let expected = agreeing(expected, declared)?;

    let stored_length = expected.length;
    let body = VerifiedBody::new(input.body, expected, etags.compat);
    let finish = FinishSlot::new();
    let attempt = store
        .put_part(NewPart {
            at,
            upload: upload_id,
            number,
            body: finishing(body, etags, &finish),
            stored_length,
            finish,
        })
        .await?;
    let mut output = UploadPartOutput {
        e_tag: Some(strong(&attempt.finish.etag)),
        ..Default::default()
    };
    if let Some(checksum) = &attempt.finish.checksum {
        output.show_checksum(checksum);
    }
    Ok(S3Response::new(output))
}

/// The checksum of a part must be the upload's; a part that tells none gets it computed, so that the
/// whole has one.
fn agreeing(expected: Expectations, declared: Option<Declared>) -> S3Result<Expectations> {
    let Some(declared) = declared else {
        return Ok(expected);
    };
    match &expected.checksum {
        Some(told) if told.algorithm != declared.algorithm => Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            declared.algorithm.name().to_ascii_lowercase(),
            told.algorithm.name().to_ascii_lowercase()
        )),
        _ => Ok(expected.or_compute(Some(declared.algorithm))),
    }
}

pub(super) async fn complete(
    store: &impl Backend,
    etags: &Etags,
    req: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = req.input;
    refuse::encryption(&input)?;
    let listed = complete::listed(&input)?;
    let at = Location::new(&input.bucket, &input.key);
    let id = UploadId(input.upload_id.clone());
    let done = match finish(store, etags, &input, &listed, &at, &id).await {
        // A client that lost the answer asks again; another Complete may also have come first.
        Err(error) if error.code() == &S3ErrorCode::NoSuchUpload => {
            repeated(store, etags, &listed, &at, &id, error).await?
        }
        done => done?,
    };
    let mut output = CompleteMultipartUploadOutput {
        location: Some(location(&at)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(strong(&done.etag)),
        version_id: done.version_id,
        ..Default::default()
    };
    if let Some(checksum) = &done.checksum {
        output.show_checksum(checksum);
    }
    Ok(S3Response::new(output))
}

struct Done {
    etag: String,
    version_id: Option<String>,
    checksum: Option<Checksum>,
}

async fn finish(
    store: &impl Backend,
    etags: &Etags,
    input: &CompleteMultipartUploadInput,
    listed: &[ListedPart],
    at: &Location,
    id: &UploadId,
) -> S3Result<Done> {
    let upload = store.upload(at, id).await?;
    let declared = Declared::of_upload(upload.new.checksum.as_ref())?;
    let attempts = store.part_attempts(at, id).await?;
    let chosen = complete::choose(listed, &attempts, visible)?;
    let checksum = complete::checksum(input, declared, &chosen)?;
    let conditions = WriteConditions::new(input.if_match.clone(), input.if_none_match.clone())?;
    let precondition = precondition(store, at, &conditions).await?;
    let stored = store
        .complete_upload(CompleteUpload {
            at: at.clone(),
            upload: id.clone(),
            attempts: chosen
                .iter()
                .map(|part| part.attempt.attempt.clone())
                .collect(),
            footer: bytes::Bytes::new(),
            envelope: None,
            etag: etags.of_parts(&chosen),
            checksum: checksum.clone(),
            precondition,
        })
        .await?;
    Ok(Done {
        etag: stored.etag,
        version_id: stored.version_id,
        checksum,
    })
}

/// Answers a Complete again while its object is there: same upload, same list. `missing` is the answer
/// otherwise.
async fn repeated(
    store: &impl Backend,
    etags: &Etags,
    listed: &[ListedPart],
    at: &Location,
    id: &UploadId,
    missing: S3Error,
) -> S3Result<Done> {
    let Some(object) = newest(store, at).await? else {
        return Err(missing);
    };
    let stat = object.stat();
    let same_parts = stat.parts.len() == listed.len()
        && stat
            .parts
            .iter()
            .zip(listed)
            .all(|(part, told)| part.number == told.number);
    let same_etag =
        !etags.compat || complete::etag_of_list(listed).is_none_or(|etag| etag == stat.etag);
    if stat.upload_id.as_ref() != Some(&id.0) || !same_parts || !same_etag {
        return Err(missing);
    }
    Ok(Done {
        etag: stat.etag.clone(),
        version_id: stat.version_id.clone(),
        checksum: stat.checksum.clone(),
    })
}

pub(super) async fn abort(
    store: &impl Backend,
    req: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = req.input;
    if input.if_match_initiated_time.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "x-amz-if-match-initiated-time is for directory buckets; name the upload id alone"
        ));
    }
    store
        .abort_upload(
            &Location::new(input.bucket, input.key),
            &UploadId(input.upload_id),
        )
        .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) async fn list_parts(
    store: &impl Backend,
    req: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = req.input;
    refuse::encryption(&input)?;
    let at = Location::new(&input.bucket, &input.key);
    let id = UploadId(input.upload_id.clone());
    let upload = store.upload(&at, &id).await?;
    let attempts = store.part_attempts(&at, &id).await?;
    Ok(S3Response::new(parts::answer(
        &input, &upload, &attempts, visible,
    )?))
}

fn visible(attempt: &PartAttempt) -> S3Result<VisibleAttempt> {
    Ok(VisibleAttempt::plain(attempt))
}

/// The path of the object; the host by which clients reach it is not known here.
fn location(at: &Location) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'/');
    format!("/{}/{}", at.bucket, utf8_percent_encode(&at.key, KEPT))
}
