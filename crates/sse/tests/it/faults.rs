//! Stored bytes that were changed, cut or exchanged are an error and never data; so is a KMS that fails.

use s3s::S3;
use s3s::dto::*;
use strongroom_backend::Backend;
use strongroom_backend::object::{EnvelopeChange, Location};
use strongroom_backend::put::{Finish, FinishSlot, Precondition, Put};
use strongroom_envelope::Envelope;
use strongroom_kms::KmsError;

use crate::harness::*;

/// An object as it is stored.
pub(crate) struct Stored {
    pub(crate) bytes: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
    pub(crate) etag: String,
}

impl Server {
    pub(crate) async fn stored(&self, key: &str) -> Stored {
        let object = self
            .sse
            .inner()
            .open(&Location::new(BUCKET, key))
            .await
            .unwrap();
        let stat = object.stat();
        let bytes = match stat.stored_length {
            0 => Vec::new(),
            length => read(Some(object.read(0..length).await.unwrap()))
                .await
                .unwrap(),
        };
        let envelope = stat.envelope.as_ref().unwrap().to_vec();
        Stored {
            bytes,
            envelope,
            etag: stat.etag.clone(),
        }
    }

    /// Puts something in the store behind the server's back.
    pub(crate) async fn plant(&self, key: &str, bytes: &[u8], envelope: &[u8], etag: &str) {
        let put = Put {
            at: Location::new(BUCKET, key),
            headers: Default::default(),
            body: blob(bytes).unwrap(),
            stored_length: Some(bytes.len() as u64),
            envelope: Some(envelope.to_vec().into()),
            finish: FinishSlot::filled(Finish {
                etag: etag.to_owned(),
                ..Finish::default()
            }),
            precondition: Precondition::None,
        };
        self.sse.inner().put(put).await.unwrap();
    }

    /// The code of the error that a GET ends in, wherever it comes.
    pub(crate) async fn fault(&self, key: &str, how: How) -> String {
        code(self.get(key, how).await)
    }
}

#[tokio::test]
async fn every_bit_of_an_envelope_is_bound() {
    let server = Server::new().await;
    for how in SCHEMES {
        for size in [0, 10] {
            server.put("key", &noise(size), how).await.unwrap();
            let Stored {
                bytes,
                envelope,
                etag,
            } = server.stored("key").await;
            for at in 0..envelope.len() {
                let mut bad = envelope.clone();
                bad[at] ^= 1 << (at % 8);
                server.plant("bad", &bytes, &bad, &etag).await;
                let fault = server.fault("bad", how.to_read()).await;
                let known = [
                    "ObjectNotAuthentic",
                    // A changed key, name or sealed data key is the KMS's to refuse, a changed sealed object
                    // key looks like a wrong customer's key, a changed scheme asks for other headers.
                    "KMS.NotFoundException",
                    "KMS.InvalidCiphertextException",
                    "AccessDenied",
                    "InvalidRequest",
                ];
                assert!(known.contains(&fault.as_str()), "{how:?} {at}: {fault}");
            }
        }
    }
}

#[tokio::test]
async fn lengths_that_no_object_has_are_damage_and_listed_all_the_same() {
    let server = Server::new().await;
    server.put("key", &noise(100_000), How::Kms).await.unwrap();
    let Stored {
        bytes,
        envelope,
        etag,
    } = server.stored("key").await;
    let length = bytes.len();
    for cut in [0, 1, length - 65_568, length - 32, length - 1] {
        server.plant("bad", &bytes[..cut], &envelope, &etag).await;
        assert_eq!(
            server.fault("bad", How::Nothing).await,
            "ObjectNotAuthentic",
            "{cut}"
        );
        assert_eq!(
            code(server.head("bad", How::Nothing).await),
            "ObjectNotAuthentic"
        );
        assert_eq!(server.list().await.len(), 2);
    }
    for more in [1, 32, 65_568] {
        let longer = [&bytes[..], &vec![0; more]].concat();
        server.plant("bad", &longer, &envelope, &etag).await;
        assert_eq!(
            server.fault("bad", How::Nothing).await,
            "ObjectNotAuthentic"
        );
    }
    // Clients would repeat a 5xx for minutes.
    let status = server
        .sse
        .get_object(request(get_input("bad", How::Nothing)))
        .await
        .unwrap_err();
    assert_eq!(
        status.status_code(),
        Some(http::StatusCode::CONFLICT),
        "never a 5xx"
    );
}

