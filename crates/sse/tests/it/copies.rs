//! Copies between every pair of schemes, and onto themselves.

use s3s::dto::*;

use crate::harness::*;

const ALL: [How; 6] = [
    How::Nothing,
    How::S3,
    How::Kms,
    How::KmsOther,
    How::Customer(7),
    How::Customer(8),
];

#[tokio::test]
async fn every_scheme_is_copied_to_every_other() {
    let server = Server::new().await;
    for size in [0, 1, 1024, MIB] {
        let bytes = noise(size);
        for from in ALL {
            server.put("from", &bytes, from).await.unwrap();
            for to in ALL {
                let copied = server
                    .copy(("from", from.to_read()), ("to", to))
                    .await
                    .unwrap();
                let method = copied
                    .server_side_encryption
                    .as_ref()
                    .map(|sse| sse.as_str().to_owned());
                let expected = match to {
                    How::S3 => Some("AES256"),
                    How::Kms | How::KmsOther => Some("aws:kms"),
                    How::Nothing | How::Customer(_) => None,
                };
                assert_eq!(method.as_deref(), expected, "{from:?} to {to:?}");
                assert_eq!(
                    copied.sse_customer_algorithm.is_some(),
                    matches!(to, How::Customer(_))
                );
                let got = server
                    .get_with(get_input("to", to.to_read()))
                    .await
                    .unwrap();
                assert_eq!(got.e_tag, copied.copy_object_result.unwrap().e_tag);
                assert!(read(got.body).await.unwrap() == bytes, "{from:?} to {to:?}");
            }
        }
    }
}

#[tokio::test]
async fn lesson_36_a_copy_into_a_bucket_with_a_default_is_encrypted() {
    let server =
        Server::with(|config| config.auto_encryption = strongroom_sse::AutoEncryption::SseKms)
            .await;
    server
        .put("from", &noise(100_000), How::Customer(7))
        .await
        .unwrap();
    let copied = server
        .copy(("from", How::Customer(7)), ("to", How::Nothing))
        .await
        .unwrap();
    assert_eq!(copied.server_side_encryption.unwrap().as_str(), "aws:kms");
    server.assert_nowhere_on_disk(MARK);
    assert!(server.get("to", How::Nothing).await.unwrap() == noise(100_000));
}

#[tokio::test]
async fn a_copy_onto_itself_seals_the_key_anew_and_moves_no_byte() {
    let server = Server::new().await;
    let bytes = noise(200_000);
    for (how, to) in [
        (How::Kms, How::KmsOther),
        (How::S3, How::S3),
        (How::Customer(7), How::Customer(8)),
        (How::Customer(7), How::Customer(7)),
    ] {
        let put = server.put("key", &bytes, how).await.unwrap();
        let bodies = |server: &Server| {
            let mut raw = server.raw();
            raw.retain(|(_, bytes)| bytes.len() > 200_000);
            raw
        };
        let before = bodies(&server);
        let copied = server
            .copy(("key", how.to_read()), ("key", to))
            .await
            .unwrap();
        assert_eq!(bodies(&server), before, "{how:?} to {to:?}");
        let result = copied.copy_object_result.unwrap();
        assert_eq!(result.e_tag, put.e_tag, "a rotation leaves the ETag");
        let got = server
            .get_with(get_input("key", to.to_read()))
            .await
            .unwrap();
        assert_eq!(got.e_tag, put.e_tag);
        assert!(read(got.body).await.unwrap() == bytes);
        if how != to && matches!(how, How::Customer(_)) {
            assert_eq!(code(server.get("key", how).await), "AccessDenied");
        }
    }
}

#[tokio::test]
async fn lesson_27_a_copy_onto_itself_that_changes_the_scheme_rewrites() {
    let server = Server::new().await;
    let bytes = noise(100_000);
    for how in ALL {
        for to in ALL {
            if to == How::Nothing {
                continue;
            }
            server.put("key", &bytes, how).await.unwrap();
            server
                .copy(("key", how.to_read()), ("key", to))
                .await
                .unwrap();
            assert!(
                server.get("key", to.to_read()).await.unwrap() == bytes,
                "{how:?} to {to:?}"
            );
            server.assert_nowhere_on_disk(MARK);
        }
    }
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something_and_replacing_metadata_does_not_decrypt() {
    let server = Server::new().await;
    for how in [How::S3, How::Kms, How::KmsOther] {
        server.put("key", &noise(100_000), how).await.unwrap();
        let same = server
            .copy(("key", How::Nothing), ("key", How::Nothing))
            .await;
        assert_eq!(code(same), "InvalidRequest");
        let mut input = copy_input(("key", How::Nothing), ("key", How::Nothing));
        input.metadata_directive = Some(MetadataDirective::from_static(MetadataDirective::REPLACE));
        input.metadata = Some([("a".to_owned(), "b".to_owned())].into());
        server.copy_with(input).await.unwrap();
        let head = server.head("key", How::Nothing).await.unwrap();
        assert!(head.server_side_encryption.is_some(), "{how:?}");
        assert_eq!(head.metadata.unwrap()["a"], "b");

        // Where there are no versions, the null version is the object itself.
        let mut input = copy_input(("key", How::Nothing), ("key", How::Nothing));
        input.metadata_directive = Some(MetadataDirective::from_static(MetadataDirective::REPLACE));
        if let CopySource::Bucket { version_id, .. } = &mut input.copy_source {
            *version_id = Some("null".into());
        }
        let before = server.stored("key").await;
        server.copy_with(input).await.unwrap();
        let head = server.head("key", How::Nothing).await.unwrap();
        assert!(head.server_side_encryption.is_some(), "{how:?}");
        let after = server.stored("key").await;
        assert!(after.bytes == before.bytes && after.envelope != before.envelope);
        assert!(server.get("key", How::Nothing).await.unwrap() == noise(100_000));
        server.assert_nowhere_on_disk(MARK);
    }
}

#[tokio::test]
async fn lesson_29_checksums_survive_a_copy() {
    let server = Server::new().await;
    let mut input = put_input("from", b"hello", How::Kms);
    input.checksum_crc32 = Some("NhCmhg==".into());
    server.put_with(input).await.unwrap();
    let copied = server
        .copy(("from", How::Nothing), ("to", How::S3))
        .await
        .unwrap();
    let result = copied.copy_object_result.unwrap();
    assert_eq!(result.checksum_crc32.as_deref(), Some("NhCmhg=="));
    assert_eq!(result.checksum_type.unwrap().as_str(), "FULL_OBJECT");
}

#[tokio::test]
async fn conditions_on_the_source_compare_what_clients_see() {
    let server = Server::new().await;
    let etag = server
        .put("from", b"x", How::Kms)
        .await
        .unwrap()
        .e_tag
        .unwrap();
    let mut input = copy_input(("from", How::Nothing), ("to", How::Nothing));
    input.copy_source_if_match = Some(ETagCondition::ETag(etag.clone()));
    server.copy_with(input).await.unwrap();
    let mut input = copy_input(("from", How::Nothing), ("to", How::Nothing));
    input.copy_source_if_none_match = Some(ETagCondition::ETag(etag));
    assert_eq!(code(server.copy_with(input).await), "PreconditionFailed");
}
