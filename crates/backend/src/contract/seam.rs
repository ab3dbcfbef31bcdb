use bytes::Bytes;
use s3s::S3Result;

use super::Subject;
use super::client::{blob, broken, code, noise, read};
use crate::Backend;
use crate::object::{
    Checksum, EnvelopeChange, Generation, ListItem, ListQuery, Location, ObjectHeaders, Stored,
};
use crate::put::{Finish, FinishSlot, Precondition, Put};
use crate::record::RecordName;

fn finish(etag: &str) -> Finish {
    Finish {
        etag: etag.to_owned(),
        ..Default::default()
    }
}

impl<S: Backend> Subject<S> {
    pub(super) fn at(&self, key: &str) -> Location {
        Location::new(&self.bucket, key)
    }

    pub(super) fn sealed(&self, key: &str, bytes: impl Into<Bytes>) -> Put {
        let bytes = bytes.into();
        Put {
            at: self.at(key),
            headers: ObjectHeaders::default(),
            stored_length: Some(bytes.len() as u64),
            body: blob(bytes).unwrap(),
            envelope: Some(Bytes::from_static(b"\0envelope\xff")),
            finish: FinishSlot::filled(finish("etag-1")),
            precondition: Precondition::None,
        }
    }

    async fn seal(&self, key: &str, bytes: impl Into<Bytes>) -> Stored {
        self.store.put(self.sealed(key, bytes)).await.unwrap()
    }

    async fn stored(&self, key: &str) -> S3Result<Vec<u8>> {
        let object = self.store.open(&self.at(key)).await?;
        let length = object.stat().stored_length;
        read(Some(object.read(0..length).await?)).await
    }
}

pub async fn an_object_keeps_its_envelope<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    for length in [0, 10, 100_000] {
        let bytes = noise(length);
        let mut put = subject.sealed("k", bytes.clone());
        put.headers.content_type = Some("text/plain".into());
        put.headers.user_metadata.insert("a".into(), "ü".into());
        put.finish = FinishSlot::filled(Finish {
            checksum: Some(Checksum {
                algorithm: "CRC32".into(),
                value: "AAAAAA==".into(),
                composite: false,
            }),
            ..finish("etag-1")
        });
        let headers = put.headers.clone();
        let checksum = put.finish.get().unwrap().checksum.clone();
        let stored = subject.store.put(put).await.unwrap();
        let object = subject.store.open(&subject.at("k")).await.unwrap();
        let stat = object.stat();
        assert_eq!(stat.generation, stored.generation);
        assert_eq!(stat.stored_length, length as u64);
        assert_eq!(stat.etag, "etag-1");
        assert_eq!(stat.envelope.as_deref(), Some(&b"\0envelope\xff"[..]));
        assert_eq!(stat.headers, headers);
        assert_eq!(stat.checksum, checksum);
        assert!(stat.parts.is_empty() && stat.upload_id.is_none());
        let length = length as u64;
        for range in [0..length, 0..length / 2, length / 3..length, length..length] {
            let body = object.read(range.clone()).await.unwrap();
            let expected =
                usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(
                read(Some(body)).await.unwrap() == bytes[expected],
                "{range:?} of {length}"
            );
        }
        assert!(object.read(0..length + 1).await.is_err());
    }
}

pub async fn a_body_that_tells_no_etag_commits_nothing<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut put = subject.sealed("k", "bytes");
    put.finish = FinishSlot::new();
    assert!(subject.store.put(put).await.is_err());
    assert_eq!(
        code(subject.store.open(&subject.at("k")).await),
        "NoSuchKey"
    );
}

pub async fn a_body_of_another_length_commits_nothing<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    for told in [4, 6, 200_000] {
        let mut put = subject.sealed("k", "bytes");
        put.stored_length = Some(told);
        assert!(subject.store.put(put).await.is_err(), "{told}");
    }
    let mut put = subject.sealed("k", "");
    put.stored_length = None;
    put.body = broken(b"some").unwrap();
    assert_eq!(code(subject.store.put(put).await), "IncompleteBody");
    assert_eq!(
        code(subject.store.open(&subject.at("k")).await),
        "NoSuchKey"
    );
}

