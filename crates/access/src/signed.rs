//! What a signature must cover.
//!
//! The protocol layer verifies signatures, and for Signature Version 4 it refuses `x-amz-*` headers that
//! are not signed and streaming payloads that are not authenticated. These checks close what it leaves
//! open: a request signed in two ways, query parameters that Version 2 does not cover, and `x-amz-*`
//! headers beside a POST form. Fields of a form are held against its policy by the protocol layer, the
//! `x-amz-server-side-encryption*` fields excepted, as in MinIO: the policy does not reach this place.

use http::{HeaderMap, Method, Uri, header};
use s3s::{S3Result, s3_error};

/// Query parameters that Signature Version 2 covers: the sub-resources and response overrides of
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html>, as the protocol layer
/// puts them into the string to sign.
const COVERED_BY_V2: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Query parameters that Version 2 leaves open by design: they choose a page of a listing, or are the
/// signature itself. None of them turns a request into another operation on other data.
const OPEN_IN_V2: &[&str] = &[
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "prefix",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
];

/// Checks what the signature of an authenticated request covers.
pub(crate) fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> S3Result<()> {
    let names = query_names(uri);
    let has = |name: &str| names.iter().any(|n| n == name);
    let authorization = headers.get(header::AUTHORIZATION);
    let in_query = has("X-Amz-Signature") || has("Signature");
    if in_query && authorization.is_some() {
        return Err(s3_error!(
            InvalidArgument,
            "Only one authentication mechanism is allowed: the Authorization header or a presigned URL."
        ));
    }
    if is_form(method, headers) {
        return check_form_headers(headers);
    }
    let in_header_v2 = authorization.is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    if has("Signature") || in_header_v2 {
        return check_v2_query(&names);
    }
    Ok(())
}

/// Form posts are signed by their policy, which speaks of fields: a header that came along was signed by nobody.
fn check_form_headers(headers: &HeaderMap) -> S3Result<()> {
    if headers
        .keys()
        .any(|name| name.as_str().starts_with("x-amz-"))
    {
        return Err(s3_error!(
            AccessDenied,
            "There were headers present in the request which were not signed: a form carries x-amz-* as fields."
        ));
    }
    Ok(())
}

fn check_v2_query(names: &[String]) -> S3Result<()> {
    for (at, name) in names.iter().enumerate() {
        let covered = COVERED_BY_V2.contains(&name.as_str());
        // Told twice, a sub-resource drops out of the string to sign and would still be acted upon.
        if names[..at].contains(name) {
            return Err(s3_error!(
                InvalidArgument,
                "The query parameter {name} is given twice."
            ));
        }
        if !covered && !OPEN_IN_V2.contains(&name.as_str()) {
            return Err(s3_error!(
                AccessDenied,
                "Signature Version 2 does not cover the query parameter {name}: sign with Version 4."
            ));
        }
    }
    Ok(())
}

/// Whether this is an upload by an HTML form.
pub(crate) fn is_form(method: &Method, headers: &HeaderMap) -> bool {
    const FORM: &str = "multipart/form-data";
    *method == Method::POST
        && headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.get(..FORM.len()))
            .is_some_and(|value| value.eq_ignore_ascii_case(FORM))
}

/// Names of the query parameters, decoded as the protocol layer decodes them.
fn query_names(uri: &Uri) -> Vec<String> {
    uri.query().map_or_else(Vec::new, |query| {
        form_urlencoded::parse(query.as_bytes())
            .map(|(name, _)| name.into_owned())
            .collect()
    })
}
