use std::collections::BTreeSet;

use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{broken, code, noise, pieces, read, request};
use crate::condition::strong;

pub async fn an_object_comes_back_with_its_headers<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut input = subject.put_input("k", "hello");
    input.cache_control = Some("max-age=60".into());
    input.content_disposition = Some("attachment; filename=\"ä.txt\"".into());
    input.content_encoding = Some("gzip".into());
    input.content_language = Some("de".into());
    input.content_type = Some("text/plain; charset=utf-8".into());
    input.expires = Some("Wed, 21 Oct 2015 07:28:00 GMT".into());
    input.storage_class = Some(StorageClass::from_static(StorageClass::REDUCED_REDUNDANCY));
    input.tagging = Some("a=1&b=2".into());
    input.website_redirect_location = Some("/other".into());
    let metadata: Metadata = [
        ("colour".to_owned(), "red".to_owned()),
        ("umlaut".to_owned(), "Größe".to_owned()),
    ]
    .into();
    input.metadata = Some(metadata.clone());
    let put = subject.put_with(input).await.unwrap();
    if subject.md5_etags {
        assert_eq!(put.e_tag, Some(strong("5d41402abc4b2a76b9719d911017c592")));
    }

    let got = subject.get_with(subject.get_input("k")).await.unwrap();
    let head = subject.head("k").await.unwrap();
    macro_rules! both {
        ($($field:ident == $expected:expr),+ $(,)?) => {$(
            assert_eq!(got.$field, $expected, "GET {}", stringify!($field));
            assert_eq!(head.$field, $expected, "HEAD {}", stringify!($field));
        )+};
    }
    both!(
        cache_control == Some("max-age=60".to_owned()),
        content_disposition == Some("attachment; filename=\"ä.txt\"".to_owned()),
        content_encoding == Some("gzip".to_owned()),
        content_language == Some("de".to_owned()),
        content_type == Some("text/plain; charset=utf-8".to_owned()),
        expires == Some("Wed, 21 Oct 2015 07:28:00 GMT".to_owned()),
        storage_class == Some(StorageClass::from_static("REDUCED_REDUNDANCY")),
        tag_count == Some(2),
        website_redirect_location == Some("/other".to_owned()),
        metadata == Some(metadata.clone()),
        content_length == Some(5),
        content_range == None,
        accept_ranges == Some("bytes".to_owned()),
        e_tag == put.e_tag,
        parts_count == None,
    );
    assert!(got.last_modified.is_some());
    assert_eq!(got.last_modified, head.last_modified);
    assert_eq!(read(got.body).await.unwrap(), b"hello");
}

pub async fn bodies_of_every_edge_length_come_back<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let all = noise((1 << 20) + 3);
    // Around inline bodies, sealed packages, hash batches and buffers.
    for length in [
        0,
        1,
        15,
        16,
        17,
        32_767,
        32_768,
        32_769,
        65_535,
        65_536,
        65_537,
        all.len(),
    ] {
        let key = format!("n{length}");
        let mut input = subject.put_input(&key, all[..length].to_vec());
        subject.put_with(input).await.unwrap();
        assert_eq!(
            subject.head(&key).await.unwrap().content_length,
            i64::try_from(length).ok()
        );
        assert!(
            subject.get(&key).await.unwrap() == all[..length],
            "{length} bytes in one piece"
        );

        input = subject.put_input(&key, "");
        input.content_length = None;
        input.body = pieces(&all[..length], 10_007);
        subject.put_with(input).await.unwrap();
        assert!(
            subject.get(&key).await.unwrap() == all[..length],
            "{length} bytes in many"
        );
    }
}

pub async fn an_overwrite_replaces_everything<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut input = subject.put_input("k", noise(100_000));
    input.content_type = Some("image/png".into());
    input.metadata = Some([("a".to_owned(), "b".to_owned())].into());
    input.tagging = Some("t=1".into());
    let first = subject.put_with(input).await.unwrap();
    let second = subject.put("k", "short").await;
    assert_ne!(first.e_tag, second.e_tag);
    let head = subject.head("k").await.unwrap();
    assert_eq!(head.content_length, Some(5));
    assert_ne!(head.content_type.as_deref(), Some("image/png"));
    assert!(head.metadata.unwrap_or_default().is_empty());
    assert_eq!(head.tag_count, None);
    assert_eq!(subject.get("k").await.unwrap(), b"short");
    assert_eq!(subject.keys().await, ["k"]);
}

pub async fn a_missing_object_is_said_to_be_missing<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("a/b", "v").await;
    for key in ["k", "a", "a/", "a/b/", "a/b/c", "A/b", "a//b"] {
        assert_eq!(code(subject.get(key).await), "NoSuchKey", "{key}");
        assert_eq!(code(subject.head(key).await), "NoSuchKey", "{key}");
    }
}

