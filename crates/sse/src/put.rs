//! PutObject, and POST forms.

mod form;

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use s3s::dto::{PostObjectInput, PostObjectOutput, PutObjectInput, PutObjectOutput, StreamingBlob};
use s3s::stream::ByteStream as _;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::checksum::ShowsChecksum as _;
use strongroom_backend::condition::{Current, WriteConditions, strong};
use strongroom_backend::headers::{check_key, refuse_internal};
use strongroom_backend::integrity::{Digests, Expectations, VerifiedBody};
use strongroom_backend::object::{Checksum, Location, ObjectHeaders, Stored};
use strongroom_backend::put::{Finish, FinishSlot, Precondition, Put};
use strongroom_backend::{Backend, body};
use strongroom_dare::StreamNonce;
use strongroom_envelope::{BodyKind, Kind, Manifest, ManifestError, PartEntry, geometry};

use crate::Sse;
use crate::body::seal::{Ending, sealed_body};
use crate::checksum;
use crate::connection::ConnectionSecurity;
use crate::etags;
use crate::intent::{Asked, Intent, Surroundings};
use crate::reply::{Encryption, ShowsEncryption as _};
use crate::sealing::{Sealing, path};
use crate::state::draw;

/// An object to seal and store: what a PUT, a form and a copy have in common.
pub(crate) struct Write {
    pub(crate) at: Location,
    pub(crate) headers: ObjectHeaders,
    pub(crate) body: Option<StreamingBlob>,
    pub(crate) expected: Expectations,
    pub(crate) precondition: Precondition,
}

/// What became of it.
pub(crate) struct Written {
    pub(crate) stored: Stored,
    /// As clients see it.
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) encryption: Encryption,
}

impl<B: Backend> Sse<B> {
    pub(crate) async fn put(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let intent = self.intend(&mut req).await?;
        if matches!(intent, Intent::Plain) {
            return self.put_plain(req).await;
        }
        let write = self.admit(req).await?;
        let written = self.seal_and_store(write, &intent).await?;

        let mut output = PutObjectOutput {
            e_tag: Some(strong(&written.etag)),
            version_id: written.stored.version_id,
            ..Default::default()
        };
        output.show_encryption(&written.encryption);
        if let Some(checksum) = &written.checksum {
            output.show_checksum(checksum);
        }
        Ok(S3Response::new(output))
    }

    /// A form is a PUT whose length may not be known.
    pub(crate) async fn post(
        &self,
        req: S3Request<PostObjectInput>,
    ) -> S3Result<S3Response<PostObjectOutput>> {
        let facts = form::Facts::of(&req);
        let put = self.put(req.map_input(form::into_put)).await?;
        let mut answer = put.map_output(form::from_put);
        facts.describe(&mut answer);
        Ok(answer)
    }

    async fn intend(&self, req: &mut S3Request<PutObjectInput>) -> S3Result<Intent> {
        refuse_source_customer(&req.headers)?;
        let asked = Asked::from(&mut req.input);
        let intent = self
            .resolve(asked, &req.input.bucket, &req.extensions)
            .await?;
        // Such a store drops the metadata of folder markers, and the envelope with it. An empty marker has
        // nothing to protect.
        if req.input.key.ends_with('/') && !self.inner.capabilities().folder_marker_metadata {
            return match (&intent, req.input.content_length) {
                (Intent::Plain | Intent::SseS3 | Intent::SseKms { .. }, Some(0)) => {
                    Ok(Intent::Plain)
                }
                (Intent::Plain, _) => Ok(intent),
                _ => Err(s3_error!(
                    NotImplemented,
                    "the store behind this gateway cannot keep encrypted objects whose key ends in a slash"
                )),
            };
        }
        Ok(intent)
    }

    /// What a write to `bucket` that asks for `asked` is to do.
    pub(crate) async fn resolve(
        &self,
        asked: Asked,
        bucket: &str,
        extensions: &http::Extensions,
    ) -> S3Result<Intent> {
        let settings = self.settings.of(bucket, &self.inner, &self.keys).await?;
        asked.resolve(Surroundings {
            bucket: settings.as_deref(),
            auto: self.auto,
            has_kms: self.data_keys.is_some(),
            security: ConnectionSecurity::of(extensions),
        })
    }

