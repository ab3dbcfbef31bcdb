//! ListObjects, both versions: requests into a [`ListQuery`], pages into answers.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumType, CommonPrefix, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    ObjectStorageClass, ObjectVersion, Owner,
};
use s3s::{S3Result, s3_error};

use crate::checksum::Algorithm;
use crate::condition::strong;
use crate::limits::PAGE_ROWS_MAX;
use crate::object::{ListItem, ListPage, ListQuery, ListedObject};

/// What `encoding-type=url` leaves as it is: RFC 3986's unreserved characters and the slash.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// The one owner of everything: there are no accounts. Clients want some id, of S3's form.
#[must_use]
pub fn owner() -> Owner {
    Owner {
        display_name: Some("strongroom".to_owned()),
        id: Some(OWNER_ID.to_owned()),
    }
}

/// "strongroom" in hex, filled up to the 64 digits that S3's canonical ids have.
const OWNER_ID: &str = "7374726f6e67726f6f6d00000000000000000000000000000000000000000000";

/// Size and ETag of a row as the client sees them.
pub type VisibleRow = (u64, String);

/// A plain object's row.
#[must_use]
pub fn plain(object: &ListedObject) -> VisibleRow {
    (object.stored_length, object.etag.clone())
}

/// What a ListObjects asks for.
///
/// # Errors
/// `InvalidArgument`.
pub fn query_v1(input: &ListObjectsInput) -> S3Result<ListQuery> {
    check_encoding(input.encoding_type.as_ref())?;
    Ok(ListQuery {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: some_text(input.delimiter.as_ref()),
        after: some_text(input.marker.as_ref()),
        max: max_rows(input.max_keys)?,
    })
}

/// What a ListObjectsV2 asks for. A continuation token goes before `start-after`.
///
/// # Errors
/// `InvalidArgument`, also for a token that is none of ours. An empty one begins at the start, as S3 has it.
pub fn query_v2(input: &ListObjectsV2Input) -> S3Result<ListQuery> {
    check_encoding(input.encoding_type.as_ref())?;
    let after = match input
        .continuation_token
        .as_deref()
        .filter(|t| !t.is_empty())
    {
        Some(token) => Some(read_token(token)?),
        None => some_text(input.start_after.as_ref()),
    };
    Ok(ListQuery {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: some_text(input.delimiter.as_ref()),
        after,
        max: max_rows(input.max_keys)?,
    })
}

