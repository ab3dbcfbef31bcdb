//! CopyObject: the source is opened and sealed anew under a fresh object key, whatever either side's
//! encryption is. A copy onto itself within one scheme seals the key anew and moves no byte.

use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, StreamingBlob};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend;
use strongroom_backend::checksum::{Algorithm, ShowsChecksum as _};
use strongroom_backend::complete::hex;
use strongroom_backend::condition::{ReadConditions, strong};
use strongroom_backend::headers::{check_copy_onto_itself, check_key, refuse_internal};
use strongroom_backend::integrity::{Expectations, ExpectedChecksum, ExpectedValue, VerifiedBody};
use strongroom_backend::limits::BODY_BYTES_MAX;
use strongroom_backend::object::{Checksum, EnvelopeChange, Location, ObjectHeaders, Stored};
use strongroom_backend::put::{Finish, FinishSlot, Precondition, Put};

use crate::Sse;
use crate::connection::ConnectionSecurity;
use crate::customer::{Customer, TakesSourceCustomer};
use crate::error;
use crate::intent::{Asked, Intent};
use crate::opening::{Asker, Seen};
use crate::put::{Write, Written, refuse_object_lock};
use crate::reply::{Encryption, ShowsEncryption as _};
use crate::state::draw;

impl<B: Backend> Sse<B> {
    pub(crate) async fn copy(
        &self,
        mut req: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let asked = Asked::from(&mut req.input);
        let re_encrypts = asked.anything();
        let customer = source_customer(&mut req)?;
        let intent = self
            .resolve(asked, &req.input.bucket, &req.extensions)
            .await?;
        let from = source(&req.input.copy_source)?;
        let to = Location::new(&req.input.bucket, &req.input.key);
        let seen = self
            .look_at_source(&from, customer.as_ref(), &ReadConditions::from(&req.input))
            .await?;
        // A version that is named is another object than the newest, unless there are no versions.
        let onto_itself = (&from.bucket, &from.key) == (&to.bucket, &to.key)
            && (from.version_id.is_none() || seen.stat().version_id.is_none());
        let intent = match (&seen.envelope, intent) {
            // Metadata that is replaced in place must not decrypt the object.
            (Some(envelope), Intent::Plain) if onto_itself => {
                Intent::like(envelope).unwrap_or(Intent::Plain)
            }
            (None, Intent::Plain) => {
                req.input.if_match = self
                    .stored_condition(&to, req.input.if_match.take())
                    .await?;
                return self.inner.copy_object(req).await;
            }
            (_, intent) => intent,
        };
        if onto_itself
            && from.version_id.is_none()
            && let Some(envelope) = &seen.envelope
        {
            let other_scheme = intent.scheme() != Some(envelope.scheme());
            check_copy_onto_itself(&req.input, re_encrypts || other_scheme)?;
        }

        refuse_internal(&req.headers)?;
        let input = req.input;
        check_key(&input.key)?;
        refuse_object_lock!(input);
        let headers = ObjectHeaders::from_copy_input(&input, &seen.stat().headers)?;
        let wanted = input
            .checksum_algorithm
            .as_ref()
            .map(|a| Algorithm::parse(a.as_str()))
            .transpose()?;
        let mut precondition = self
            .precondition(&to, input.if_match, input.if_none_match)
            .await?;
        let unconditional = precondition == Precondition::None;
        if onto_itself {
            // What is written is made of what was seen. A write that came in between must not be undone.
            let seen = Precondition::Generation(seen.stat().generation.clone());
            if !unconditional && precondition != seen {
                return Err(error::replaced_meanwhile());
            }
            precondition = seen;
        }

        let same_scheme = seen.envelope.as_ref().map(|e| e.scheme()) == intent.scheme();
        let written = if onto_itself && wanted.is_none() && same_scheme {
            self.seal_anew(&seen, headers, customer.as_ref(), &intent)
                .await
        } else {
            check_source_size(seen.size)?;
            let size = seen.size;
            let (body, kept) = self.source_body(&seen, customer.as_ref()).await?;
            let expected = expectations(size, wanted, kept.as_ref());
            let write = Write {
                at: to,
                headers,
                body: Some(body),
                expected,
                precondition,
            };
            match &intent {
                Intent::Plain => self.store_plain(write).await,
                intent => self.seal_and_store(write, intent).await,
            }
        };
        let written = written.map_err(|failed| {
            if onto_itself && unconditional && failed.code() == &S3ErrorCode::PreconditionFailed {
                error::replaced_meanwhile()
            } else {
                failed
            }
        })?;

        let mut result = CopyObjectResult {
            e_tag: Some(strong(&written.etag)),
            last_modified: Some(written.stored.last_modified),
            ..Default::default()
        };
        if let Some(checksum) = &written.checksum {
            result.show_checksum(checksum);
        }
        let mut output = CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: seen.stat().version_id.clone(),
            version_id: written.stored.version_id,
            ..Default::default()
        };
        output.show_encryption(&written.encryption);
        Ok(S3Response::new(output))
    }

    /// Looks at a copy's source and holds the request's conditions against it.
    pub(crate) async fn look_at_source(
        &self,
        from: &Location,
        customer: Option<&Customer>,
        conditions: &ReadConditions,
    ) -> S3Result<Seen> {
        let seen = self.look(from).await?;
        if seen.envelope.is_none() && customer.is_some() {
            return Err(crate::opening::not_applicable());
        }
        conditions.check_copy_source(&seen.etag, &seen.stat().last_modified)?;
        Ok(seen)
    }

    /// The plaintext of a copy's source, and its checksum.
    async fn source_body(
        &self,
        seen: &Seen,
        customer: Option<&Customer>,
    ) -> S3Result<(StreamingBlob, Option<Checksum>)> {
        let Some(envelope) = &seen.envelope else {
            let body = match seen.size {
                0 => strongroom_backend::body::empty(),
                size => seen.object.read(0..size).await?,
            };
            return Ok((body, seen.stat().checksum.clone()));
        };
        let key = self
            .unlock(envelope, &seen.at, customer, Asker::CopySource)
            .await?;
        let manifest = self.manifest(seen, envelope, &key).await?;
        let checksum = self.details(seen, envelope, manifest.as_deref()).checksum;
        let body = self
            .plaintext(seen, envelope, key, manifest.as_deref(), 0..seen.size)
            .await?;
        Ok((body, checksum))
    }

    /// Seals the key of an object anew where it is; body, ETag and checksums stay.
    async fn seal_anew(
        &self,
        seen: &Seen,
        headers: ObjectHeaders,
        customer: Option<&Customer>,
        intent: &Intent,
    ) -> S3Result<Written> {
        let Some(envelope) = &seen.envelope else {
            return Err(s3_error!(
                InternalError,
                "a plain object has no key to seal"
            ));
        };
        let key = self
            .unlock(envelope, &seen.at, customer, Asker::CopySource)
            .await?;
        let manifest = self.manifest(seen, envelope, &key).await?;
        let checksum = self.details(seen, envelope, manifest.as_deref()).checksum;
        let envelope = self.rewrap(envelope, &key, intent, &seen.at).await?;
        self.check_room(&envelope, &headers)?;
        let change = EnvelopeChange {
            envelope: Some(envelope.encode().into()),
            headers: Some(headers),
            touch: true,
            ..EnvelopeChange::default()
        };
        let stored = self
            .inner
            .replace_envelope(&seen.at, &seen.stat().generation, change)
            .await?;
        let encryption = Encryption::of(&envelope, intent.customer());
        Ok(Written {
            stored,
            etag: seen.etag.clone(),
            checksum,
            encryption,
        })
    }

    /// Stores the plaintext of a sealed source: the request and the bucket ask for no encryption.
    async fn store_plain(&self, write: Write) -> S3Result<Written> {
        let Write {
            at,
            headers,
            body,
            expected,
            precondition,
        } = write;
        let finish = FinishSlot::new();
        let stored_length = expected.length;
        let body = self.plain_body(
            VerifiedBody::new(body, expected, self.compat_etags),
            &finish,
        )?;
        let put = Put {
            at,
            headers,
            body,
            stored_length,
            envelope: None,
            finish: finish.clone(),
            precondition,
        };
        let stored: Stored = self.inner.put(put).await?;
        let checksum = finish.get().and_then(|finish| finish.checksum.clone());
        let etag = stored.etag.clone();
        Ok(Written {
            stored,
            etag,
            checksum,
            encryption: Encryption::default(),
        })
    }

    /// A plain body that tells the store its ETag: the MD5, or something opaque.
    pub(crate) fn plain_body(
        &self,
        body: VerifiedBody,
        finish: &FinishSlot,
    ) -> S3Result<StreamingBlob> {
        let (slot, random) = (finish.clone(), draw::<16>(&self.entropy)?);
        Ok(body.into_blob(move |digests| {
            let etag = match digests.md5 {
                Some(md5) => hex(&md5),
                None => format!("{}-1", hex(&random)),
            };
            slot.set(Finish {
                etag,
                checksum: digests.checksum.clone(),
                ..Finish::default()
            });
        }))
    }
}

