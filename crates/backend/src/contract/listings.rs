use std::collections::BTreeSet;

use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, request};
use super::objects::odd_keys;

/// Rows of a listing as a slow and obvious model gives them: keys and rolled-up prefixes in byte order.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str) -> Vec<String> {
    let mut rows = BTreeSet::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = &key[prefix.len()..];
        match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => rows.insert(format!("{prefix}{}{delimiter}", &rest[..at])),
            None => rows.insert(key.clone()),
        };
    }
    rows.into_iter().collect()
}

fn rows(contents: Option<ObjectList>, prefixes: Option<CommonPrefixList>) -> Vec<String> {
    let keys = contents
        .unwrap_or_default()
        .into_iter()
        .filter_map(|object| object.key);
    let prefixes = prefixes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|prefix| prefix.prefix);
    let mut rows: Vec<_> = keys.chain(prefixes).collect();
    rows.sort();
    rows
}

async fn all_v2<S: S3>(
    subject: &Subject<S>,
    prefix: &str,
    delimiter: &str,
    max: i32,
) -> Vec<String> {
    let mut all = Vec::new();
    let mut input = subject.list_input();
    input.prefix = Some(prefix.to_owned());
    input.delimiter = Some(delimiter.to_owned());
    input.max_keys = Some(max);
    loop {
        let page = subject.list(input.clone()).await.unwrap();
        let (truncated, next) = (page.is_truncated, page.next_continuation_token);
        let count = page.key_count;
        let page = rows(page.contents, page.common_prefixes);
        assert!(page.len() <= usize::try_from(max).unwrap());
        assert_eq!(count, i32::try_from(page.len()).ok());
        all.extend(page);
        if truncated != Some(true) {
            assert!(next.is_none());
            return all;
        }
        input.continuation_token = Some(next.unwrap());
    }
}

async fn all_v1<S: S3>(
    subject: &Subject<S>,
    prefix: &str,
    delimiter: &str,
    max: i32,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut input = ListObjectsInput {
        bucket: subject.bucket.clone(),
        prefix: Some(prefix.to_owned()),
        delimiter: Some(delimiter.to_owned()),
        max_keys: Some(max),
        ..Default::default()
    };
    loop {
        let page = subject
            .store
            .list_objects(request(input.clone()))
            .await
            .unwrap()
            .output;
        let (truncated, next) = (page.is_truncated, page.next_marker);
        all.extend(rows(page.contents, page.common_prefixes));
        if truncated != Some(true) {
            return all;
        }
        assert_eq!(next.is_some(), !delimiter.is_empty());
        input.marker = next.or_else(|| all.last().cloned());
    }
}

pub async fn listings_agree_with_a_slow_model<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut keys = odd_keys();
    keys.extend((0..40).map(|n| format!("many/{:02}/{n}", n % 7)));
    keys.extend(["b", "b!", "b/", "b/1", "b0", "b/1/2", "bb/x"].map(str::to_owned));
    for key in &keys {
        subject.put(key, "v").await;
    }
    for prefix in [
        "",
        "a",
        "a/",
        "b",
        "b/",
        "many/",
        "many/0",
        "none",
        "/",
        "\u{1f600}",
    ] {
        for delimiter in ["", "/", "b", "//", "/0"] {
            let expected = model(&keys, prefix, delimiter);
            // A page a row is the hardest test of the marker, and slow: where it says most.
            let by_one = matches!(prefix, "" | "b") && matches!(delimiter, "" | "/");
            for max in [1000, 7, 1].into_iter().take(if by_one { 3 } else { 2 }) {
                let told = all_v2(&subject, prefix, delimiter, max).await;
                assert_eq!(
                    told, expected,
                    "v2 prefix {prefix:?} delimiter {delimiter:?} by {max}"
                );
                let told = all_v1(&subject, prefix, delimiter, max).await;
                assert_eq!(
                    told, expected,
                    "v1 prefix {prefix:?} delimiter {delimiter:?} by {max}"
                );
            }
        }
    }
    // A start that is no key, or lies between keys.
    for start in [
        "",
        "a",
        "a/b",
        "b/",
        "b/1/0",
        "many/03/9",
        "zzz",
        "\u{10ffff}",
    ] {
        let mut input = subject.list_input();
        input.start_after = Some(start.to_owned());
        let page = subject.list(input).await.unwrap();
        let expected: Vec<_> = keys
            .iter()
            .filter(|key| key.as_str() > start)
            .cloned()
            .collect();
        assert_eq!(rows(page.contents, None), expected, "after {start:?}");
    }
}

