//! The encryption headers of answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{self, ServerSideEncryption};
use strongroom_envelope::{Envelope, Protection};

use crate::customer::{ALGORITHM, Customer};
use crate::intent::{AES256, AWS_KMS, KEY_ARN_PREFIX};

const CONTEXT: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-context");
const CUSTOMER_ALGORITHM: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const CUSTOMER_KEY_MD5: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");

/// What answers say about an object's encryption.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encryption {
    method: Option<&'static str>,
    key_id: Option<String>,
    context: Option<String>,
    bucket_key: Option<bool>,
    customer_key_md5: Option<String>,
}

impl Encryption {
    /// Of an envelope; for SSE-C with the key that the request came with, if it came with one.
    pub(crate) fn of(envelope: &Envelope, customer: Option<&Customer>) -> Self {
        match envelope.protection() {
            Protection::SseC => Self {
                customer_key_md5: customer.map(|customer| customer.key_md5.clone()),
                ..Self::default()
            },
            Protection::SseS3 { .. } => Self {
                method: Some(AES256),
                ..Self::default()
            },
            Protection::SseKms { data_key, context } => Self {
                method: Some(AWS_KMS),
                key_id: Some(format!("{KEY_ARN_PREFIX}{}", data_key.key_name)),
                context: (!context.is_empty()).then(|| STANDARD.encode(context.canonical())),
                bucket_key: data_key.bucket_key.then_some(true),
                customer_key_md5: None,
            },
        }
    }

    /// For answers whose type has no member for the context.
    pub(crate) fn add_context(&self, headers: &mut HeaderMap) {
        add(headers, CONTEXT, self.context.as_deref());
    }

    /// For the answer to a Complete, whose type has no members for SSE-C.
    pub(crate) fn add_customer(&self, headers: &mut HeaderMap) {
        if self.customer_key_md5.is_some() {
            add(headers, CUSTOMER_ALGORITHM, Some(ALGORITHM));
            add(headers, CUSTOMER_KEY_MD5, self.customer_key_md5.as_deref());
        }
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

/// An answer that tells how the object is encrypted.
pub(crate) trait ShowsEncryption {
    fn show_encryption(&mut self, encryption: &Encryption);
}

// Which members an answer has differs. GET and HEAD leave the bucket key out: `mc stat` would take the object
// for SSE-KMS whatever it is.
macro_rules! shows_encryption {
    ($($output:ty: $($more:ident)*;)+) => {$(
        impl ShowsEncryption for $output {
            fn show_encryption(&mut self, encryption: &Encryption) {
                self.server_side_encryption = encryption.method.map(ServerSideEncryption::from_static);
                self.ssekms_key_id = encryption.key_id.clone();
                $(shows_encryption!(@$more self encryption);)*
            }
        }
    )+};
    (@customer $output:ident $encryption:ident) => {
        $output.sse_customer_algorithm =
            $encryption.customer_key_md5.as_ref().map(|_| ALGORITHM.to_owned());
        $output.sse_customer_key_md5 = $encryption.customer_key_md5.clone();
    };
    (@context $output:ident $encryption:ident) => {
        $output.ssekms_encryption_context = $encryption.context.clone();
    };
    (@bucket_key $output:ident $encryption:ident) => {
        $output.bucket_key_enabled = $encryption.bucket_key;
    };
}

shows_encryption! {
    dto::PutObjectOutput: customer context bucket_key;
    dto::CopyObjectOutput: customer context bucket_key;
    dto::CreateMultipartUploadOutput: customer context bucket_key;
    dto::UploadPartOutput: customer;
    dto::UploadPartCopyOutput: customer;
    dto::CompleteMultipartUploadOutput: bucket_key;
    dto::GetObjectOutput: customer;
    dto::HeadObjectOutput: customer;
}
