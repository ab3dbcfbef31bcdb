//! From a stored object to its plaintext: look at it, unlock its key, read its manifest, open its bytes.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use s3s::dto::{ETagCondition, StreamingBlob};
use s3s::{S3ErrorCode, S3Result, StdError, s3_error};
use strongroom_backend::answer::VisiblePart;
use strongroom_backend::object::{Checksum, ListedObject, Location, OpenObject, Stat};
use strongroom_backend::{Backend, body};
use strongroom_envelope::{
    BodyKind, BodyLayout, Envelope, Kind, Manifest, ObjectKey, ObjectPath, OpenError, Scheme,
    footer, plain_length_of_stored,
};

use crate::Sse;
use crate::body::open::{OpeningStream, Tail};
use crate::checksum;
use crate::customer::Customer;
use crate::error;
use crate::etags;
use crate::sealing::path;

/// Names a manifest that was read. A store that puts another envelope or body in the place of one finds no
/// remembered manifest: all that it was verified against is in the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ManifestId {
    bucket: String,
    key: String,
    generation: String,
    stored_length: u64,
    /// The envelope's, which is proved before a manifest is asked for.
    commitment: [u8; 32],
}

/// What a manifest takes in the cache.
pub(crate) fn weight(manifest: &Manifest) -> u32 {
    const ENTRY_BYTES: usize = 96;
    u32::try_from(512 + manifest.parts().len() * ENTRY_BYTES).unwrap_or(u32::MAX)
}

/// An object that was looked at; nothing of it is unlocked.
pub(crate) struct Seen {
    pub(crate) at: Location,
    pub(crate) object: Box<dyn OpenObject>,
    /// `None`: it is plain.
    pub(crate) envelope: Option<Envelope>,
    /// As clients see it, without quotes.
    pub(crate) etag: String,
    /// As clients see it.
    pub(crate) size: u64,
}

impl Seen {
    pub(crate) fn stat(&self) -> &Stat {
        self.object.stat()
    }
}

/// Whose key is asked for: failures are told differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// GET, HEAD and attributes.
    Reader,
    /// The source of a copy.
    CopySource,
    /// A part of an upload.
    Uploader,
}

/// What of an unlocked object can be shown.
#[derive(Debug, Default)]
pub(crate) struct Details {
    pub(crate) checksum: Option<Checksum>,
    pub(crate) parts: Vec<VisiblePart>,
}

impl<B: Backend> Sse<B> {
    /// Opens an object and says what clients see of it, without any key.
    pub(crate) async fn look(&self, at: &Location) -> S3Result<Seen> {
        let object = self.inner.open(at).await?;
        let stat = object.stat();
        let Some(envelope) = &stat.envelope else {
            let (etag, size) = (stat.etag.clone(), stat.stored_length);
            return Ok(Seen {
                at: at.clone(),
                object,
                envelope: None,
                etag,
                size,
            });
        };
        let envelope = Envelope::decode(envelope).map_err(error::not_authentic)?;
        let etag = etags::visible(&envelope, &stat.etag, &path(at), &self.keys)?;
        let size = plain_length(&envelope, stat.stored_length)?;
        Ok(Seen {
            at: at.clone(),
            object,
            envelope: Some(envelope),
            etag,
            size,
        })
    }

    /// Size and ETag of a row. A damaged object never makes a listing fail: it is shown as it is stored.
    pub(crate) fn row(&self, bucket: &str, object: &ListedObject) -> (u64, String) {
        let row = object.envelope.as_ref().map(|bytes| {
            let envelope = Envelope::decode(bytes).map_err(error::not_authentic)?;
            let path = ObjectPath::new(bucket, &object.key);
            let etag = etags::visible(&envelope, &object.etag, &path, &self.keys)?;
            Ok::<_, s3s::S3Error>((plain_length(&envelope, object.stored_length)?, etag))
        });
        match row {
            None => (object.stored_length, object.etag.clone()),
            Some(Ok(row)) => row,
            Some(Err(_)) => {
                tracing::error!(
                    bucket,
                    key = object.key,
                    "a damaged object is listed as it is stored"
                );
                (object.stored_length, object.etag.clone())
            }
        }
    }

