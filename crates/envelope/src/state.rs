//! Our own records: bucket settings, uploads in progress, users. Each is sealed under the state key.
//!
//! Byte by byte: `docs/formats/state.md`.

use std::fmt;

use zeroize::Zeroizing;

use crate::aead::{self, Algorithm, NONCE_BYTES, TAG_BYTES};
use crate::codec::{DecodeError, Reader};
use crate::envelope::{CreateError, SealedDataKey, put_data_key, take_data_key};
use crate::hmac::hmac_prefixed;
use crate::secret::StateKey;

const LABEL: &[u8] = b"strongroom/v1/record";
const RECORD_VERSION: u8 = 1;
/// Version and generation, in clear and authenticated.
const HEAD_BYTES: usize = 1 + 8;
/// What sealing adds to a record.
pub const RECORD_OVERHEAD_BYTES: usize = HEAD_BYTES + NONCE_BYTES + TAG_BYTES;

/// Why a record does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is no record of a version that this program reads.
    #[error("the record cannot be read")]
    Malformed(#[from] DecodeError),
    /// It was changed, belongs to another name, or was sealed under another state key.
    #[error("the record is not authentic under this state key and name")]
    NotAuthentic,
}

/// A record that was opened.
#[derive(Debug)]
pub struct OpenRecord {
    /// Counts the writes of this record: who has seen a higher one refuses a lower one.
    pub generation: u64,
    /// What was sealed.
    pub plaintext: Zeroizing<Vec<u8>>,
}

impl StateKey {
    /// Seals a record for its name and generation, with a fresh nonce.
    #[must_use]
    pub fn seal_record(
        &self,
        name: &str,
        generation: u64,
        plaintext: &[u8],
        nonce: [u8; 12],
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(plaintext.len() + RECORD_OVERHEAD_BYTES);
        out.push(RECORD_VERSION);
        out.extend_from_slice(&generation.to_le_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let key = self.record_key(name, generation);
        let (head, sealing) = out.split_at_mut(HEAD_BYTES + NONCE_BYTES);
        let aad = &head[..HEAD_BYTES];
        let tag = aead::seal_in_place(Algorithm::Aes256Gcm, &key, nonce, aad, sealing);
        out.extend_from_slice(&tag);
        out
    }

    /// Opens the record of that name.
    ///
    /// # Errors
    /// [`RecordError`]: the record is there and unreadable, which never means that there is none.
    pub fn open_record(&self, name: &str, sealed: &[u8]) -> Result<OpenRecord, RecordError> {
        let mut reader = Reader::new(sealed);
        match reader.u8("the version")? {
            RECORD_VERSION => {}
            version => return Err(DecodeError::UnknownVersion { version }.into()),
        }
        let generation = reader.u64("the generation")?;
        let nonce = reader.array("the nonce")?;
        let key = self.record_key(name, generation);
        let (aad, body) = (&sealed[..HEAD_BYTES], &sealed[HEAD_BYTES + NONCE_BYTES..]);
        let plaintext = aead::open(Algorithm::Aes256Gcm, &key, nonce, aad, body)
            .ok_or(RecordError::NotAuthentic)?;
        Ok(OpenRecord {
            generation,
            plaintext,
        })
    }

    /// A key for each name and generation: a store seals a record for every attempt to upload a part, too many for
    /// random nonces under one key.
    fn record_key(&self, name: &str, generation: u64) -> Zeroizing<[u8; 32]> {
        hmac_prefixed(
            self.expose(),
            LABEL,
            &[name.as_bytes(), &generation.to_le_bytes()],
        )
    }
}

/// First bytes of the file that keeps the state key.
const MAGIC: [u8; 8] = *b"SRstate\0";
const KEY_VERSION: u8 = 1;
const SEALED: u8 = 1;
const PLAIN: u8 = 2;

/// How a store keeps its state key.
pub enum StateKeyRecord {
    /// Without a KMS, in clear in the system area: it protects nothing against who reads that.
    Plain(StateKey),
    /// As a data key of the KMS under [`Context::for_state_key`](crate::Context::for_state_key).
    Sealed(SealedDataKey),
}

impl StateKeyRecord {
    /// The record's bytes.
    ///
    /// # Errors
    /// A value of the sealed key is empty or over its limit.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, CreateError> {
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        out.extend_from_slice(&MAGIC);
        out.push(KEY_VERSION);
        match self {
            Self::Plain(key) => {
                out.push(PLAIN);
                out.extend_from_slice(key.expose());
            }
            Self::Sealed(data_key) => {
                data_key.check()?;
                out.push(SEALED);
                put_data_key(&mut out, data_key);
            }
        }
        Ok(out)
    }

    /// Reads the record.
    ///
    /// # Errors
    /// It is no such record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.array("the magic")? != MAGIC {
            return Err(DecodeError::Invalid { field: "the magic" });
        }
        match reader.u8("the version")? {
            KEY_VERSION => {}
            version => return Err(DecodeError::UnknownVersion { version }),
        }
        let field = "how the state key is kept";
        let record = match reader.u8(field)? {
            PLAIN => Self::Plain(StateKey::from_bytes(reader.array("the state key")?)),
            SEALED => {
                let data_key = take_data_key(&mut reader, false)?;
                data_key.check().map_err(|_| DecodeError::Invalid {
                    field: "the sealed state key",
                })?;
                Self::Sealed(data_key)
            }
            value => return Err(DecodeError::UnknownValue { field, value }),
        };
        reader.end()?;
        Ok(record)
    }
}

impl fmt::Debug for StateKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("StateKeyRecord::Plain(secret)"),
            Self::Sealed(key) => f.debug_tuple("StateKeyRecord::Sealed").field(key).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
