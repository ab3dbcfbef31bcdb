use bytes::Bytes;
use s3s::dto::StreamingBlob;
use strongroom_backend::object::{EnvelopeChange, Generation, ObjectHeaders, OpenObject};
use strongroom_backend::put::{FinishSlot, Precondition};
use strongroom_backend::record::RecordName;

use super::harness::*;
use crate::format::root::INLINE_BYTES_MAX;

#[tokio::test]
async fn bodies_of_all_sizes_read_back_whole_and_in_ranges() {
    let f = Fixture::new().await;
    for length in [
        0,
        1,
        4096,
        INLINE_BYTES_MAX,
        INLINE_BYTES_MAX + 1,
        262_144,
        1_500_001,
    ] {
        let bytes = pattern(length, 1);
        put(&f.store, "a/object", &bytes).await;
        let object = f.store.open_object(&at("a/object")).await.unwrap();
        assert_eq!(object.stat().stored_length, length as u64);
        let length = length as u64;
        for (from, to) in [
            (0, length),
            (0, 0),
            (length / 3, length / 2),
            (length / 2, length),
            (length, length),
        ] {
            let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
            assert_eq!(
                read(&object, from, to).await.unwrap(),
                bytes[range],
                "{from}..{to}"
            );
        }
        assert!(object.read(0..length + 1).await.is_err());
    }
}

#[tokio::test]
async fn small_bodies_lie_in_the_root_and_large_ones_in_one_data_file() {
    let f = Fixture::new().await;
    put(&f.store, "k", &pattern(INLINE_BYTES_MAX, 0)).await;
    assert_eq!(f.data_files(), 0);
    put(&f.store, "k", &pattern(INLINE_BYTES_MAX + 1, 0)).await;
    assert_eq!(f.data_files(), 1);
    put(&f.store, "k", b"small again").await;
    assert_eq!(f.data_files(), 0);
}

#[tokio::test]
async fn all_that_a_put_says_comes_back() {
    let f = Fixture::new().await;
    let mut new = put_of("k", b"bytes");
    new.headers = ObjectHeaders {
        content_type: Some("text/plain".to_owned()),
        storage_class: Some("REDUCED_REDUNDANCY".to_owned()),
        user_metadata: [("colour".to_owned(), "grün".to_owned())].into(),
        tagging: Some("a=b&c=d".to_owned()),
        ..ObjectHeaders::default()
    };
    new.envelope = Some(Bytes::from_static(b"sealed"));
    let headers = new.headers.clone();
    let stored = f.store.put(new).await.unwrap();
    let object = f
        .store
        .open_object(&at("k").with_version(Some("null".to_owned())))
        .await
        .unwrap();
    let stat = object.stat();
    assert_eq!(stat.headers, headers);
    assert_eq!(stat.envelope.as_deref(), Some(b"sealed".as_slice()));
    assert_eq!(stat.etag, "etag-1");
    assert_eq!(stat.generation, stored.generation);
    assert_eq!(stat.last_modified, stored.last_modified);
    let other = at("k").with_version(Some("v1".to_owned()));
    assert_eq!(
        code(f.store.open_object(&other).await.unwrap_err()),
        "NoSuchVersion"
    );
}

