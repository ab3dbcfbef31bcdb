//! A bucket's default encryption.

use s3s::dto::*;
use s3s::{S3, S3Result};
use strongroom_backend::Backend;
use strongroom_backend::record::RecordName;
use strongroom_sse::AutoEncryption;

use crate::harness::*;

fn rule(algorithm: &str, key: Option<&str>) -> ServerSideEncryptionRule {
    ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
            kms_master_key_id: key.map(str::to_owned),
            sse_algorithm: algorithm.to_owned().into(),
        }),
        ..Default::default()
    }
}

impl Server {
    async fn set(&self, rules: Vec<ServerSideEncryptionRule>) -> S3Result<()> {
        let input = PutBucketEncryptionInput::builder()
            .bucket(BUCKET.into())
            .server_side_encryption_configuration(ServerSideEncryptionConfiguration { rules })
            .build()
            .unwrap();
        self.sse
            .put_bucket_encryption(request(input))
            .await
            .map(|_| ())
    }

    async fn settings(&self) -> S3Result<ServerSideEncryptionRule> {
        let input = GetBucketEncryptionInput {
            bucket: BUCKET.into(),
            expected_bucket_owner: None,
        };
        let told = self.sse.get_bucket_encryption(request(input)).await?.output;
        Ok(told
            .server_side_encryption_configuration
            .unwrap()
            .rules
            .remove(0))
    }

    async fn clear(&self) {
        let input = DeleteBucketEncryptionInput {
            bucket: BUCKET.into(),
            expected_bucket_owner: None,
        };
        let response = self
            .sse
            .delete_bucket_encryption(request(input))
            .await
            .unwrap();
        assert_eq!(response.status, Some(http::StatusCode::NO_CONTENT));
    }

    async fn method_of_a_plain_put(&self) -> Option<String> {
        let put = self.put("key", b"x", How::Nothing).await.unwrap();
        put.server_side_encryption
            .map(|sse| sse.as_str().to_owned())
    }
}

