use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, noise, pieces};
use crate::checksum::{Algorithm, Hasher};

fn told(algorithm: Algorithm, bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    BASE64_STANDARD.encode(hasher.finish())
}

fn set(input: &mut PutObjectInput, algorithm: Algorithm, value: String) {
    let value = Some(value);
    match algorithm {
        Algorithm::Crc32 => input.checksum_crc32 = value,
        Algorithm::Crc32c => input.checksum_crc32c = value,
        Algorithm::Crc64Nvme => input.checksum_crc64nvme = value,
        Algorithm::Sha1 => input.checksum_sha1 = value,
        Algorithm::Sha256 => input.checksum_sha256 = value,
    }
}

pub async fn lesson_43_a_wrong_digest_stores_nothing<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    // Hashed in place, and beside the stream.
    for bytes in [noise(10), noise(700_000)] {
        let input = |change: &dyn Fn(&mut PutObjectInput)| {
            let mut input = subject.put_input("k", "");
            input.content_length = i64::try_from(bytes.len()).ok();
            input.body = pieces(&bytes, 50_000);
            change(&mut input);
            subject.put_with(input)
        };
        let md5 = |bytes: &[u8]| Some(BASE64_STANDARD.encode(Md5::digest(bytes)));
        assert_eq!(
            code(input(&|i| i.content_md5 = md5(b"other")).await),
            "BadDigest"
        );
        assert_eq!(
            code(input(&|i| i.content_md5 = Some("no".into())).await),
            "InvalidDigest"
        );
        for algorithm in Algorithm::ALL {
            let wrong = input(&|i| set(i, algorithm, told(algorithm, b"other"))).await;
            assert_eq!(code(wrong), "BadDigest", "{algorithm:?}");
            let no_digest = input(&|i| set(i, algorithm, "AAA=".into())).await;
            assert_eq!(code(no_digest), "InvalidRequest", "{algorithm:?}");
        }
        assert!(subject.keys().await.is_empty());
        let right = input(&|i| {
            i.content_md5 = md5(&bytes);
            set(i, Algorithm::Sha1, told(Algorithm::Sha1, &bytes));
        });
        right.await.unwrap();
        assert!(subject.get("k").await.unwrap() == bytes);
        subject.delete("k").await.unwrap();
    }
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let mut part = subject.part_input("k", &id, 1, "bytes");
    part.content_md5 = Some(BASE64_STANDARD.encode(Md5::digest(b"other")));
    assert_eq!(code(subject.part(part).await), "BadDigest");
    let mut part = subject.part_input("k", &id, 1, "bytes");
    part.checksum_crc32c = Some(told(Algorithm::Crc32c, b"other"));
    assert_eq!(code(subject.part(part).await), "BadDigest");
}

pub async fn lesson_42_checksums_come_back_with_their_type<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let bytes = noise(123_456);
    for algorithm in Algorithm::ALL {
        let value = told(algorithm, &bytes);
        let mut input = subject.put_input("k", bytes.clone());
        input.checksum_algorithm = Some(algorithm.dto());
        set(&mut input, algorithm, value.clone());
        let put = subject.put_with(input).await.unwrap();
        assert_eq!(
            put.checksum_type.as_ref().map(|t| t.as_str()),
            Some("FULL_OBJECT")
        );
        let mut get = subject.get_input("k");
        get.checksum_mode = Some(ChecksumMode::from_static(ChecksumMode::ENABLED));
        let got = subject.get_with(get.clone()).await.unwrap();
        let head = subject.head("k").await.unwrap();
        let all = match algorithm {
            Algorithm::Crc32 => [put.checksum_crc32, got.checksum_crc32, head.checksum_crc32],
            Algorithm::Crc32c => [
                put.checksum_crc32c,
                got.checksum_crc32c,
                head.checksum_crc32c,
            ],
            Algorithm::Crc64Nvme => [
                put.checksum_crc64nvme,
                got.checksum_crc64nvme,
                head.checksum_crc64nvme,
            ],
            Algorithm::Sha1 => [put.checksum_sha1, got.checksum_sha1, head.checksum_sha1],
            Algorithm::Sha256 => [
                put.checksum_sha256,
                got.checksum_sha256,
                head.checksum_sha256,
            ],
        };
        assert_eq!(all, [Some(value.clone()), Some(value.clone()), Some(value)]);
        // A part of the bytes has another checksum than the whole.
        get.range = Some(Range::Int {
            first: 0,
            last: Some(9),
        });
        let ranged = subject.get_with(get).await.unwrap();
        assert_eq!(ranged.checksum_type, None);
        let silent = subject.get_with(subject.get_input("k")).await.unwrap();
        assert_eq!(silent.checksum_type, None);
    }
}

pub async fn a_wrong_length_stores_nothing<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    for told in [4, 6, 0, 1_000_000] {
        let mut input = subject.put_input("k", "12345");
        input.content_length = Some(told);
        assert_eq!(
            code(subject.put_with(input).await),
            "IncompleteBody",
            "{told}"
        );
    }
    let mut input = subject.put_input("k", "1");
    input.content_length = Some((5 << 30) + 1);
    assert_eq!(code(subject.put_with(input).await), "EntityTooLarge");
    assert!(subject.keys().await.is_empty());
}

pub async fn an_object_without_a_checksum_gets_one<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let put = subject.put_with(subject.put_input("k", "v")).await.unwrap();
    assert_eq!(
        put.checksum_crc64nvme,
        Some(told(Algorithm::Crc64Nvme, b"v"))
    );
    let mut input = subject.put_input("k", "v");
    input.checksum_algorithm = Some(Algorithm::Sha1.dto());
    let put = subject.put_with(input).await.unwrap();
    assert_eq!(put.checksum_sha1, Some(told(Algorithm::Sha1, b"v")));
    assert_eq!(put.checksum_crc64nvme, None);
}

pub async fn a_checksum_that_is_not_computed_is_refused<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut input = subject.put_input("k", "v");
    input.checksum_sha512 = Some("AAAA".into());
    assert_eq!(code(subject.put_with(input).await), "NotImplemented");
    let mut input = subject.put_input("k", "v");
    input.checksum_crc32 = Some(told(Algorithm::Crc32, b"v"));
    input.checksum_sha1 = Some(told(Algorithm::Sha1, b"v"));
    assert_eq!(code(subject.put_with(input).await), "InvalidRequest");
    assert!(subject.keys().await.is_empty());
}
