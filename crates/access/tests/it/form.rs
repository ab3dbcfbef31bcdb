//! POST forms, whose policy is what is signed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};

use crate::server::{ADMITTED, PASSWORD, USER, call, server};
use crate::sign::{Draft, REGION, now};

const BOUNDARY: &str = "----strongroom";

/// A form to `bucket` with these extra conditions in its policy and these extra fields.
fn form(conditions: &str, fields: &[(&str, &str)], signed: bool) -> Draft {
    let date = now(0);
    let scope = format!("{USER}/{}/{REGION}/s3/aws4_request", date.fmt_date());
    let policy = BASE64_STANDARD.encode(format!(
        r#"{{"expiration":"2099-01-01T00:00:00Z","conditions":[{{"bucket":"bucket"}},["starts-with","$key",""],
        {{"x-amz-algorithm":"AWS4-HMAC-SHA256"}},{{"x-amz-credential":"{scope}"}},{{"x-amz-date":"{}"}}{conditions}]}}"#,
        date.fmt_iso8601()
    ));
    let signature = s3s_sigv4::calculate_signature(&policy, PASSWORD, &date, REGION, "s3");
    let date = date.fmt_iso8601();
    let mut all = vec![("key", "k")];
    if signed {
        all.extend([
            ("policy", policy.as_str()),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &scope),
            ("x-amz-date", &date),
            ("x-amz-signature", &signature),
        ]);
    }
    all.extend_from_slice(fields);
    let mut body = String::new();
    for (name, value) in all {
        body += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
    }
    body += &format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ndata\r\n--{BOUNDARY}--\r\n"
    );
    Draft::new(Method::POST, "/bucket", &[])
        .header(
            "content-type",
            "multipart/form-data; boundary=----strongroom",
        )
        .body(&body)
}

#[tokio::test]
async fn a_signed_form_is_admitted_and_an_anonymous_one_is_not() {
    let service = server(true);
    let (status, body) = call(&service, form("", &[], true).build()).await;
    assert_eq!(status, ADMITTED, "{body}");
    let (status, body) = call(&service, form("", &[], false).build()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
}

#[tokio::test]
async fn lesson_03_a_form_cannot_carry_unsigned_headers() {
    let service = server(true);
    let draft = form("", &[], true).header("x-amz-server-side-encryption", "AES256");
    let (status, body) = call(&service, draft.build()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
}

#[tokio::test]
async fn lesson_04_a_form_sets_only_what_its_policy_mentions() {
    let service = server(true);
    for field in [
        ("x-amz-meta-a", "b"),
        ("acl", "public-read"),
        ("x-amz-tagging", "a=b"),
    ] {
        let (status, body) = call(&service, form("", &[field], true).build()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{field:?}: {body}");
        let condition = format!(r#",["starts-with","${}",""]"#, field.0);
        let (status, body) = call(&service, form(&condition, &[field], true).build()).await;
        assert_eq!(status, ADMITTED, "{field:?}: {body}");
    }
}
