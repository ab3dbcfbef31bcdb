//! Uploads in parts.

use s3s::dto::*;
use s3s::{S3, S3Result};

use crate::harness::*;

pub(crate) const PART: usize = 5 * MIB;

pub(crate) struct Uploading<'s> {
    server: &'s Server,
    key: String,
    id: String,
    how: How,
}

impl Server {
    pub(crate) async fn begin(&self, key: &str, how: How) -> Uploading<'_> {
        self.begin_with(create_input(key, how), how).await
    }

    pub(crate) async fn begin_with(
        &self,
        input: CreateMultipartUploadInput,
        how: How,
    ) -> Uploading<'_> {
        let key = input.key.clone();
        let created = self
            .sse
            .create_multipart_upload(request(input))
            .await
            .unwrap()
            .output;
        let expected = match how {
            How::S3 => Some("AES256"),
            How::Kms | How::KmsOther => Some("aws:kms"),
            How::Nothing | How::Customer(_) => None,
        };
        assert_eq!(
            created
                .server_side_encryption
                .as_ref()
                .map(|sse| sse.as_str()),
            expected
        );
        assert_eq!(
            created.sse_customer_algorithm.is_some(),
            matches!(how, How::Customer(_))
        );
        Uploading {
            server: self,
            key,
            id: created.upload_id.unwrap(),
            how,
        }
    }
}

impl Uploading<'_> {
    pub(crate) async fn part(&self, number: i32, bytes: &[u8]) -> CompletedPart {
        let put = self
            .part_as(number, bytes, self.how.to_read())
            .await
            .unwrap();
        CompletedPart {
            part_number: Some(number),
            e_tag: put.e_tag,
            ..Default::default()
        }
    }

    pub(crate) async fn part_as(
        &self,
        number: i32,
        bytes: &[u8],
        how: How,
    ) -> S3Result<UploadPartOutput> {
        let mut input = UploadPartInput::builder()
            .bucket(BUCKET.into())
            .key(self.key.clone())
            .upload_id(self.id.clone())
            .part_number(number)
            .build()
            .unwrap();
        input.body = blob(bytes);
        input.content_length = Some(bytes.len() as i64);
        if let How::Customer(secret) = how {
            let (algorithm, key, md5) = customer(secret);
            input.sse_customer_algorithm = algorithm;
            input.sse_customer_key = key;
            input.sse_customer_key_md5 = md5;
        }
        Ok(self.server.sse.upload_part(request(input)).await?.output)
    }

    pub(crate) fn complete_input(&self, parts: &[CompletedPart]) -> CompleteMultipartUploadInput {
        CompleteMultipartUploadInput {
            bucket: BUCKET.into(),
            key: self.key.clone(),
            upload_id: self.id.clone(),
            multipart_upload: Some(CompletedMultipartUpload {
                parts: Some(parts.to_vec()),
            }),
            ..Default::default()
        }
    }

    /// Without any key, as most SDKs do.
    pub(crate) async fn complete(
        &self,
        parts: &[CompletedPart],
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let input = self.complete_input(parts);
        Ok(self
            .server
            .sse
            .complete_multipart_upload(request(input))
            .await?
            .output)
    }

    async fn parts(&self) -> Vec<(i32, i64, String)> {
        let input = ListPartsInput::builder()
            .bucket(BUCKET.into())
            .key(self.key.clone())
            .upload_id(self.id.clone())
            .build()
            .unwrap();
        let listed = self
            .server
            .sse
            .list_parts(request(input))
            .await
            .unwrap()
            .output;
        let rows = listed.parts.unwrap_or_default().into_iter();
        rows.map(|part| {
            (
                part.part_number.unwrap(),
                part.size.unwrap(),
                part.e_tag.unwrap().into_value(),
            )
        })
        .collect()
    }
}

