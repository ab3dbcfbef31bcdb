//! CompleteMultipartUpload.

use md5::{Digest as _, Md5};
use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend;
use strongroom_backend::checksum::ShowsChecksum as _;
use strongroom_backend::complete::{self, Chosen, Declared, ListedPart};
use strongroom_backend::condition::strong;
use strongroom_backend::object::{Checksum, Location};
use strongroom_backend::upload::{CompleteUpload, PartAttempt, Upload, UploadId};
use strongroom_envelope::{BodyKind, Envelope, Etag, Manifest, ManifestError, PartEntry, Scheme};

use super::notes::{Attempt, open_upload};
use super::{envelope_of, refuse_customer, uploader, visible};
use crate::Sse;
use crate::checksum;
use crate::customer::Customer;
use crate::etags;
use crate::opening::Asker;
use crate::reply::{Encryption, ShowsEncryption as _};
use crate::sealing::path;
use crate::state::draw;

/// What became of an upload.
struct Done {
    etag: String,
    version_id: Option<String>,
    checksum: Option<Checksum>,
    encryption: Encryption,
}

impl<B: Backend> Sse<B> {
    pub(crate) async fn complete(
        &self,
        mut req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let customer = uploader(&mut req)?;
        let at = Location::new(&req.input.bucket, &req.input.key);
        let id = UploadId(req.input.upload_id.clone());
        let upload = match self.inner.upload(&at, &id).await {
            Ok(upload) => upload,
            // A client that lost the answer asks again.
            Err(error) if error.code() == &S3ErrorCode::NoSuchUpload => {
                return match self.completed_before(&req.input, &at, &id).await? {
                    Some(done) => Ok(answer(&at, done)),
                    None => self.inner.complete_multipart_upload(req).await,
                };
            }
            Err(error) => return Err(error),
        };
        let Some(envelope) = envelope_of(&upload)? else {
            refuse_customer(customer.as_ref())?;
            req.input.if_match = self
                .stored_condition(&at, req.input.if_match.take())
                .await?;
            return self.inner.complete_multipart_upload(req).await;
        };
        let input = &req.input;
        let done = match self
            .finish(input, &at, &id, &upload, &envelope, customer.as_ref())
            .await
        {
            // Another Complete of the same upload may have come first. Then its parts are gone, and what it
            // left there breaks this one's conditions.
            Err(error) if may_be_done(&error) => {
                self.completed_before(input, &at, &id).await?.ok_or(error)?
            }
            done => done?,
        };
        Ok(answer(&at, done))
    }

