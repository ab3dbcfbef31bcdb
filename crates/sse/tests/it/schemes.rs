//! Every scheme, every size: what is put comes back, and what is stored is not it.

use s3s::S3;
use s3s::dto::*;
use strongroom_backend::checksum::{Algorithm, Hasher};
use strongroom_backend::object::Checksum as Shown;

use crate::harness::*;
use crate::kms::OTHER_KEY;

const SIZES: [usize; 7] = [0, 1, 65_535, 65_536, 65_537, 262_144, 1_000_003];

#[tokio::test]
async fn every_scheme_and_size_comes_back_and_lesson_20_is_not_on_disk() {
    let server = Server::new().await;
    for how in SCHEMES {
        for size in SIZES {
            let (key, bytes) = (format!("{how:?}/{size}"), noise(size));
            let put = server.put(&key, &bytes, how).await.unwrap();
            let read = how.to_read();
            assert!(server.get(&key, read).await.unwrap() == bytes, "{key}");
            let head = server.head(&key, read).await.unwrap();
            assert_eq!(head.content_length, Some(size as i64));
            assert_eq!(head.e_tag, put.e_tag);
            let got = server.get_with(get_input(&key, read)).await.unwrap();
            assert_eq!(
                (got.e_tag, got.content_length),
                (put.e_tag.clone(), Some(size as i64))
            );
            for (first, last) in [
                (0, 0),
                (1, 1),
                (65_535, 65_536),
                (65_536, 131_071),
                (100, 262_143),
            ] {
                if last < size as u64 {
                    let part = server.range(&key, first, last, read).await.unwrap();
                    assert!(
                        part == bytes[first as usize..=last as usize],
                        "{key} {first}-{last}"
                    );
                }
            }
            if size > 0 {
                let last = size as u64 - 1;
                assert!(server.range(&key, last, last, read).await.unwrap() == bytes[size - 1..]);
            }
        }
    }
    let listed = server.list().await;
    assert_eq!(listed.len(), SCHEMES.len() * SIZES.len());
    for (key, size, etag) in listed {
        let told = key.split('/').next_back().unwrap();
        assert_eq!(told.parse(), Ok(size), "{key}");
        if key.starts_with("S3") {
            assert_eq!(etag, md5_hex(&noise(size as usize)));
        } else {
            assert!(
                etag.ends_with("-1"),
                "{key}: lesson 53, an opaque ETag must not look like an MD5"
            );
        }
    }
    server.assert_nowhere_on_disk(MARK);
    // Nor is the MD5 of any plaintext, in hex or raw.
    for size in SIZES {
        server.assert_nowhere_on_disk(md5_hex(&noise(size)).as_bytes());
    }
}

#[tokio::test]
async fn answers_tell_the_encryption_of_writes_and_reads() {
    let server = Server::new().await;
    let put = server.put("s3", b"x", How::S3).await.unwrap();
    assert_eq!(put.server_side_encryption.unwrap().as_str(), "AES256");
    assert_eq!(
        (put.ssekms_key_id, put.sse_customer_algorithm),
        (None, None)
    );

    let context = "eyJhIjoiYiJ9";
    let mut input = put_input("kms", b"x", How::KmsOther);
    input.ssekms_encryption_context = Some(context.into());
    input.bucket_key_enabled = Some(true);
    let put = server.put_with(input).await.unwrap();
    assert_eq!(put.server_side_encryption.unwrap().as_str(), "aws:kms");
    assert_eq!(put.ssekms_key_id, Some(format!("arn:aws:kms:{OTHER_KEY}")));
    assert_eq!(put.ssekms_encryption_context.as_deref(), Some(context));
    let response = server
        .sse
        .get_object(request(get_input("kms", How::Nothing)))
        .await
        .unwrap();
    assert_eq!(
        response.headers["x-amz-server-side-encryption-context"],
        context
    );
    assert_eq!(
        response.output.ssekms_key_id,
        Some(format!("arn:aws:kms:{OTHER_KEY}"))
    );
    assert_eq!(
        response.output.bucket_key_enabled, None,
        "mc stat would misread it"
    );

    let (algorithm, _, md5) = customer(7);
    let put = server.put("c", b"x", How::Customer(7)).await.unwrap();
    assert_eq!(
        (put.sse_customer_algorithm, put.sse_customer_key_md5),
        (algorithm.clone(), md5.clone())
    );
    assert!(put.server_side_encryption.is_none());
    let head = server.head("c", How::Customer(7)).await.unwrap();
    assert_eq!(
        (head.sse_customer_algorithm, head.sse_customer_key_md5),
        (algorithm, md5)
    );

    let plain = server.put("plain", b"x", How::Nothing).await.unwrap();
    assert!(plain.server_side_encryption.is_none() && plain.sse_customer_algorithm.is_none());
}