pub async fn a_delete_is_final_and_may_be_repeated<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("k", noise(200_000)).await;
    subject.put("k/below", "stays").await;
    subject.delete("k").await.unwrap();
    assert_eq!(code(subject.get("k").await), "NoSuchKey");
    let again = subject.delete("k").await.unwrap();
    assert_eq!(again.delete_marker, None);
    assert_eq!(subject.keys().await, ["k/below"]);
    subject.put("k", "back").await;
    assert_eq!(subject.get("k").await.unwrap(), b"back");
}

fn identified(key: &str) -> ObjectIdentifier {
    ObjectIdentifier {
        key: key.to_owned(),
        ..Default::default()
    }
}

async fn delete_many<S: S3>(
    subject: &Subject<S>,
    objects: Vec<ObjectIdentifier>,
    quiet: bool,
) -> s3s::S3Result<DeleteObjectsOutput> {
    let input = DeleteObjectsInput::builder()
        .bucket(subject.bucket.clone())
        .delete(Delete {
            objects,
            quiet: Some(quiet),
        })
        .build()
        .unwrap();
    Ok(subject.store.delete_objects(request(input)).await?.output)
}

pub async fn many_deletes_are_answered_key_by_key<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    for key in ["a", "b", "c"] {
        subject.put(key, "v").await;
    }
    let output = delete_many(&subject, vec![identified("a"), identified("none")], false)
        .await
        .unwrap();
    let deleted: Vec<_> = output
        .deleted
        .unwrap_or_default()
        .into_iter()
        .filter_map(|d| d.key)
        .collect();
    assert_eq!(deleted, ["a", "none"]);
    assert!(output.errors.unwrap_or_default().is_empty());
    let output = delete_many(&subject, vec![identified("b")], true)
        .await
        .unwrap();
    assert!(output.deleted.unwrap_or_default().is_empty());
    assert_eq!(subject.keys().await, ["c"]);
    assert_eq!(
        code(delete_many(&subject, vec![], false).await),
        "MalformedXML"
    );
    let many = (0..1001).map(|n| identified(&n.to_string())).collect();
    assert_eq!(
        code(delete_many(&subject, many, false).await),
        "MalformedXML"
    );
}

pub async fn lesson_46_conditions_of_many_deletes_fail_key_by_key<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let a = subject.put("a", "1").await;
    subject.put("b", "2").await;
    subject.put("c", "3").await;
    let objects = vec![
        ObjectIdentifier {
            e_tag: a.e_tag,
            ..identified("a")
        },
        ObjectIdentifier {
            e_tag: Some(strong("0123")),
            ..identified("b")
        },
        ObjectIdentifier {
            size: Some(2),
            ..identified("c")
        },
    ];
    let output = delete_many(&subject, objects, false).await.unwrap();
    assert_eq!(output.deleted.unwrap_or_default().len(), 1);
    let errors = output.errors.unwrap_or_default();
    let failed: Vec<_> = errors
        .iter()
        .map(|e| (e.key.as_deref().unwrap(), e.code.as_deref().unwrap()))
        .collect();
    assert_eq!(
        failed,
        [("b", "PreconditionFailed"), ("c", "PreconditionFailed")]
    );
    assert_eq!(subject.keys().await, ["b", "c"]);
}

pub async fn a_body_that_fails_leaves_no_trace<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut input = subject.put_input("new", "");
    input.content_length = None;
    input.body = broken(b"half of it");
    assert_eq!(code(subject.put_with(input).await), "IncompleteBody");
    assert_eq!(code(subject.get("new").await), "NoSuchKey");

    subject.put("old", "whole").await;
    let mut input = subject.put_input("old", "");
    input.content_length = Some(1000);
    input.body = broken(b"half of it");
    assert_eq!(code(subject.put_with(input).await), "IncompleteBody");
    assert_eq!(subject.get("old").await.unwrap(), b"whole");
    assert_eq!(subject.keys().await, ["old"]);
}

pub async fn a_reader_keeps_its_generation<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let old = noise(5_000_000);
    subject.put("k", old.clone()).await;
    let over = subject.get_with(subject.get_input("k")).await.unwrap();
    subject.put("k", vec![0; 5_000_000]).await;
    assert!(
        read(over.body).await.unwrap() == old,
        "read over an overwrite"
    );

    subject.put("k", old.clone()).await;
    let gone = subject.get_with(subject.get_input("k")).await.unwrap();
    subject.delete("k").await.unwrap();
    assert!(read(gone.body).await.unwrap() == old, "read over a delete");
}

