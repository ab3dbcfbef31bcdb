//! Object tags: the header's query form, the XML's list, and S3's limits on both.

use std::collections::BTreeSet;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::dto::Tag;
use s3s::{S3Result, s3_error};

use crate::error::custom;
use crate::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX};

const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Reads `k=v&k2=v2` and gives it back in one canonical spelling; `None` for no tags.
///
/// # Errors
/// `InvalidArgument` for what is no query, `InvalidTag` and `BadRequest` past S3's limits.
pub fn canonical(header: &str) -> S3Result<Option<String>> {
    let mut tags = Vec::new();
    for pair in header.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.push((decoded(key)?, decoded(value)?));
    }
    joined(&tags)
}

/// The same from the list of a PutObjectTagging.
///
/// # Errors
/// As [`canonical`], and `InvalidTag` for a tag without a key.
pub fn from_set(set: &[Tag]) -> S3Result<Option<String>> {
    let tags: Vec<_> = set
        .iter()
        .map(|tag| {
            let key = tag.key.clone().unwrap_or_default();
            (key, tag.value.clone().unwrap_or_default())
        })
        .collect();
    joined(&tags)
}

/// The list that a GetObjectTagging shows.
#[must_use]
pub fn to_set(stored: Option<&str>) -> Vec<Tag> {
    let lossy = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    stored
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Tag {
                key: Some(lossy(key)),
                value: Some(lossy(value)),
            }
        })
        .collect()
}

/// How many tags there are.
#[must_use]
pub fn count(stored: Option<&str>) -> usize {
    stored
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .count()
}

fn decoded(text: &str) -> S3Result<String> {
    // A plus is a space in a query; a real plus comes as %2B.
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| s3_error!(InvalidArgument, "x-amz-tagging is not UTF-8"))
}

fn joined(tags: &[(String, String)]) -> S3Result<Option<String>> {
    if tags.len() > TAGS_MAX {
        let message = format!("Object tags cannot be greater than {TAGS_MAX}");
        return Err(custom("BadRequest", StatusCode::BAD_REQUEST, message));
    }
    let mut seen = BTreeSet::new();
    let mut out = String::new();
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > TAG_KEY_CHARS_MAX {
            return Err(s3_error!(
                InvalidTag,
                "The TagKey you have provided is invalid"
            ));
        }
        if value.chars().count() > TAG_VALUE_CHARS_MAX {
            return Err(s3_error!(
                InvalidTag,
                "The TagValue you have provided is invalid"
            ));
        }
        if !seen.insert(key) {
            return Err(s3_error!(
                InvalidTag,
                "Cannot provide multiple Tags with the same key"
            ));
        }
        if !out.is_empty() {
            out.push('&');
        }
        out.extend(utf8_percent_encode(key, KEPT));
        out.push('=');
        out.extend(utf8_percent_encode(value, KEPT));
    }
    Ok((!out.is_empty()).then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_the_way_through_both_forms() {
        let stored = canonical("a=1&sp+ce=%C3%A4%26&empty").unwrap();
        assert_eq!(stored.as_deref(), Some("a=1&sp%20ce=%C3%A4%26&empty="));
        let set = to_set(stored.as_deref());
        assert_eq!(set[1].key.as_deref(), Some("sp ce"));
        assert_eq!(set[1].value.as_deref(), Some("ä&"));
        assert_eq!(from_set(&set).unwrap(), stored);
        assert_eq!(count(stored.as_deref()), 3);
        assert_eq!(canonical("").unwrap(), None);
    }

    #[test]
    fn limits_of_tags_hold() {
        let eleven: Vec<_> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert_eq!(
            canonical(&eleven.join("&")).unwrap_err().code().as_str(),
            "BadRequest"
        );
        let code = |text: &str| canonical(text).unwrap_err().code().as_str().to_owned();
        assert_eq!(code("a=1&a=2"), "InvalidTag");
        assert_eq!(code("=1"), "InvalidTag");
        assert_eq!(code(&format!("{}=1", "k".repeat(129))), "InvalidTag");
        assert_eq!(code(&format!("k={}", "v".repeat(257))), "InvalidTag");
        assert_eq!(code("k=%FF"), "InvalidArgument");
    }
}