#[tokio::test]
async fn lesson_22_a_customer_key_is_proved_for_every_read_also_of_nothing() {
    let server = Server::new().await;
    for (key, bytes) in [("empty", &b""[..]), ("one", b"x"), ("more", &[1; 70_000])] {
        server.put(key, bytes, How::Customer(7)).await.unwrap();
        assert_eq!(code(server.get(key, How::Nothing).await), "InvalidRequest");
        assert_eq!(
            code(server.get(key, How::Customer(8)).await),
            "AccessDenied"
        );
        assert_eq!(code(server.head(key, How::Nothing).await), "InvalidRequest");
        assert_eq!(
            code(server.head(key, How::Customer(8)).await),
            "AccessDenied"
        );
        assert_eq!(
            code(server.copy((key, How::Nothing), ("to", How::Nothing)).await),
            "InvalidArgument"
        );
        assert_eq!(
            code(server.copy((key, How::Customer(8)), ("to", How::S3)).await),
            "AccessDenied"
        );
        for (how, expected) in [
            (How::Nothing, "InvalidRequest"),
            (How::Customer(8), "AccessDenied"),
        ] {
            assert_eq!(code(attributes(&server, key, how).await), expected);
        }
        assert!(attributes(&server, key, How::Customer(7)).await.is_ok());
    }
    assert_eq!(
        server.kms.made.load(std::sync::atomic::Ordering::SeqCst),
        1,
        "the state key's call alone"
    );
}

async fn attributes(
    server: &Server,
    key: &str,
    how: How,
) -> s3s::S3Result<GetObjectAttributesOutput> {
    let mut input = GetObjectAttributesInput::builder()
        .bucket(BUCKET.into())
        .key(key.into())
        .object_attributes(vec!["ObjectSize, Checksum".to_owned().into()])
        .build()
        .unwrap();
    if let How::Customer(secret) = how {
        let (algorithm, key, md5) = customer(secret);
        input.sse_customer_algorithm = algorithm;
        input.sse_customer_key = key;
        input.sse_customer_key_md5 = md5;
    }
    Ok(server
        .sse
        .get_object_attributes(request(input))
        .await?
        .output)
}

#[tokio::test]
async fn headers_that_do_not_belong_to_the_object_are_refused() {
    let server = Server::new().await;
    server.put("plain", b"x", How::Nothing).await.unwrap();
    server.put("s3", b"x", How::S3).await.unwrap();
    for key in ["plain", "s3"] {
        assert_eq!(
            code(server.get(key, How::Customer(7)).await),
            "InvalidRequest"
        );
        assert_eq!(
            code(server.head(key, How::Customer(7)).await),
            "InvalidRequest"
        );
    }
    assert_eq!(
        code(
            server
                .copy(("plain", How::Customer(7)), ("to", How::S3))
                .await
        ),
        "InvalidRequest"
    );
    assert_eq!(
        code(server.copy(("s3", How::Customer(7)), ("to", How::S3)).await),
        "InvalidArgument"
    );
    let mut read = request(get_input("s3", How::Nothing));
    read.headers
        .insert("x-amz-server-side-encryption", "AES256".parse().unwrap());
    assert_eq!(code(server.sse.get_object(read).await), "InvalidArgument");
    let mut write = request(put_input("to", b"x", How::S3));
    let name = "x-amz-copy-source-server-side-encryption-customer-algorithm";
    write.headers.insert(name, "AES256".parse().unwrap());
    assert_eq!(code(server.sse.put_object(write).await), "InvalidRequest");
    let secret = plain_http(put_input("to", b"x", How::Customer(7)));
    assert_eq!(code(server.sse.put_object(secret).await), "InvalidRequest");
    let secret = plain_http(get_input("plain", How::Customer(7)));
    assert_eq!(code(server.sse.get_object(secret).await), "InvalidRequest");
}