#[tokio::test]
async fn lesson_24_objects_that_change_places_do_not_open() {
    let server = Server::new().await;
    for how in SCHEMES {
        for size in [0, 1, 100_000] {
            server.put("a", &noise(size), how).await.unwrap();
            server.put("a/b", &vec![1; size], how).await.unwrap();
            server.put("a//b", &vec![2; size], how).await.unwrap();
            let (a, b) = (server.stored("a").await, server.stored("a/b").await);
            // The whole of one at the other's place, its cleaned twin's included.
            for to in ["a", "c", "a//b"] {
                server.plant(to, &b.bytes, &b.envelope, &b.etag).await;
                assert_ne!(server.fault(to, how.to_read()).await, "", "{how:?}");
            }
            // The body of one under the envelope of the other.
            if size > 0 {
                server.plant("a", &b.bytes, &a.envelope, &a.etag).await;
                assert_eq!(
                    server.fault("a", how.to_read()).await,
                    "ObjectNotAuthentic",
                    "{how:?} {size}"
                );
                let range = server.range("a", 0, 0, how.to_read()).await;
                assert_eq!(code(range), "ObjectNotAuthentic");
            }
        }
    }
}

#[tokio::test]
async fn an_older_body_under_the_newer_envelope_does_not_open() {
    let server = Server::new().await;
    server.put("key", &[1; 70_000], How::S3).await.unwrap();
    let old = server.stored("key").await;
    server.put("key", &[2; 70_000], How::S3).await.unwrap();
    let new = server.stored("key").await;
    server
        .plant("key", &old.bytes, &new.envelope, &new.etag)
        .await;
    assert_eq!(
        server.fault("key", How::Nothing).await,
        "ObjectNotAuthentic"
    );
}

#[tokio::test]
async fn damage_after_the_first_bytes_ends_the_stream_in_an_error() {
    let server = Server::new().await;
    let bytes = noise(400_000);
    server.put("key", &bytes, How::Customer(7)).await.unwrap();
    let Stored {
        bytes: stored,
        envelope,
        etag,
    } = server.stored("key").await;
    for at in [4 * 65_568, stored.len() - 400, stored.len() - 1] {
        let mut bad = stored.clone();
        bad[at] ^= 1;
        server.plant("key", &bad, &envelope, &etag).await;
        let got = server
            .get_with(get_input("key", How::Customer(7)))
            .await
            .unwrap();
        assert_eq!(got.content_length, Some(400_000));
        assert_eq!(code(read(got.body).await), "ObjectNotAuthentic");
    }
}

#[tokio::test]
async fn an_envelope_that_cannot_be_read_is_never_taken_for_none() {
    let server = Server::new().await;
    server.put("key", &noise(1000), How::S3).await.unwrap();
    let at = Location::new(BUCKET, "key");
    let object = server.sse.inner().open(&at).await.unwrap();
    let change = EnvelopeChange {
        envelope: Some(vec![9; 10].into()),
        ..Default::default()
    };
    server
        .sse
        .inner()
        .replace_envelope(&at, &object.stat().generation.clone(), change)
        .await
        .unwrap();
    assert_eq!(
        server.fault("key", How::Nothing).await,
        "ObjectNotAuthentic"
    );
    assert_eq!(server.list().await.len(), 1);
}

