//! What this store has not got: said, never ignored.

use s3s::dto::{
    CopyObjectInput, CreateMultipartUploadInput, GetObjectAttributesInput, GetObjectInput,
    HeadObjectInput, ListPartsInput, PutObjectInput, UploadPartCopyInput, UploadPartInput,
};
use s3s::{S3Error, S3Result, s3_error};
use strongroom_backend::object::Stat;

fn sse() -> S3Error {
    s3_error!(
        NotImplemented,
        "this server stores objects as they come and does not encrypt; leave out the \
         x-amz-server-side-encryption headers, or configure a KMS"
    )
}

/// A request that may carry SSE headers.
pub(super) trait MayAskForSse {
    fn asks_for_sse(&self) -> bool;
}

macro_rules! may_ask_for_sse {
    ($($input:ty { $($field:ident),+ }),+ $(,)?) => {$(
        impl MayAskForSse for $input {
            fn asks_for_sse(&self) -> bool {
                $(self.$field.is_some())||+
            }
        }
    )+};
}

may_ask_for_sse!(
    PutObjectInput {
        server_side_encryption,
        ssekms_key_id,
        ssekms_encryption_context,
        bucket_key_enabled,
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
    CreateMultipartUploadInput {
        server_side_encryption,
        ssekms_key_id,
        ssekms_encryption_context,
        bucket_key_enabled,
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
    CopyObjectInput {
        server_side_encryption,
        ssekms_key_id,
        ssekms_encryption_context,
        bucket_key_enabled,
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5,
        copy_source_sse_customer_algorithm,
        copy_source_sse_customer_key,
        copy_source_sse_customer_key_md5
    },
    UploadPartCopyInput {
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5,
        copy_source_sse_customer_algorithm,
        copy_source_sse_customer_key,
        copy_source_sse_customer_key_md5
    },
    UploadPartInput {
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
    s3s::dto::CompleteMultipartUploadInput {
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
    ListPartsInput {
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
    GetObjectInput {
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
    HeadObjectInput {
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
    GetObjectAttributesInput {
        sse_customer_algorithm,
        sse_customer_key,
        sse_customer_key_md5
    },
);

/// Refuses SSE headers.
pub(super) fn encryption(input: &impl MayAskForSse) -> S3Result<()> {
    if input.asks_for_sse() {
        Err(sse())
    } else {
        Ok(())
    }
}

macro_rules! object_lock {
    ($input:expr) => {
        if $input.object_lock_mode.is_some()
            || $input.object_lock_retain_until_date.is_some()
            || $input.object_lock_legal_hold_status.is_some()
        {
            Err(s3s::s3_error!(
                InvalidRequest,
                "Bucket is missing Object Lock Configuration"
            ))
        } else {
            Ok(())
        }
    };
}
pub(super) use object_lock;

/// Refuses an object that was sealed by a server with a KMS: its bytes are ciphertext, and served from here
/// they would pass for the object.
pub(super) fn sealed(stat: &Stat) -> S3Result<()> {
    if stat.envelope.is_none() {
        return Ok(());
    }
    Err(s3_error!(
        NotImplemented,
        "this object is stored encrypted and this server runs without encryption; start it with the KMS \
         that the object was written with"
    ))
}