#[tokio::test]
async fn what_must_not_be_stored_leaves_no_trace() {
    let f = Fixture::new().await;
    let large = pattern(600_000, 3);
    for length in [100, large.len()] {
        let bytes = &large[..length];
        let mut unfinished = put_of("k", bytes);
        unfinished.finish = FinishSlot::new();
        assert_eq!(
            code(f.store.put(unfinished).await.unwrap_err()),
            "InternalError"
        );
        for announced in [length as u64 - 1, length as u64 + 1] {
            let mut other_length = put_of("k", bytes);
            other_length.stored_length = Some(announced);
            assert_eq!(
                code(f.store.put(other_length).await.unwrap_err()),
                "IncompleteBody"
            );
        }
        let mut broken = put_of("k", bytes);
        broken.body = failing(&bytes[..length / 2]);
        assert_eq!(
            code(f.store.put(broken).await.unwrap_err()),
            "IncompleteBody"
        );
        let mut elsewhere = put_of("k", bytes);
        elsewhere.at.bucket = "nowhere".to_owned();
        assert_eq!(
            code(f.store.put(elsewhere).await.unwrap_err()),
            "NoSuchBucket"
        );
        let mut long = put_of(&"x".repeat(1025), bytes);
        long.precondition = Precondition::None;
        assert_eq!(
            code(f.store.put(long).await.unwrap_err()),
            "KeyTooLongError"
        );
    }
    assert_eq!(code(get(&f.store, "k").await.unwrap_err()), "NoSuchKey");
    assert_eq!(keys(&f.store).await, Vec::<String>::new());
    f.data_files_become(0).await;
    assert_eq!(
        std::fs::read_dir(f.dir.path().join("tmp")).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn an_error_of_ours_in_a_body_reaches_the_client_as_it_is() {
    let f = Fixture::new().await;
    let mut bad = put_of("k", b"");
    bad.stored_length = None;
    let error: Result<Bytes, s3s::S3Error> =
        Err(s3s::s3_error!(BadDigest, "not the bytes that were sent"));
    bad.body = StreamingBlob::wrap(futures::stream::iter(vec![error]));
    assert_eq!(code(f.store.put(bad).await.unwrap_err()), "BadDigest");
}

#[tokio::test]
async fn a_put_whose_caller_goes_away_leaves_no_trace() {
    let f = Fixture::new().await;
    let stuck = futures::StreamExt::chain(
        futures::stream::iter(vec![Ok::<_, std::io::Error>(Bytes::from(pattern(
            700_000, 0,
        )))]),
        futures::stream::pending(),
    );
    let mut new = put_of("k", b"");
    new.stored_length = None;
    new.body = StreamingBlob::wrap(stuck);
    let waited =
        tokio::time::timeout(std::time::Duration::from_millis(200), f.store.put(new)).await;
    assert!(waited.is_err());
    for _ in 0..100 {
        if f.data_files() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the data file stays");
}

#[tokio::test]
async fn preconditions_hold_at_the_commit() {
    let f = Fixture::new().await;
    let first = put(&f.store, "k", b"one").await;
    let with = |precondition: Precondition, bytes: &[u8]| {
        let mut new = put_of("k", bytes);
        new.precondition = precondition;
        f.store.put(new)
    };
    assert_eq!(
        code(with(Precondition::Absent, b"two").await.unwrap_err()),
        "PreconditionFailed"
    );
    // Refused before the body was read.
    let large = pattern(100_000, 0);
    assert_eq!(
        code(with(Precondition::Absent, &large).await.unwrap_err()),
        "PreconditionFailed"
    );
    let second = with(Precondition::Generation(first.generation.clone()), b"two")
        .await
        .unwrap();
    assert_ne!(second.generation, first.generation);
    let stale = Precondition::Generation(first.generation.clone());
    assert_eq!(
        code(with(stale.clone(), b"three").await.unwrap_err()),
        "PreconditionFailed"
    );
    assert_eq!(
        code(f.store.delete(&at("k"), stale.clone()).await.unwrap_err()),
        "PreconditionFailed"
    );
    assert_eq!(get(&f.store, "k").await.unwrap(), b"two");
    f.store
        .delete(&at("k"), Precondition::Generation(second.generation))
        .await
        .unwrap();
    assert_eq!(
        code(f.store.delete(&at("k"), stale).await.unwrap_err()),
        "PreconditionFailed"
    );
    f.store.delete(&at("k"), Precondition::None).await.unwrap();
    // The same bytes at the same key are another generation.
    let again = with(Precondition::Absent, b"one").await.unwrap();
    assert_ne!(again.generation, first.generation);
}

#[tokio::test]
async fn an_envelope_is_replaced_only_at_its_generation_and_moves_no_byte() {
    let f = Fixture::new().await;
    let bytes = pattern(100_000, 9);
    let first = put(&f.store, "k", &bytes).await;
    let change = EnvelopeChange {
        envelope: Some(Bytes::from_static(b"new")),
        ..Default::default()
    };
    let second = f
        .store
        .replace_envelope(&at("k"), &first.generation, change.clone())
        .await
        .unwrap();
    assert_eq!(second.last_modified, first.last_modified);
    let stale = f
        .store
        .replace_envelope(&at("k"), &first.generation, change.clone())
        .await;
    assert_eq!(code(stale.unwrap_err()), "PreconditionFailed");
    let object = f.store.open_object(&at("k")).await.unwrap();
    assert_eq!(object.stat().envelope.as_deref(), Some(b"new".as_slice()));
    assert_eq!(object.stat().etag, "etag-1");
    let touch = EnvelopeChange {
        etag: Some("etag-2".to_owned()),
        headers: Some(ObjectHeaders {
            content_type: Some("a/b".to_owned()),
            ..Default::default()
        }),
        touch: true,
        ..Default::default()
    };
    let third = f
        .store
        .replace_envelope(&at("k"), &second.generation, touch)
        .await
        .unwrap();
    assert!(third.last_modified > second.last_modified);
    let object = f.store.open_object(&at("k")).await.unwrap();
    assert_eq!(object.stat().headers.content_type.as_deref(), Some("a/b"));
    assert_eq!(object.stat().envelope.as_deref(), Some(b"new".as_slice()));
    assert_eq!(get(&f.store, "k").await.unwrap(), bytes);
    assert_eq!(f.data_files(), 1);
    let nowhere = f
        .store
        .replace_envelope(&at("none"), &Generation("x".into()), change)
        .await;
    assert_eq!(code(nowhere.unwrap_err()), "NoSuchKey");
}

#[tokio::test]
async fn metadata_beyond_its_limits_is_refused_in_words() {
    let f = Fixture::new().await;
    let mut headers = put_of("k", b"x");
    headers
        .headers
        .user_metadata
        .insert("long".to_owned(), "x".repeat(17 * 1024));
    assert_eq!(
        code(f.store.put(headers).await.unwrap_err()),
        "MetadataTooLarge"
    );
    let mut envelope = put_of("k", b"x");
    envelope.envelope = Some(Bytes::from(vec![0; 9 * 1024]));
    assert_eq!(
        code(f.store.put(envelope).await.unwrap_err()),
        "MetadataTooLarge"
    );
}

#[tokio::test]
async fn a_root_holds_everything_at_its_limit() {
    let f = Fixture::new().await;
    let key = "\u{1}".repeat(1024);
    let bytes = pattern(INLINE_BYTES_MAX, 5);
    let mut new = put_of(&key, &bytes);
    new.headers
        .user_metadata
        .insert("m".to_owned(), "x".repeat(16 * 1024 - 100));
    new.headers.storage_class = Some("s".repeat(256));
    new.envelope = Some(Bytes::from(vec![7; 8 * 1024]));
    new.finish = finished(&"e".repeat(256));
    f.store.put(new).await.unwrap();
    assert_eq!(get(&f.store, &key).await.unwrap(), bytes);
    assert_eq!(keys(&f.store).await, [key]);
}

#[tokio::test]
async fn readers_finish_whatever_happens_to_the_object() {
    let f = Fixture::new().await;
    let bytes = pattern(2_000_000, 1);
    put(&f.store, "k", &bytes).await;
    let before = f.store.open_object(&at("k")).await.unwrap();
    put(&f.store, "k", &pattern(2_000_000, 2)).await;
    let between = f.store.open_object(&at("k")).await.unwrap();
    f.store.delete(&at("k"), Precondition::None).await.unwrap();
    assert_eq!(f.data_files(), 2, "two bodies are held");
    assert_eq!(
        f.store.sweep().await.unwrap().removed,
        0,
        "the sweep leaves them alone"
    );
    assert_eq!(read(&before, 0, 2_000_000).await.unwrap(), bytes);
    assert_eq!(
        read(&between, 1000, 2_000_000).await.unwrap(),
        pattern(2_000_000, 2)[1000..]
    );
    let stream = before.read(0..2_000_000).await.unwrap();
    drop(before);
    assert_eq!(f.data_files(), 2, "the stream holds it still");
    drop(stream);
    f.data_files_become(1).await;
    drop(between);
    f.data_files_become(0).await;
}

#[tokio::test]
async fn hard_keys_live_side_by_side_and_nothing_leaves_the_root() {
    let f = Fixture::new().await;
    let long = format!("{}/{}", "é".repeat(200), "X".repeat(500));
    let mut hard = vec![
        "a",
        "a/",
        "a/b",
        "a//b",
        "A",
        "A/b",
        "/",
        "//",
        "/a",
        ".",
        "..",
        "../..",
        "a/../b",
        "a/./b",
        "../../../../etc/passwd",
        "con",
        "a\\b",
        "a\0b",
        " ",
        "%2e",
        "+o",
        "x+o/y",
        "日本/語",
        &long,
    ];
    for key in &hard {
        put(&f.store, key, key.as_bytes()).await;
    }
    for key in &hard {
        assert_eq!(get(&f.store, key).await.unwrap(), key.as_bytes(), "{key}");
    }
    hard.sort_unstable();
    assert_eq!(keys(&f.store).await, hard);
    for key in &hard {
        f.store.delete(&at(key), Precondition::None).await.unwrap();
    }
    let names = f.dir.path().join("buckets").join(BUCKET).join("names");
    assert_eq!(
        std::fs::read_dir(names).unwrap().count(),
        0,
        "no folder is left"
    );
}

#[tokio::test]
async fn buckets_come_and_go() {
    let f = Fixture::new().await;
    assert_eq!(
        code(f.store.create_bucket(BUCKET).await.unwrap_err()),
        "BucketAlreadyOwnedByYou"
    );
    for bad in ["..", "ab", "UPPER", "a/b", "-abc", "system\0", "a_b"] {
        assert_eq!(
            code(f.store.create_bucket(bad).await.unwrap_err()),
            "InvalidBucketName",
            "{bad}"
        );
        assert!(f.store.bucket(bad).await.unwrap().is_none());
        assert_eq!(
            code(f.store.delete_bucket(bad).await.unwrap_err()),
            "NoSuchBucket"
        );
    }
    f.store.create_bucket("another").await.unwrap();
    let names: Vec<String> = f
        .store
        .buckets()
        .await
        .unwrap()
        .into_iter()
        .map(|bucket| bucket.name)
        .collect();
    assert_eq!(names, ["another", BUCKET]);
    put(&f.store, "deep/er/key", b"x").await;
    assert_eq!(
        code(f.store.delete_bucket(BUCKET).await.unwrap_err()),
        "BucketNotEmpty"
    );
    f.store
        .delete(&at("deep/er/key"), Precondition::None)
        .await
        .unwrap();
    let upload = begin_upload(&f.store, "u").await;
    put_part(&f.store, "u", &upload, 1, &pattern(50_000, 0)).await;
    assert_eq!(f.data_files(), 1);
    f.store.delete_bucket(BUCKET).await.unwrap();
    f.data_files_become(0).await; // uploads went with the bucket
    assert!(f.store.bucket(BUCKET).await.unwrap().is_none());
    assert_eq!(code(get(&f.store, "k").await.unwrap_err()), "NoSuchBucket");
}

#[tokio::test]
async fn records_change_only_at_the_generation_that_was_seen() {
    let f = Fixture::new().await;
    let name = RecordName::new("buckets/photos/encryption").unwrap();
    assert!(f.store.read_record(&name).await.unwrap().is_none());
    let first = f
        .store
        .write_record(&name, None, Bytes::from_static(b"one"))
        .await
        .unwrap();
    let again = f
        .store
        .write_record(&name, None, Bytes::from_static(b"two"))
        .await;
    assert_eq!(code(again.unwrap_err()), "PreconditionFailed");
    let second = f
        .store
        .write_record(&name, Some(&first), Bytes::from_static(b"two"))
        .await
        .unwrap();
    let stale = f
        .store
        .write_record(&name, Some(&first), Bytes::from_static(b"x"))
        .await;
    assert_eq!(code(stale.unwrap_err()), "PreconditionFailed");
    let record = f.store.read_record(&name).await.unwrap().unwrap();
    assert_eq!(
        (record.bytes.as_ref(), record.generation),
        (b"two".as_slice(), second)
    );
    for other in ["buckets/photos", "buckets/photos.x", "iam"] {
        let name = RecordName::new(other).unwrap();
        f.store
            .write_record(&name, None, Bytes::new())
            .await
            .unwrap();
    }
    let listed: Vec<String> = f
        .store
        .list_records("buckets/photos")
        .await
        .unwrap()
        .into_iter()
        .map(|name| name.as_str().to_owned())
        .collect();
    assert_eq!(
        listed,
        [
            "buckets/photos",
            "buckets/photos.x",
            "buckets/photos/encryption"
        ]
    );
    f.store.delete_record(&name).await.unwrap();
    f.store.delete_record(&name).await.unwrap();
    assert!(f.store.read_record(&name).await.unwrap().is_none());
    assert_eq!(
        f.store.buckets().await.unwrap().len(),
        1,
        "records are no bucket"
    );
}
