//! What a write is to do: the request's headers, else the bucket's default, else automatic encryption.
//! The one place where this is decided, for PUT, POST, copy and multipart alike.

use s3s::dto::{CopyObjectInput, CreateMultipartUploadInput, PutObjectInput};
use s3s::{S3Result, s3_error};
use strongroom_envelope::{Context, Envelope, Protection, Scheme};

use crate::config::AutoEncryption;
use crate::connection::ConnectionSecurity;
use crate::customer::{Customer, CustomerHeaders, TakesCustomer as _};
use crate::error;
use crate::settings::{BucketEncryption, DefaultAlgorithm};

/// SSE-S3's value of `x-amz-server-side-encryption`.
pub(crate) const AES256: &str = "AES256";
/// SSE-KMS's.
pub(crate) const AWS_KMS: &str = "aws:kms";
const AWS_KMS_DSSE: &str = "aws:kms:dsse";
/// What S3 clients may put before a key's name.
pub(crate) const KEY_ARN_PREFIX: &str = "arn:aws:kms:";

/// What a write is to do.
#[derive(Debug)]
pub(crate) enum Intent {
    /// Store as it comes.
    Plain,
    SseS3,
    SseKms {
        /// `None`: the default key.
        key: Option<String>,
        context: Context,
        bucket_key: bool,
    },
    SseC(Customer),
}

impl Intent {
    /// The client's key, of an SSE-C write.
    pub(crate) const fn customer(&self) -> Option<&Customer> {
        match self {
            Self::SseC(customer) => Some(customer),
            Self::Plain | Self::SseS3 | Self::SseKms { .. } => None,
        }
    }

    /// What seals an object as the one with this envelope is sealed; `None` for SSE-C, whose key is the
    /// client's.
    pub(crate) fn like(envelope: &Envelope) -> Option<Self> {
        match envelope.protection() {
            Protection::SseC => None,
            Protection::SseS3 { .. } => Some(Self::SseS3),
            Protection::SseKms { data_key, context } => Some(Self::SseKms {
                key: Some(data_key.key_name.clone()),
                context: context.clone(),
                bucket_key: data_key.bucket_key,
            }),
        }
    }

    pub(crate) const fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Plain => None,
            Self::SseS3 => Some(Scheme::SseS3),
            Self::SseKms { .. } => Some(Scheme::SseKms),
            Self::SseC(_) => Some(Scheme::SseC),
        }
    }
}

/// What a request says about encryption.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) algorithm: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) bucket_key: Option<bool>,
    pub(crate) customer: CustomerHeaders,
}

macro_rules! asked_of {
    ($($input:ty),+ $(,)?) => {$(
        impl From<&mut $input> for Asked {
            fn from(input: &mut $input) -> Self {
                Self {
                    algorithm: input.server_side_encryption.take().map(|sse| sse.as_str().to_owned()),
                    key: input.ssekms_key_id.take(),
                    context: input.ssekms_encryption_context.take(),
                    bucket_key: input.bucket_key_enabled.take(),
                    customer: input.take_customer(),
                }
            }
        }
    )+};
}

asked_of!(PutObjectInput, CreateMultipartUploadInput, CopyObjectInput);

/// What decides besides the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) bucket: Option<&'a BucketEncryption>,
    pub(crate) auto: AutoEncryption,
    pub(crate) has_kms: bool,
    pub(crate) security: ConnectionSecurity,
}

impl Asked {
    /// True when the request itself asks for some encryption, even a wrong one.
    pub(crate) fn anything(&self) -> bool {
        self.customer.any() || self.asks_for_kms() || self.algorithm.is_some()
    }

    fn asks_for_kms(&self) -> bool {
        self.key.is_some()
            || self.context.is_some()
            || self
                .algorithm
                .as_deref()
                .is_some_and(|a| !a.eq_ignore_ascii_case(AES256))
    }

