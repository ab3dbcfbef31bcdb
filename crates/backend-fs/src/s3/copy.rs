//! CopyObject and UploadPartCopy.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource,
    UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend;
use strongroom_backend::answer::copy_source_range;
use strongroom_backend::checksum::{Algorithm, ShowsChecksum as _};
use strongroom_backend::complete::{Declared, part_number};
use strongroom_backend::condition::{ReadConditions, WriteConditions, strong};
use strongroom_backend::headers::{check_copy_onto_itself, check_key, refuse_internal};
use strongroom_backend::integrity::{Expectations, VerifiedBody};
use strongroom_backend::limits::BODY_BYTES_MAX;
use strongroom_backend::object::{
    Checksum, EnvelopeChange, Location, ObjectHeaders, OpenObject, Stored,
};
use strongroom_backend::put::{FinishSlot, Put};
use strongroom_backend::upload::{NewPart, UploadId};

use super::etags::Etags;
use super::read::open_plain;
use super::refuse;
use super::write::{finishing, precondition};

/// A change in place that meets another write begins again this many times: the last writer wins, as in S3.
const TRIES: usize = 5;

pub(super) async fn object(
    store: &impl Backend,
    etags: &Etags,
    req: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = req.input;
    refuse::encryption(&input)?;
    refuse::object_lock!(input)?;
    refuse_internal(&req.headers)?;
    check_key(&input.key)?;
    let from = source(&input.copy_source)?;
    let to = Location::new(&input.bucket, &input.key);
    let conditions = WriteConditions::new(input.if_match.clone(), input.if_none_match.clone())?;

    let mut tries = 0;
    loop {
        tries += 1;
        match once(store, etags, &input, &from, &to, &conditions).await? {
            Outcome::Done(output) => return Ok(S3Response::new(*output)),
            Outcome::Overtaken if tries < TRIES => {}
            Outcome::Overtaken => return Err(s3_error!(OperationAborted)),
        }
    }
}

enum Outcome {
    Done(Box<CopyObjectOutput>),
    /// Another write came between reading the object and changing it in place.
    Overtaken,
}

async fn once(
    store: &impl Backend,
    etags: &Etags,
    input: &CopyObjectInput,
    from: &Location,
    to: &Location,
    conditions: &WriteConditions,
) -> S3Result<Outcome> {
    let object = open_plain(store, from).await?;
    let stat = object.stat();
    ReadConditions::from(input).check_copy_source(&stat.etag, &stat.last_modified)?;
    check_source_size(stat.stored_length)?;
    let headers = ObjectHeaders::from_copy_input(input, &stat.headers)?;
    let wanted = input
        .checksum_algorithm
        .as_ref()
        .map(|a| Algorithm::parse(a.as_str()))
        .transpose()?;
    let precondition = precondition(store, to, conditions).await?;

    let in_place = from == to;
    if in_place {
        check_copy_onto_itself(input, false)?;
    }
    let kept = stat.checksum.as_ref();
    let checksum_stays = wanted.is_none_or(|a| kept.is_some_and(|c| c.digest(a).is_some()));
    let (stored, checksum) = if in_place && checksum_stays && !conditions.any() {
        // Nothing but headers changes: no byte moves.
        let change = EnvelopeChange {
            headers: Some(headers),
            touch: true,
            ..Default::default()
        };
        match store.replace_envelope(to, &stat.generation, change).await {
            Ok(stored) => (stored, kept.cloned()),
            Err(error) if error.code() == &S3ErrorCode::PreconditionFailed => {
                return Ok(Outcome::Overtaken);
            }
            Err(error) => return Err(error),
        }
    } else {
        let put = Put {
            at: to.clone(),
            headers,
            body: object.read(0..stat.stored_length).await?,
            stored_length: Some(stat.stored_length),
            envelope: None,
            finish: FinishSlot::new(),
            precondition,
        };
        let algorithm = wanted.or_else(|| kept.and_then(|c| Algorithm::parse(&c.algorithm).ok()));
        rewrite(store, etags, put, algorithm).await?
    };

    let mut result = CopyObjectResult {
        e_tag: Some(strong(&stored.etag)),
        last_modified: Some(stored.last_modified),
        ..Default::default()
    };
    if let Some(checksum) = &checksum {
        result.show_checksum(checksum);
    }
    Ok(Outcome::Done(Box::new(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: stat.version_id.clone(),
        version_id: stored.version_id,
        ..Default::default()
    })))
}

/// Reads the source and writes it anew.
async fn rewrite(
    store: &impl Backend,
    etags: &Etags,
    mut put: Put,
    algorithm: Option<Algorithm>,
) -> S3Result<(Stored, Option<Checksum>)> {
    let expected = Expectations {
        length: put.stored_length,
        ..Default::default()
    }
    .or_compute(algorithm);
    let finish = put.finish.clone();
    put.body = finishing(
        VerifiedBody::new(Some(put.body), expected, etags.compat),
        etags,
        &finish,
    );
    let stored = store.put(put).await?;
    Ok((
        stored,
        finish.get().and_then(|finish| finish.checksum.clone()),
    ))
}

pub(super) async fn part(
    store: &impl Backend,
    etags: &Etags,
    req: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = req.input;
    refuse::encryption(&input)?;
    let number = part_number(Some(input.part_number))?;
    let at = Location::new(&input.bucket, &input.key);
    let upload_id = UploadId(input.upload_id.clone());
    let upload = store.upload(&at, &upload_id).await?;
    let declared = Declared::of_upload(upload.new.checksum.as_ref())?;

    let object: Box<dyn OpenObject> = open_plain(store, &source(&input.copy_source)?).await?;
    let stat = object.stat();
    ReadConditions::from(&input).check_copy_source(&stat.etag, &stat.last_modified)?;
    let bytes = match input.copy_source_range.as_deref() {
        Some(range) => copy_source_range(range, stat.stored_length)?,
        None => 0..stat.stored_length,
    };
    let length = bytes.end - bytes.start;
    check_source_size(length)?;
    let expected = Expectations {
        length: Some(length),
        ..Default::default()
    }
    .or_compute(declared.map(|declared| declared.algorithm));
    let body = VerifiedBody::new(Some(object.read(bytes).await?), expected, etags.compat);
    let finish = FinishSlot::new();
    let attempt = store
        .put_part(NewPart {
            at,
            upload: upload_id,
            number,
            body: finishing(body, etags, &finish),
            stored_length: Some(length),
            finish,
        })
        .await?;

    let mut result = CopyPartResult {
        e_tag: Some(strong(&attempt.finish.etag)),
        last_modified: Some(attempt.last_modified),
        ..Default::default()
    };
    if let Some(checksum) = &attempt.finish.checksum {
        result.show_checksum(checksum);
    }
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: stat.version_id.clone(),
        ..Default::default()
    }))
}

fn source(told: &CopySource) -> S3Result<Location> {
    match told {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => {
            Ok(Location::new(&**bucket, &**key)
                .with_version(version_id.as_deref().map(str::to_owned)))
        }
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(s3_error!(
            NotImplemented,
            "x-amz-copy-source must be bucket/key: there are no access points here"
        )),
    }
}

fn check_source_size(bytes: u64) -> S3Result<()> {
    if bytes > BODY_BYTES_MAX {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: \
             {BODY_BYTES_MAX}"
        ));
    }
    Ok(())
}