    async fn put_plain(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let at = Location::new(&req.input.bucket, &req.input.key);
        req.input.if_match = self
            .stored_condition(&at, req.input.if_match.take())
            .await?;
        self.inner.put_object(req).await
    }

    async fn admit(&self, req: S3Request<PutObjectInput>) -> S3Result<Write> {
        refuse_internal(&req.headers)?;
        check_key(&req.input.key)?;
        refuse_object_lock!(req.input);
        if req.input.write_offset_bytes.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "encrypted objects cannot be appended to; write the whole object"
            ));
        }
        let mut expected = Expectations::of_put(&req)?;
        let input = req.input;
        if expected.length.is_none() {
            // A form tells its length through its body.
            let told = input
                .body
                .as_ref()
                .map_or(Some(0), |body| body.remaining_length().exact());
            expected.length = told.map(|length| length as u64);
        }
        let headers = ObjectHeaders::from_put_input(&input)?;
        let at = Location::new(input.bucket, input.key);
        let precondition = self
            .precondition(&at, input.if_match, input.if_none_match)
            .await?;
        Ok(Write {
            at,
            headers,
            body: input.body,
            expected,
            precondition,
        })
    }

    /// Holds a write's conditions against what clients see of its destination, before its body is read.
    pub(crate) async fn precondition(
        &self,
        at: &Location,
        if_match: Option<s3s::dto::ETagCondition>,
        if_none_match: Option<s3s::dto::ETagCondition>,
    ) -> S3Result<Precondition> {
        let conditions = WriteConditions::new(if_match, if_none_match)?;
        if !conditions.any() {
            return Ok(Precondition::None);
        }
        let seen = match self.look(at).await {
            Ok(seen) => Some(seen),
            Err(e) if e.code() == &S3ErrorCode::NoSuchKey => None,
            Err(e) => return Err(e),
        };
        let current = seen.as_ref().map(|seen| Current {
            etag: &seen.etag,
            size: seen.size,
            last_modified: &seen.stat().last_modified,
            generation: &seen.stat().generation,
        });
        conditions.precondition(current.as_ref())
    }

    /// Seals an object and stores it. The straight line.
    pub(crate) async fn seal_and_store(&self, write: Write, intent: &Intent) -> S3Result<Written> {
        let kind = match write.expected.length {
            Some(plain_length) => Kind::Single { plain_length },
            // Sealed as an upload of one part: the footer tells the length.
            None => Kind::Multipart,
        };
        if kind == (Kind::Single { plain_length: 0 }) {
            return self.seal_and_store_empty(write, intent).await;
        }
        let Write {
            at,
            headers,
            body,
            expected,
            precondition,
        } = write;
        let sealing = self.seal_key(intent, &at, kind, None).await?;
        self.check_room(&sealing.envelope, &headers)?;

        let plain_length = expected.length;
        let wants_md5 = sealing.envelope.etag_key().is_some();
        let finish = FinishSlot::new();
        let plain = VerifiedBody::new(body, expected, wants_md5);
        let digests = plain.digests_handle();
        let body = self.whole_body(plain, plain_length, &at, &sealing, &finish)?;
        let put = Put {
            at: at.clone(),
            headers,
            body,
            stored_length: sealing.envelope.stored_length(),
            envelope: Some(sealing.envelope.encode().into()),
            finish,
            precondition,
        };
        let stored = self.inner.put(put).await?;
        let checksum = digests.get().and_then(|digests| digests.checksum.clone());
        self.written(stored, &at, sealing, checksum)
    }

    /// An empty object has no sealed bytes at all; its checksum must be known before its envelope is made.
    async fn seal_and_store_empty(&self, write: Write, intent: &Intent) -> S3Result<Written> {
        let Write {
            at,
            headers,
            body,
            expected,
            precondition,
        } = write;
        let digests = drain(VerifiedBody::new(body, expected, true)).await?;
        let checksum = digests.checksum.as_ref().map(checksum::seal).transpose()?;
        let sealing = self
            .seal_key(intent, &at, Kind::Single { plain_length: 0 }, checksum)
            .await?;
        self.check_room(&sealing.envelope, &headers)?;
        let visible = etags::of_body(&sealing.envelope, &digests, draw(&self.entropy)?);
        let etag = etags::stored(&sealing.envelope, visible, &path(&at), &self.keys);
        let put = Put {
            at: at.clone(),
            headers,
            body: body::empty(),
            stored_length: Some(0),
            envelope: Some(sealing.envelope.encode().into()),
            finish: FinishSlot::filled(Finish {
                etag: etag.to_string(),
                ..Finish::default()
            }),
            precondition,
        };
        let stored = self.inner.put(put).await?;
        self.written(stored, &at, sealing, digests.checksum)
    }

    fn written(
        &self,
        stored: Stored,
        at: &Location,
        sealing: Sealing,
        checksum: Option<Checksum>,
    ) -> S3Result<Written> {
        let etag = etags::visible(&sealing.envelope, &stored.etag, &path(at), &self.keys)?;
        Ok(Written {
            stored,
            etag,
            checksum,
            encryption: sealing.encryption,
        })
    }

    /// The stored body of an object that is put whole: its one part, and the footer.
    fn whole_body(
        &self,
        plain: VerifiedBody,
        plain_length: Option<u64>,
        at: &Location,
        sealing: &Sealing,
        finish: &FinishSlot,
    ) -> S3Result<StreamingBlob> {
        let nonce = StreamNonce::from_bytes(draw(&self.entropy)?);
        let footer_nonce = draw(&self.entropy)?;
        let etag_random = draw(&self.entropy)?;
        let footer_key = sealing.object_key.footer_key();
        let (envelope, keys, at) = (sealing.envelope.clone(), Arc::clone(&self.keys), at.clone());
        let on_end = move |digests: &Digests| {
            let checksum = digests.checksum.as_ref().map(checksum::seal).transpose()?;
            let manifest = match envelope.kind() {
                Kind::Single { .. } => Manifest::single(digests.length, nonce, checksum),
                Kind::Multipart => {
                    let part = PartEntry {
                        number: 1,
                        plain_length: digests.length,
                        nonce,
                        checksum: checksum.as_ref().map(|whole| whole.checksum.clone()),
                    };
                    Manifest::new(BodyKind::Multipart, vec![part], checksum)
                }
            };
            let manifest = manifest.map_err(too_long)?;
            let visible = etags::of_body(&envelope, digests, etag_random);
            let etag = etags::stored(&envelope, visible, &path(&at), &keys);
            Ok(Ending {
                footer: footer_key.seal(&manifest, footer_nonce),
                // A checksum tells of the bytes: it lies in the footer and nowhere else.
                finish: Finish {
                    etag: etag.to_string(),
                    checksum: None,
                    record: Bytes::new(),
                },
            })
        };
        let part_key = sealing.object_key.part_key(1);
        Ok(sealed_body(
            plain,
            plain_length,
            &part_key,
            nonce,
            finish.clone(),
            on_end,
        ))
    }
}

