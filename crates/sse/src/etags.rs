//! ETags: what is stored and what clients see.
//!
//! Where MD5 is promised (SSE-S3 on a store that keeps the ETags it is given), the MD5 is stored through a
//! keyed permutation. Everywhere else an ETag is opaque and ends in `-n`, since clients take 32 bare hex
//! digits for an MD5.

use s3s::S3Result;
use strongroom_backend::integrity::Digests;
use strongroom_envelope::{Envelope, Etag, ObjectPath};

use crate::error;
use crate::state::Keys;

/// What clients see for a stored ETag.
pub(crate) fn visible(
    envelope: &Envelope,
    stored: &str,
    path: &ObjectPath<'_>,
    keys: &Keys,
) -> S3Result<String> {
    let Some(id) = envelope.etag_key() else {
        // A remote makes its own, of the bytes that it stores.
        return Ok(opaque(stored));
    };
    let Some(key) = keys.etag_keys().get(id) else {
        // The object is whole; only its MD5 cannot be told. An ETag that claims to be none costs a client a
        // comparison, a refusal would cost the object.
        tracing::error!(
            key_id = id.get(),
            "the key of an ETag is lost: it is shown as an opaque one"
        );
        return Ok(opaque(stored));
    };
    let stored = Etag::parse(stored).ok_or_else(|| error::not_authentic("its ETag is damaged"))?;
    Ok(key.reveal(stored, path, envelope.generation()).to_string())
}

/// An ETag that no client takes for an MD5.
fn opaque(stored: &str) -> String {
    if stored.contains('-') {
        stored.to_owned()
    } else {
        format!("{stored}-1")
    }
}

/// What is stored for an ETag that clients are to see.
pub(crate) fn stored(
    envelope: &Envelope,
    visible: Etag,
    path: &ObjectPath<'_>,
    keys: &Keys,
) -> Etag {
    match envelope.etag_key().and_then(|id| keys.etag_keys().get(id)) {
        Some(key) => key.hide(visible, path, envelope.generation()),
        None => visible,
    }
}

/// What clients are to see of a body: its MD5 where that is promised, else something random.
pub(crate) fn of_body(envelope: &Envelope, digests: &Digests, random: [u8; 16]) -> Etag {
    match digests.md5.filter(|_| envelope.etag_key().is_some()) {
        Some(digest) => Etag {
            digest,
            parts: None,
        },
        None => Etag::opaque(random),
    }
}

/// Lower-case hex.
pub(crate) use strongroom_backend::complete::hex;
