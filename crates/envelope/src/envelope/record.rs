//! The record's bytes. There is one encoding of every envelope: what does not encode back to itself does not decode.

use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumType, ObjectChecksum};
use crate::codec::{DecodeError, Reader, put_long_bytes, put_short_text};
use crate::context::{CONTEXT_MEMBERS_MAX, Context};
use crate::etag::EtagKeyId;
use crate::fingerprint::Fingerprint;
use crate::object_key::SEALED_KEY_BYTES;

use super::{ENVELOPE_BYTES_MAX, Envelope, GenerationId, Kind, Protection, SealedDataKey};

const VERSION: u8 = 1;
const FLAG_BUCKET_KEY: u8 = 0b0000_0001;
const SSE_S3: u8 = 1;
const SSE_KMS: u8 = 2;
const SSE_C: u8 = 3;
const SINGLE: u8 = 1;
const MULTIPART: u8 = 2;

impl Envelope {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_uncommitted();
        out.extend_from_slice(&self.commitment);
        out
    }

    /// All fields but the last: what the commitment is taken over.
    pub(super) fn encode_uncommitted(&self) -> Vec<u8> {
        let (scheme, data_key, context) = match &self.protection {
            Protection::SseS3 { data_key } => (SSE_S3, Some(data_key), None),
            Protection::SseKms { data_key, context } => (SSE_KMS, Some(data_key), Some(context)),
            Protection::SseC => (SSE_C, None, None),
        };
        let (kind, plain_length) = match self.kind {
            Kind::Single { plain_length } => (SINGLE, plain_length),
            Kind::Multipart => (MULTIPART, 0),
        };
        let flags = match data_key {
            Some(SealedDataKey {
                bucket_key: true, ..
            }) => FLAG_BUCKET_KEY,
            _ => 0,
        };
        let mut out = vec![VERSION, scheme, kind, flags];
        out.extend_from_slice(&self.generation.0);
        out.extend_from_slice(&plain_length.to_le_bytes());
        out.extend_from_slice(&self.etag_key.map_or(0, EtagKeyId::get).to_le_bytes());
        out.extend_from_slice(&self.iv);
        out.extend_from_slice(&self.sealed_key);
        match &self.empty_checksum {
            None => out.push(0),
            Some(ObjectChecksum { checksum, .. }) => {
                out.push(checksum.algorithm().id());
                out.extend_from_slice(checksum.value());
            }
        }
        if let Some(data_key) = data_key {
            put_data_key(&mut out, data_key);
        }
        if let Some(context) = context {
            put_context(&mut out, context);
        }
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`DecodeError`]: never means that the object is plain.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(DecodeError::TooLong {
                bytes: bytes.len(),
                most: ENVELOPE_BYTES_MAX,
            });
        }
        let mut reader = Reader::new(bytes);
        match reader.u8("the version")? {
            VERSION => {}
            version => return Err(DecodeError::UnknownVersion { version }),
        }
        let scheme = reader.u8("the scheme")?;
        let kind = reader.u8("the kind")?;
        let flags = reader.u8("the flags")?;
        let generation = GenerationId(reader.array("the generation id")?);
        let kind = match (kind, reader.u64("the plaintext length")?) {
            (SINGLE, plain_length) => Kind::Single { plain_length },
            (MULTIPART, 0) => Kind::Multipart,
            (MULTIPART, _) => {
                return Err(DecodeError::Invalid {
                    field: "the plaintext length",
                });
            }
            (value, _) => {
                return Err(DecodeError::UnknownValue {
                    field: "the kind",
                    value,
                });
            }
        };
        let etag_key = EtagKeyId::new(reader.u32("the ETag key's id")?);
        let iv = reader.array("the IV")?;
        let sealed_key = reader.array::<SEALED_KEY_BYTES>("the sealed object key")?;
        let empty_checksum = take_checksum(&mut reader)?;
        let bucket_key = match (flags, scheme) {
            (0, _) => false,
            (FLAG_BUCKET_KEY, SSE_S3 | SSE_KMS) => true,
            (value, _) => {
                return Err(DecodeError::UnknownValue {
                    field: "the flags",
                    value,
                });
            }
        };
        let protection = match scheme {
            SSE_S3 => Protection::SseS3 {
                data_key: take_data_key(&mut reader, bucket_key)?,
            },
            SSE_KMS => Protection::SseKms {
                data_key: take_data_key(&mut reader, bucket_key)?,
                context: take_context(&mut reader)?,
            },
            SSE_C => Protection::SseC,
            value => {
                return Err(DecodeError::UnknownValue {
                    field: "the scheme",
                    value,
                });
            }
        };
        let commitment = reader.array("the commitment")?;
        reader.end()?;
        let envelope = Self {
            kind,
            generation,
            etag_key,
            iv,
            sealed_key,
            empty_checksum,
            protection,
            commitment,
        };
        envelope.check().map_err(|_| DecodeError::Invalid {
            field: "a length or limit",
        })?;
        Ok(envelope)
    }
}