/// The answer to a ListObjects.
pub fn answer_v1(
    input: &ListObjectsInput,
    page: ListPage,
    visible: impl Fn(&ListedObject) -> VisibleRow,
) -> ListObjectsOutput {
    let text = Spelling::of(input.encoding_type.as_ref());
    // S3 tells the next marker only with a delimiter; without one it is the last key of the page.
    let next_marker = (page.truncated && some_text(input.delimiter.as_ref()).is_some())
        .then(|| page.items.last().map(|item| text.spell(name(item))))
        .flatten();
    let is_truncated = Some(page.truncated);
    let (contents, common_prefixes) = rows(page, &text, true, visible);
    ListObjectsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(text.spell_prefix_v1(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(text.spell(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(shown_max(input.max_keys)),
        is_truncated,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: some_text(input.delimiter.as_ref()).map(|d| text.spell(&d)),
        next_marker,
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }
}

/// The answer to a ListObjectsV2.
pub fn answer_v2(
    input: &ListObjectsV2Input,
    page: ListPage,
    visible: impl Fn(&ListedObject) -> VisibleRow,
) -> ListObjectsV2Output {
    let text = Spelling::of(input.encoding_type.as_ref());
    let next_continuation_token = page
        .truncated
        .then(|| page.items.last().map(|item| write_token(name(item))))
        .flatten();
    let is_truncated = Some(page.truncated);
    let key_count = i32::try_from(page.items.len()).ok();
    let (contents, common_prefixes) = rows(page, &text, input.fetch_owner == Some(true), visible);
    ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: Some(text.spell(input.prefix.as_deref().unwrap_or_default())),
        max_keys: Some(shown_max(input.max_keys)),
        key_count,
        continuation_token: input.continuation_token.clone(),
        is_truncated,
        next_continuation_token,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: some_text(input.delimiter.as_ref()).map(|d| text.spell(&d)),
        encoding_type: input.encoding_type.clone(),
        start_after: input.start_after.as_deref().map(|s| text.spell(s)),
        ..Default::default()
    }
}

/// What a ListObjectVersions asks for, where every object has the one version `null`.
///
/// # Errors
/// `InvalidArgument`.
pub fn query_versions(input: &ListObjectVersionsInput) -> S3Result<ListQuery> {
    check_encoding(input.encoding_type.as_ref())?;
    let after = some_text(input.key_marker.as_ref());
    if after.is_none() && some_text(input.version_id_marker.as_ref()).is_some() {
        return Err(s3_error!(
            InvalidArgument,
            "A version-id marker cannot be specified without a key marker."
        ));
    }
    Ok(ListQuery {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: some_text(input.delimiter.as_ref()),
        after,
        max: max_rows(input.max_keys)?,
    })
}

/// The answer to a ListObjectVersions, where every object has the one version `null`.
pub fn answer_versions(
    input: &ListObjectVersionsInput,
    page: ListPage,
    visible: impl Fn(&ListedObject) -> VisibleRow,
) -> ListObjectVersionsOutput {
    let text = Spelling::of(input.encoding_type.as_ref());
    let next_key_marker = page
        .truncated
        .then(|| page.items.last().map(|item| text.spell(name(item))))
        .flatten();
    let is_truncated = Some(page.truncated);
    let (contents, common_prefixes) = rows(page, &text, true, visible);
    let versions = contents
        .into_iter()
        .map(|row| ObjectVersion {
            checksum_algorithm: row.checksum_algorithm,
            checksum_type: row.checksum_type,
            e_tag: row.e_tag,
            is_latest: Some(true),
            key: row.key,
            last_modified: row.last_modified,
            owner: row.owner,
            size: row.size,
            storage_class: row.storage_class.map(|c| c.as_str().to_owned().into()),
            version_id: Some(NULL_VERSION.to_owned()),
            ..Default::default()
        })
        .collect();
    ListObjectVersionsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(text.spell(input.prefix.as_deref().unwrap_or_default())),
        key_marker: Some(text.spell(input.key_marker.as_deref().unwrap_or_default())),
        version_id_marker: input.version_id_marker.clone(),
        next_version_id_marker: next_key_marker.as_ref().map(|_| NULL_VERSION.to_owned()),
        next_key_marker,
        max_keys: Some(shown_max(input.max_keys)),
        is_truncated,
        versions: Some(versions),
        common_prefixes: Some(common_prefixes),
        delimiter: some_text(input.delimiter.as_ref()).map(|d| text.spell(&d)),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }
}

/// S3's id of the version that an object has in a bucket without versioning.
pub const NULL_VERSION: &str = "null";

fn rows(
    page: ListPage,
    text: &Spelling,
    with_owner: bool,
    visible: impl Fn(&ListedObject) -> VisibleRow,
) -> (Vec<Object>, Vec<CommonPrefix>) {
    let mut contents = Vec::new();
    let mut prefixes = Vec::new();
    for item in page.items {
        match item {
            ListItem::Prefix(prefix) => {
                prefixes.push(CommonPrefix {
                    prefix: Some(text.spell(&prefix)),
                });
            }
            ListItem::Object(object) => {
                let (size, etag) = visible(&object);
                let checksum = object.checksum.as_ref();
                let class = object.storage_class.clone();
                contents.push(Object {
                    checksum_algorithm: checksum
                        .and_then(|c| Algorithm::parse(&c.algorithm).ok())
                        .map(|algorithm| vec![algorithm.dto()]),
                    checksum_type: checksum.map(|c| -> ChecksumType { c.checksum_type() }),
                    e_tag: Some(strong(&etag)),
                    key: Some(text.spell(&object.key)),
                    last_modified: Some(object.last_modified.clone()),
                    owner: with_owner.then(owner),
                    size: i64::try_from(size).ok(),
                    storage_class: Some(class.map_or_else(
                        || ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
                        ObjectStorageClass::from,
                    )),
                    ..Default::default()
                });
            }
        }
    }
    (contents, prefixes)
}

fn name(item: &ListItem) -> &str {
    match item {
        ListItem::Prefix(prefix) => prefix,
        ListItem::Object(object) => &object.key,
    }
}

/// How keys are written: as they are, or percent-encoded.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    url: bool,
}

impl Spelling {
    /// As `encoding-type` says.
    #[must_use]
    pub fn of(encoding: Option<&EncodingType>) -> Self {
        Self {
            url: encoding.is_some_and(|e| e.as_str() == EncodingType::URL),
        }
    }

    /// Writes a key, prefix, delimiter or marker.
    #[must_use]
    pub fn spell(&self, text: &str) -> String {
        if self.url {
            utf8_percent_encode(text, KEPT).to_string()
        } else {
            in_xml(text)
        }
    }

    /// Writes the prefix of a ListObjects: encoded only where XML could not carry it or decoding would change it.
    /// Some clients (boto3) decode every name of that answer but this one, others all.
    fn spell_prefix_v1(&self, prefix: &str) -> String {
        let survives =
            |c: char| !matches!(c, '%' | '+') && (!c.is_control() || c == '\n' || c == '\t');
        if prefix.chars().all(survives) {
            prefix.to_owned()
        } else {
            self.spell(prefix)
        }
    }
}

/// Control characters are legal in keys and have no spelling in XML 1.0. One such key must not make every listing of its
/// bucket fail: it is shown with U+FFFD, as by MinIO. Clients that want it exactly ask for `encoding-type=url`.
fn in_xml(text: &str) -> String {
    let has_none = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    text.replace(has_none, "\u{fffd}")
}