pub async fn an_envelope_is_replaced_only_at_its_generation<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let bytes = noise(90_000);
    let first = subject.seal("k", bytes.clone()).await;
    let change = |envelope: &'static str| EnvelopeChange {
        envelope: Some(Bytes::from_static(envelope.as_bytes())),
        ..Default::default()
    };
    let at = subject.at("k");
    let before = subject.store.open(&at).await.unwrap().stat().clone();
    let second = subject
        .store
        .replace_envelope(&at, &first.generation, change("two"))
        .await
        .unwrap();
    assert_ne!(first.generation, second.generation);
    let stale = subject
        .store
        .replace_envelope(&at, &first.generation, change("three"))
        .await;
    assert_eq!(code(stale), "PreconditionFailed");
    let stat = subject.store.open(&at).await.unwrap().stat().clone();
    assert_eq!(stat.generation, second.generation);
    assert_eq!(stat.envelope.as_deref(), Some(&b"two"[..]));
    assert_eq!(stat.etag, "etag-1");
    assert_eq!(stat.last_modified, before.last_modified);
    assert!(subject.stored("k").await.unwrap() == bytes);

    let headers = ObjectHeaders {
        tagging: Some("a=1".into()),
        ..Default::default()
    };
    let change = EnvelopeChange {
        etag: Some("etag-2".into()),
        headers: Some(headers.clone()),
        ..Default::default()
    };
    subject
        .store
        .replace_envelope(&at, &second.generation, change.clone())
        .await
        .unwrap();
    let stat = subject.store.open(&at).await.unwrap().stat().clone();
    assert_eq!((stat.etag.as_str(), &stat.headers), ("etag-2", &headers));
    assert_eq!(stat.envelope.as_deref(), Some(&b"two"[..]));
    let missing = subject
        .store
        .replace_envelope(&subject.at("none"), &stat.generation, change)
        .await;
    assert_eq!(code(missing), "NoSuchKey");
}

pub async fn preconditions_are_checked_at_the_commit<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let can = subject.store.capabilities();
    assert!(
        can.conditional_put && can.conditional_delete,
        "a store without them needs its own suite"
    );
    let put = |bytes: &'static str, precondition| {
        let put = Put {
            precondition,
            ..subject.sealed("k", bytes)
        };
        subject.store.put(put)
    };
    let first = put("1", Precondition::Absent).await.unwrap();
    assert_eq!(
        code(put("2", Precondition::Absent).await),
        "PreconditionFailed"
    );
    let at_first = Precondition::Generation(first.generation.clone());
    let second = put("3", at_first.clone()).await.unwrap();
    assert_eq!(code(put("4", at_first.clone()).await), "PreconditionFailed");
    assert_eq!(subject.stored("k").await.unwrap(), b"3");
    let at = subject.at("k");
    assert_eq!(
        code(subject.store.delete(&at, at_first).await),
        "PreconditionFailed"
    );
    let at_second = Precondition::Generation(second.generation);
    subject.store.delete(&at, at_second.clone()).await.unwrap();
    assert!(subject.store.delete(&at, at_second).await.is_err());
    subject.store.delete(&at, Precondition::None).await.unwrap();
    let other = Precondition::Generation(Generation("other".into()));
    assert_eq!(code(put("5", other).await), "PreconditionFailed");
    assert_eq!(code(subject.store.open(&at).await), "NoSuchKey");
}

pub async fn an_open_object_survives_overwrite_and_delete<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    for length in [100, 3_000_000] {
        let bytes = noise(length);
        subject.seal("k", bytes.clone()).await;
        let object = subject.store.open(&subject.at("k")).await.unwrap();
        subject.seal("k", "overwritten").await;
        let half = length as u64 / 2;
        let first = read(Some(object.read(0..half).await.unwrap()))
            .await
            .unwrap();
        subject
            .store
            .delete(&subject.at("k"), Precondition::None)
            .await
            .unwrap();
        let second = read(Some(object.read(half..length as u64).await.unwrap()))
            .await
            .unwrap();
        assert!([first, second].concat() == bytes, "{length} bytes");
        assert_eq!(
            code(subject.store.open(&subject.at("k")).await),
            "NoSuchKey"
        );
    }
}