#[tokio::test]
async fn parts_of_every_scheme_become_one_object() {
    let server = Server::new().await;
    // Gaps in the numbers, parts that end off every boundary, an empty last part.
    let sizes = [(1, PART + 1), (3, PART + 65_535), (7, 100_003), (9, 0)];
    for how in SCHEMES {
        let upload = server.begin("key", how).await;
        let (mut listed, mut whole, mut md5s) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (number, size)) in sizes.into_iter().enumerate() {
            if index == 3 {
                continue;
            }
            let mut bytes = noise(size);
            bytes[0] = number as u8;
            listed.push(upload.part(number, &bytes).await);
            md5s.extend_from_slice(&<md5::Md5 as md5::Digest>::digest(&bytes));
            whole.extend_from_slice(&bytes);
        }
        let seen = upload.parts().await;
        let expected: Vec<_> = sizes[..3]
            .iter()
            .map(|(number, size)| (*number, *size as i64))
            .collect();
        assert_eq!(
            seen.iter()
                .map(|(n, size, _)| (*n, *size))
                .collect::<Vec<_>>(),
            expected
        );
        for (row, part) in seen.iter().zip(&listed) {
            assert_eq!(
                Some(row.2.as_str()),
                part.e_tag.as_ref().map(|etag| etag.value())
            );
            assert_eq!(row.2.ends_with("-1"), how != How::S3, "lesson 53");
        }
        let done = upload.complete(&listed).await.unwrap();
        let etag = done.e_tag.clone().unwrap().into_value();
        assert!(etag.ends_with("-3"));
        if how == How::S3 {
            assert_eq!(etag, format!("{}-3", md5_hex(&md5s)));
        }
        let read_as = how.to_read();
        assert!(
            server.get("key", read_as).await.unwrap() == whole,
            "{how:?}"
        );
        assert_eq!(
            server.list().await,
            [("key".to_owned(), whole.len() as i64, etag.clone())]
        );
        let head = server.head("key", read_as).await.unwrap();
        assert_eq!(head.e_tag.unwrap().into_value(), etag);
        let edge = (PART + 1) as u64;
        for (first, last) in [
            (0, 0),
            (edge - 1, edge),
            (edge - 70_000, edge + 70_000),
            (edge, edge),
        ] {
            let part = server.range("key", first, last, read_as).await.unwrap();
            assert!(
                part == whole[first as usize..=last as usize],
                "{how:?} {first}-{last}"
            );
        }
        let mut by_number = get_input("key", read_as);
        by_number.part_number = Some(3);
        let got = server.get_with(by_number).await.unwrap();
        assert_eq!(got.parts_count, Some(3));
        assert!(read(got.body).await.unwrap() == whole[PART + 1..2 * PART + 65_536]);
        server.assert_nowhere_on_disk(MARK);

        // Lesson 45: the same list again is answered the same, another one is not.
        assert_eq!(upload.complete(&listed).await.unwrap().e_tag, done.e_tag);
        assert_eq!(code(upload.complete(&listed[..2]).await), "NoSuchUpload");
    }
}

#[tokio::test]
async fn an_empty_upload_is_an_empty_object_with_a_proved_key() {
    let server = Server::new().await;
    for how in SCHEMES {
        let upload = server.begin("key", how).await;
        let part = upload.part(1, b"").await;
        upload.complete(&[part]).await.unwrap();
        assert_eq!(server.get("key", how.to_read()).await.unwrap(), b"");
        if how == How::Customer(7) {
            assert_eq!(
                code(server.get("key", How::Customer(8)).await),
                "AccessDenied"
            );
        }
    }
}

