//! POST forms: a form is a PUT whose fields came in its body. The protocol layer turned the fields into the
//! same members, so that conflicts are found in forms as in headers.

use s3s::dto::{PostObjectInput, PostObjectOutput, PutObjectInput, PutObjectOutput};

/// Moves every member that is named, and fails to compile when the target has another.
macro_rules! moved {
    ($from:expr => $to:ident { $($member:ident,)+ }) => {{
        let from = $from;
        $to { $($member: from.$member,)+ }
    }};
}

/// The protocol layer answers with redirect or status as the form asked, and has verified its policy.
pub(super) fn into_put(form: PostObjectInput) -> PutObjectInput {
    moved!(form => PutObjectInput {
        acl, body, bucket, bucket_key_enabled, cache_control, checksum_algorithm, checksum_crc32,
        checksum_crc32c, checksum_crc64nvme, checksum_md5, checksum_sha1, checksum_sha256,
        checksum_sha512, checksum_xxhash128, checksum_xxhash3, checksum_xxhash64,
        content_disposition, content_encoding, content_language, content_length, content_md5,
        content_type, expected_bucket_owner, expires, grant_full_control, grant_read, grant_read_acp,
        grant_write_acp, if_match, if_none_match, key, metadata, object_lock_legal_hold_status,
        object_lock_mode, object_lock_retain_until_date, request_payer, sse_customer_algorithm,
        sse_customer_key, sse_customer_key_md5, ssekms_encryption_context, ssekms_key_id,
        server_side_encryption, storage_class, tagging, website_redirect_location,
        write_offset_bytes,
    })
}

pub(super) fn from_put(answer: PutObjectOutput) -> PostObjectOutput {
    moved!(answer => PostObjectOutput {
        bucket_key_enabled, checksum_crc32, checksum_crc32c, checksum_crc64nvme, checksum_md5,
        checksum_sha1, checksum_sha256, checksum_sha512, checksum_type, checksum_xxhash128,
        checksum_xxhash3, checksum_xxhash64, e_tag, expiration, request_charged,
        sse_customer_algorithm, sse_customer_key_md5, ssekms_encryption_context, ssekms_key_id,
        server_side_encryption, size, version_id,
    })
}
