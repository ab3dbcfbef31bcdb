//! Multipart: the line of a PUT in pieces. Create seals the key, each attempt of a part has its own stream
//! nonce and its own sealed record, Complete chooses attempts by the ETags that the client quotes, writes the
//! footer and moves no stored byte.

mod complete;
mod notes;

use std::sync::Arc;

use s3s::dto::{
    ChecksumAlgorithm, CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    ListPartsInput, ListPartsOutput, StreamingBlob, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::answer::copy_source_range;
use strongroom_backend::checksum::ShowsChecksum as _;
use strongroom_backend::complete::{Declared, VisibleAttempt, part_number};
use strongroom_backend::condition::{ReadConditions, strong};
use strongroom_backend::headers::{check_key, refuse_internal};
use strongroom_backend::integrity::{Digests, Expectations, VerifiedBody};
use strongroom_backend::object::{Location, ObjectHeaders};
use strongroom_backend::put::{Finish, FinishSlot};
use strongroom_backend::upload::{NewPart, NewUpload, PartAttempt, Upload, UploadId};
use strongroom_backend::{Backend, body, parts};
use strongroom_dare::{StreamNonce, geometry};
use strongroom_envelope::{Envelope, Kind, ObjectKey};

use self::notes::{Attempt, stored_etag};
use crate::Sse;
use crate::body::seal::{Ending, sealed_body};
use crate::connection::ConnectionSecurity;
use crate::copy::{check_source_size, source, source_customer};
use crate::customer::{Customer, TakesCustomer};
use crate::error;
use crate::etags;
use crate::intent::{Asked, Intent};
use crate::opening::{Asker, upload_is_not_encrypted};
use crate::put::{refuse_object_lock, refuse_source_customer};
use crate::reply::{Encryption, ShowsEncryption as _};
use crate::state::draw;

impl<B: Backend> Sse<B> {
    pub(crate) async fn create_upload(
        &self,
        mut req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        refuse_source_customer(&req.headers)?;
        let asked = Asked::from(&mut req.input);
        let intent = self
            .resolve(asked, &req.input.bucket, &req.extensions)
            .await?;
        if matches!(intent, Intent::Plain) {
            return self.inner.create_multipart_upload(req).await;
        }
        refuse_internal(&req.headers)?;
        let input = req.input;
        check_key(&input.key)?;
        refuse_object_lock!(input);
        let declared = Declared::new(
            input
                .checksum_algorithm
                .as_ref()
                .map(ChecksumAlgorithm::as_str),
            input.checksum_type.as_ref().map(|t| t.as_str()),
        )?;
        let headers = ObjectHeaders::from_create_input(&input)?;
        let at = Location::new(&input.bucket, &input.key);
        let sealing = self.seal_key(&intent, &at, Kind::Multipart, None).await?;
        self.check_room(&sealing.envelope, &headers)?;
        let footer_key = sealing.object_key.footer_key();
        let record = notes::seal_upload(
            &footer_key,
            &sealing.envelope,
            &at,
            &self.keys,
            &self.entropy,
        )?;
        let id = self
            .inner
            .create_upload(NewUpload {
                at,
                headers,
                envelope: Some(sealing.envelope.encode().into()),
                record,
                checksum: declared.map(Declared::to_stored),
            })
            .await?;
        let mut output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id.0),
            checksum_algorithm: declared.map(|d| d.algorithm.dto()),
            checksum_type: declared.map(Declared::checksum_type),
            ..Default::default()
        };
        output.show_encryption(&sealing.encryption);
        Ok(S3Response::new(output))
    }

    pub(crate) async fn put_part(
        &self,
        mut req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        refuse_source_customer(&req.headers)?;
        let customer = uploader(&mut req)?;
        let at = Location::new(&req.input.bucket, &req.input.key);
        let id = UploadId(req.input.upload_id.clone());
        let upload = self.inner.upload(&at, &id).await?;
        let Some(envelope) = envelope_of(&upload)? else {
            refuse_customer(customer.as_ref())?;
            return self.inner.upload_part(req).await;
        };
        let number = part_number(Some(req.input.part_number))?;
        let expected = Expectations::of_part(&req)?;
        let expected = agreeing(expected, Declared::of_upload(upload.new.checksum.as_ref())?)?;
        let key = self
            .unlock(&envelope, &at, customer.as_ref(), Asker::Uploader)
            .await?;
        let part = Part {
            at,
            id,
            number,
            envelope: &envelope,
            key: &key,
        };
        let attempt = self
            .seal_and_store_part(part, req.input.body, expected)
            .await?;

        let seen = visible(&attempt, &envelope, &self.keys)?;
        let mut output = UploadPartOutput {
            e_tag: Some(strong(&seen.etag)),
            ..Default::default()
        };
        output.show_encryption(&Encryption::of(&envelope, customer.as_ref()));
        if let Some(checksum) = &seen.checksum {
            output.show_checksum(checksum);
        }
        Ok(S3Response::new(output))
    }

    /// Seals one attempt of a part. Each has a stream nonce of its own: a part that is sent again with other
    /// bytes must never meet the same key and nonce.
    async fn seal_and_store_part(
        &self,
        part: Part<'_>,
        body: Option<StreamingBlob>,
        expected: Expectations,
    ) -> S3Result<PartAttempt> {
        let Part {
            at,
            id,
            number,
            envelope,
            key,
        } = part;
        let plain_length = expected.length;
        let wants_md5 = envelope.etag_key().is_some();
        let nonce = StreamNonce::from_bytes(draw(&self.entropy)?);
        let random = draw(&self.entropy)?;
        let finish = FinishSlot::new();
        let (owned, keys, entropy) = (
            envelope.clone(),
            Arc::clone(&self.keys),
            Arc::clone(&self.entropy),
        );
        let on_end = move |digests: &Digests| {
            let attempt = Attempt {
                plain_length: digests.length,
                nonce,
                etag: etags::of_body(&owned, digests, random),
                checksum: digests.checksum.clone(),
            };
            let record = attempt.seal(owned.generation(), number, &keys, &entropy)?;
            let finish = Finish {
                etag: stored_etag(nonce),
                checksum: None,
                record,
            };
            Ok(Ending {
                footer: Vec::new(),
                finish,
            })
        };
        let body = VerifiedBody::new(body, expected, wants_md5);
        let sealed = sealed_body(
            body,
            plain_length,
            &key.part_key(number),
            nonce,
            finish.clone(),
            on_end,
        );
        let stored_length = plain_length.and_then(|length| geometry::sealed_length(length).ok());
        let new = NewPart {
            at,
            upload: id,
            number,
            body: sealed,
            stored_length,
            finish,
        };
        self.inner.put_part(new).await
    }

    pub(crate) async fn copy_part(
        &self,
        mut req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let customer = uploader(&mut req)?;
        let from_customer = source_customer(&mut req)?;
        let input = &req.input;
        let at = Location::new(&input.bucket, &input.key);
        let id = UploadId(input.upload_id.clone());
        let upload = self.inner.upload(&at, &id).await?;
        let envelope = envelope_of(&upload)?;
        let from = source(&input.copy_source)?;
        let conditions = ReadConditions::from(input);
        let seen = self
            .look_at_source(&from, from_customer.as_ref(), &conditions)
            .await?;
        if envelope.is_none() {
            refuse_customer(customer.as_ref())?;
            if seen.envelope.is_none() {
                return self.inner.upload_part_copy(req).await;
            }
        }
        let number = part_number(Some(input.part_number))?;
        let range = match input.copy_source_range.as_deref() {
            Some(range) => copy_source_range(range, seen.size)?,
            None => 0..seen.size,
        };
        check_source_size(range.end - range.start)?;
        let declared = Declared::of_upload(upload.new.checksum.as_ref())?;
        let expected = Expectations {
            length: Some(range.end - range.start),
            ..Default::default()
        }
        .or_compute(declared.map(|declared| declared.algorithm));
        // The upload's key before the source's bytes.
        let key = match &envelope {
            Some(envelope) => Some(
                self.unlock(envelope, &at, customer.as_ref(), Asker::Uploader)
                    .await?,
            ),
            None => None,
        };
        let plain = match &seen.envelope {
            None if range.is_empty() => body::empty(),
            None => seen.object.read(range).await?,
            Some(sealed) => {
                let key = self
                    .unlock(sealed, &from, from_customer.as_ref(), Asker::CopySource)
                    .await?;
                let manifest = self.manifest(&seen, sealed, &key).await?;
                self.plaintext(&seen, sealed, key, manifest.as_deref(), range)
                    .await?
            }
        };
        let (attempt, visible) = match (&envelope, &key) {
            (Some(envelope), Some(key)) => {
                let part = Part {
                    at,
                    id,
                    number,
                    envelope,
                    key,
                };
                let attempt = self
                    .seal_and_store_part(part, Some(plain), expected)
                    .await?;
                let visible = visible(&attempt, envelope, &self.keys)?;
                (attempt, visible)
            }
            _ => {
                let attempt = self
                    .store_plain_part(at, id, number, plain, expected)
                    .await?;
                let visible = VisibleAttempt::plain(&attempt);
                (attempt, visible)
            }
        };

        let mut result = CopyPartResult {
            e_tag: Some(strong(&visible.etag)),
            last_modified: Some(attempt.last_modified),
            ..Default::default()
        };
        if let Some(checksum) = &visible.checksum {
            result.show_checksum(checksum);
        }
        let mut output = UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: seen.stat().version_id.clone(),
            ..Default::default()
        };
        if let Some(envelope) = &envelope {
            output.show_encryption(&Encryption::of(envelope, customer.as_ref()));
        }
        Ok(S3Response::new(output))
    }

    async fn store_plain_part(
        &self,
        at: Location,
        id: UploadId,
        number: u32,
        plain: StreamingBlob,
        expected: Expectations,
    ) -> S3Result<PartAttempt> {
        let stored_length = expected.length;
        let finish = FinishSlot::new();
        let body = VerifiedBody::new(Some(plain), expected, self.compat_etags);
        let body = self.plain_body(body, &finish)?;
        self.inner
            .put_part(NewPart {
                at,
                upload: id,
                number,
                body,
                stored_length,
                finish,
            })
            .await
    }

    pub(crate) async fn list_parts_visible(
        &self,
        mut req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        // Some clients send the key here too; it is not needed.
        uploader(&mut req)?;
        let input = &req.input;
        let at = Location::new(&input.bucket, &input.key);
        let id = UploadId(input.upload_id.clone());
        let upload = self.inner.upload(&at, &id).await?;
        let Some(envelope) = envelope_of(&upload)? else {
            return self.inner.list_parts(req).await;
        };
        let attempts = self.inner.part_attempts(&at, &id).await?;
        let seen = |attempt: &PartAttempt| visible(attempt, &envelope, &self.keys);
        Ok(S3Response::new(parts::answer(
            input, &upload, &attempts, seen,
        )?))
    }
}

