//! What an upload keeps for itself, sealed under the state key: the footer's key, since Complete of an SSE-C
//! upload comes without the client's, and one record for each attempt of a part. `docs/formats/state.md`.

use bytes::Bytes;
use s3s::S3Result;
use strongroom_backend::object::{Checksum, Location};
use strongroom_backend::upload::PartAttempt;
use strongroom_dare::{StreamNonce, geometry};
use strongroom_envelope::{Envelope, Etag, FooterKey, GenerationId};

use crate::config::Entropy;
use crate::error;
use crate::state::Keys;
use crate::{checksum, etags};

const VERSION: u8 = 1;

/// Seals what an upload keeps.
pub(super) fn seal_upload(
    footer_key: &FooterKey,
    envelope: &Envelope,
    at: &Location,
    keys: &Keys,
    entropy: &Entropy,
) -> S3Result<Bytes> {
    let mut plain = zeroize::Zeroizing::new(vec![VERSION]);
    plain.extend_from_slice(footer_key.expose());
    keys.seal(&upload_name(envelope.generation(), at), 0, &plain, entropy)
}

/// Opens it.
pub(super) fn open_upload(
    sealed: &[u8],
    envelope: &Envelope,
    at: &Location,
    keys: &Keys,
) -> S3Result<FooterKey> {
    let name = upload_name(envelope.generation(), at);
    let damaged = |why: &dyn std::fmt::Display| {
        error::not_authentic(format_args!(
            "the record of its upload does not open: {why}"
        ))
    };
    let opened = keys.open(&name, sealed).map_err(|e| damaged(&e))?;
    match opened.plaintext.split_first() {
        Some((&VERSION, key)) => FooterKey::try_from_slice(key).map_err(|e| damaged(&e)),
        _ => Err(damaged(&"its version is not known")),
    }
}

/// One attempt of a part, as the upload remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) plain_length: u64,
    /// Of the stream that was stored.
    pub(super) nonce: StreamNonce,
    /// As clients see it.
    pub(super) etag: Etag,
    pub(super) checksum: Option<Checksum>,
}

impl Attempt {
    pub(super) fn seal(
        &self,
        generation: GenerationId,
        number: u32,
        keys: &Keys,
        entropy: &Entropy,
    ) -> S3Result<Bytes> {
        let mut plain = vec![VERSION];
        plain.extend_from_slice(&self.plain_length.to_le_bytes());
        plain.extend_from_slice(self.nonce.as_bytes());
        plain.extend_from_slice(&self.etag.digest);
        plain.push(u8::from(self.etag.parts.is_some()));
        if let Some(shown) = &self.checksum {
            let sealed = checksum::seal(shown)?.checksum;
            let name = sealed.algorithm().name();
            plain.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            plain.extend_from_slice(name.as_bytes());
            plain.extend_from_slice(sealed.value());
        }
        keys.seal(&part_name(generation, number), 0, &plain, entropy)
    }

    /// Opens the record of a stored attempt, and holds it against the bytes that are stored.
    pub(super) fn open(
        stored: &PartAttempt,
        generation: GenerationId,
        keys: &Keys,
    ) -> S3Result<Self> {
        let opened = keys
            .open(&part_name(generation, stored.number), &stored.finish.record)
            .map_err(error::not_authentic)?;
        let attempt = Self::decode(&opened.plaintext)
            .ok_or_else(|| error::not_authentic("the record of a part is damaged"))?;
        if geometry::sealed_length(attempt.plain_length) != Ok(stored.stored_length) {
            return Err(error::not_authentic(
                "a stored part has another length than its record",
            ));
        }
        Ok(attempt)
    }

    fn decode(plain: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = plain.split_first()? else {
            return None;
        };
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (nonce, rest) = rest.split_first_chunk::<12>()?;
        let (digest, rest) = rest.split_first_chunk::<16>()?;
        let (&opaque, rest) = rest.split_first()?;
        let checksum = match rest.split_first() {
            None => None,
            Some((&length, rest)) => {
                let (name, value) = rest.split_at_checked(usize::from(length))?;
                let algorithm = strongroom_envelope::ChecksumAlgorithm::from_name(
                    std::str::from_utf8(name).ok()?,
                )?;
                let sealed = strongroom_envelope::Checksum::new(algorithm, value).ok()?;
                Some(checksum::show_part(&sealed))
            }
        };
        Some(Self {
            plain_length: u64::from_le_bytes(*length),
            nonce: StreamNonce::from_bytes(*nonce),
            etag: Etag {
                digest: *digest,
                parts: (opaque == 1).then_some(1),
            },
            checksum,
        })
    }
}

/// What is stored as an attempt's ETag: nothing that tells of its bytes. Clients see the one in the record.
pub(super) fn stored_etag(nonce: StreamNonce) -> String {
    let mut digest = [0; 16];
    digest[..12].copy_from_slice(nonce.as_bytes());
    Etag::opaque(digest).to_string()
}

fn upload_name(generation: GenerationId, at: &Location) -> String {
    // A bucket's name has no slash, so no two uploads have one name.
    format!(
        "upload/{}/{}/{}",
        etags::hex(&generation.0),
        at.bucket,
        at.key
    )
}

fn part_name(generation: GenerationId, number: u32) -> String {
    format!("part/{}/{number}", etags::hex(&generation.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_comes_back_as_it_was() {
        for (parts, checksum) in [
            (None, None),
            (
                Some(1),
                Some(Checksum::full(
                    strongroom_backend::checksum::Algorithm::Crc32,
                    &[1, 2, 3, 4],
                )),
            ),
        ] {
            let attempt = Attempt {
                plain_length: 7,
                nonce: StreamNonce::from_bytes([3; 12]),
                etag: Etag {
                    digest: [5; 16],
                    parts,
                },
                checksum,
            };
            let keys = Keys::for_tests();
            let entropy: Entropy = std::sync::Arc::new(|bytes: &mut [u8]| {
                bytes.fill(9);
                Ok(())
            });
            let generation = GenerationId([1; 8]);
            let record = attempt.seal(generation, 2, &keys, &entropy).unwrap();
            let mut stored = PartAttempt {
                attempt: "a".into(),
                number: 2,
                stored_length: 39,
                finish: strongroom_backend::put::Finish {
                    record,
                    ..Default::default()
                },
                last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
            };
            assert_eq!(Attempt::open(&stored, generation, &keys).unwrap(), attempt);
            assert!(Attempt::open(&stored, GenerationId([2; 8]), &keys).is_err());
            stored.stored_length = 40;
            assert!(Attempt::open(&stored, generation, &keys).is_err());
            stored.stored_length = 39;
            stored.number = 3;
            assert!(Attempt::open(&stored, generation, &keys).is_err());
        }
    }
}
