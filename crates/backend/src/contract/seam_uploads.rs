use bytes::Bytes;
use s3s::S3Result;

use super::Subject;
use super::client::{blob, broken, code, noise, read};
use crate::Backend;
use crate::object::{Location, ObjectHeaders};
use crate::put::{Finish, FinishSlot, Precondition};
use crate::upload::{CompleteUpload, NewPart, NewUpload, PartAttempt, UploadId};

impl<S: Backend> Subject<S> {
    async fn upload(&self, key: &str) -> UploadId {
        let headers = ObjectHeaders {
            content_type: Some("a/b".into()),
            ..Default::default()
        };
        let new = NewUpload {
            at: self.at(key),
            headers,
            envelope: Some(Bytes::from_static(b"upload envelope")),
            record: Bytes::from_static(b"upload record"),
            checksum: Some(("SHA256".into(), "COMPOSITE".into())),
        };
        self.store.create_upload(new).await.unwrap()
    }

    fn new_part(&self, key: &str, id: &UploadId, number: u32, bytes: &[u8]) -> NewPart {
        NewPart {
            at: self.at(key),
            upload: id.clone(),
            number,
            body: blob(bytes.to_vec()).unwrap(),
            stored_length: Some(bytes.len() as u64),
            finish: FinishSlot::filled(Finish {
                etag: format!("part-{number}"),
                checksum: None,
                record: Bytes::from(format!("record of {}", bytes.len())),
            }),
        }
    }

    async fn attempt(&self, id: &UploadId, number: u32, bytes: &[u8]) -> PartAttempt {
        self.store
            .put_part(self.new_part("k", id, number, bytes))
            .await
            .unwrap()
    }

    fn completion(&self, id: &UploadId, attempts: &[&PartAttempt]) -> CompleteUpload {
        CompleteUpload {
            at: self.at("k"),
            upload: id.clone(),
            attempts: attempts
                .iter()
                .map(|attempt| attempt.attempt.clone())
                .collect(),
            footer: Bytes::new(),
            envelope: Some(Bytes::from_static(b"final envelope")),
            etag: "whole-2".into(),
            checksum: None,
            precondition: Precondition::None,
        }
    }

    async fn whole(&self, at: &Location) -> S3Result<Vec<u8>> {
        let object = self.store.open(at).await?;
        let length = object.stat().stored_length;
        read(Some(object.read(0..length).await?)).await
    }
}

pub async fn attempts_are_kept_and_chosen<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.upload("k").await;
    let read_back = subject.store.upload(&subject.at("k"), &id).await.unwrap();
    assert_eq!(read_back.new.record, &b"upload record"[..]);
    assert_eq!(
        read_back.new.envelope.as_deref(),
        Some(&b"upload envelope"[..])
    );
    assert_eq!(read_back.new.headers.content_type.as_deref(), Some("a/b"));
    assert_eq!(
        read_back.new.checksum,
        Some(("SHA256".into(), "COMPOSITE".into()))
    );

    let (old, new, two) = (noise(100_000), noise(50_000), noise(10));
    let second = subject.attempt(&id, 9, &two).await;
    let first = subject.attempt(&id, 1, &old).await;
    let again = subject.attempt(&id, 1, &new).await;
    let told = subject
        .store
        .part_attempts(&subject.at("k"), &id)
        .await
        .unwrap();
    let names: Vec<_> = told
        .iter()
        .map(|a| (a.number, a.attempt.as_str()))
        .collect();
    let expected = [
        (1, first.attempt.as_str()),
        (1, again.attempt.as_str()),
        (9, second.attempt.as_str()),
    ];
    assert_eq!(names, expected);
    assert_eq!(told[0].finish.etag, "part-1");
    assert_eq!(told[0].finish.record, &b"record of 100000"[..]);
    assert_eq!(told[0].stored_length, 100_000);

    // The older attempt is as good as the newer one: the wrapper chooses.
    let stored = subject
        .store
        .complete_upload(subject.completion(&id, &[&first, &second]))
        .await
        .unwrap();
    let object = subject.store.open(&subject.at("k")).await.unwrap();
    let stat = object.stat();
    assert_eq!(
        (&stat.generation, stat.etag.as_str()),
        (&stored.generation, "whole-2")
    );
    assert_eq!(stat.envelope.as_deref(), Some(&b"final envelope"[..]));
    assert_eq!(stat.headers.content_type.as_deref(), Some("a/b"));
    assert_eq!(stat.upload_id.as_deref(), Some(id.0.as_str()));
    let parts: Vec<_> = stat
        .parts
        .iter()
        .map(|p| (p.number, p.stored_length))
        .collect();
    assert_eq!(parts, [(1, 100_000), (9, 10)]);
    assert!(subject.whole(&subject.at("k")).await.unwrap() == [old, two].concat());
    assert_eq!(
        code(subject.store.upload(&subject.at("k"), &id).await),
        "NoSuchUpload"
    );
}

