//! Errors as S3 words them, where the protocol layer does it otherwise or says less.

use std::borrow::Cow;

use http::{Response, StatusCode};
use s3s::Body;

/// What the protocol layer answers to a method that a resource does not have.
const UNKNOWN_OPERATION: &str = "Unknown operation";

/// Longest error that is looked at. Theirs and ours have a few hundred bytes.
const ERROR_BYTES_MAX: usize = 16 * 1024;

/// Puts right an error's code and status, and adds to it what it is about and the request's name.
pub(super) fn complete(response: &mut Response<Body>, path: &str, request_id: &str) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let Some(body) = response
        .body()
        .bytes()
        .filter(|b| b.len() <= ERROR_BYTES_MAX)
    else {
        return;
    };
    let Some(error) = std::str::from_utf8(&body).ok().and_then(Error::read) else {
        return;
    };
    let (status, error) = error.into_s3s_words(status);
    let xml = format!(
        "{DECLARATION}<Error><Code>{}</Code><Message>{}</Message>{}<Resource>{}</Resource>\
         <RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>",
        error.code,
        error.message,
        key_and_bucket(path),
        escaped(path),
    );
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(xml);
    *response.status_mut() = status;
}

/// In the message about a form without a key.
const NO_KEY: &str = "for field &apos;key&apos; failed: expected ";
const GOT_NOTHING: &str = "got &apos;&apos;";

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// Code and message, in XML's spelling.
struct Error<'a> {
    code: &'a str,
    message: Cow<'a, str>,
}

impl<'a> Error<'a> {
    /// Reads an error of the protocol layer's: code, message, nothing else.
    fn read(xml: &'a str) -> Option<Self> {
        let inner = xml
            .strip_prefix(DECLARATION)?
            .strip_prefix("<Error><Code>")?
            .strip_suffix("</Error>")?;
        let (code, rest) = inner.split_once("</Code>")?;
        let message = match rest {
            "" => code,
            rest => rest
                .strip_prefix("<Message>")?
                .strip_suffix("</Message>")
                .filter(|message| !message.contains('<'))?,
        };
        Some(Self {
            code,
            message: message.into(),
        })
    }

    fn into_s3s_words(self, status: StatusCode) -> (StatusCode, Self) {
        let instead = |status, code, message: Cow<'a, str>| (status, Self { code, message });
        match (self.code, &*self.message) {
            ("NotImplemented", UNKNOWN_OPERATION) => instead(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.".into(),
            ),
            ("InvalidPolicyDocument", message) => match failed_condition(message) {
                Some(_) if message.contains(NO_KEY) && message.ends_with(GOT_NOTHING) => instead(
                    status,
                    "InvalidArgument",
                    "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the \
                     fields."
                        .into(),
                ),
                Some(message) => instead(StatusCode::FORBIDDEN, "AccessDenied", message.into()),
                None => (status, self),
            },
            (
                "InvalidRequest",
                "missing header: x-amz-date" | "invalid header: x-amz-date" | "missing header: date",
            ) => instead(
                StatusCode::FORBIDDEN,
                "AccessDenied",
                "AWS authentication requires a valid Date or x-amz-date header".into(),
            ),
            _ => (status, self),
        }
    }
}

/// A condition of a form's policy that does not hold: the policy is well, and the form is denied.
fn failed_condition(message: &str) -> Option<String> {
    let rest = message.strip_prefix("Policy condition &apos;")?;
    let (operator, rest) = rest.split_once("&apos; for field &apos;")?;
    let (field, rest) = rest.split_once("&apos; failed: expected ")?;
    let (expected, _got) = rest
        .trim_start_matches("prefix ")
        .strip_prefix("&apos;")?
        .rsplit_once("&apos;, got &apos;")?;
    Some(format!(
        r#"Invalid according to Policy: Policy Condition failed: ["{operator}", "${field}", "{expected}"]"#
    ))
}

/// For a path-style request: what S3 adds to the errors about one key.
fn key_and_bucket(path: &str) -> String {
    let Some((bucket, key)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return String::new();
    };
    if bucket.is_empty() || key.is_empty() {
        return String::new();
    }
    let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
    format!(
        "<Key>{}</Key><BucketName>{}</BucketName>",
        escaped(&key),
        escaped(bucket)
    )
}

fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // XML 1.0 has no spelling for them.
            c if c.is_control() => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(status: StatusCode, inner: &str, path: &str) -> (StatusCode, String) {
        let mut response =
            Response::new(Body::from(format!("{DECLARATION}<Error>{inner}</Error>")));
        *response.status_mut() = status;
        complete(&mut response, path, "7");
        let body = response.body().bytes().unwrap();
        (response.status(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn an_error_tells_its_key_and_the_requests_name() {
        let inner = "<Code>NoSuchKey</Code><Message>gone</Message>";
        let (status, xml) = completed(StatusCode::NOT_FOUND, inner, "/b/a%20%3Cb%3E");
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(
            xml,
            format!(
                "{DECLARATION}<Error>{inner}<Key>a &lt;b&gt;</Key><BucketName>b</BucketName>\
                 <Resource>/b/a%20%3Cb%3E</Resource><RequestId>7</RequestId><HostId>7</HostId></Error>"
            )
        );
    }

    #[test]
    fn a_form_that_its_policy_does_not_allow_is_denied() {
        let inner = "<Code>InvalidPolicyDocument</Code><Message>Policy condition &apos;starts-with&apos; for field \
                     &apos;key&apos; failed: expected prefix &apos;it&apos;s&apos;, got &apos;x&apos;</Message>";
        let (status, xml) = completed(StatusCode::BAD_REQUEST, inner, "/b");
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(xml.contains("<Code>AccessDenied</Code>"), "{xml}");
        let condition = r#"["starts-with", "$key", "it&apos;s"]"#;
        assert!(xml.contains(condition), "{xml}");
    }

    #[test]
    fn a_policy_that_cannot_be_read_stays_a_bad_request() {
        let inner =
            "<Code>InvalidPolicyDocument</Code><Message>failed to parse POST policy</Message>";
        let (status, xml) = completed(StatusCode::BAD_REQUEST, inner, "/b");
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(xml.contains("<Code>InvalidPolicyDocument</Code>"), "{xml}");
    }

    #[test]
    fn what_is_no_error_of_the_protocol_layer_is_left_alone() {
        let mut response = Response::new(Body::from("plain".to_owned()));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        complete(&mut response, "/", "7");
        assert_eq!(response.body().bytes().unwrap(), "plain");
    }
}
