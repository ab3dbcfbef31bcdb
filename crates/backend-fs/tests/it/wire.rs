//! The local store behind the protocol layer, asked in bytes: what only shows on the wire.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use strongroom_backend::checksum::{Algorithm, Hasher};
use strongroom_backend_fs::LocalStore;

use crate::contract::options;

const ACCESS_KEY: &str = "access";
const SECRET_KEY: &str = "secret";

struct Server {
    service: S3Service,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// The code of an error.
    fn code(&self) -> &str {
        let rest = self.body.split("<Code>").nth(1).unwrap_or_default();
        rest.split("</Code>").next().unwrap_or_default()
    }
}

impl Server {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path(), options()).unwrap();
        store.create_bucket("bucket").await.unwrap();
        let mut builder = S3ServiceBuilder::new(store);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        Self {
            service: builder.build(),
            _folder: folder,
        }
    }

    /// Sends a request of `payload`, the value of `x-amz-content-sha256`, signed with all its headers.
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        payload: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Answer {
        let date = jiff::Timestamp::now()
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let body = body.into();
        let length = body.len().to_string();
        let mut all = vec![
            ("content-length", length.as_str()),
            ("host", "localhost"),
            ("x-amz-content-sha256", payload),
            ("x-amz-date", date.as_str()),
        ];
        all.extend_from_slice(headers);
        all.sort_unstable();
        let signature = sign(method, path, &all, payload, &date);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"));
        for (name, value) in all {
            request = request.header(name, value);
        }
        let request = request
            .header("authorization", signature)
            .body(Body::from(body))
            .unwrap();
        let answer = self.service.call(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn plain(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Answer {
        self.send(method, path, headers, "UNSIGNED-PAYLOAD", body)
            .await
    }

    /// A PUT whose checksum comes after the body, as most SDKs send it over TLS.
    async fn put_with_trailer(&self, path: &str, bytes: &str, trailer: &str) -> Answer {
        let body = format!("{:x}\r\n{bytes}\r\n0\r\n{trailer}\r\n", bytes.len());
        let decoded = bytes.len().to_string();
        let headers = [
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", decoded.as_str()),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        self.send(
            "PUT",
            path,
            &headers,
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            body,
        )
        .await
    }
}

/// AWS Signature Version 4 with the headers as given (sorted) and without a chunk chain.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
fn sign(method: &str, path: &str, headers: &[(&str, &str)], payload: &str, date: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query = if query.is_empty() || query.contains('=') {
        query.to_owned()
    } else {
        format!("{query}=")
    };
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
    let hashed = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let day = &date[..8];
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
    let mac = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
            .as_ref()
            .to_vec()
    };
    let key = [day, "us-east-1", "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, text| {
            mac(&key, text)
        });
    let signature = hex::encode(mac(&key, &to_sign));
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
}

fn crc32(bytes: &str) -> String {
    let mut hasher = Hasher::new(Algorithm::Crc32);
    hasher.update(bytes.as_bytes());
    BASE64_STANDARD.encode(hasher.finish())
}

#[tokio::test]
async fn lesson_43_a_checksum_in_the_trailer_is_verified_before_the_commit() {
    let server = Server::new().await;
    let trailer = |bytes| format!("x-amz-checksum-crc32:{}\r\n", crc32(bytes));
    let wrong = server
        .put_with_trailer("/bucket/k", "hello", &trailer("other"))
        .await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (400, "BadDigest"));
    let unreadable = server
        .put_with_trailer("/bucket/k", "hello", "x-amz-checksum-crc32:?\r\n")
        .await;
    assert_eq!(
        (unreadable.status.as_u16(), unreadable.code()),
        (400, "InvalidRequest")
    );
    let missing = server
        .put_with_trailer("/bucket/k", "hello", "x-amz-meta-other:1\r\n")
        .await;
    assert_eq!(
        (missing.status.as_u16(), missing.code()),
        (400, "MalformedTrailerError")
    );
    assert_eq!(server.plain("HEAD", "/bucket/k", &[], "").await.status, 404);

    let right = server
        .put_with_trailer("/bucket/k", "hello", &trailer("hello"))
        .await;
    assert_eq!(right.status, 200, "{}", right.body);
    assert_eq!(right.headers["x-amz-checksum-crc32"], crc32("hello"));
    assert_eq!(right.headers["x-amz-checksum-type"], "FULL_OBJECT");
    let got = server
        .plain(
            "GET",
            "/bucket/k",
            &[("x-amz-checksum-mode", "ENABLED")],
            "",
        )
        .await;
    assert_eq!(got.body, "hello");
    assert_eq!(got.headers["x-amz-checksum-crc32"], crc32("hello"));
    assert_eq!(got.headers["content-length"], "5");
    assert!(!got.headers.contains_key("content-encoding"), "lesson 41");
}