#[tokio::test]
async fn lesson_23_a_part_sent_again_never_meets_the_same_nonce() {
    let server = Server::new().await;
    for how in SCHEMES {
        let upload = server.begin("key", how).await;
        for round in 0..20_u8 {
            // The same bytes and other ones.
            upload.part(1, &[round / 2; 100]).await;
        }
        let mut headers = std::collections::BTreeSet::new();
        let mut streams = 0;
        for (_, bytes) in server.raw() {
            // A DARE 2.0 header of a final package of 100 bytes, wherever the store put it.
            for at in 0..(bytes.len() + 1).saturating_sub(132) {
                if bytes[at..at + 4] == [0x20, 0, 99, 0] && bytes[at + 4] & 0x80 != 0 {
                    streams += 1;
                    headers.insert(bytes[at..at + 16].to_vec());
                }
            }
        }
        assert!(streams >= 20, "{streams} streams were found");
        assert_eq!(headers.len(), streams);
        let last = upload.part(1, &[99; 100]).await;
        upload.complete(&[last]).await.unwrap();
        assert_eq!(server.get("key", how.to_read()).await.unwrap(), [99; 100]);
        let delete = DeleteObjectInput {
            bucket: BUCKET.into(),
            key: "key".into(),
            ..Default::default()
        };
        server.sse.delete_object(request(delete)).await.unwrap();
    }
}

#[tokio::test]
async fn lesson_49_complete_takes_the_attempt_that_the_client_quotes() {
    let server = Server::new().await;
    let upload = server.begin("key", How::Kms).await;
    let first = upload.part(1, b"first").await;
    let second = upload.part(1, b"second").await;
    assert_ne!(first.e_tag, second.e_tag);
    upload.complete(&[first]).await.unwrap();
    assert_eq!(server.get("key", How::Nothing).await.unwrap(), b"first");
}

#[tokio::test]
async fn lesson_37_a_part_must_come_with_the_uploads_key() {
    let server = Server::new().await;
    let upload = server.begin("key", How::Customer(7)).await;
    assert_eq!(
        code(upload.part_as(1, b"x", How::Nothing).await),
        "InvalidRequest"
    );
    assert_eq!(
        code(upload.part_as(1, b"x", How::Customer(8)).await),
        "InvalidRequest"
    );
    let part = upload.part(1, b"x").await;
    let mut wrong = upload.complete_input(std::slice::from_ref(&part));
    let (algorithm, key, md5) = customer(8);
    (wrong.sse_customer_algorithm, wrong.sse_customer_key) = (algorithm, key);
    wrong.sse_customer_key_md5 = md5;
    assert_eq!(
        code(server.sse.complete_multipart_upload(request(wrong)).await),
        "InvalidRequest"
    );
    let mut right = upload.complete_input(std::slice::from_ref(&part));
    let (algorithm, key, md5) = customer(7);
    (right.sse_customer_algorithm, right.sse_customer_key) = (algorithm, key);
    right.sse_customer_key_md5 = md5;
    let done = server
        .sse
        .complete_multipart_upload(request(right))
        .await
        .unwrap();
    assert_eq!(
        done.headers["x-amz-server-side-encryption-customer-algorithm"],
        "AES256"
    );

    for how in [How::S3, How::Nothing] {
        let upload = server.begin("other", how).await;
        assert_eq!(
            code(upload.part_as(1, b"x", How::Customer(7)).await),
            "InvalidRequest"
        );
    }
}

#[tokio::test]
async fn lesson_48_checksums_of_parts_make_that_of_the_whole() {
    let server = Server::new().await;
    for (kind, suffix) in [("COMPOSITE", "-2"), ("FULL_OBJECT", "")] {
        let mut input = create_input("key", How::S3);
        input.checksum_algorithm = Some("CRC32C".to_owned().into());
        input.checksum_type = Some(kind.to_owned().into());
        let upload = server.begin_with(input, How::S3).await;
        let parts = [
            upload.part(1, &noise(PART)).await,
            upload.part(2, b"tail").await,
        ];
        let done = upload.complete(&parts).await.unwrap();
        let whole = done.checksum_crc32c.unwrap();
        assert_eq!(done.checksum_type.unwrap().as_str(), kind);
        assert!(
            whole.ends_with(suffix) && whole.contains('-') != suffix.is_empty(),
            "{whole}"
        );
        let mut input = get_input("key", How::Nothing);
        input.checksum_mode = Some(ChecksumMode::from_static(ChecksumMode::ENABLED));
        assert_eq!(
            server.get_with(input).await.unwrap().checksum_crc32c,
            Some(whole)
        );
    }
}