    /// Proves the key of a sealed object: data key, object key, commitment. Before this nothing of it may be
    /// released, also when it is empty.
    pub(crate) async fn unlock(
        &self,
        envelope: &Envelope,
        at: &Location,
        customer: Option<&Customer>,
        asker: Asker,
    ) -> S3Result<ObjectKey> {
        let path = path(at);
        let opened = match (envelope.scheme(), customer) {
            (Scheme::SseC, Some(customer)) => envelope.open(&path, &customer.key),
            (Scheme::SseC, None) => return Err(key_missing(asker)),
            (Scheme::SseS3 | Scheme::SseKms, Some(_)) => return Err(key_needless(asker)),
            (Scheme::SseS3 | Scheme::SseKms, None) => {
                let data_keys = self.data_keys.as_ref().ok_or_else(error::no_kms)?;
                let data_key = data_keys.open(envelope, &path).await?;
                envelope.open(&path, &*data_key)
            }
        };
        opened.map_err(|e| match e {
            OpenError::WrongClientKey => key_wrong(asker),
            OpenError::Tampered | OpenError::SchemeMismatch { .. } => error::not_authentic(e),
        })
    }

    /// The footer of a sealed object; none for an empty one that was put whole.
    pub(crate) async fn manifest(
        &self,
        seen: &Seen,
        envelope: &Envelope,
        key: &ObjectKey,
    ) -> S3Result<Option<Arc<Manifest>>> {
        if envelope.kind() == (Kind::Single { plain_length: 0 }) {
            return Ok(None);
        }
        let stat = seen.stat();
        let id = ManifestId {
            bucket: seen.at.bucket.clone(),
            key: seen.at.key.clone(),
            generation: stat.generation.0.clone(),
            stored_length: stat.stored_length,
            commitment: *envelope.commitment(),
        };
        if let Some(manifest) = self.manifests.get(&id).await {
            return Ok(Some(manifest));
        }
        let place = footer::place(stat.stored_length).map_err(|e| error::footer(&e))?;
        let length = usize::try_from(place.length).unwrap_or(usize::MAX);
        let mut stored = seen.object.read(place.offset..stat.stored_length).await?;
        let mut bytes = Vec::with_capacity(length);
        while let Some(chunk) = stored.try_next().await.map_err(body::error)? {
            bytes.extend_from_slice(&chunk);
        }
        let manifest = key
            .footer_key()
            .open(stat.stored_length, &bytes)
            .map_err(|e| error::footer(&e))?;
        envelope
            .check_manifest(&manifest)
            .map_err(|e| error::footer(&e))?;
        let manifest = Arc::new(manifest);
        self.manifests.insert(id, Arc::clone(&manifest)).await;
        Ok(Some(manifest))
    }

    /// The plaintext bytes `range`. Fails at once, and not within the stream, when the first of them are not
    /// authentic.
    pub(crate) async fn plaintext(
        &self,
        seen: &Seen,
        envelope: &Envelope,
        key: ObjectKey,
        manifest: Option<&Manifest>,
        range: Range<u64>,
    ) -> S3Result<StreamingBlob> {
        let length = range.end - range.start;
        if length == 0 {
            return Ok(body::empty());
        }
        let stored_length = seen.stat().stored_length;
        let layout = match (manifest, envelope.kind()) {
            (Some(manifest), _) => BodyLayout::from_manifest(manifest),
            (None, Kind::Single { plain_length }) => BodyLayout::single(plain_length),
            (None, Kind::Multipart) => {
                return Err(s3_error!(InternalError, "no manifest was read"));
            }
        };
        let layout = layout.map_err(|e| error::length(&e))?;
        let reads = layout
            .read(range.start, length)
            .map_err(error::not_authentic)?;
        let (Some(first), Some(last)) = (reads.first(), reads.last()) else {
            return Err(s3_error!(InternalError, "a range without bytes"));
        };
        // A whole object is read on to its end, so that a changed byte is noticed wherever it is; and a
        // footer that was not read needs no read of its own.
        let whole = length == layout.plain_length();
        let tail = match manifest {
            _ if !whole => None,
            Some(manifest) => Some(Tail::Padding(manifest.padding_length())),
            None => Some(Tail::Footer {
                stored_length,
                plain_length: layout.plain_length(),
                offset: layout.sealed_length(),
            }),
        };
        let end = match tail {
            None => last.stored_end,
            Some(Tail::Padding(bytes)) => layout.sealed_length() + bytes,
            Some(Tail::Footer { .. }) => stored_length,
        };
        let stored = seen.object.read(first.stored_start..end).await?;
        let mut stream = OpeningStream::new(stored, key, reads, tail)?;
        let first = stream.next().await.transpose().map_err(opened_error)?;
        let first = futures::stream::iter(first.map(Ok::<_, StdError>));
        Ok(body::sized(first.chain(stream), length))
    }