/// An attempt of a part that is about to be sealed.
struct Part<'a> {
    at: Location,
    id: UploadId,
    number: u32,
    envelope: &'a Envelope,
    key: &'a ObjectKey,
}

fn visible(
    attempt: &PartAttempt,
    envelope: &Envelope,
    keys: &crate::state::Keys,
) -> S3Result<VisibleAttempt> {
    let opened = Attempt::open(attempt, envelope.generation(), keys)?;
    Ok(VisibleAttempt {
        size: opened.plain_length,
        etag: opened.etag.to_string(),
        checksum: opened.checksum,
    })
}

fn envelope_of(upload: &Upload) -> S3Result<Option<Envelope>> {
    let envelope = upload.new.envelope.as_ref();
    envelope
        .map(|bytes| Envelope::decode(bytes))
        .transpose()
        .map_err(error::not_authentic)
}

fn uploader<T: TakesCustomer>(req: &mut S3Request<T>) -> S3Result<Option<Customer>> {
    req.input
        .take_customer()
        .check(ConnectionSecurity::of(&req.extensions))
}

fn refuse_customer(customer: Option<&Customer>) -> S3Result<()> {
    customer.map_or(Ok(()), |_| Err(upload_is_not_encrypted()))
}

/// The checksum of a part must be the upload's; a part that tells none gets it computed, so that the whole
/// has one.
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