#[tokio::test]
async fn checksums_are_kept_sealed_and_shown_when_asked() {
    let server = Server::new().await;
    for how in SCHEMES {
        for bytes in [noise(0), noise(1), noise(200_000)] {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            hasher.update(&bytes);
            let digest = hasher.finish();
            let shown = Shown::full(Algorithm::Sha256, &digest).value;
            let mut input = put_input("key", &bytes, how);
            input.checksum_sha256 = Some(shown.clone());
            let put = server.put_with(input).await.unwrap();
            assert_eq!(put.checksum_sha256.as_ref(), Some(&shown));
            let mut input = get_input("key", how.to_read());
            input.checksum_mode = Some(ChecksumMode::from_static(ChecksumMode::ENABLED));
            let got = server.get_with(input).await.unwrap();
            assert_eq!(got.checksum_sha256.as_ref(), Some(&shown));
            assert!(read(got.body).await.unwrap() == bytes);
            let told = attributes(&server, "key", how.to_read()).await.unwrap();
            assert_eq!(told.object_size, Some(bytes.len() as i64));
            assert_eq!(
                told.checksum.unwrap().checksum_sha256.as_ref(),
                Some(&shown)
            );
            // That of nothing is no secret.
            if !bytes.is_empty() {
                server.assert_nowhere_on_disk(shown.as_bytes());
                server.assert_nowhere_on_disk(&digest);
            }

            let mut wrong = put_input("wrong", &bytes, how);
            wrong.checksum_sha256 = Some(Shown::full(Algorithm::Sha256, &[0; 32]).value);
            assert_eq!(code(server.put_with(wrong).await), "BadDigest");
            assert_eq!(code(server.get("wrong", how.to_read()).await), "NoSuchKey");
        }
    }
}

#[tokio::test]
async fn a_form_of_unknown_length_is_sealed_too() {
    let server = Server::new().await;
    for size in [0, 1, 65_536, 200_000] {
        let bytes = noise(size);
        let chunks: Vec<_> = bytes
            .chunks(10_000)
            .map(|chunk| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(chunk)))
            .collect();
        let form = PostObjectInput {
            bucket: BUCKET.into(),
            key: "form".into(),
            body: Some(StreamingBlob::wrap(futures::stream::iter(chunks))),
            server_side_encryption: Some("AES256".to_owned().into()),
            ..Default::default()
        };
        let posted = server.sse.post_object(request(form)).await.unwrap().output;
        assert_eq!(posted.server_side_encryption.unwrap().as_str(), "AES256");
        assert_eq!(posted.e_tag.unwrap().value(), md5_hex(&bytes));
        assert!(server.get("form", How::Nothing).await.unwrap() == bytes);
        assert_eq!(server.list().await[0].1, size as i64);
        server.assert_nowhere_on_disk(MARK);
    }
    let (algorithm, key, md5) = customer(7);
    let both = PostObjectInput {
        bucket: BUCKET.into(),
        key: "form".into(),
        server_side_encryption: Some("AES256".to_owned().into()),
        sse_customer_algorithm: algorithm,
        sse_customer_key: key,
        sse_customer_key_md5: md5,
        ..Default::default()
    };
    assert_eq!(
        code(server.sse.post_object(request(both)).await),
        "InvalidArgument"
    );
}