#[tokio::test]
async fn a_customers_upload_with_checksums_is_completed_with_the_key_alone() {
    let server = Server::new().await;
    let how = How::Customer(7);
    let mut input = create_input("key", how);
    input.checksum_algorithm = Some("CRC32C".to_owned().into());
    let upload = server.begin_with(input, how).await;
    let parts = [upload.part(1, b"tail").await];
    assert_eq!(code(upload.complete(&parts).await), "InvalidRequest");
    let mut with_key = upload.complete_input(&parts);
    let (algorithm, secret, md5) = customer(7);
    with_key.sse_customer_algorithm = algorithm;
    with_key.sse_customer_key = secret;
    with_key.sse_customer_key_md5 = md5;
    server
        .sse
        .complete_multipart_upload(request(with_key))
        .await
        .unwrap();
    assert_eq!(server.get("key", how).await.unwrap(), b"tail");
}

#[tokio::test]
async fn parts_are_copied_between_every_pair_of_schemes() {
    let server = Server::new().await;
    let bytes = noise(300_000);
    let all = [
        How::Nothing,
        How::S3,
        How::Kms,
        How::Customer(7),
        How::Customer(8),
    ];
    for from in all {
        server.put("from", &bytes, from).await.unwrap();
        for to in all {
            let upload = server.begin("to", to).await;
            let source = CopySource::Bucket {
                bucket: BUCKET.into(),
                key: "from".into(),
                version_id: None,
            };
            let mut input = UploadPartCopyInput::builder()
                .bucket(BUCKET.into())
                .key("to".into())
                .upload_id(upload.id.clone())
                .part_number(2)
                .copy_source(source)
                .build()
                .unwrap();
            input.copy_source_range = Some("bytes=65530-200000".into());
            if let How::Customer(secret) = from {
                let (algorithm, key, md5) = customer(secret);
                input.copy_source_sse_customer_algorithm = algorithm;
                input.copy_source_sse_customer_key = key;
                input.copy_source_sse_customer_key_md5 = md5;
            }
            if let How::Customer(secret) = to {
                let (algorithm, key, md5) = customer(secret);
                input.sse_customer_algorithm = algorithm;
                input.sse_customer_key = key;
                input.sse_customer_key_md5 = md5;
            }
            let copied = server
                .sse
                .upload_part_copy(request(input))
                .await
                .unwrap()
                .output;
            let part = CompletedPart {
                part_number: Some(2),
                e_tag: copied.copy_part_result.unwrap().e_tag,
                ..Default::default()
            };
            upload.complete(&[part]).await.unwrap();
            let got = server.get("to", to.to_read()).await.unwrap();
            assert!(got == bytes[65_530..=200_000], "{from:?} to {to:?}");
        }
    }
}

#[tokio::test]
async fn an_upload_survives_a_restart_and_needs_no_kms_to_complete() {
    let server = Server::new().await;
    let upload = server.begin("key", How::Kms).await;
    let part = upload.part(1, b"bytes").await;
    let (id, key) = (upload.id.clone(), upload.key.clone());
    let server = server.restarted(|_| {}).await.unwrap();
    server
        .kms
        .fail_with(Some(|key| strongroom_kms::KmsError::Disabled {
            key: key.into(),
        }));
    let upload = Uploading {
        server: &server,
        key,
        id,
        how: How::Kms,
    };
    assert_eq!(upload.parts().await.len(), 1);
    upload.complete(&[part]).await.unwrap();
    server.kms.fail_with(None);
    assert_eq!(server.get("key", How::Nothing).await.unwrap(), b"bytes");
}
