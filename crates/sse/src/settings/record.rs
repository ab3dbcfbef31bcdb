//! The record's plaintext: JSON, since people may have to read it one day (`docs/formats/state.md`).

use serde::{Deserialize, Serialize};

use super::{BucketEncryption, DefaultAlgorithm};
use crate::intent::{AES256, AWS_KMS};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    /// `None`: the settings were cleared.
    default: Option<Default>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Default {
    algorithm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_key: Option<bool>,
    blocks_customer_keys: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("the record is not JSON of the form that is written")]
    Json(#[from] serde_json::Error),
    #[error("the record has version {0}, which this program does not know")]
    Version(u32),
    #[error("the record has the algorithm {0:?}, which this program does not know")]
    Algorithm(String),
}

pub(super) fn encode(settings: Option<&BucketEncryption>) -> Result<Vec<u8>, RecordError> {
    let default = settings.map(|settings| {
        let (algorithm, key) = match &settings.algorithm {
            DefaultAlgorithm::SseS3 => (AES256, None),
            DefaultAlgorithm::SseKms { key } => (AWS_KMS, key.clone()),
        };
        Default {
            algorithm: algorithm.to_owned(),
            key,
            bucket_key: settings.bucket_key,
            blocks_customer_keys: settings.blocks_customer_keys,
        }
    });
    Ok(serde_json::to_vec(&Record {
        version: VERSION,
        default,
    })?)
}

pub(super) fn decode(plaintext: &[u8]) -> Result<Option<BucketEncryption>, RecordError> {
    let record: Record = serde_json::from_slice(plaintext)?;
    if record.version != VERSION {
        return Err(RecordError::Version(record.version));
    }
    let Some(default) = record.default else {
        return Ok(None);
    };
    let algorithm = match default.algorithm.as_str() {
        AES256 if default.key.is_none() => DefaultAlgorithm::SseS3,
        AWS_KMS => DefaultAlgorithm::SseKms { key: default.key },
        other => return Err(RecordError::Algorithm(other.to_owned())),
    };
    Ok(Some(BucketEncryption {
        algorithm,
        bucket_key: default.bucket_key,
        blocks_customer_keys: default.blocks_customer_keys,
    }))
}