pub async fn a_footer_follows_the_last_part<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.upload("k").await;
    let (one, footer) = (noise(70_000), noise(960_000));
    let part = subject.attempt(&id, 1, &one).await;
    let complete = CompleteUpload {
        footer: footer.clone().into(),
        ..subject.completion(&id, &[&part])
    };
    subject.store.complete_upload(complete).await.unwrap();
    let object = subject.store.open(&subject.at("k")).await.unwrap();
    assert_eq!(object.stat().stored_length, 1_030_000);
    assert_eq!(object.stat().parts.len(), 1);
    let across = read(Some(object.read(69_990..70_010).await.unwrap()))
        .await
        .unwrap();
    assert_eq!(across, [&one[69_990..], &footer[..10]].concat());
    assert!(subject.whole(&subject.at("k")).await.unwrap() == [one, footer].concat());
}

pub async fn a_complete_checks_its_precondition<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    assert!(subject.store.capabilities().conditional_complete);
    let there = subject
        .store
        .put(subject.sealed("k", "there"))
        .await
        .unwrap();
    let id = subject.upload("k").await;
    let part = subject.attempt(&id, 1, b"new").await;
    let complete = |precondition| {
        let complete = CompleteUpload {
            precondition,
            ..subject.completion(&id, &[&part])
        };
        subject.store.complete_upload(complete)
    };
    assert_eq!(
        code(complete(Precondition::Absent).await),
        "PreconditionFailed"
    );
    assert_eq!(subject.whole(&subject.at("k")).await.unwrap(), b"there");
    complete(Precondition::Generation(there.generation))
        .await
        .unwrap();
    assert_eq!(subject.whole(&subject.at("k")).await.unwrap(), b"new");
}

pub async fn an_upload_belongs_to_its_key<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.upload("k").await;
    let other = subject.at("other");
    let no_such = "NoSuchUpload";
    assert_eq!(code(subject.store.upload(&other, &id).await), no_such);
    assert_eq!(
        code(subject.store.part_attempts(&other, &id).await),
        no_such
    );
    assert_eq!(
        code(
            subject
                .store
                .put_part(subject.new_part("other", &id, 1, b"x"))
                .await
        ),
        no_such
    );
    assert_eq!(code(subject.store.abort_upload(&other, &id).await), no_such);
    for id in ["", "x", "../x", "..", "%00"] {
        let id = UploadId(id.to_owned());
        assert_eq!(
            code(subject.store.upload(&subject.at("k"), &id).await),
            no_such,
            "{id:?}"
        );
    }
    subject
        .store
        .abort_upload(&subject.at("k"), &id)
        .await
        .unwrap();
}

pub async fn an_aborted_upload_takes_its_parts_along<S: Backend>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.upload("k").await;
    let part = subject.attempt(&id, 1, b"bytes").await;
    let mut failing = subject.new_part("k", &id, 2, b"");
    failing.stored_length = None;
    failing.body = broken(b"half").unwrap();
    assert_eq!(
        code(subject.store.put_part(failing).await),
        "IncompleteBody"
    );
    let mut silent = subject.new_part("k", &id, 3, b"bytes");
    silent.finish = FinishSlot::new();
    assert!(subject.store.put_part(silent).await.is_err());
    let told = subject
        .store
        .part_attempts(&subject.at("k"), &id)
        .await
        .unwrap();
    assert_eq!(told.len(), 1, "attempts that failed are none");

    let unknown = CompleteUpload {
        attempts: vec![part.attempt.clone(), "unknown".into()],
        ..subject.completion(&id, &[])
    };
    assert!(subject.store.complete_upload(unknown).await.is_err());
    subject
        .store
        .abort_upload(&subject.at("k"), &id)
        .await
        .unwrap();
    assert_eq!(
        code(subject.store.part_attempts(&subject.at("k"), &id).await),
        "NoSuchUpload"
    );
    let late = subject
        .store
        .complete_upload(subject.completion(&id, &[&part]))
        .await;
    assert_eq!(code(late), "NoSuchUpload");
    assert_eq!(
        code(subject.store.open(&subject.at("k")).await),
        "NoSuchKey"
    );
}