    /// Decides. Headers, also wrong ones, go before defaults; defaults before automatic encryption.
    pub(crate) fn resolve(self, around: Surroundings<'_>) -> S3Result<Intent> {
        if self.customer.any() {
            return self.customer_key(around);
        }
        let bucket_key = |asked: Option<bool>| {
            asked
                .or_else(|| around.bucket.and_then(|b| b.bucket_key))
                .unwrap_or(false)
        };
        let intent = if self.asks_for_kms() {
            self.check_kms_headers()?;
            Intent::SseKms {
                key: self.key.as_deref().map(key_name).transpose()?.flatten(),
                context: self.client_context()?,
                bucket_key: bucket_key(self.bucket_key),
            }
        } else if let Some(algorithm) = &self.algorithm {
            if algorithm != AES256 {
                return Err(unknown_algorithm());
            }
            Intent::SseS3
        } else {
            match (around.bucket.map(|bucket| &bucket.algorithm), around.auto) {
                (Some(DefaultAlgorithm::SseS3), _) | (None, AutoEncryption::SseS3) => Intent::SseS3,
                (Some(DefaultAlgorithm::SseKms { key }), _) => Intent::SseKms {
                    key: key.as_deref().map(key_name).transpose()?.flatten(),
                    context: Context::new(),
                    bucket_key: bucket_key(self.bucket_key),
                },
                (None, AutoEncryption::SseKms) => Intent::SseKms {
                    key: None,
                    context: Context::new(),
                    bucket_key: bucket_key(self.bucket_key),
                },
                (None, AutoEncryption::Off) => return Ok(Intent::Plain),
            }
        };
        if around.has_kms {
            Ok(intent)
        } else {
            Err(error::no_kms())
        }
    }

    fn customer_key(self, around: Surroundings<'_>) -> S3Result<Intent> {
        let others = self.algorithm.is_some() || self.asks_for_kms();
        // The connection first: a key that came over plain HTTP is lost whatever else is wrong.
        if !around.security.tls {
            self.customer.check(around.security)?;
            return Err(s3_error!(InternalError));
        }
        if others {
            return Err(s3_error!(
                InvalidArgument,
                "Server Side Encryption with Customer provided key is incompatible with the encryption method \
                 specified"
            ));
        }
        let customer = self.customer.check(around.security)?;
        let customer = customer.ok_or_else(|| s3_error!(InternalError))?;
        if around
            .bucket
            .is_some_and(|bucket| bucket.blocks_customer_keys)
        {
            return Err(s3_error!(
                AccessDenied,
                "This bucket's encryption settings block objects with customer provided keys (SSE-C)."
            ));
        }
        Ok(Intent::SseC(customer))
    }

    fn check_kms_headers(&self) -> S3Result<()> {
        match self.algorithm.as_deref() {
            Some(AWS_KMS) => Ok(()),
            Some(AWS_KMS_DSSE) => Err(s3_error!(
                NotImplemented,
                "Dual-layer encryption (aws:kms:dsse) is not implemented; use aws:kms."
            )),
            _ if self.key.is_some() || self.context.is_some() => Err(s3_error!(
                InvalidArgument,
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : \
                 aws:kms"
            )),
            _ => Err(unknown_algorithm()),
        }
    }

    fn client_context(&self) -> S3Result<Context> {
        match self.context.as_deref() {
            None | Some("") => Ok(Context::new()),
            Some(header) => {
                Context::parse_client(header).map_err(|e| s3_error!(InvalidArgument, "{e}"))
            }
        }
    }
}

/// A key as clients and settings name it; `None` for an empty one, which means the default key.
pub(crate) fn key_name(told: &str) -> S3Result<Option<String>> {
    if told != told.trim() {
        return Err(s3_error!(
            InvalidArgument,
            "The KMS key id has unsupported characters: spaces at its start or end"
        ));
    }
    let bare = told.strip_prefix(KEY_ARN_PREFIX).unwrap_or(told);
    Ok((!bare.is_empty()).then(|| bare.to_owned()))
}

fn unknown_algorithm() -> s3s::S3Error {
    s3_error!(
        InvalidArgument,
        "The encryption method specified is not supported"
    )
}

#[cfg(test)]
mod tests;