/// What the copy must be: as long as the source, with the checksum that the source has. A composite
/// checksum, which is over parts, becomes one over all bytes.
fn expectations(size: u64, wanted: Option<Algorithm>, kept: Option<&Checksum>) -> Expectations {
    let kept_algorithm = kept.and_then(|kept| Algorithm::parse(&kept.algorithm).ok());
    let algorithm = wanted.or(kept_algorithm).unwrap_or(Algorithm::Crc64Nvme);
    let value = match kept.and_then(|kept| kept.digest(algorithm)) {
        Some(digest) => ExpectedValue::Header(digest),
        None => ExpectedValue::Any,
    };
    Expectations {
        length: Some(size),
        content_md5: None,
        checksum: Some(ExpectedChecksum { algorithm, value }),
    }
}

/// Takes the key of a copy's source out of the request.
pub(crate) fn source_customer<T: TakesSourceCustomer>(
    req: &mut S3Request<T>,
) -> S3Result<Option<Customer>> {
    req.input
        .take_source_customer()
        .check(ConnectionSecurity::of(&req.extensions))
}

pub(crate) fn source(told: &CopySource) -> S3Result<Location> {
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

pub(crate) fn check_source_size(bytes: u64) -> S3Result<()> {
    if bytes > BODY_BYTES_MAX {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: {BODY_BYTES_MAX}"
        ));
    }
    Ok(())
}
