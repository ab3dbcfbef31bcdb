//! How much the protocol layer may read into memory for one request.

use http::{HeaderMap, Method, header};
use s3s::config::S3Config;

use crate::signed::is_form;

/// Longest chunk of a signed `aws-chunked` body. It is held in memory until its signature is verified; SDKs send
/// 64 KiB to 8 MiB.
pub const AWS_CHUNK_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest XML body. The largest that S3 allows is a DeleteObjects of 1,000 keys of 1,024 bytes, each byte an XML
/// entity; completing 10,000 parts with checksums takes about 3 MiB.
pub const XML_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest field of a POST form. S3 allows 20 KB for all of them together; a policy is the largest.
const FORM_FIELD_BYTES_MAX: usize = 64 * 1024;

/// All fields of a POST form together, the file not counted.
const FORM_FIELDS_BYTES_MAX: usize = 256 * 1024;

/// Most fields of a POST form.
const FORM_PARTS_MAX: usize = 200;

/// The protocol layer's settings.
///
/// Signature Version 2 is accepted if `accept_signature_v2` says so: `aws s3 presign` and boto3 still make such URLs by
/// default for endpoints that are not Amazon's.
#[must_use]
pub fn protocol_limits(accept_signature_v2: bool) -> S3Config {
    let mut config = S3Config::default();
    config.aws_chunked_stream_max_chunk_size = AWS_CHUNK_BYTES_MAX;
    config.xml_max_body_size = XML_BYTES_MAX;
    config.form_max_field_size = FORM_FIELD_BYTES_MAX;
    config.form_max_fields_size = FORM_FIELDS_BYTES_MAX;
    config.form_max_parts = FORM_PARTS_MAX;
    config.enable_sig_v2 = accept_signature_v2;
    config
}

/// Whether a request has a body and does not say how long it is. S3 demands the length: answer 411
/// `MissingContentLength` without reading on.
///
/// Of a POST form the protocol layer would collect the file in memory, gigabytes of it, before anybody asked who sends it.
/// An upload in chunks of HTTP tells no end that can be trusted; one in chunks of `aws-chunked` says its length beside.
#[must_use]
pub fn is_body_without_length(method: &Method, headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_LENGTH) {
        return false;
    }
    let is_chunked_upload = *method == Method::PUT
        && headers.contains_key(header::TRANSFER_ENCODING)
        && !headers.contains_key("x-amz-decoded-content-length");
    is_form(method, headers) || is_chunked_upload
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_of_unknown_length_is_recognised() {
        let mut headers = HeaderMap::new();
        assert!(!is_body_without_length(&Method::POST, &headers));
        let form = HeaderValue::from_static("Multipart/Form-Data; boundary=x");
        headers.insert(header::CONTENT_TYPE, form);
        assert!(is_body_without_length(&Method::POST, &headers));
        assert!(!is_body_without_length(&Method::PUT, &headers));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(4));
        assert!(!is_body_without_length(&Method::POST, &headers));
    }

    #[test]
    fn an_upload_of_unknown_length_is_recognised() {
        let mut headers = HeaderMap::new();
        // Empty by HTTP's rules (RFC 9112, 6.3).
        assert!(!is_body_without_length(&Method::PUT, &headers));
        let chunked = HeaderValue::from_static("chunked");
        headers.insert(header::TRANSFER_ENCODING, chunked);
        assert!(is_body_without_length(&Method::PUT, &headers));
        headers.insert("x-amz-decoded-content-length", HeaderValue::from(4));
        assert!(!is_body_without_length(&Method::PUT, &headers));
    }
}