    /// Part table and checksum of a sealed object.
    pub(crate) fn details(
        &self,
        seen: &Seen,
        envelope: &Envelope,
        manifest: Option<&Manifest>,
    ) -> Details {
        let Some(manifest) = manifest else {
            let checksum = envelope.empty_checksum().map(|sum| checksum::show(sum, 1));
            return Details {
                checksum,
                parts: Vec::new(),
            };
        };
        let parts = manifest.parts();
        // A form of unknown length is stored as one part, which nobody uploaded as such.
        let in_parts = manifest.kind() == BodyKind::Multipart && seen.stat().upload_id.is_some();
        Details {
            checksum: manifest
                .checksum()
                .map(|sum| checksum::show(sum, parts.len())),
            parts: parts
                .iter()
                .filter(|_| in_parts)
                .map(|part| VisiblePart {
                    number: part.number,
                    size: part.plain_length,
                    checksum: part.checksum.as_ref().map(checksum::show_part),
                })
                .collect(),
        }
    }

    /// A write's `If-Match` as the backend must compare it: what clients see of a sealed object is not what
    /// is stored. For operations that the backend carries out itself.
    pub(crate) async fn stored_condition(
        &self,
        at: &Location,
        condition: Option<ETagCondition>,
    ) -> S3Result<Option<ETagCondition>> {
        let Some(ETagCondition::ETag(told)) = &condition else {
            return Ok(condition);
        };
        let seen = match self.look(at).await {
            Ok(seen) => seen,
            Err(e) if e.code() == &S3ErrorCode::NoSuchKey => return Ok(condition),
            Err(e) => return Err(e),
        };
        if seen.envelope.is_none() {
            return Ok(condition);
        }
        if told.value() != seen.etag {
            return Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            ));
        }
        let stored = strongroom_backend::condition::strong(&seen.stat().etag);
        Ok(Some(ETagCondition::ETag(stored)))
    }
}

/// Plaintext bytes of a sealed body. The envelope and the stored length must agree.
fn plain_length(envelope: &Envelope, stored: u64) -> S3Result<u64> {
    match envelope.kind() {
        Kind::Single { plain_length } if envelope.stored_length() == Some(stored) => {
            Ok(plain_length)
        }
        Kind::Single { .. } => Err(error::not_authentic(format_args!(
            "its stored bytes are {stored}, which its envelope does not allow"
        ))),
        Kind::Multipart if stored == 0 => {
            Err(error::footer(&strongroom_envelope::FooterError::EmptyBody))
        }
        Kind::Multipart => plain_length_of_stored(stored).map_err(|e| error::length(&e)),
    }
}

/// What a failed body of ours means: it carries the S3 error, or the store broke off.
fn opened_error(error: StdError) -> s3s::S3Error {
    match error.downcast::<s3s::S3Error>() {
        Ok(ours) => *ours,
        Err(other) => s3s::S3Error::with_source(S3ErrorCode::InternalError, other),
    }
}

fn key_missing(asker: Asker) -> s3s::S3Error {
    match asker {
        Asker::Reader => s3_error!(
            InvalidRequest,
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to \
             retrieve the object."
        ),
        Asker::CopySource => s3_error!(
            InvalidArgument,
            "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption \
             algorithm."
        ),
        Asker::Uploader => s3_error!(
            InvalidRequest,
            "The multipart upload initiate requested encryption. Subsequent part requests must include the \
             appropriate encryption parameters."
        ),
    }
}

fn key_needless(asker: Asker) -> s3s::S3Error {
    match asker {
        Asker::Reader => not_applicable(),
        Asker::CopySource => s3_error!(
            InvalidArgument,
            "The encryption parameters are not applicable to the copy source."
        ),
        Asker::Uploader => upload_is_not_encrypted(),
    }
}

/// SSE-C headers for an object that is not SSE-C.
pub(crate) fn not_applicable() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "The encryption parameters are not applicable to this object."
    )
}

/// SSE-C headers for a part of an upload that is not SSE-C.
pub(crate) fn upload_is_not_encrypted() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "The multipart upload initiate did not request encryption with a customer provided key. Please resend the \
         request without sending the encryption parameters."
    )
}

fn key_wrong(asker: Asker) -> s3s::S3Error {
    match asker {
        Asker::Reader | Asker::CopySource => s3_error!(
            AccessDenied,
            "The key that was provided is not the one that the object was encrypted with."
        ),
        Asker::Uploader => s3_error!(
            InvalidRequest,
            "The provided encryption parameters did not match the ones used originally."
        ),
    }
}
