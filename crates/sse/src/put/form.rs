//! POST forms: a form is a PUT whose fields came in its body. The protocol layer turned the fields into the
//! same members, so that conflicts are found in forms as in headers.

use http::header::{ETAG, HOST, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{PostObjectInput, PostObjectOutput, PutObjectInput, PutObjectOutput};
use s3s::{S3Request, S3Response};

use crate::connection::ConnectionSecurity;

/// RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

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

/// What a form's answer needs of its request. The protocol layer answers with a status alone; S3 says where the object
/// is, its ETag, and how it is encrypted.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>
pub(super) struct Facts {
    bucket: String,
    key: String,
    redirect: Option<String>,
    base: Option<String>,
}

impl Facts {
    pub(super) fn of(req: &S3Request<PostObjectInput>) -> Self {
        let scheme = if ConnectionSecurity::of(&req.extensions).tls {
            "https"
        } else {
            "http"
        };
        let host = req.headers.get(HOST).and_then(|host| host.to_str().ok());
        // The bucket, or nothing where the host names it.
        let bucket_path = req.uri.path().trim_end_matches('/');
        Self {
            bucket: req.input.bucket.clone(),
            key: req.input.key.clone(),
            redirect: req.input.success_action_redirect.clone(),
            base: host.map(|host| format!("{scheme}://{host}{bucket_path}")),
        }
    }

    pub(super) fn describe(&self, answer: &mut S3Response<PostObjectOutput>) {
        let (output, headers) = (&answer.output, &mut answer.headers);
        let etag = output
            .e_tag
            .as_ref()
            .map(|etag| format!("\"{}\"", etag.value()));
        let etag = etag.unwrap_or_default();
        add(headers, LOCATION, Some(&self.location(&etag)));
        add(headers, ETAG, Some(&etag));
        for (name, value) in [
            ("x-amz-version-id", &output.version_id),
            ("x-amz-checksum-crc32", &output.checksum_crc32),
            ("x-amz-checksum-crc32c", &output.checksum_crc32c),
            ("x-amz-checksum-crc64nvme", &output.checksum_crc64nvme),
            ("x-amz-checksum-sha1", &output.checksum_sha1),
            ("x-amz-checksum-sha256", &output.checksum_sha256),
            (
                "x-amz-server-side-encryption-aws-kms-key-id",
                &output.ssekms_key_id,
            ),
            (
                "x-amz-server-side-encryption-context",
                &output.ssekms_encryption_context,
            ),
            (
                "x-amz-server-side-encryption-customer-algorithm",
                &output.sse_customer_algorithm,
            ),
            (
                "x-amz-server-side-encryption-customer-key-md5",
                &output.sse_customer_key_md5,
            ),
        ] {
            add(headers, HeaderName::from_static(name), value.as_deref());
        }
        let method = output
            .server_side_encryption
            .as_ref()
            .map(|sse| sse.as_str());
        add(
            headers,
            HeaderName::from_static("x-amz-server-side-encryption"),
            method,
        );
        let checksum_type = output.checksum_type.as_ref().map(|t| t.as_str());
        add(
            headers,
            HeaderName::from_static("x-amz-checksum-type"),
            checksum_type,
        );
    }

    /// Where the object is, or where the form wants the browser to go.
    fn location(&self, etag: &str) -> String {
        let encode = |text, kept| utf8_percent_encode(text, kept).to_string();
        let Some(redirect) = &self.redirect else {
            let key = encode(&self.key, PATH);
            return match &self.base {
                Some(base) => format!("{base}/{key}"),
                None => format!("/{}/{key}", self.bucket),
            };
        };
        // The protocol layer has checked that it is a URL.
        let (url, fragment) = match redirect.split_once('#') {
            Some((url, fragment)) => (url, format!("#{fragment}")),
            None => (redirect.as_str(), String::new()),
        };
        let begin = if url.contains('?') { '&' } else { '?' };
        format!(
            "{url}{begin}bucket={}&key={}&etag={}{fragment}",
            encode(&self.bucket, QUERY),
            encode(&self.key, QUERY),
            encode(etag, QUERY)
        )
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}