    async fn finish(
        &self,
        input: &CompleteMultipartUploadInput,
        at: &Location,
        id: &UploadId,
        upload: &Upload,
        envelope: &Envelope,
        customer: Option<&Customer>,
    ) -> S3Result<Done> {
        // The client's key is not needed, for the upload's record has the footer's. One that is sent is proved, and S3
        // demands one where a checksum was announced, since the answer tells it.
        if customer.is_some() {
            self.unlock(envelope, at, customer, Asker::Uploader).await?;
        } else if envelope.scheme() == Scheme::SseC && upload.new.checksum.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "The upload was begun with a customer key and a checksum algorithm: to complete it, send the key."
            ));
        }
        let footer_key = open_upload(&upload.new.record, envelope, at, &self.keys)?;
        let listed = complete::listed(input)?;
        let attempts = self.inner.part_attempts(at, id).await?;
        let seen = |attempt: &PartAttempt| visible(attempt, envelope, &self.keys);
        let chosen = complete::choose(&listed, &attempts, seen)?;
        let declared = Declared::of_upload(upload.new.checksum.as_ref())?;
        let checksum = complete::checksum(input, declared, &chosen)?;
        let manifest = self.manifest_of(&chosen, envelope, checksum.as_ref())?;
        let etag = etag_of(&listed).ok_or_else(|| s3_error!(InvalidPart))?;
        let precondition = self
            .precondition(at, input.if_match.clone(), input.if_none_match.clone())
            .await?;
        let stored = self
            .inner
            .complete_upload(CompleteUpload {
                at: at.clone(),
                upload: id.clone(),
                attempts: chosen
                    .iter()
                    .map(|part| part.attempt.attempt.clone())
                    .collect(),
                footer: footer_key.seal(&manifest, draw(&self.entropy)?).into(),
                envelope: upload.new.envelope.clone(),
                etag: etags::stored(envelope, etag, &path(at), &self.keys).to_string(),
                checksum: None,
                precondition,
            })
            .await?;
        Ok(Done {
            etag: etags::visible(envelope, &stored.etag, &path(at), &self.keys)?,
            version_id: stored.version_id,
            checksum,
            encryption: Encryption::of(envelope, customer),
        })
    }

    fn manifest_of(
        &self,
        chosen: &[Chosen<'_>],
        envelope: &Envelope,
        checksum: Option<&Checksum>,
    ) -> S3Result<Manifest> {
        let mut entries = Vec::with_capacity(chosen.len());
        for part in chosen {
            let attempt = Attempt::open(part.attempt, envelope.generation(), &self.keys)?;
            let sealed = attempt.checksum.as_ref().map(checksum::seal).transpose()?;
            entries.push(PartEntry {
                number: part.attempt.number,
                plain_length: attempt.plain_length,
                nonce: attempt.nonce,
                checksum: sealed.map(|sealed| sealed.checksum),
            });
        }
        let whole = checksum.map(checksum::seal).transpose()?;
        Manifest::new(BodyKind::Multipart, entries, whole).map_err(|e| match e {
            ManifestError::PartLength { .. } => s3_error!(EntityTooSmall),
            ManifestError::PartNumber { .. } => s3_error!(InvalidPartOrder),
            ManifestError::NoParts => s3_error!(MalformedXML, "the list has no parts"),
        })
    }

    /// The answer to a Complete that succeeded before, as long as its object is the newest at its key. The
    /// object's ETag is a function of the list, so another list is told apart from the same one.
    async fn completed_before(
        &self,
        input: &CompleteMultipartUploadInput,
        at: &Location,
        id: &UploadId,
    ) -> S3Result<Option<Done>> {
        let Ok(seen) = self.look(at).await else {
            return Ok(None);
        };
        let Some(envelope) = &seen.envelope else {
            return Ok(None);
        };
        let same_upload = seen.stat().upload_id.as_deref() == Some(id.0.as_str());
        let listed = complete::listed(input)?;
        let numbers = seen.stat().parts.iter().map(|part| part.number);
        let same_numbers = numbers.eq(listed.iter().map(|part| part.number));
        let same_list = etag_of(&listed).is_some_and(|etag| {
            let stored = etags::stored(envelope, etag, &path(at), &self.keys);
            stored.to_string() == seen.stat().etag || !self.inner.capabilities().chosen_etags
        });
        Ok((same_upload && same_numbers && same_list).then(|| Done {
            etag: seen.etag.clone(),
            version_id: seen.stat().version_id.clone(),
            checksum: None,
            encryption: Encryption::of(envelope, None),
        }))
    }
}

fn may_be_done(error: &s3s::S3Error) -> bool {
    [
        &S3ErrorCode::NoSuchUpload,
        &S3ErrorCode::InvalidPart,
        &S3ErrorCode::PreconditionFailed,
    ]
    .contains(&error.code())
}

/// S3's rule, for opaque ETags too: the MD5 of the parts' digests, and their number.
fn etag_of(listed: &[ListedPart]) -> Option<Etag> {
    let mut md5 = Md5::new();
    for part in listed {
        md5.update(Etag::parse(&part.etag)?.digest);
    }
    Some(Etag {
        digest: md5.finalize().into(),
        parts: Some(u32::try_from(listed.len()).ok()?),
    })
}

fn answer(at: &Location, done: Done) -> S3Response<CompleteMultipartUploadOutput> {
    let mut output = CompleteMultipartUploadOutput {
        location: Some(location(at)),
        bucket: Some(at.bucket.clone()),
        key: Some(at.key.clone()),
        e_tag: Some(strong(&done.etag)),
        version_id: done.version_id,
        ..Default::default()
    };
    output.show_encryption(&done.encryption);
    if let Some(checksum) = &done.checksum {
        output.show_checksum(checksum);
    }
    let mut response = S3Response::new(output);
    done.encryption.add_customer(&mut response.headers);
    response
}

/// The path of the object; the host by which clients reach it is not known here.
fn location(at: &Location) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'/');
    format!("/{}/{}", at.bucket, utf8_percent_encode(&at.key, KEPT))
}