pub async fn a_page_tells_sizes_etags_and_owner<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let big = subject.put("big", vec![7; 200_000]).await;
    let empty = subject.put("empty", "").await;
    let mut input = subject.list_input();
    input.fetch_owner = Some(true);
    let page = subject.list(input).await.unwrap();
    assert_eq!(page.name.as_ref(), Some(&subject.bucket));
    let contents = page.contents.unwrap();
    assert_eq!(
        (contents[0].size, contents[1].size),
        (Some(200_000), Some(0))
    );
    assert_eq!(
        (&contents[0].e_tag, &contents[1].e_tag),
        (&big.e_tag, &empty.e_tag)
    );
    assert_eq!(
        contents[0].last_modified,
        subject.head("big").await.unwrap().last_modified
    );
    assert_eq!(
        contents[0].storage_class.as_ref().map(|c| c.as_str()),
        Some("STANDARD")
    );
    assert!(
        contents[0]
            .owner
            .as_ref()
            .is_some_and(|owner| owner.id.is_some())
    );
    let page = subject.list(subject.list_input()).await.unwrap();
    assert!(page.contents.unwrap()[0].owner.is_none());
}

pub async fn odd_parameters_are_answered_as_s3_does<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("k", "v").await;
    let list = |change: fn(&mut ListObjectsV2Input)| {
        let mut input = subject.list_input();
        change(&mut input);
        subject.list(input)
    };
    let none = list(|i| i.max_keys = Some(0)).await.unwrap();
    assert_eq!((none.key_count, none.is_truncated), (Some(0), Some(false)));
    assert_eq!(
        list(|i| i.max_keys = Some(9999)).await.unwrap().max_keys,
        Some(1000)
    );
    assert_eq!(
        code(list(|i| i.max_keys = Some(-1)).await),
        "InvalidArgument"
    );
    let from_start = list(|i| i.continuation_token = Some(String::new()));
    assert_eq!(
        from_start.await.unwrap().continuation_token.as_deref(),
        Some("")
    );
    assert_eq!(
        code(list(|i| i.continuation_token = Some("?".into())).await),
        "InvalidArgument"
    );
    let odd: fn(&mut ListObjectsV2Input) =
        |i| i.encoding_type = Some(EncodingType::from_static("gzip"));
    assert_eq!(code(list(odd).await), "InvalidArgument");
}

pub async fn keys_are_encoded_when_asked<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("ä b/c+d", "v").await;
    subject.put("ä b/e/f", "v").await;
    let mut input = subject.list_input();
    input.encoding_type = Some(EncodingType::from_static("url"));
    input.prefix = Some("ä b/".into());
    input.delimiter = Some("/".into());
    let page = subject.list(input).await.unwrap();
    assert_eq!(page.prefix.as_deref(), Some("%C3%A4%20b/"));
    assert_eq!(
        rows(page.contents, page.common_prefixes),
        ["%C3%A4%20b/c%2Bd", "%C3%A4%20b/e/"]
    );
    assert_eq!(page.encoding_type.as_ref().map(|e| e.as_str()), Some("url"));
}

pub async fn versions_of_an_unversioned_bucket_are_null<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("a", "1").await;
    subject.put("b", "2").await;
    let mut input = ListObjectVersionsInput::builder()
        .bucket(subject.bucket.clone())
        .build()
        .unwrap();
    input.max_keys = Some(1);
    let page = subject
        .store
        .list_object_versions(request(input.clone()))
        .await
        .unwrap()
        .output;
    assert_eq!(page.is_truncated, Some(true));
    let versions = page.versions.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].version_id.as_deref(), Some("null"));
    assert_eq!(versions[0].is_latest, Some(true));
    input.key_marker = page.next_key_marker;
    input.version_id_marker = page.next_version_id_marker;
    let page = subject
        .store
        .list_object_versions(request(input))
        .await
        .unwrap()
        .output;
    assert_eq!(page.versions.unwrap()[0].key.as_deref(), Some("b"));
    assert_eq!(page.is_truncated, Some(false));
}