#[tokio::test]
async fn a_default_encrypts_what_asks_for_nothing_until_it_is_cleared() {
    let server = Server::new().await;
    let unset = "ServerSideEncryptionConfigurationNotFoundError";
    assert_eq!(code(server.settings().await), unset);
    assert_eq!(server.method_of_a_plain_put().await, None);

    server.set(vec![rule("AES256", None)]).await.unwrap();
    assert_eq!(
        server.method_of_a_plain_put().await.as_deref(),
        Some("AES256")
    );

    server
        .set(vec![rule("aws:kms", Some("arn:aws:kms:other-key"))])
        .await
        .unwrap();
    let shown = server
        .settings()
        .await
        .unwrap()
        .apply_server_side_encryption_by_default
        .unwrap();
    assert_eq!(
        shown.kms_master_key_id.as_deref(),
        Some("arn:aws:kms:other-key")
    );
    let put = server.put("key", b"x", How::Nothing).await.unwrap();
    assert_eq!(put.ssekms_key_id.as_deref(), Some("arn:aws:kms:other-key"));
    let own = server.put("key", b"x", How::Customer(7)).await.unwrap();
    assert!(own.server_side_encryption.is_none());

    let server = server.restarted(|_| {}).await.unwrap();
    assert_eq!(
        server.method_of_a_plain_put().await.as_deref(),
        Some("aws:kms")
    );

    server.clear().await;
    server.clear().await;
    assert_eq!(code(server.settings().await), unset);
    assert_eq!(server.method_of_a_plain_put().await, None);
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_and_changes_nothing() {
    let server = Server::new().await;
    server.set(vec![rule("AES256", None)]).await.unwrap();
    for (rules, expected) in [
        (vec![], "MalformedXML"),
        (
            vec![rule("AES256", None), rule("AES256", None)],
            "MalformedXML",
        ),
        (vec![rule("AES256", Some("k"))], "MalformedXML"),
        (vec![rule("aes:kms", None)], "MalformedXML"),
        (vec![ServerSideEncryptionRule::default()], "MalformedXML"),
        (vec![rule("aws:kms", Some(" k"))], "InvalidArgument"),
        (vec![rule("aws:kms:dsse", None)], "NotImplemented"),
        (
            vec![rule("aws:kms", Some("missing"))],
            "KMS.NotFoundException",
        ),
    ] {
        assert_eq!(code(server.set(rules).await), expected);
    }
    assert_eq!(
        server.method_of_a_plain_put().await.as_deref(),
        Some("AES256")
    );
}

#[tokio::test]
async fn lesson_35_a_bucket_that_blocks_customer_keys_takes_none() {
    let server = Server::new().await;
    let mut blocking = rule("AES256", None);
    blocking.blocked_encryption_types = Some(BlockedEncryptionTypes {
        encryption_type: Some(vec!["SSE-C".to_owned().into()]),
    });
    server.set(vec![blocking]).await.unwrap();
    assert_eq!(
        code(server.put("key", b"x", How::Customer(7)).await),
        "AccessDenied"
    );
    assert!(
        server
            .settings()
            .await
            .unwrap()
            .blocked_encryption_types
            .is_some()
    );
}

#[tokio::test]
async fn settings_go_with_their_bucket() {
    let server = Server::new().await;
    server.set(vec![rule("AES256", None)]).await.unwrap();
    let bucket = DeleteBucketInput {
        bucket: BUCKET.into(),
        ..Default::default()
    };
    server.sse.delete_bucket(request(bucket)).await.unwrap();
    assert_eq!(code(server.settings().await), "NoSuchBucket");
    let bucket = CreateBucketInput {
        bucket: BUCKET.into(),
        ..Default::default()
    };
    server.sse.create_bucket(request(bucket)).await.unwrap();
    assert_eq!(server.method_of_a_plain_put().await, None);
}

/// The record goes on counting, so that settings of an earlier life are not taken for this one's.
#[tokio::test]
async fn settings_of_a_deleted_bucket_that_are_put_back_are_refused() {
    let server =
        Server::with(|config| config.settings_lease = Some(std::time::Duration::ZERO)).await;
    let name = RecordName::new(format!("buckets/{BUCKET}/encryption")).unwrap();
    let mut blocking = rule("AES256", None);
    blocking.blocked_encryption_types = Some(BlockedEncryptionTypes {
        encryption_type: Some(vec!["SSE-C".to_owned().into()]),
    });
    server.set(vec![blocking]).await.unwrap();
    let inner = server.sse.inner();
    let old = inner.read_record(&name).await.unwrap().unwrap();
    let bucket = DeleteBucketInput {
        bucket: BUCKET.into(),
        ..Default::default()
    };
    server.sse.delete_bucket(request(bucket)).await.unwrap();
    let bucket = CreateBucketInput {
        bucket: BUCKET.into(),
        ..Default::default()
    };
    server.sse.create_bucket(request(bucket)).await.unwrap();
    server.put("key", b"x", How::Customer(7)).await.unwrap();
    let now = inner.read_record(&name).await.unwrap().unwrap().generation;
    inner
        .write_record(&name, Some(&now), old.bytes)
        .await
        .unwrap();
    assert_eq!(
        code(server.put("key", b"x", How::Nothing).await),
        "InternalError"
    );
}

/// Who deletes a bucket whose settings cannot be read gets rid of them.
#[tokio::test]
async fn a_deleted_bucket_takes_unreadable_settings_with_it() {
    let server = Server::new().await;
    server.set(vec![rule("AES256", None)]).await.unwrap();
    let name = RecordName::new(format!("buckets/{BUCKET}/encryption")).unwrap();
    let inner = server.sse.inner();
    let good = inner.read_record(&name).await.unwrap().unwrap();
    inner
        .write_record(&name, Some(&good.generation), vec![1; 40].into())
        .await
        .unwrap();
    let server = server.restarted(|_| {}).await.unwrap();
    assert_eq!(
        code(server.put("key", b"x", How::Nothing).await),
        "InternalError"
    );
    let bucket = DeleteBucketInput {
        bucket: BUCKET.into(),
        ..Default::default()
    };
    server.sse.delete_bucket(request(bucket)).await.unwrap();
    let bucket = CreateBucketInput {
        bucket: BUCKET.into(),
        ..Default::default()
    };
    server.sse.create_bucket(request(bucket)).await.unwrap();
    server.put("key", b"x", How::Nothing).await.unwrap();
}

#[tokio::test]
async fn lesson_34_settings_that_cannot_be_read_fail_the_write() {
    let server = Server::new().await;
    server.set(vec![rule("AES256", None)]).await.unwrap();
    let name = RecordName::new(format!("buckets/{BUCKET}/encryption")).unwrap();
    let inner = server.sse.inner();
    let good = inner.read_record(&name).await.unwrap().unwrap();
    for damage in [0_usize, 10, 30] {
        let mut bad = good.bytes.to_vec();
        bad[damage] ^= 1;
        let now = inner.read_record(&name).await.unwrap().unwrap().generation;
        inner
            .write_record(&name, Some(&now), bad.into())
            .await
            .unwrap();
    }
    let server = server.restarted(|_| {}).await.unwrap();
    for how in [How::Nothing, How::S3, How::Customer(7)] {
        assert_eq!(code(server.put("key", b"x", how).await), "InternalError");
    }
    assert!(server.list().await.is_empty());
}

#[tokio::test]
async fn an_older_record_that_is_put_back_is_refused() {
    let server =
        Server::with(|config| config.settings_lease = Some(std::time::Duration::ZERO)).await;
    let name = RecordName::new(format!("buckets/{BUCKET}/encryption")).unwrap();
    server.set(vec![rule("AES256", None)]).await.unwrap();
    let inner = server.sse.inner();
    let old = inner.read_record(&name).await.unwrap().unwrap();
    server.set(vec![rule("aws:kms", None)]).await.unwrap();
    assert_eq!(
        server.method_of_a_plain_put().await.as_deref(),
        Some("aws:kms")
    );
    let now = inner.read_record(&name).await.unwrap().unwrap().generation;
    inner
        .write_record(&name, Some(&now), old.bytes)
        .await
        .unwrap();
    assert_eq!(
        code(server.put("key", b"x", How::Nothing).await),
        "InternalError"
    );
}

#[tokio::test]
async fn automatic_encryption_is_for_writes_that_nobody_else_decides() {
    for (auto, expected) in [
        (AutoEncryption::Off, None),
        (AutoEncryption::SseS3, Some("AES256")),
        (AutoEncryption::SseKms, Some("aws:kms")),
    ] {
        let server = Server::with(|config| config.auto_encryption = auto).await;
        assert_eq!(server.method_of_a_plain_put().await.as_deref(), expected);
        assert_eq!(
            code(server.settings().await),
            "ServerSideEncryptionConfigurationNotFoundError"
        );
    }
}
