//! The three SSE-C headers, and the key in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use s3s::{S3Result, s3_error};
use strongroom_envelope::ClientKey;
use zeroize::Zeroizing;

use crate::connection::ConnectionSecurity;

/// The only algorithm there is.
pub(crate) const ALGORITHM: &str = "AES256";

/// The headers as they came. The key leaves the request here: nothing behind sees it.
#[derive(Default)]
pub(crate) struct CustomerHeaders {
    pub(crate) algorithm: Option<String>,
    pub(crate) key: Option<Zeroizing<String>>,
    pub(crate) key_md5: Option<String>,
}

/// A customer's key that was checked.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) key: ClientKey,
    /// Base64, for the answer.
    pub(crate) key_md5: String,
}

impl CustomerHeaders {
    pub(crate) fn any(&self) -> bool {
        self.algorithm.is_some() || self.key.is_some() || self.key_md5.is_some()
    }

    /// The key, if there is one; checked in S3's order.
    pub(crate) fn check(self, security: ConnectionSecurity) -> S3Result<Option<Customer>> {
        if !self.any() {
            return Ok(None);
        }
        if !security.tls {
            return Err(s3_error!(
                InvalidRequest,
                "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure \
                 connection."
            ));
        }
        if self.algorithm.as_deref() != Some(ALGORITHM) {
            return Err(s3_error!(
                InvalidArgument,
                "Requests specifying Server Side Encryption with Customer provided keys must provide a valid \
                 encryption algorithm."
            ));
        }
        let key = self.key.filter(|key| !key.is_empty()).ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate \
                 secret key."
            )
        })?;
        let key_md5 = self.key_md5.filter(|md5| !md5.is_empty()).ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "Requests specifying Server Side Encryption with Customer provided keys must provide the client \
                 calculated MD5 of the secret key."
            )
        })?;
        let bytes = STANDARD
            .decode(key.as_bytes())
            .map(Zeroizing::new)
            .unwrap_or_default();
        let key = ClientKey::try_from_slice(&bytes).map_err(|_| {
            s3_error!(
                InvalidArgument,
                "The secret key was invalid for the specified algorithm."
            )
        })?;
        if STANDARD.encode(Md5::digest(key.expose())) != key_md5 {
            return Err(s3_error!(
                InvalidArgument,
                "The calculated MD5 hash of the key did not match the hash that was provided."
            ));
        }
        Ok(Some(Customer { key, key_md5 }))
    }
}

impl std::fmt::Debug for CustomerHeaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomerHeaders")
            .field("any", &self.any())
            .finish_non_exhaustive()
    }
}

/// Takes the headers out of a request's input.
pub(crate) trait TakesCustomer {
    fn take_customer(&mut self) -> CustomerHeaders;
}

/// Takes the headers for the source out of a copy's input.
pub(crate) trait TakesSourceCustomer {
    fn take_source_customer(&mut self) -> CustomerHeaders;
}

macro_rules! takes_customer {
    ($($input:ty),+ $(,)?) => {$(
        impl TakesCustomer for $input {
            fn take_customer(&mut self) -> CustomerHeaders {
                CustomerHeaders {
                    algorithm: self.sse_customer_algorithm.take(),
                    key: self.sse_customer_key.take().map(Zeroizing::new),
                    key_md5: self.sse_customer_key_md5.take(),
                }
            }
        }
    )+};
}

takes_customer!(
    s3s::dto::PutObjectInput,
    s3s::dto::CreateMultipartUploadInput,
    s3s::dto::CopyObjectInput,
    s3s::dto::UploadPartInput,
    s3s::dto::UploadPartCopyInput,
    s3s::dto::CompleteMultipartUploadInput,
    s3s::dto::ListPartsInput,
    s3s::dto::GetObjectInput,
    s3s::dto::HeadObjectInput,
    s3s::dto::GetObjectAttributesInput,
);

macro_rules! takes_source_customer {
    ($($input:ty),+ $(,)?) => {$(
        impl TakesSourceCustomer for $input {
            fn take_source_customer(&mut self) -> CustomerHeaders {
                CustomerHeaders {
                    algorithm: self.copy_source_sse_customer_algorithm.take(),
                    key: self.copy_source_sse_customer_key.take().map(Zeroizing::new),
                    key_md5: self.copy_source_sse_customer_key_md5.take(),
                }
            }
        }
    )+};
}

takes_source_customer!(s3s::dto::CopyObjectInput, s3s::dto::UploadPartCopyInput);