fn take_checksum(reader: &mut Reader<'_>) -> Result<Option<ObjectChecksum>, DecodeError> {
    let field = "the checksum of an empty object";
    let id = reader.u8(field)?;
    if id == 0 {
        return Ok(None);
    }
    let algorithm =
        ChecksumAlgorithm::from_id(id).ok_or(DecodeError::UnknownValue { field, value: id })?;
    let value = reader.bytes(field, algorithm.value_bytes())?;
    let checksum = Checksum::new(algorithm, value).map_err(|_| DecodeError::Invalid { field })?;
    Ok(Some(ObjectChecksum {
        checksum,
        kind: ChecksumType::FullObject,
    }))
}

/// Name, version, fingerprint and bytes of a sealed data key. The state key's record has the same fields.
pub(crate) fn put_data_key(out: &mut Vec<u8>, data_key: &SealedDataKey) {
    put_short_text(out, &data_key.key_name);
    put_short_text(out, data_key.key_version.as_deref().unwrap_or(""));
    match &data_key.fingerprint {
        None => out.push(0),
        Some(Fingerprint::KeyHmac(mac)) => {
            out.push(1);
            out.extend_from_slice(mac);
        }
        Some(Fingerprint::KesHmac(mac)) => {
            out.push(2);
            out.extend_from_slice(mac);
        }
        Some(Fingerprint::KesCreatedAt(time)) => {
            out.push(3);
            put_short_text(out, time);
        }
        Some(Fingerprint::VaultVersion(version)) => {
            out.push(4);
            out.extend_from_slice(&version.to_le_bytes());
        }
    }
    put_long_bytes(out, &data_key.sealed);
}

pub(crate) fn take_data_key(
    reader: &mut Reader<'_>,
    bucket_key: bool,
) -> Result<SealedDataKey, DecodeError> {
    let key_name = reader.short_text("the key name")?.to_owned();
    let key_version = match reader.short_text("the key version")? {
        "" => None,
        version => Some(version.to_owned()),
    };
    let field = "the fingerprint";
    let fingerprint = match reader.u8(field)? {
        0 => None,
        1 => Some(Fingerprint::KeyHmac(reader.array(field)?)),
        2 => Some(Fingerprint::KesHmac(reader.array(field)?)),
        3 => Some(Fingerprint::KesCreatedAt(
            reader.short_text(field)?.to_owned(),
        )),
        4 => Some(Fingerprint::VaultVersion(reader.u32(field)?)),
        value => return Err(DecodeError::UnknownValue { field, value }),
    };
    let sealed = reader.long_bytes("the sealed data key")?.to_vec();
    Ok(SealedDataKey {
        key_name,
        key_version,
        fingerprint,
        sealed,
        bucket_key,
    })
}

fn put_context(out: &mut Vec<u8>, context: &Context) {
    // At most 256 members, by Context::check_limits.
    let count = u16::try_from(context.iter().len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for (name, value) in context.iter() {
        put_long_bytes(out, name.as_bytes());
        put_long_bytes(out, value.as_bytes());
    }
}

fn take_context(reader: &mut Reader<'_>) -> Result<Context, DecodeError> {
    let field = "the client's context";
    let count = usize::from(reader.u16(field)?);
    if count > CONTEXT_MEMBERS_MAX {
        return Err(DecodeError::Invalid { field });
    }
    let mut members: Vec<(&str, &str)> = Vec::with_capacity(count);
    for _ in 0..count {
        let (name, value) = (reader.long_text(field)?, reader.long_text(field)?);
        if members.last().is_some_and(|(last, _)| *last >= name) {
            return Err(DecodeError::Invalid { field });
        }
        members.push((name, value));
    }
    Ok(Context::from_iter(members))
}
