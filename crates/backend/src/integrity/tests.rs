use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::stream::ByteStream as _;

use super::*;
use crate::body;
use crate::checksum::Hasher;
use crate::object::Checksum;

fn of(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

fn put(change: impl FnOnce(&mut S3Request<PutObjectInput>)) -> S3Result<Expectations> {
    let mut req = S3Request {
        input: PutObjectInput {
            content_length: Some(5),
            ..Default::default()
        },
        method: http::Method::PUT,
        uri: http::Uri::from_static("/"),
        headers: HeaderMap::new(),
        extensions: http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    };
    change(&mut req);
    Expectations::of_put(&req)
}

fn code<T>(result: S3Result<T>) -> String {
    result
        .err()
        .map(|error| error.code().as_str().to_owned())
        .unwrap_or_default()
}

#[test]
fn without_any_announcement_a_crc64_is_computed_and_no_md5() {
    let mut verifier = Verifier::new(put(|_| ()).unwrap(), false);
    verifier.update(b"hello").unwrap();
    let digests = verifier.finish().unwrap();
    assert_eq!(
        (digests.md5, digests.checksum, digests.length),
        (
            None,
            Some(Checksum::full(
                Algorithm::Crc64Nvme,
                &of(Algorithm::Crc64Nvme, b"hello")
            )),
            5
        )
    );
}

#[test]
fn announced_digests_are_verified() {
    let md5 = BASE64_STANDARD.encode(Md5::digest(b"hello"));
    let crc = BASE64_STANDARD.encode(of(Algorithm::Crc32, b"hello"));
    let expected = || {
        put(|req| {
            req.input.content_md5 = Some(md5.clone());
            req.input.checksum_crc32 = Some(crc.clone());
        })
        .unwrap()
    };
    let mut verifier = Verifier::new(expected(), false);
    verifier.update(b"hel").unwrap();
    verifier.update(b"lo").unwrap();
    let digests = verifier.finish().unwrap();
    assert_eq!(digests.md5, Some(Md5::digest(b"hello").into()));
    assert_eq!(digests.checksum.unwrap().value, crc);
    let mut verifier = Verifier::new(expected(), false);
    verifier.update(b"jello").unwrap();
    assert_eq!(code(verifier.finish()), "BadDigest");
}

#[test]
fn a_body_of_another_length_is_incomplete() {
    let verifier = Verifier::new(put(|_| ()).unwrap(), true);
    assert_eq!(code(verifier.finish()), "IncompleteBody");
    let mut verifier = Verifier::new(put(|_| ()).unwrap(), true);
    assert_eq!(code(verifier.update(b"too long")), "IncompleteBody");
}

#[test]
fn announcements_that_cannot_be_are_refused() {
    let announced = |change: fn(&mut S3Request<PutObjectInput>)| code(put(change));
    assert_eq!(
        announced(|r| r.input.content_md5 = Some("AAAA".into())),
        "InvalidDigest"
    );
    assert_eq!(
        announced(|r| r.input.content_md5 = Some("?".into())),
        "InvalidDigest"
    );
    assert_eq!(
        announced(|r| r.input.checksum_crc32 = Some("AAAA".into())),
        "InvalidRequest"
    );
    assert_eq!(
        announced(|r| r.input.content_length = Some(-1)),
        "InvalidArgument"
    );
    assert_eq!(
        announced(|r| r.input.content_length = Some((5 << 30) + 1)),
        "EntityTooLarge"
    );
    assert_eq!(
        announced(|r| r.input.checksum_md5 = Some("x".into())),
        "NotImplemented"
    );
    let trailer = |value: &'static str| {
        code(put(|r| {
            r.headers
                .insert("x-amz-trailer", http::HeaderValue::from_static(value));
        }))
    };
    // Promised, and the request is not of a kind that has trailers.
    assert_eq!(trailer("x-amz-checksum-crc32"), "MalformedTrailerError");
    assert_eq!(trailer("x-amz-checksum-sha512"), "NotImplemented");
    assert_eq!(
        trailer("x-amz-checksum-crc32, x-amz-checksum-sha1"),
        "InvalidRequest"
    );
    assert_eq!(trailer("x-amz-meta-colour"), "");
    let sha1 = || Some(BASE64_STANDARD.encode([0; 20]));
    assert_eq!(
        code(put(|r| {
            r.input.checksum_algorithm = Some(Algorithm::Crc32.dto());
            r.input.checksum_sha1 = sha1();
        })),
        "InvalidRequest"
    );
}

fn in_pieces(bytes: &[u8], piece: usize) -> StreamingBlob {
    let chunks: Vec<_> = bytes
        .chunks(piece)
        .map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c)))
        .collect();
    StreamingBlob::wrap(futures::stream::iter(chunks))
}

#[tokio::test]
async fn a_body_hashed_beside_equals_one_hashed_in_place() {
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 253) as u8).collect();
    for (length, piece) in [
        (0, 1),
        (1, 1),
        (131_072, 4096),
        (131_073, 131_073),
        (1_000_003, 70_001),
    ] {
        let bytes = &bytes[..length];
        let expected = Expectations::default().or_compute(Some(Algorithm::Sha256));
        let mut body = VerifiedBody::new(Some(in_pieces(bytes, piece)), expected, true);
        let mut seen = Vec::new();
        while let Some(chunk) = body.next().await {
            assert!(body.digests().is_none());
            seen.extend_from_slice(&chunk.unwrap());
        }
        assert!(seen == bytes);
        let digests = body.digests().unwrap();
        assert_eq!(digests.length, length as u64);
        assert_eq!(digests.md5, Some(Md5::digest(bytes).into()));
        let sha = Checksum::full(Algorithm::Sha256, &of(Algorithm::Sha256, bytes));
        assert_eq!(digests.checksum, Some(sha));
        assert!(body.next().await.is_none());
    }
}

#[tokio::test]
async fn a_bad_body_ends_with_the_error_and_without_digests() {
    let bytes = vec![1; 400_000];
    let expected = Expectations {
        content_md5: Some([0; 16]),
        ..Default::default()
    };
    let mut body = VerifiedBody::new(Some(in_pieces(&bytes, 50_000)), expected, false);
    let mut seen = 0;
    let error = loop {
        match body.next().await {
            Some(Ok(chunk)) => seen += chunk.len(),
            Some(Err(error)) => break body::error(error),
            None => panic!("a wrong digest went unseen"),
        }
    };
    assert_eq!((seen, error.code().as_str()), (400_000, "BadDigest"));
    assert!(body.digests().is_none());
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn the_end_is_told_before_the_stream_ends() {
    let told = std::sync::Arc::new(std::sync::OnceLock::new());
    let slot = std::sync::Arc::clone(&told);
    let body = VerifiedBody::new(
        Some(in_pieces(&[7; 300_000], 1000)),
        Expectations::default(),
        true,
    );
    let blob = body.into_blob(move |digests| {
        let _ = slot.set(digests.length);
    });
    let all = blob
        .try_fold(0, |n, chunk| async move { Ok(n + chunk.len()) })
        .await
        .unwrap();
    assert_eq!((all, told.get()), (300_000, Some(&300_000)));
}

#[tokio::test]
async fn a_body_of_known_length_says_so() {
    let body = VerifiedBody::new(
        Some(StreamingBlob::from_bytes(Bytes::from_static(b"12345"))),
        Expectations::default(),
        true,
    );
    assert_eq!(body.into_blob(|_| ()).remaining_length().exact(), Some(5));
}
