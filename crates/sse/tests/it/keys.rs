//! How often the KMS is asked, how long keys live, and where the state key lies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use strongroom_backend::Backend as _;
use strongroom_backend::record::RecordName;
use strongroom_envelope::StateKeyRecord;
use strongroom_kms::KmsError;
use strongroom_sse::{AutoEncryption, OpenError, Sse};

use crate::harness::*;
use crate::kms::FakeKms;

impl Server {
    /// Calls since the last time: data keys made, and opened.
    fn calls(&self) -> (u64, u64) {
        (
            self.kms.made.swap(0, Ordering::SeqCst),
            self.kms.opened.swap(0, Ordering::SeqCst),
        )
    }
}

#[tokio::test]
async fn a_bucket_key_serves_many_objects_for_five_minutes() {
    let server = Server::new().await;
    server.calls();
    for n in 0..20 {
        server.put(&format!("{n}"), b"x", How::S3).await.unwrap();
    }
    assert_eq!(server.calls(), (1, 0));
    for n in 0..20 {
        server.get(&format!("{n}"), How::Nothing).await.unwrap();
    }
    assert_eq!(server.calls(), (0, 1));
    server.forward(299);
    server.put("a", b"x", How::S3).await.unwrap();
    assert_eq!(server.calls(), (0, 0));
    server.forward(1);
    server.put("a", b"x", How::S3).await.unwrap();
    server.get("0", How::Nothing).await.unwrap();
    assert_eq!(server.calls(), (1, 1));
}

#[tokio::test]
async fn sse_kms_uses_a_bucket_key_only_when_asked_and_never_across_contexts() {
    let server = Server::new().await;
    server.calls();
    for _ in 0..3 {
        server.put("a", b"x", How::Kms).await.unwrap();
    }
    assert_eq!(server.calls().0, 3);
    for context in [None, Some("eyJhIjoiYiJ9"), Some("eyJhIjoiYyJ9")] {
        for _ in 0..3 {
            let mut input = put_input("a", b"x", How::Kms);
            input.bucket_key_enabled = Some(true);
            input.ssekms_encryption_context = context.map(str::to_owned);
            server.put_with(input).await.unwrap();
        }
        assert_eq!(server.calls().0, 1);
        assert_eq!(server.get("a", How::Nothing).await.unwrap(), b"x");
    }
    let mut input = put_input("a", b"x", How::KmsOther);
    input.bucket_key_enabled = Some(true);
    server.put_with(input).await.unwrap();
    assert_eq!(server.calls().0, 1);
}

#[tokio::test]
async fn windows_of_zero_ask_the_kms_for_every_object() {
    let server = Server::with(|config| config.windows.bucket_key = Duration::ZERO).await;
    server.calls();
    for _ in 0..3 {
        server.put("a", b"x", How::S3).await.unwrap();
        server.get("a", How::Nothing).await.unwrap();
    }
    assert_eq!(server.calls(), (3, 3));
}

#[tokio::test]
async fn a_disabled_key_works_no_longer_than_the_windows_say() {
    let server = Server::new().await;
    server.put("a", b"x", How::S3).await.unwrap();
    server.get("a", How::Nothing).await.unwrap();
    server
        .kms
        .fail_with(Some(|key| KmsError::Disabled { key: key.into() }));
    server.forward(299);
    server.put("b", b"x", How::S3).await.unwrap();
    server.get("a", How::Nothing).await.unwrap();
    server.forward(1);
    assert_eq!(
        code(server.put("b", b"x", How::S3).await),
        "KMS.DisabledException"
    );
    assert_eq!(
        code(server.get("a", How::Nothing).await),
        "KMS.DisabledException"
    );
}

#[tokio::test]
async fn two_objects_of_one_bucket_key_have_unrelated_keys() {
    let server = Server::new().await;
    server.put("a", &[0; 70_000], How::S3).await.unwrap();
    server.put("b", &[0; 70_000], How::S3).await.unwrap();
    let bodies: Vec<_> = server
        .raw()
        .into_iter()
        .filter(|(_, bytes)| bytes.len() > 70_000)
        .collect();
    assert_eq!(bodies.len(), 2);
    assert_ne!(bodies[0].1[..200], bodies[1].1[..200]);
}

