//! A golden file: explicit inputs, and the bytes that they give for ever.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use strongroom_dare::{Cipher, StreamNonce, seal_to_vec};
use strongroom_envelope::{
    BodyKind, Checksum, ChecksumAlgorithm, ChecksumType, ClientKey, Context, DataKey, Envelope,
    EtagKeyId, ExternalKey, Fingerprint, Kind, Manifest, NewEnvelope, ObjectChecksum, ObjectPath,
    PartEntry, Protection, SealedDataKey,
};

/// Stored bodies up to this length are in the file; of longer ones only the hash.
const INLINE_BYTES_MAX: usize = 2048;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) about: String,
    pub(crate) inputs: Inputs,
    pub(crate) outputs: Outputs,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Inputs {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) scheme: String,
    /// The data key or the client's key, hex.
    pub(crate) external_key: String,
    pub(crate) data_key: Option<DataKeyInput>,
    pub(crate) client_context: BTreeMap<String, String>,
    /// `single` or `multipart`
    pub(crate) kind: String,
    /// 0: none
    pub(crate) etag_key_id: u32,
    pub(crate) object_random: String,
    pub(crate) cipher: String,
    /// Byte `i` of the object's plaintext is `i mod 251`.
    pub(crate) parts: Vec<PartInput>,
    pub(crate) checksum: Option<ChecksumInput>,
    pub(crate) footer_nonce: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DataKeyInput {
    pub(crate) key_name: String,
    pub(crate) key_version: Option<String>,
    /// Kind and value: `key-hmac`, `kes-hmac` (hex), `kes-created-at` (text), `vault-version` (number).
    pub(crate) fingerprint: Option<(String, String)>,
    pub(crate) sealed: String,
    pub(crate) bucket_key: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PartInput {
    pub(crate) number: u32,
    pub(crate) plain_length: u64,
    pub(crate) nonce: String,
    pub(crate) checksum: Option<ChecksumInput>,
}

/// Checksums are kept, not computed, here: the values are arbitrary.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChecksumInput {
    pub(crate) algorithm: String,
    /// `FULL_OBJECT` or `COMPOSITE`; unused for a part.
    pub(crate) kind: String,
    pub(crate) value: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outputs {
    pub(crate) kms_context: Option<String>,
    pub(crate) object_key: String,
    pub(crate) envelope: String,
    pub(crate) stored_bytes: u64,
    pub(crate) stored_sha256: String,
    /// Hex, of a short body.
    pub(crate) stored: Option<String>,
}

pub(crate) fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

pub(crate) fn plaintext(length: u64) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect()
}

pub(crate) enum OwnedKey {
    Client(ClientKey),
    Data(DataKey),
}

impl OwnedKey {
    pub(crate) fn new(scheme: &str, hex: &str) -> Self {
        match scheme {
            "SSE-C" => Self::Client(ClientKey::from_bytes(bytes(hex))),
            _ => Self::Data(DataKey::from_bytes(bytes(hex))),
        }
    }

    pub(crate) fn borrow(&self) -> ExternalKey<'_> {
        match self {
            Self::Client(key) => key.into(),
            Self::Data(key) => key.into(),
        }
    }
}