/// Reads a body that must be empty to its end, trailer included.
async fn drain(mut body: VerifiedBody) -> S3Result<Digests> {
    while let Some(bytes) = body.next().await {
        bytes.map_err(body::error)?;
    }
    let digests = body.digests().cloned();
    digests.ok_or_else(|| s3_error!(InternalError, "a body ended without its digests"))
}

fn too_long(error: ManifestError) -> s3s::S3Error {
    match error {
        ManifestError::PartLength { .. } => s3_error!(EntityTooLarge),
        other => s3_error!(InternalError, "{other}"),
    }
}

const _: () = assert!(strongroom_backend::limits::BODY_BYTES_MAX <= geometry::PART_BYTES_MAX);

/// The headers for a copy's source mean nothing elsewhere: whoever sends them expects something else to
/// happen.
pub(crate) fn refuse_source_customer(headers: &http::HeaderMap) -> S3Result<()> {
    const PREFIX: &str = "x-amz-copy-source-server-side-encryption-customer-";
    if headers.keys().any(|name| name.as_str().starts_with(PREFIX)) {
        return Err(s3_error!(
            InvalidRequest,
            "The x-amz-copy-source-server-side-encryption-customer headers are not applicable to this operation."
        ));
    }
    Ok(())
}

/// Locks are the backend's; an object that is sealed cannot be handed one yet.
macro_rules! refuse_object_lock {
    ($input:expr) => {
        if $input.object_lock_mode.is_some()
            || $input.object_lock_retain_until_date.is_some()
            || $input.object_lock_legal_hold_status.is_some()
        {
            return Err(s3s::s3_error!(
                InvalidRequest,
                "Bucket is missing Object Lock Configuration"
            ));
        }
    };
}
pub(crate) use refuse_object_lock;