#[tokio::test]
async fn a_store_that_was_used_with_a_kms_does_not_open_without_it() {
    let server = Server::new().await;
    let Server { sse, folder, .. } = server;
    drop(sse);
    let error = Sse::open(store(folder.path()), config(None))
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::KmsMissing { key } if key == "default-key"));
    let kms = Arc::new(FakeKms::new());
    kms.fail_with(Some(|_| KmsError::Unavailable {
        key: None,
        message: "down".into(),
        source: None,
    }));
    let error = Server::start(folder, kms, |_| {}).await.err().unwrap();
    assert!(matches!(
        error,
        OpenError::Kms(KmsError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn automatic_encryption_without_a_kms_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(None);
    config.auto_encryption = AutoEncryption::SseS3;
    let error = Sse::open(store(folder.path()), config).await.unwrap_err();
    assert!(matches!(error, OpenError::AutoEncryptionWithoutKms));
}

#[tokio::test]
async fn without_a_kms_customer_keys_work_and_a_kms_can_be_given_later() {
    let server = Server::with(|config| config.kms = None).await;
    server
        .put("c", &noise(100_000), How::Customer(7))
        .await
        .unwrap();
    assert_eq!(
        code(server.put("s3", b"x", How::S3).await),
        "NotImplemented"
    );
    assert!(server.get("c", How::Customer(7)).await.unwrap() == noise(100_000));
    server.assert_nowhere_on_disk(MARK);
    let upload = server.sse_upload("mp").await;

    let server = server.restarted(|_| {}).await.unwrap();
    server.put("s3", b"x", How::S3).await.unwrap();
    assert!(server.get("c", How::Customer(7)).await.unwrap() == noise(100_000));
    // An upload that was begun under the old state key goes on.
    server.finish_upload("mp", upload).await;
    assert_eq!(server.get("mp", How::Customer(7)).await.unwrap(), b"part");
    let server = server.restarted(|_| {}).await.unwrap();
    assert_eq!(server.get("s3", How::Nothing).await.unwrap(), b"x");
}

/// Whoever read the state key while it lay in clear can make records. None of them decides anything.
#[tokio::test]
async fn a_state_key_that_lay_in_clear_is_believed_for_uploads_alone() {
    let server = Server::with(|config| config.kms = None).await;
    let (key, etags) = (
        RecordName::new("state/key").unwrap(),
        RecordName::new("state/etag-keys").unwrap(),
    );
    let record = server.sse.inner().read_record(&key).await.unwrap().unwrap();
    let Ok(StateKeyRecord::Plain(known)) = StateKeyRecord::decode(&record.bytes) else {
        panic!("without a KMS it lies in clear");
    };
    let upload = server.sse_upload("mp").await;

    let server = server.restarted(|_| {}).await.unwrap();
    let inner = server.sse.inner();
    let renewed = inner.read_record(&etags).await.unwrap().unwrap();
    assert!(
        known
            .open_record("state/etag-keys", &renewed.bytes)
            .is_err()
    );
    let name = format!("buckets/{BUCKET}/encryption");
    let plain = br#"{"version":1,"default":null}"#;
    let forged = known.seal_record(&name, 99, plain, [1; 12]);
    inner
        .write_record(&RecordName::new(name).unwrap(), None, forged.into())
        .await
        .unwrap();
    assert_eq!(
        code(server.put("key", b"x", How::Nothing).await),
        "InternalError"
    );
    server.finish_upload("mp", upload).await;
    // And what was written since is found again.
    let server = server.restarted(|_| {}).await.unwrap();
    assert_eq!(server.get("mp", How::Customer(7)).await.unwrap(), b"part");
}

/// Two nodes are given a KMS at the same time: one wins, and the other repairs what it overwrote.
#[tokio::test]
async fn two_nodes_that_seal_the_state_key_at_once_both_start_and_lose_nothing() {
    let server = Server::with(|config| config.kms = None).await;
    let upload = server.sse_upload("mp").await;
    let Server {
        sse, kms, folder, ..
    } = server;
    let inner = sse.inner().clone();
    drop(sse);
    let slow = kms.hold_next();
    let node = || Sse::open(inner.clone(), config(Some(Arc::clone(&kms))));
    let (first, second) = tokio::join!(node(), async {
        slow.is_reached().await;
        let second = node().await;
        slow.release();
        second
    });
    let (first, second) = (first.unwrap(), second.unwrap());
    drop((first, second, inner));
    let server = Server::start(folder, kms, |_| {}).await.unwrap();
    server.finish_upload("mp", upload).await;
    assert_eq!(server.get("mp", How::Customer(7)).await.unwrap(), b"part");
    server.put("s3", b"x", How::S3).await.unwrap();
    assert_eq!(
        server.list().await[1].2,
        md5_hex(b"x"),
        "the keys of ETags are one"
    );
}

impl Server {
    async fn sse_upload(&self, key: &str) -> String {
        use s3s::S3;
        let input = create_input(key, How::Customer(7));
        let created = self
            .sse
            .create_multipart_upload(request(input))
            .await
            .unwrap();
        created.output.upload_id.unwrap()
    }

    async fn finish_upload(&self, key: &str, id: String) {
        use s3s::S3;
        use s3s::dto::*;
        let mut input = UploadPartInput::builder()
            .bucket(BUCKET.into())
            .key(key.into())
            .upload_id(id.clone())
            .part_number(1)
            .build()
            .unwrap();
        input.body = blob(b"part");
        input.content_length = Some(4);
        let (algorithm, secret, md5) = customer(7);
        input.sse_customer_algorithm = algorithm;
        input.sse_customer_key = secret;
        input.sse_customer_key_md5 = md5;
        let part = self.sse.upload_part(request(input)).await.unwrap().output;
        let part = CompletedPart {
            part_number: Some(1),
            e_tag: part.e_tag,
            ..Default::default()
        };
        let input = CompleteMultipartUploadInput {
            bucket: BUCKET.into(),
            key: key.into(),
            upload_id: id,
            multipart_upload: Some(CompletedMultipartUpload {
                parts: Some(vec![part]),
            }),
            ..Default::default()
        };
        self.sse
            .complete_multipart_upload(request(input))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn objects_outlive_the_keys_of_their_etags() {
    let server = Server::new().await;
    let e_tag = server.put("k", b"hello", How::S3).await.unwrap().e_tag;
    assert_eq!(e_tag.unwrap().value(), md5_hex(b"hello"));
    let lost = RecordName::new("state/etag-keys").unwrap();
    server.sse.inner().delete_record(&lost).await.unwrap();

    let server = server.restarted(|_| {}).await.unwrap();

    assert_eq!(server.get("k", How::Nothing).await.unwrap(), b"hello");
    let shown = server.head("k", How::Nothing).await.unwrap().e_tag.unwrap();
    assert!(
        shown.value().ends_with("-1"),
        "no MD5 is claimed: {shown:?}"
    );
    assert_eq!(server.list().await[0].2, shown.value());
    let e_tag = server.put("new", b"hello", How::S3).await.unwrap().e_tag;
    assert_eq!(e_tag.unwrap().value(), md5_hex(b"hello"));
}