#[tokio::test]
async fn a_kms_that_fails_is_told_by_what_can_be_done_and_names_the_key() {
    let table: [(fn(&str) -> KmsError, &str, u16); 5] = [
        (
            |key| KmsError::Unavailable {
                key: Some(key.into()),
                message: "down".into(),
                source: None,
            },
            "ServiceUnavailable",
            503,
        ),
        (
            |key| KmsError::KeyNotFound { key: key.into() },
            "KMS.NotFoundException",
            400,
        ),
        (
            |key| KmsError::Denied { key: key.into() },
            "AccessDenied",
            403,
        ),
        (
            |key| KmsError::Disabled { key: key.into() },
            "KMS.DisabledException",
            400,
        ),
        (
            |key| KmsError::InvalidCiphertext { key: key.into() },
            "KMS.InvalidCiphertextException",
            400,
        ),
    ];
    let server = Server::new().await;
    server.put("plain", b"x", How::Nothing).await.unwrap();
    server.put("c", b"x", How::Customer(7)).await.unwrap();
    server.put("kms", b"x", How::KmsOther).await.unwrap();
    for (fault, expected, status) in table {
        server.kms.fail_with(Some(fault));
        let read = server.get("kms", How::Nothing).await.unwrap_err();
        assert_eq!(read.code().as_str(), expected);
        let told = read.status_code().or_else(|| read.code().status_code());
        assert_eq!(told.map(|s| s.as_u16()), Some(status));
        assert!(read.message().unwrap().contains("other-key"), "{read:?}");
        assert_eq!(code(server.put("new", b"x", How::KmsOther).await), expected);
        assert_eq!(code(server.get("new", How::Nothing).await), "NoSuchKey");
        // What needs no KMS goes on: plain and customer's objects, HEAD, listings, deletes.
        assert_eq!(server.get("plain", How::Nothing).await.unwrap(), b"x");
        assert_eq!(server.get("c", How::Customer(7)).await.unwrap(), b"x");
        assert_eq!(
            server
                .head("kms", How::Nothing)
                .await
                .unwrap()
                .content_length,
            Some(1)
        );
        assert_eq!(server.list().await.len(), 3);
    }
    let down = server.get("kms", How::Nothing).await.unwrap_err();
    assert!(!down.message().unwrap().contains("http"));
    server.kms.fail_with(None);
    assert_eq!(server.get("kms", How::Nothing).await.unwrap(), b"x");
}

#[tokio::test]
async fn a_key_that_was_deleted_or_made_anew_is_told_in_words() {
    let server = Server::new().await;
    server.put("key", b"x", How::KmsOther).await.unwrap();
    server.kms.replace("other-key", 99);
    let other = server.get("key", How::Nothing).await.unwrap_err();
    assert!(
        other.message().unwrap().contains("other material"),
        "{other:?}"
    );
    server.kms.remove("other-key");
    let gone = server.get("key", How::Nothing).await.unwrap_err();
    assert_eq!(gone.code().as_str(), "KMS.NotFoundException");
    assert!(
        gone.message()
            .unwrap()
            .contains("\"other-key\" does not exist")
    );
}

#[tokio::test]
async fn head_with_checksums_leaves_them_out_when_the_key_is_not_to_be_had() {
    let server = Server::new().await;
    let mut input = put_input("key", b"hello", How::KmsOther);
    input.checksum_crc32 = Some("NhCmhg==".into());
    server.put_with(input).await.unwrap();
    let head = HeadObjectInput {
        bucket: BUCKET.into(),
        key: "key".into(),
        checksum_mode: Some(ChecksumMode::from_static(ChecksumMode::ENABLED)),
        ..Default::default()
    };
    let told = server
        .sse
        .head_object(request(head.clone()))
        .await
        .unwrap()
        .output;
    assert_eq!(told.checksum_crc32.as_deref(), Some("NhCmhg=="));
    let server = server.restarted(|_| {}).await.unwrap();
    server
        .kms
        .fail_with(Some(|key| KmsError::Disabled { key: key.into() }));
    let told = server
        .sse
        .head_object(request(head.clone()))
        .await
        .unwrap()
        .output;
    assert_eq!((told.checksum_crc32, told.content_length), (None, Some(5)));

    // A key that does not open because the envelope is another's is not one that is not to be had.
    server.kms.fail_with(None);
    let stored = server.stored("key").await;
    let mut bad = stored.envelope.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    server.plant("key", &stored.bytes, &bad, &stored.etag).await;
    assert_eq!(
        code(server.sse.head_object(request(head)).await),
        "ObjectNotAuthentic"
    );
}

#[tokio::test]
async fn what_an_envelope_says_is_what_was_asked() {
    let server = Server::new().await;
    server.put("key", b"x", How::S3).await.unwrap();
    let stored = server.stored("key").await;
    let envelope = Envelope::decode(&stored.envelope).unwrap();
    assert!(envelope.protection().data_key().unwrap().bucket_key);
    server.put("key", b"x", How::Kms).await.unwrap();
    let stored = server.stored("key").await;
    let envelope = Envelope::decode(&stored.envelope).unwrap();
    assert!(!envelope.protection().data_key().unwrap().bucket_key);
}