#[tokio::test]
async fn a_payload_that_is_not_the_signed_one_stores_nothing() {
    let server = Server::new().await;
    let other = hex::encode(digest::digest(&digest::SHA256, b"other"));
    let answer = server.send("PUT", "/bucket/k", &[], &other, "hello").await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (400, "XAmzContentSHA256Mismatch")
    );
    assert_eq!(server.plain("HEAD", "/bucket/k", &[], "").await.status, 404);
}

#[tokio::test]
async fn encryption_headers_are_refused_where_nothing_encrypts() {
    let server = Server::new().await;
    let key = BASE64_STANDARD.encode([7; 32]);
    for headers in [
        &[("x-amz-server-side-encryption", "AES256")][..],
        &[("x-amz-server-side-encryption", "aws:kms")],
        &[("x-amz-server-side-encryption-bucket-key-enabled", "true")],
        &[("x-amz-server-side-encryption-customer-algorithm", "AES256")],
        &[("x-amz-server-side-encryption-customer-key", &key)],
    ] {
        let put = server.plain("PUT", "/bucket/k", headers, "hello").await;
        assert_eq!(
            (put.status.as_u16(), put.code()),
            (501, "NotImplemented"),
            "{headers:?}"
        );
        let create = server.plain("POST", "/bucket/k?uploads", headers, "").await;
        assert_eq!(create.status, 501, "{headers:?}");
    }
    assert_eq!(server.plain("HEAD", "/bucket/k", &[], "").await.status, 404);
}

#[tokio::test]
async fn lesson_21_internal_headers_are_refused() {
    let server = Server::new().await;
    for name in [
        "x-minio-internal-server-side-encryption-iv",
        "x-amz-meta-x-minio-internal-a",
    ] {
        let put = server
            .plain("PUT", "/bucket/k", &[(name, "x")], "hello")
            .await;
        assert_eq!(
            (put.status.as_u16(), put.code()),
            (400, "InvalidArgument"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_range_is_a_206_and_an_unchanged_object_a_304() {
    let server = Server::new().await;
    server
        .plain("PUT", "/bucket/a%20b", &[], "0123456789")
        .await;
    let part = server
        .plain("GET", "/bucket/a%20b", &[("range", "bytes=2-4")], "")
        .await;
    assert_eq!((part.status.as_u16(), part.body.as_str()), (206, "234"));
    assert_eq!(part.headers["content-range"], "bytes 2-4/10");
    let outside = server
        .plain("GET", "/bucket/a%20b", &[("range", "bytes=10-")], "")
        .await;
    assert_eq!(
        (outside.status.as_u16(), outside.code()),
        (416, "InvalidRange")
    );
    assert_eq!(outside.headers["content-range"], "bytes */10");
    let etag = part.headers["etag"].to_str().unwrap().to_owned();
    let same = server
        .plain("GET", "/bucket/a%20b", &[("if-none-match", &etag)], "")
        .await;
    assert_eq!((same.status.as_u16(), same.body.as_str()), (304, ""));
    assert_eq!(same.headers["etag"], etag.as_str());
    let head = server
        .plain("HEAD", "/bucket/a%20b", &[("range", "bytes=-1")], "")
        .await;
    // The protocol layer keeps 200 for every HEAD; clients go by the headers.
    assert!(head.status.is_success());
    assert_eq!(head.headers["content-length"], "1");
    assert_eq!(head.headers["content-range"], "bytes 9-9/10");
}

#[tokio::test]
async fn names_in_paths_reach_the_store_as_they_are() {
    let server = Server::new().await;
    for (n, key) in ["a//b", "../x", "./x", "dir/", "%E4%BD%A0", "a%2Bb", "/lead"]
        .iter()
        .enumerate()
    {
        let body: &'static str = ["0", "1", "2", "3", "4", "5", "6"][n];
        let path = format!("/bucket/{key}");
        let put = server.plain("PUT", &path, &[], body).await;
        assert_eq!(put.status, 200, "{key}: {}", put.body);
        assert_eq!(
            server.plain("GET", &path, &[], "").await.body,
            body,
            "{key}"
        );
    }
}

#[tokio::test]
async fn deletes_and_locations_have_the_form_that_clients_parse() {
    let server = Server::new().await;
    let location = server.plain("GET", "/bucket?location", &[], "").await;
    assert_eq!(location.status, 200);
    assert!(
        location.body.contains("LocationConstraint"),
        "{}",
        location.body
    );
    assert!(
        !location.body.contains("GetBucketLocationOutput"),
        "{}",
        location.body
    );
    server.plain("PUT", "/bucket/a", &[], "1").await;
    let body = "<Delete><Object><Key>a</Key><ETag>*</ETag></Object>\
                <Object><Key>none</Key><ETag>*</ETag></Object></Delete>";
    let md5 = {
        use md5::Digest as _;
        BASE64_STANDARD.encode(md5::Md5::digest(body))
    };
    let deleted = server
        .plain("POST", "/bucket?delete", &[("content-md5", &md5)], body)
        .await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    assert!(
        deleted.body.contains("<Deleted><Key>a</Key></Deleted>"),
        "{}",
        deleted.body
    );
    assert_eq!(deleted.code(), "NoSuchKey", "{}", deleted.body);
}