#[tokio::test]
async fn without_compatible_etags_every_etag_of_a_sealed_object_is_opaque() {
    let server = Server::with(|config| config.compat_etags = false).await;
    let put = server.put("s3", b"x", How::S3).await.unwrap();
    let etag = put.e_tag.unwrap().into_value();
    assert!(etag.ends_with("-1") && etag.len() == 34);
    assert_eq!(server.list().await[0].2, etag);
}

#[tokio::test]
async fn conditions_compare_what_clients_see() {
    let server = Server::new().await;
    for how in SCHEMES {
        let etag = server.put("key", b"1", how).await.unwrap().e_tag.unwrap();
        let wrong = ETag::Strong("0".repeat(32));
        // By a plain write, too, which the store carries out itself.
        for next in [how, How::Nothing, how] {
            let head = server.head("key", how.to_read()).await;
            let etag = head.map_or(etag.clone(), |head| head.e_tag.unwrap());
            let mut input = put_input("key", b"2", next);
            input.if_match = Some(ETagCondition::ETag(wrong.clone()));
            assert_eq!(code(server.put_with(input).await), "PreconditionFailed");
            let mut input = put_input("key", b"2", next);
            input.if_none_match = Some(ETagCondition::Any);
            assert_eq!(code(server.put_with(input).await), "PreconditionFailed");
            let mut input = put_input("key", b"1", how);
            input.if_match = Some(ETagCondition::ETag(etag));
            server.put_with(input).await.unwrap();
        }
        let current = server
            .head("key", how.to_read())
            .await
            .unwrap()
            .e_tag
            .unwrap();
        let mut input = put_input("key", b"plain now", How::Nothing);
        input.if_match = Some(ETagCondition::ETag(current));
        server.put_with(input).await.unwrap();
        assert_eq!(server.get("key", How::Nothing).await.unwrap(), b"plain now");
    }
}

#[tokio::test]
async fn conditional_deletes_compare_what_clients_see() {
    let server = Server::new().await;
    let etag = server
        .put("a", b"body", How::Kms)
        .await
        .unwrap()
        .e_tag
        .unwrap();
    let stored_size = server
        .put("b", b"body", How::S3)
        .await
        .unwrap()
        .e_tag
        .unwrap();
    let delete = |key: &str, etag: Option<ETag>, size: Option<i64>| {
        request(DeleteObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            if_match: etag.map(ETagCondition::ETag),
            if_match_size: size,
            ..Default::default()
        })
    };
    assert_eq!(
        code(
            server
                .sse
                .delete_object(delete("a", Some(stored_size.clone()), None))
                .await
        ),
        "PreconditionFailed"
    );
    assert_eq!(
        code(server.sse.delete_object(delete("a", None, Some(5))).await),
        "PreconditionFailed"
    );
    server
        .sse
        .delete_object(delete("a", Some(etag.clone()), Some(4)))
        .await
        .unwrap();
    assert_eq!(code(server.get("a", How::Nothing).await), "NoSuchKey");

    server.put("c", b"body", How::Kms).await.unwrap();
    let named = |key: &str, etag: &ETag| ObjectIdentifier {
        key: key.into(),
        e_tag: Some(etag.clone()),
        size: Some(4),
        ..Default::default()
    };
    let delete = Delete {
        objects: vec![named("b", &stored_size), named("c", &etag)],
        quiet: None,
    };
    let input = DeleteObjectsInput::builder()
        .bucket(BUCKET.into())
        .delete(delete)
        .build()
        .unwrap();
    let output = server
        .sse
        .delete_objects(request(input))
        .await
        .unwrap()
        .output;
    assert_eq!(output.deleted.unwrap()[0].key.as_deref(), Some("b"));
    assert_eq!(
        output.errors.unwrap()[0].code.as_deref(),
        Some("PreconditionFailed")
    );
    assert!(server.get("c", How::Nothing).await.is_ok());
}