pub async fn listings_carry_envelopes<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let sealed = subject.seal("a/sealed", noise(70_000)).await;
    let plain = Put {
        envelope: None,
        ..subject.sealed("b", "plain")
    };
    subject.store.put(plain).await.unwrap();
    let query = ListQuery {
        bucket: subject.bucket.clone(),
        max: 10,
        ..Default::default()
    };
    let page = subject.store.list(&query).await.unwrap();
    assert!(!page.truncated);
    let [ListItem::Object(a), ListItem::Object(b)] = page.items.as_slice() else {
        panic!("{page:?}");
    };
    assert_eq!((a.key.as_str(), a.stored_length), ("a/sealed", 70_000));
    assert_eq!(a.generation, sealed.generation);
    assert_eq!(a.envelope.as_deref(), Some(&b"\0envelope\xff"[..]));
    assert_eq!(a.etag, "etag-1");
    assert_eq!((b.key.as_str(), &b.envelope), ("b", &None));
}

pub async fn records_are_swapped_by_generation<S: Backend>(subject: Subject<S>) {
    let store = &subject.store;
    let name = |text: &str| RecordName::new(text).unwrap();
    let bucket = name("buckets/a.b/encryption");
    assert!(store.read_record(&bucket).await.unwrap().is_none());
    let one = store
        .write_record(&bucket, None, Bytes::from_static(b"1"))
        .await
        .unwrap();
    let again = store
        .write_record(&bucket, None, Bytes::from_static(b"x"))
        .await;
    assert_eq!(code(again), "PreconditionFailed");
    let two = store
        .write_record(&bucket, Some(&one), Bytes::from_static(b"2"))
        .await
        .unwrap();
    assert_ne!(one, two);
    let stale = store
        .write_record(&bucket, Some(&one), Bytes::from_static(b"x"))
        .await;
    assert_eq!(code(stale), "PreconditionFailed");
    let read = store.read_record(&bucket).await.unwrap().unwrap();
    assert_eq!((&read.bytes[..], &read.generation), (&b"2"[..], &two));

    let big = noise(crate::record::RECORD_BYTES_MAX);
    store
        .write_record(&name("buckets"), None, big.clone().into())
        .await
        .unwrap();
    assert!(
        store
            .read_record(&name("buckets"))
            .await
            .unwrap()
            .unwrap()
            .bytes
            == big
    );
    store
        .write_record(&name("state/key"), None, Bytes::new())
        .await
        .unwrap();
    let names = |list: Vec<RecordName>| -> Vec<String> {
        list.into_iter().map(|n| n.as_str().to_owned()).collect()
    };
    assert_eq!(
        names(store.list_records("").await.unwrap()),
        ["buckets", "buckets/a.b/encryption", "state/key"]
    );
    assert_eq!(
        names(store.list_records("buckets/").await.unwrap()),
        ["buckets/a.b/encryption"]
    );
    store.delete_record(&bucket).await.unwrap();
    store.delete_record(&bucket).await.unwrap();
    assert!(store.read_record(&bucket).await.unwrap().is_none());
    let gone = store
        .write_record(&bucket, Some(&two), Bytes::from_static(b"x"))
        .await;
    assert_eq!(code(gone), "PreconditionFailed");
}

pub async fn records_are_beyond_the_reach_of_clients<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let name = RecordName::new("secret/record").unwrap();
    subject
        .store
        .write_record(&name, None, Bytes::from_static(b"secret"))
        .await
        .unwrap();
    assert!(subject.keys().await.is_empty());
    for key in [
        "secret/record",
        "../secret/record",
        "../../system/records/secret/record",
    ] {
        assert_eq!(code(subject.get(key).await), "NoSuchKey", "{key}");
    }
    let list = s3s::dto::ListBucketsInput::default();
    let buckets = subject
        .store
        .list_buckets(super::client::request(list))
        .await
        .unwrap()
        .output;
    let names: Vec<_> = buckets
        .buckets
        .unwrap_or_default()
        .into_iter()
        .filter_map(|b| b.name)
        .collect();
    assert_eq!(names, [subject.bucket.as_str()]);
}