impl Inputs {
    pub(crate) fn path(&self) -> ObjectPath<'_> {
        ObjectPath::new(&self.bucket, &self.key)
    }

    pub(crate) fn plain_length(&self) -> u64 {
        self.parts.iter().map(|part| part.plain_length).sum()
    }

    fn protection(&self) -> Protection {
        let data_key = || self.data_key.as_ref().unwrap().sealed_data_key();
        match self.scheme.as_str() {
            "SSE-S3" => Protection::SseS3 {
                data_key: data_key(),
            },
            "SSE-KMS" => Protection::SseKms {
                data_key: data_key(),
                context: Context::from_iter(self.client_context.clone()),
            },
            "SSE-C" => Protection::SseC,
            other => panic!("{other}"),
        }
    }

    /// Makes the envelope and the stored body, from nothing but the inputs.
    pub(crate) fn make(&self) -> (Outputs, Vec<u8>) {
        let key = OwnedKey::new(&self.scheme, &self.external_key);
        let plain_length = self.plain_length();
        let kind = match self.kind.as_str() {
            "single" => Kind::Single { plain_length },
            _ => Kind::Multipart,
        };
        let checksum = self.checksum.as_ref().map(ChecksumInput::object_checksum);
        let bodiless = kind == Kind::Single { plain_length: 0 };
        let new = NewEnvelope {
            path: self.path(),
            kind,
            protection: self.protection(),
            empty_checksum: checksum.clone().filter(|_| bodiless),
            etag_key: EtagKeyId::new(self.etag_key_id),
        };
        let random = bytes(&self.object_random);
        let (object_key, envelope) = Envelope::create(new, key.borrow(), &random).unwrap();

        let cipher = match self.cipher.as_str() {
            "AES-256-GCM" => Cipher::Aes256Gcm,
            "ChaCha20-Poly1305" => Cipher::ChaCha20Poly1305,
            other => panic!("{other}"),
        };
        let (plain, mut stored, mut offset) = (plaintext(plain_length), Vec::new(), 0);
        for part in &self.parts {
            let length = usize::try_from(part.plain_length).unwrap();
            let plain = &plain[offset..offset + length];
            let part_key = object_key.part_key(part.number);
            let nonce = StreamNonce::from_bytes(bytes(&part.nonce));
            stored.extend(seal_to_vec(part_key.expose(), cipher, nonce, plain));
            offset += length;
        }
        if !bodiless {
            let body_kind = if kind == Kind::Multipart {
                BodyKind::Multipart
            } else {
                BodyKind::Single
            };
            let parts = self.parts.iter().map(PartInput::entry).collect();
            let manifest = Manifest::new(body_kind, parts, checksum).unwrap();
            stored.extend(
                object_key
                    .footer_key()
                    .seal(&manifest, bytes(&self.footer_nonce)),
            );
        }
        let outputs = Outputs {
            kms_context: envelope
                .kms_context(&self.path())
                .map(|context| context.canonical()),
            object_key: hex::encode(object_key.expose()),
            envelope: envelope.to_base64(),
            stored_bytes: stored.len() as u64,
            stored_sha256: hex::encode(digest(&SHA256, &stored)),
            stored: (stored.len() <= INLINE_BYTES_MAX).then(|| hex::encode(&stored)),
        };
        (outputs, stored)
    }
}

impl DataKeyInput {
    fn sealed_data_key(&self) -> SealedDataKey {
        let fingerprint = self
            .fingerprint
            .as_ref()
            .map(|(kind, value)| match kind.as_str() {
                "key-hmac" => Fingerprint::KeyHmac(bytes(value)),
                "kes-hmac" => Fingerprint::KesHmac(bytes(value)),
                "kes-created-at" => Fingerprint::KesCreatedAt(value.clone()),
                "vault-version" => Fingerprint::VaultVersion(value.parse().unwrap()),
                other => panic!("{other}"),
            });
        SealedDataKey {
            key_name: self.key_name.clone(),
            key_version: self.key_version.clone(),
            fingerprint,
            sealed: hex::decode(&self.sealed).unwrap(),
            bucket_key: self.bucket_key,
        }
    }
}

impl PartInput {
    fn entry(&self) -> PartEntry {
        PartEntry {
            number: self.number,
            plain_length: self.plain_length,
            nonce: StreamNonce::from_bytes(bytes(&self.nonce)),
            checksum: self.checksum.as_ref().map(ChecksumInput::checksum),
        }
    }
}

impl ChecksumInput {
    fn checksum(&self) -> Checksum {
        let algorithm = ChecksumAlgorithm::from_name(&self.algorithm).unwrap();
        Checksum::new(algorithm, &hex::decode(&self.value).unwrap()).unwrap()
    }

    fn object_checksum(&self) -> ObjectChecksum {
        let kind = match self.kind.as_str() {
            "COMPOSITE" => ChecksumType::Composite,
            _ => ChecksumType::FullObject,
        };
        ObjectChecksum {
            checksum: self.checksum(),
            kind,
        }
    }
}
