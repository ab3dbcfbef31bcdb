//! A key as it lies in a key store: the newest form is written, every form since v0.1 is read.
//!
//! docs/formats/kes-keystore.md describes them byte by byte.

use std::fmt;
use std::str::FromStr as _;

use jiff::Timestamp;
use serde::Deserialize;
use strongroom_envelope::{HmacKey, MasterCipher, MasterKey};
use strongroom_kes_api::base64;
use strongroom_kes_api::body::Algorithm;
use strongroom_keystore::StoredValue;
use zeroize::Zeroizing;

use crate::protobuf::{Reader, Writer};

/// A master key with what is known of it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) master: MasterKey,
    /// Missing in keys stored before 2024-02.
    pub(crate) hmac: Option<HmacKey>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) created_by: Option<String>,
}

/// A stored value that is no key. The value itself is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnreadableKey {
    #[error("stored value is empty")]
    Empty,
    #[error("stored value is neither JSON nor base64")]
    NoKnownForm,
    #[error("stored value is damaged: {0}")]
    Damaged(&'static str),
    #[error("stored key has an unknown algorithm")]
    UnknownAlgorithm,
    #[error("stored key is not 32 bytes long")]
    WrongLength,
}

/// Is this text, as it lies in a key store, a key of any age? Nothing of it is shown.
///
/// # Errors
/// What it is instead.
pub fn check_stored_key(value: &StoredValue) -> Result<(), impl std::error::Error + use<>> {
    Key::from_stored(value).map(drop)
}

/// Field numbers and types of the message; for ever.
mod field {
    pub(super) const SECRET: u32 = 1;
    pub(super) const HMAC: u32 = 2;
    pub(super) const CREATED_AT: u32 = 3;
    pub(super) const CREATED_BY: u32 = 4;
    pub(super) const MATERIAL: u32 = 1;
    pub(super) const KIND: u32 = 2;
    pub(super) const SECONDS: u32 = 1;
    pub(super) const NANOS: u32 = 2;
}

const AES256: u64 = 1;
const CHACHA20: u64 = 2;
const SHA256: u64 = 1;

impl Key {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.master.cipher() {
            MasterCipher::Aes256 => Algorithm::Aes256,
            MasterCipher::ChaCha20 => Algorithm::ChaCha20,
        }
    }

    /// The text to store: base64 of the message, fields in order, defaults left out, so that equal keys are equal texts.
    pub(crate) fn to_stored(&self) -> Zeroizing<String> {
        let kind = match self.master.cipher() {
            MasterCipher::Aes256 => AES256,
            MasterCipher::ChaCha20 => CHACHA20,
        };
        let mut message = Writer::new();
        message.message(field::SECRET, &material(self.master.expose(), kind));
        if let Some(hmac) = &self.hmac {
            message.message(field::HMAC, &material(hmac.expose(), SHA256));
        }
        if let Some(time) = self.created_at {
            let mut timestamp = Writer::new();
            timestamp.int64(field::SECONDS, time_parts(time).0);
            timestamp.int64(field::NANOS, time_parts(time).1);
            message.message(field::CREATED_AT, &timestamp);
        }
        message.bytes(
            field::CREATED_BY,
            self.created_by.as_deref().unwrap_or("").as_bytes(),
        );
        base64::encode_secret(message.as_bytes())
    }

    /// Reads a value of any age.
    pub(crate) fn from_stored(value: &StoredValue) -> Result<Self, UnreadableKey> {
        let text = value.expose();
        if text.trim().is_empty() {
            return Err(UnreadableKey::Empty);
        }
        if text.trim_start().starts_with('{') {
            return from_json(text);
        }
        let bytes = base64::decode(text.trim()).map_err(|_| UnreadableKey::NoKnownForm)?;
        // The Vault store of v0.1 to v0.4.0 held the bare key. No message is that short.
        if bytes.len() == 32 {
            return Ok(Self::legacy(master(MasterCipher::Aes256, &bytes)?));
        }
        from_message(&bytes)
    }

    fn legacy(master: MasterKey) -> Self {
        Self {
            master,
            hmac: None,
            created_at: None,
            created_by: None,
        }
    }
}

fn material(key: &[u8; 32], kind: u64) -> Writer {
    let mut message = Writer::new();
    message.bytes(field::MATERIAL, key);
    message.uint(field::KIND, kind);
    message
}

/// Seconds and nanoseconds as protobuf's Timestamp has them: the nanoseconds count forward, also before 1970.
fn time_parts(time: Timestamp) -> (i64, i64) {
    let nanos = i64::from(time.subsec_nanosecond());
    if nanos < 0 {
        (time.as_second() - 1, nanos + 1_000_000_000)
    } else {
        (time.as_second(), nanos)
    }
}

fn master(cipher: MasterCipher, bytes: &[u8]) -> Result<MasterKey, UnreadableKey> {
    MasterKey::try_from_slice(cipher, bytes).map_err(|_| UnreadableKey::WrongLength)
}