/// Keys that a file system, a URL or a careless join would trip over.
pub(super) fn odd_keys() -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = [
        "a",
        "a/b",
        "a/b/c",
        "a//b",
        "a/",
        "a/.",
        "a/..",
        "./x",
        "../x",
        "..",
        ".",
        "//",
        "/lead",
        "A",
        "a b",
        "a+b",
        "a%2Fb",
        "a%b",
        "\u{e4}",
        "a\u{308}",
        "\u{1f600}",
        "\u{fffd}",
        "\u{ffff}",
        "a\\b",
        "con",
        "nul.txt",
        "a:b",
        "a*b?",
        "\"quoted\"",
        "<xml>&amp;",
        "line\nfeed",
        "tab\t",
        "trailing.",
        "trailing ",
        "~",
        "-",
        "_",
        "a.meta",
        ".hidden",
        "tmp/x",
        "data/x",
    ]
    .iter()
    .map(|key| (*key).to_owned())
    .collect();
    keys.insert("k".repeat(1024));
    keys.insert("s".repeat(255));
    keys.insert("s".repeat(256));
    keys.insert(format!("{}/{}", "d".repeat(300), "e".repeat(300)));
    keys.insert("\u{1f600}".repeat(256));
    keys.insert("/".repeat(1024));
    keys.insert(vec!["d"; 512].join("/"));
    keys
}

pub async fn odd_keys_live_side_by_side<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let keys = odd_keys();
    for key in &keys {
        let put = subject
            .put_with(subject.put_input(key, format!("<{key}>")))
            .await;
        put.unwrap_or_else(|error| panic!("put {key:?}: {error}"));
    }
    for key in &keys {
        let got = subject
            .get(key)
            .await
            .unwrap_or_else(|error| panic!("get {key:?}: {error}"));
        assert_eq!(got, format!("<{key}>").into_bytes(), "{key:?}");
    }
    // BTreeSet's order of Strings is that of their UTF-8, and so is S3's.
    assert_eq!(
        subject.keys().await,
        keys.iter().cloned().collect::<Vec<_>>()
    );
    let (gone, left): (Vec<_>, Vec<_>) =
        keys.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    for (_, key) in gone {
        subject.delete(&key).await.unwrap();
    }
    let left: Vec<_> = left.into_iter().map(|(_, key)| key).collect();
    assert_eq!(subject.keys().await, left);
    for key in left {
        assert_eq!(
            subject.get(&key).await.unwrap(),
            format!("<{key}>").into_bytes(),
            "{key:?}"
        );
    }
}

pub async fn keys_and_metadata_are_held_to_their_limits<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let long = "k".repeat(1025);
    assert_eq!(
        code(subject.put_with(subject.put_input(&long, "v")).await),
        "KeyTooLongError"
    );
    let mut input = subject.put_input("k", "v");
    input.metadata = Some([("n".to_owned(), "v".repeat(2048))].into());
    assert_eq!(code(subject.put_with(input).await), "MetadataTooLarge");
    let mut input = subject.put_input("k", "v");
    input.storage_class = Some(StorageClass::from_static("LUKEWARM"));
    assert_eq!(code(subject.put_with(input).await), "InvalidStorageClass");
    assert!(subject.keys().await.is_empty());
    let mut input = subject.put_input("k", "v");
    input.metadata = Some([("n".to_owned(), "v".repeat(2047))].into());
    subject.put_with(input).await.unwrap();
    let metadata = subject.head("k").await.unwrap().metadata.unwrap();
    assert_eq!(metadata["n"].len(), 2047);
}

pub async fn lesson_41_aws_chunked_does_not_come_back<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut input = subject.put_input("k", "v");
    input.content_encoding = Some("gzip,aws-chunked".into());
    subject.put_with(input).await.unwrap();
    assert_eq!(
        subject.head("k").await.unwrap().content_encoding.as_deref(),
        Some("gzip")
    );
    let mut input = subject.put_input("k", "v");
    input.content_encoding = Some("aws-chunked".into());
    subject.put_with(input).await.unwrap();
    assert_eq!(subject.head("k").await.unwrap().content_encoding, None);
}

pub async fn attributes_are_those_asked_for<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let put = subject.put("k", "hello").await;
    let ask = |attributes: &[&'static str]| {
        let input = GetObjectAttributesInput::builder()
            .bucket(subject.bucket.clone())
            .key("k".to_owned())
            .object_attributes(
                attributes
                    .iter()
                    .map(|a| ObjectAttributes::from_static(a))
                    .collect(),
            )
            .build()
            .unwrap();
        subject.store.get_object_attributes(request(input))
    };
    let all = ask(&[
        "ETag",
        "ObjectSize",
        "StorageClass",
        "ObjectParts",
        "Checksum",
    ]);
    let all = all.await.unwrap().output;
    assert_eq!(all.e_tag, put.e_tag);
    assert_eq!(all.object_size, Some(5));
    assert_eq!(
        all.storage_class.as_ref().map(StorageClass::as_str),
        Some("STANDARD")
    );
    assert!(all.object_parts.is_none());
    let size = ask(&["ObjectSize"]).await.unwrap().output;
    assert_eq!((size.object_size, size.e_tag), (Some(5), None));
    assert_eq!(code(ask(&["Colour"]).await), "InvalidArgument");
}
