//! The headers of answers as they are on the wire: each one once, and none missing.

use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};
use strongroom_sse::ConnectionSecurity;

use crate::harness::*;

const SSE: &str = "x-amz-server-side-encryption";
const CUSTOMER: &str = "x-amz-server-side-encryption-customer-";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn send(service: &S3Service, method: &str, path: &str, how: How, body: &str) -> Answer {
    send_with(service, method, path, how, body, &[]).await
}

async fn send_with(
    service: &S3Service,
    method: &str,
    path: &str,
    how: How,
    body: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://localhost/{BUCKET}{path}"))
        .header("host", "localhost")
        .header("content-length", body.len())
        .extension(ConnectionSecurity { tls: true });
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match how {
        How::Nothing => {}
        How::S3 => request = request.header(SSE, "AES256"),
        How::Kms | How::KmsOther => request = request.header(SSE, "aws:kms"),
        How::Customer(secret) => {
            let (algorithm, key, md5) = customer(secret);
            for (name, value) in [("algorithm", algorithm), ("key", key), ("key-md5", md5)] {
                request = request.header(format!("{CUSTOMER}{name}"), value.unwrap());
            }
        }
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let (parts, body) = service.call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

#[track_caller]
fn assert_tells(what: &str, answer: &Answer, how: How) {
    assert!(answer.status.is_success(), "{what}: {}", answer.body);
    for name in answer.headers.keys() {
        let times = answer.headers.get_all(name).iter().count();
        assert_eq!(times, 1, "{what}, {how:?}: {name} is there {times} times");
    }
    let told = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok());
    let expected = match how {
        How::S3 => Some("AES256"),
        How::Kms | How::KmsOther => Some("aws:kms"),
        How::Nothing | How::Customer(_) => None,
    };
    assert_eq!(told(SSE), expected, "{what}, {how:?}");
    let (algorithm, md5) = match how {
        How::Customer(secret) => {
            let (algorithm, _, md5) = customer(secret);
            (algorithm, md5)
        }
        _ => (None, None),
    };
    assert_eq!(
        told(&format!("{CUSTOMER}algorithm")),
        algorithm.as_deref(),
        "{what}, {how:?}"
    );
    assert_eq!(
        told(&format!("{CUSTOMER}key-md5")),
        md5.as_deref(),
        "{what}, {how:?}"
    );
    assert!(
        told(&format!("{CUSTOMER}key")).is_none(),
        "no answer has the key"
    );
}

#[tokio::test]
async fn lesson_38_39_every_answer_tells_the_encryption_and_no_header_twice() {
    let Server {
        sse, folder: _kept, ..
    } = Server::new().await;
    let service = S3ServiceBuilder::new(sse).build();
    for how in [How::Nothing, How::S3, How::Kms, How::Customer(7)] {
        let read = how.to_read();
        for body in ["", "some bytes"] {
            let put = send(&service, "PUT", "/key", how, body).await;
            assert_tells("PutObject", &put, how);
            let got = send(&service, "GET", "/key", read, "").await;
            assert_tells("GetObject", &got, how);
            assert_eq!(got.body, body);
            assert_tells(
                "HeadObject",
                &send(&service, "HEAD", "/key", read, "").await,
                how,
            );
        }
        let source = format!("{BUCKET}/plain");
        send(&service, "PUT", "/plain", How::Nothing, "plain").await;
        let copy = [("x-amz-copy-source", source.as_str())];
        let copied = send_with(&service, "PUT", "/copy", how, "", &copy).await;
        assert_tells("CopyObject", &copied, how);

        let created = send(&service, "POST", "/key?uploads", how, "").await;
        assert_tells("CreateMultipartUpload", &created, how);
        let id = created.body.split("<UploadId>").nth(1).unwrap();
        let id = id.split("</UploadId>").next().unwrap();
        // Parts are sealed as their upload says: only a customer's key is sent again.
        let part = format!("/key?partNumber=1&uploadId={id}");
        let uploaded = send(&service, "PUT", &part, read, "bytes").await;
        assert_tells("UploadPart", &uploaded, how);
        let copied = send_with(&service, "PUT", &part, read, "", &copy).await;
        assert_tells("UploadPartCopy", &copied, how);
        let etag = uploaded.headers["etag"].to_str().unwrap();
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
        );
        let path = format!("/key?uploadId={id}");
        let done = send(&service, "POST", &path, read, &list).await;
        assert_tells("CompleteMultipartUpload", &done, how);
        let got = send(&service, "GET", "/key", read, "").await;
        assert_eq!(got.body, "bytes");
    }
}

/// Damage that shows before the first byte is a 409, which no client repeats, and says nothing of the host.
#[tokio::test]
async fn damage_is_a_409_on_the_wire_and_a_kms_that_is_away_a_503_with_a_time() {
    let server = Server::new().await;
    server.put("key", &[1; 1000], How::Kms).await.unwrap();
    let mut stored = server.stored("key").await;
    stored.bytes[20] ^= 1;
    server
        .plant("key", &stored.bytes, &stored.envelope, &stored.etag)
        .await;
    server.put("away", &[1; 1000], How::KmsOther).await.unwrap();
    let Server {
        sse,
        kms,
        folder: kept,
        ..
    } = server;
    let service = S3ServiceBuilder::new(sse).build();
    let bad = send(&service, "GET", "/key", How::Nothing, "").await;
    assert_eq!(bad.status, StatusCode::CONFLICT);
    assert!(bad.body.contains("<Code>ObjectNotAuthentic</Code>"));
    assert!(!bad.body.contains(&kept.path().display().to_string()));
    kms.fail_with(Some(|key| strongroom_kms::KmsError::Unavailable {
        key: Some(key.into()),
        message: "https://kes.internal:7373 refused".into(),
        source: None,
    }));
    let away = send(&service, "GET", "/away", How::Nothing, "").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(away.headers["retry-after"], "5");
    assert!(!away.body.contains("kes.internal"), "{}", away.body);
}