fn from_message(bytes: &[u8]) -> Result<Key, UnreadableKey> {
    const DAMAGED: UnreadableKey = UnreadableKey::Damaged("no protobuf message of a key");
    let (mut secret, mut hmac, mut created_at, mut created_by) = (None, None, None, None);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next().map_err(|_| DAMAGED)? {
        match number {
            field::SECRET => secret = Some(read_material(value.as_bytes().ok_or(DAMAGED)?)?),
            field::HMAC => hmac = Some(read_material(value.as_bytes().ok_or(DAMAGED)?)?),
            field::CREATED_AT => created_at = read_time(value.as_bytes().ok_or(DAMAGED)?)?,
            field::CREATED_BY => {
                let text = std::str::from_utf8(value.as_bytes().ok_or(DAMAGED)?);
                created_by = Some(text.map_err(|_| DAMAGED)?.to_owned());
            }
            _ => {}
        }
    }
    let (secret, kind) = secret.ok_or(UnreadableKey::Damaged("the key is missing"))?;
    let (hmac, hash) = hmac.ok_or(UnreadableKey::Damaged("the HMAC key is missing"))?;
    let cipher = match kind {
        AES256 => MasterCipher::Aes256,
        CHACHA20 => MasterCipher::ChaCha20,
        _ => return Err(UnreadableKey::UnknownAlgorithm),
    };
    if hash != SHA256 {
        return Err(UnreadableKey::UnknownAlgorithm);
    }
    Ok(Key {
        master: master(cipher, secret)?,
        hmac: Some(HmacKey::try_from_slice(hmac).map_err(|_| UnreadableKey::WrongLength)?),
        created_at,
        created_by: created_by.filter(|by| !by.is_empty()),
    })
}

fn read_material(bytes: &[u8]) -> Result<(&[u8], u64), UnreadableKey> {
    const DAMAGED: UnreadableKey = UnreadableKey::Damaged("no protobuf message of a secret");
    let (mut material, mut kind): (&[u8], u64) = (&[], 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next().map_err(|_| DAMAGED)? {
        match number {
            field::MATERIAL => material = value.as_bytes().ok_or(DAMAGED)?,
            field::KIND => kind = value.as_uint().ok_or(DAMAGED)?,
            _ => {}
        }
    }
    Ok((material, kind))
}

/// A time out of range, or Go's zero time, is no time: the key is good all the same.
fn read_time(bytes: &[u8]) -> Result<Option<Timestamp>, UnreadableKey> {
    const DAMAGED: UnreadableKey = UnreadableKey::Damaged("no protobuf message of a time");
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next().map_err(|_| DAMAGED)? {
        match number {
            field::SECONDS => seconds = value.as_int().ok_or(DAMAGED)?,
            field::NANOS => nanos = value.as_int().ok_or(DAMAGED)?,
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).map_err(|_| DAMAGED)?;
    Ok(Timestamp::new(seconds, nanos)
        .ok()
        .filter(|time| *time != zero_time()))
}

/// `0001-01-01T00:00:00Z`, which stands for "unknown".
fn zero_time() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).unwrap_or(Timestamp::MIN)
}

/// Every JSON form: `bytes` since v0.4.1, `secret` before; all else may be missing.
#[derive(Deserialize)]
struct Json {
    #[serde(default, alias = "secret")]
    bytes: Option<Secret>,
    #[serde(default)]
    algorithm: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    created_by: Option<String>,
}

struct Secret(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl serde::de::Visitor<'_> for Base64 {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
                base64::decode(text)
                    .map(Secret)
                    .map_err(|_| E::custom("illegal base64"))
            }
        }
        deserializer.deserialize_str(Base64)
    }
}

fn from_json(text: &str) -> Result<Key, UnreadableKey> {
    // The reader's error could quote the value.
    let json: Json = serde_json::from_str(text)
        .map_err(|_| UnreadableKey::Damaged("no JSON object of a key"))?;
    let bytes = json
        .bytes
        .ok_or(UnreadableKey::Damaged("the key is missing"))?
        .0;
    let cipher = match json.algorithm.as_deref().unwrap_or("") {
        "" => MasterCipher::Aes256,
        name => match Algorithm::from_str(name) {
            Ok(Algorithm::Aes256) => MasterCipher::Aes256,
            Ok(Algorithm::ChaCha20) => MasterCipher::ChaCha20,
            Err(_) => return Err(UnreadableKey::UnknownAlgorithm),
        },
    };
    let created_at = json
        .created_at
        .and_then(|t| t.parse().ok())
        .filter(|t| *t != zero_time());
    let created_by = json.created_by.filter(|by| !by.is_empty());
    Ok(Key {
        created_at,
        created_by,
        ..Key::legacy(master(cipher, &bytes)?)
    })
}

#[cfg(test)]
mod tests;
