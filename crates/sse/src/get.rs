//! GetObject, HeadObject, GetObjectAttributes.

use s3s::dto::{
    ChecksumMode, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::answer::{self, Selection, Visible, VisiblePart};
use strongroom_backend::condition::ReadConditions;
use strongroom_backend::object::Location;
use strongroom_backend::{Backend, attributes, body};
use strongroom_envelope::{Kind, Scheme};

use crate::Sse;
use crate::connection::ConnectionSecurity;
use crate::customer::{Customer, TakesCustomer};
use crate::error;
use crate::opening::{Asker, Details, Seen, not_applicable};
use crate::put::refuse_source_customer;
use crate::reply::{Encryption, ShowsEncryption as _};

impl<B: Backend> Sse<B> {
    pub(crate) async fn get(
        &self,
        mut req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let customer = reader(&mut req)?;
        let input = &req.input;
        let at = Location::new(&input.bucket, &input.key).with_version(input.version_id.clone());
        let seen = self.look(&at).await?;
        let conditions = ReadConditions::from(input);
        let Some(envelope) = &seen.envelope else {
            refuse_customer(customer.as_ref())?;
            conditions.check_read(&seen.etag, &seen.stat().last_modified)?;
            let parts = VisiblePart::plain(seen.stat());
            let visible = Visible::plain(seen.stat(), &parts);
            let selection = Selection::find(&visible, input.range.as_ref(), input.part_number)?;
            let bytes = match selection.length() {
                0 => body::empty(),
                _ => seen.object.read(selection.bytes.clone()).await?,
            };
            let blob = body::sized(bytes, selection.length());
            return Ok(S3Response::new(answer::get(
                &visible, &selection, input, blob,
            )));
        };

        // A client's key is proved first; the KMS is not asked for what will be a 304.
        let is_customers = envelope.scheme() == Scheme::SseC;
        if !is_customers && customer.is_none() {
            conditions.check_read(&seen.etag, &seen.stat().last_modified)?;
        }
        let key = self
            .unlock(envelope, &at, customer.as_ref(), Asker::Reader)
            .await?;
        if is_customers {
            conditions.check_read(&seen.etag, &seen.stat().last_modified)?;
        }
        // The part table is needed for what came in parts; the checksum must be sent before the body.
        let needs_manifest =
            envelope.kind() == Kind::Multipart || wants_checksum(input.checksum_mode.as_ref());
        let manifest = match needs_manifest {
            true => self.manifest(&seen, envelope, &key).await?,
            false => None,
        };
        let details = self.details(&seen, envelope, manifest.as_deref());
        let visible = visible(&seen, &details);
        let selection = Selection::find(&visible, input.range.as_ref(), input.part_number)?;
        let blob = self
            .plaintext(
                &seen,
                envelope,
                key,
                manifest.as_deref(),
                selection.bytes.clone(),
            )
            .await?;

        let encryption = Encryption::of(envelope, customer.as_ref());
        let mut output = answer::get(&visible, &selection, input, blob);
        output.show_encryption(&encryption);
        let mut response = S3Response::new(output);
        encryption.add_context(&mut response.headers);
        Ok(response)
    }

    /// HEAD asks the KMS only for what lies in the footer: checksums, and parts by number. Without the key
    /// the checksums are left out. A client's key is proved.
    pub(crate) async fn head(
        &self,
        mut req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let customer = reader(&mut req)?;
        let input = &req.input;
        let at = Location::new(&input.bucket, &input.key).with_version(input.version_id.clone());
        let seen = self.look(&at).await?;
        let conditions = ReadConditions::from(input);
        let Some(envelope) = &seen.envelope else {
            refuse_customer(customer.as_ref())?;
            conditions.check_read(&seen.etag, &seen.stat().last_modified)?;
            let parts = VisiblePart::plain(seen.stat());
            let visible = Visible::plain(seen.stat(), &parts);
            let selection = Selection::find(&visible, input.range.as_ref(), input.part_number)?;
            return Ok(answer::head(&visible, &selection, input));
        };

        let by_part = input.part_number.is_some() && envelope.kind() == Kind::Multipart;
        let wants_manifest = by_part || wants_checksum(input.checksum_mode.as_ref());
        let unlocked = if envelope.scheme() == Scheme::SseC || customer.is_some() {
            Some(
                self.unlock(envelope, &at, customer.as_ref(), Asker::Reader)
                    .await?,
            )
        } else {
            conditions.check_read(&seen.etag, &seen.stat().last_modified)?;
            match wants_manifest {
                false => None,
                true => match self.unlock(envelope, &at, None, Asker::Reader).await {
                    Ok(key) => Some(key),
                    // Without the key the rest can be told; of what is damaged nothing.
                    Err(error) if by_part || error::is_not_authentic(&error) => return Err(error),
                    Err(_) => None,
                },
            }
        };
        conditions.check_read(&seen.etag, &seen.stat().last_modified)?;
        let details = match &unlocked {
            Some(key) if wants_manifest => {
                let manifest = self.manifest(&seen, envelope, key).await?;
                self.details(&seen, envelope, manifest.as_deref())
            }
            _ => Details::default(),
        };
        let visible = visible(&seen, &details);
        let selection = Selection::find(&visible, input.range.as_ref(), input.part_number)?;

        let encryption = Encryption::of(envelope, customer.as_ref());
        let mut response = answer::head(&visible, &selection, input);
        response.output.show_encryption(&encryption);
        encryption.add_context(&mut response.headers);
        Ok(response)
    }

    pub(crate) async fn attributes(
        &self,
        mut req: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let customer = reader(&mut req)?;
        let input = &req.input;
        let at = Location::new(&input.bucket, &input.key).with_version(input.version_id.clone());
        let seen = self.look(&at).await?;
        let Some(envelope) = &seen.envelope else {
            refuse_customer(customer.as_ref())?;
            let parts = VisiblePart::plain(seen.stat());
            let visible = Visible::plain(seen.stat(), &parts);
            return Ok(S3Response::new(attributes::answer(&visible, input)?));
        };
        let key = self
            .unlock(envelope, &at, customer.as_ref(), Asker::Reader)
            .await?;
        let manifest = self.manifest(&seen, envelope, &key).await?;
        let details = self.details(&seen, envelope, manifest.as_deref());
        Ok(S3Response::new(attributes::answer(
            &visible(&seen, &details),
            input,
        )?))
    }
}

fn visible<'a>(seen: &'a Seen, details: &'a Details) -> Visible<'a> {
    Visible {
        stat: seen.stat(),
        size: seen.size,
        etag: &seen.etag,
        checksum: details.checksum.as_ref(),
        parts: &details.parts,
    }
}

fn wants_checksum(mode: Option<&ChecksumMode>) -> bool {
    mode.map(ChecksumMode::as_str) == Some(ChecksumMode::ENABLED)
}

/// The SSE-C key of a request that reads. Other encryption headers belong to writes: who sends them with a
/// read is told.
fn reader<T: TakesCustomer>(req: &mut S3Request<T>) -> S3Result<Option<Customer>> {
    const WRITES: [&str; 3] = [
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-context",
    ];
    let customer = req
        .input
        .take_customer()
        .check(ConnectionSecurity::of(&req.extensions))?;
    if WRITES.iter().any(|name| req.headers.contains_key(*name)) {
        return Err(s3_error!(
            InvalidArgument,
            "x-amz-server-side-encryption headers are not supported for this operation."
        ));
    }
    refuse_source_customer(&req.headers)?;
    Ok(customer)
}

fn refuse_customer(customer: Option<&Customer>) -> S3Result<()> {
    customer.map_or(Ok(()), |_| Err(not_applicable()))
}