/// Refuses encodings that are not there.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_encoding(encoding: Option<&EncodingType>) -> S3Result<()> {
    match encoding.map(EncodingType::as_str) {
        None | Some("" | EncodingType::URL) => Ok(()),
        Some(_) => Err(s3_error!(
            InvalidArgument,
            "Invalid Encoding Method specified in Request"
        )),
    }
}

/// Rows of a page: 0 to 1,000, as many as asked for.
///
/// # Errors
/// `InvalidArgument` for a negative number.
pub fn max_rows(asked: Option<i32>) -> S3Result<usize> {
    match asked {
        None => Ok(PAGE_ROWS_MAX),
        Some(n) => usize::try_from(n)
            .map(|n| n.min(PAGE_ROWS_MAX))
            .map_err(|_| {
                s3_error!(
                    InvalidArgument,
                    "Argument max-keys must be an integer from 0 on"
                )
            }),
    }
}

fn shown_max(asked: Option<i32>) -> i32 {
    asked.map_or(1000, |n| n.min(1000))
}

/// An empty parameter is as good as none.
fn some_text(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

fn write_token(last: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last)
}

fn read_token(token: &str) -> S3Result<String> {
    BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|last| !last.is_empty())
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The continuation token provided is incorrect"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Generation;

    fn row(key: &str) -> ListItem {
        ListItem::Object(Box::new(ListedObject {
            key: key.into(),
            generation: Generation("g".into()),
            stored_length: 3,
            etag: "e".into(),
            last_modified: Default::default(),
            envelope: None,
            storage_class: None,
            checksum: None,
        }))
    }

    fn page() -> ListPage {
        ListPage {
            items: vec![row("a b"), ListItem::Prefix("ä/".into())],
            truncated: true,
        }
    }

    fn v2() -> ListObjectsV2Input {
        ListObjectsV2Input::builder()
            .bucket("b".to_owned())
            .build()
            .unwrap()
    }

    #[test]
    fn a_token_leads_on_after_the_last_row() {
        let output = answer_v2(&v2(), page(), plain);
        assert_eq!(output.key_count, Some(2));
        let mut next = v2();
        next.continuation_token = output.next_continuation_token;
        next.start_after = Some("zzz".into());
        assert_eq!(query_v2(&next).unwrap().after.as_deref(), Some("ä/"));
    }

    #[test]
    fn lesson_50_an_empty_continuation_token_begins_at_the_start() {
        let mut input = v2();
        input.continuation_token = Some(String::new());
        assert_eq!(query_v2(&input).unwrap().after, None);
        let answer = answer_v2(&input, page(), plain);
        assert_eq!(answer.continuation_token.as_deref(), Some(""));
    }

    #[test]
    fn a_token_that_is_none_of_ours_is_an_error() {
        for token in ["!!", "_w"] {
            let mut input = v2();
            input.continuation_token = Some(token.into());
            assert_eq!(
                query_v2(&input).unwrap_err().code().as_str(),
                "InvalidArgument",
                "{token}"
            );
        }
    }

    #[test]
    fn a_key_that_xml_cannot_spell_does_not_make_the_listing_fail() {
        let spelled = Spelling::of(None).spell("a\u{1}b\n\u{7f}");
        assert_eq!(spelled, "a\u{fffd}b\n\u{7f}");
    }

    #[test]
    fn url_encoding_spares_only_unreserved_characters_and_slashes() {
        let mut input = v2();
        input.encoding_type = Some(EncodingType::from_static("url"));
        let output = answer_v2(&input, page(), plain);
        assert_eq!(output.contents.unwrap()[0].key.as_deref(), Some("a%20b"));
        assert_eq!(
            output.common_prefixes.unwrap()[0].prefix.as_deref(),
            Some("%C3%A4/")
        );
        input.encoding_type = Some(EncodingType::from_static("gzip"));
        assert!(query_v2(&input).is_err());
    }

    #[test]
    fn sizes_and_etags_are_those_that_the_client_sees() {
        let output = answer_v2(&v2(), page(), |_| (1, "visible-1".into()));
        let contents = output.contents.unwrap();
        assert_eq!(contents[0].size, Some(1));
        assert_eq!(contents[0].e_tag, Some(strong("visible-1")));
        assert!(contents[0].owner.is_none());
    }

    #[test]
    fn version_1_tells_the_next_marker_only_with_a_delimiter() {
        let mut input = ListObjectsInput::builder()
            .bucket("b".to_owned())
            .build()
            .unwrap();
        assert_eq!(answer_v1(&input, page(), plain).next_marker, None);
        input.delimiter = Some("/".into());
        let output = answer_v1(&input, page(), plain);
        assert_eq!(output.next_marker.as_deref(), Some("ä/"));
        assert!(output.contents.unwrap()[0].owner.is_some());
    }

    #[test]
    fn max_keys_is_clamped() {
        assert_eq!(max_rows(Some(0)).unwrap(), 0);
        assert_eq!(max_rows(Some(5000)).unwrap(), 1000);
        assert_eq!(max_rows(None).unwrap(), 1000);
        assert!(max_rows(Some(-1)).is_err());
    }
}
