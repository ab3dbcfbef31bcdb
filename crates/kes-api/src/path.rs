//! The routes of the API, and how an argument becomes part of a path and comes out of it again.
//!
//! A route that ends in `/` takes an argument: everything after the prefix, slashes included (the name check refuses
//! them). Policies are matched against the *decoded* path.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Build stamp of the server; open to everybody.
pub const VERSION: &str = "/version";
/// Is the key store reachable?
pub const READY: &str = "/v1/ready";
/// State of the server.
pub const STATUS: &str = "/v1/status";
/// Prometheus metrics.
pub const METRICS: &str = "/v1/metrics";
/// The table of routes.
pub const API: &str = "/v1/api";

/// Creates a key.
pub const KEY_CREATE: &str = "/v1/key/create/";
/// Imports key material.
pub const KEY_IMPORT: &str = "/v1/key/import/";
/// Describes a key.
pub const KEY_DESCRIBE: &str = "/v1/key/describe/";
/// Deletes a key.
pub const KEY_DELETE: &str = "/v1/key/delete/";
/// Lists keys.
pub const KEY_LIST: &str = "/v1/key/list/";
/// Makes a data key.
pub const KEY_GENERATE: &str = "/v1/key/generate/";
/// Encrypts a short message.
pub const KEY_ENCRYPT: &str = "/v1/key/encrypt/";
/// Decrypts a ciphertext.
pub const KEY_DECRYPT: &str = "/v1/key/decrypt/";
/// Decrypts up to [`crate::body::BULK_DECRYPT_MAX`] ciphertexts (servers of 2022 and 2023; MinIO before 2023-08).
pub const KEY_BULK_DECRYPT: &str = "/v1/key/bulk/decrypt/";
/// Everything below is no key name: reserved before key names are parsed.
pub const KEY_BULK: &str = "/v1/key/bulk/";
/// Computes a MAC.
pub const KEY_HMAC: &str = "/v1/key/hmac/";

/// Describes a policy.
pub const POLICY_DESCRIBE: &str = "/v1/policy/describe/";
/// Shows a policy's patterns.
pub const POLICY_READ: &str = "/v1/policy/read/";
/// Lists policies.
pub const POLICY_LIST: &str = "/v1/policy/list/";
/// Changes a policy; refused by a server that takes its policies from a file.
pub const POLICY_WRITE: &str = "/v1/policy/write/";
/// Assigns a policy; refused likewise.
pub const POLICY_ASSIGN: &str = "/v1/policy/assign/";
/// Deletes a policy; refused likewise.
pub const POLICY_DELETE: &str = "/v1/policy/delete/";

/// Describes an identity.
pub const IDENTITY_DESCRIBE: &str = "/v1/identity/describe/";
/// Describes the caller.
pub const IDENTITY_SELF_DESCRIBE: &str = "/v1/identity/self/describe";
/// Lists identities.
pub const IDENTITY_LIST: &str = "/v1/identity/list/";
/// Assigns a policy to an identity (servers of 2022 and before); refused.
pub const IDENTITY_ASSIGN: &str = "/v1/identity/assign/";
/// Forgets an identity (servers of 2022 and before); refused.
pub const IDENTITY_FORGET: &str = "/v1/identity/forget/";
/// Deletes an identity; refused.
pub const IDENTITY_DELETE: &str = "/v1/identity/delete/";

/// Stream of error log lines.
pub const LOG_ERROR: &str = "/v1/log/error";
/// Stream of audit records.
pub const LOG_AUDIT: &str = "/v1/log/audit";
/// [`LOG_ERROR`] as servers of 2022 and before called it.
pub const LOG_ERROR_TRACE: &str = "/v1/log/error/trace";
/// [`LOG_AUDIT`] as servers of 2022 and before called it.
pub const LOG_AUDIT_TRACE: &str = "/v1/log/audit/trace";

/// RFC 3986 §2.3: everything but the unreserved characters is escaped, so `*` travels as `%2A`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The request path of `route` with its escaped argument.
#[must_use]
pub fn with_argument(route: &str, argument: &str) -> String {
    format!("{route}{}", utf8_percent_encode(argument, ESCAPED))
}

/// The path holds `%` without two hexadecimal digits behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("path holds an incomplete percent escape")]
pub struct BadEscape;

/// The decoded path, as routing and policies see it.
///
/// Bytes that are no UTF-8 become U+FFFD, which no name, route or sensible pattern holds.
///
/// # Errors
/// [`BadEscape`] when a `%` is not followed by two hexadecimal digits.
pub fn decode(raw: &str) -> Result<Cow<'_, str>, BadEscape> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let bytes = raw.as_bytes();
    for (at, _) in raw.match_indices('%') {
        let complete = bytes
            .get(at + 1..at + 3)
            .is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
        if !complete {
            return Err(BadEscape);
        }
    }
    Ok(percent_decode_str(raw).decode_utf8_lossy())
}

/// The argument of a decoded path under a route that ends in `/`.
#[must_use]
pub fn argument<'p>(route: &str, decoded: &'p str) -> Option<&'p str> {
    if route.ends_with('/') {
        decoded.strip_prefix(route)
    } else {
        None
    }
}

/// The clean spelling of a decoded path (no `//`, `.` or `..`), or `None` when it is clean already.
///
/// A server answers such requests with a redirect, so that no policy is ever matched against an unclean path.
#[must_use]
pub fn cleaned(decoded: &str) -> Option<String> {
    let is_clean = decoded.starts_with('/')
        && decoded
            .split('/')
            .skip(1)
            .enumerate()
            .all(|(i, segment)| match segment {
                "" => i == decoded.matches('/').count() - 1,
                "." | ".." => false,
                _ => true,
            });
    if is_clean {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    let ends_in_folder =
        decoded.ends_with('/') || decoded.ends_with("/.") || decoded.ends_with("/..");
    if ends_in_folder && !clean.ends_with('/') {
        clean.push('/');
    }
    Some(clean)
}

/// Escapes a decoded path for a `Location` header; slashes stay.
#[must_use]
pub fn escaped(decoded: &str) -> String {
    decoded
        .split('/')
        .map(|segment| utf8_percent_encode(segment, ESCAPED).to_string())
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_travels_escaped_and_comes_back() {
        let path = with_argument(KEY_LIST, "my-*");
        assert_eq!(path, "/v1/key/list/my-%2A");
        assert_eq!(decode(&path).unwrap(), "/v1/key/list/my-*");
    }

    #[test]
    fn an_escaped_slash_stays_inside_the_argument() {
        let decoded = decode("/v1/key/create/a%2Fb").unwrap();
        assert_eq!(argument(KEY_CREATE, &decoded), Some("a/b"));
        assert_eq!(argument(VERSION, "/version"), None);
    }

    #[test]
    fn incomplete_escapes_are_refused() {
        for raw in ["/%", "/%4", "/%zz", "/a%2"] {
            assert_eq!(decode(raw), Err(BadEscape), "{raw}");
        }
    }

    #[test]
    fn unclean_paths_have_a_clean_spelling() {
        for (raw, clean) in [
            ("//v1/status", Some("/v1/status")),
            ("/v1/x/../status", Some("/v1/status")),
            ("/v1/./status", Some("/v1/status")),
            ("/v1/key/list//", Some("/v1/key/list/")),
            ("/v1/key/list/..", Some("/v1/key/")),
            ("/../..", Some("/")),
            ("/v1/key/list/", None),
            ("/v1/status", None),
            ("/", None),
        ] {
            assert_eq!(cleaned(raw).as_deref(), clean, "{raw}");
        }
    }
}
