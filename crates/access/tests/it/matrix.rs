//! Every way to authenticate, crossed with every class of operation.

use http::{Method, StatusCode};

use crate::server::{ADMITTED, PASSWORD, USER, call, server};
use crate::sign::Draft;

const TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

fn operations() -> Vec<(&'static str, Draft)> {
    let complete = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part></CompleteMultipartUpload>";
    let delete = "<Delete><Object><Key>k</Key></Object></Delete>";
    let upload = [("uploadId", "u")];
    vec![
        ("ListBuckets", Draft::new(Method::GET, "/", &[])),
        ("CreateBucket", Draft::new(Method::PUT, "/bucket", &[])),
        ("DeleteBucket", Draft::new(Method::DELETE, "/bucket", &[])),
        (
            "ListObjectsV2",
            Draft::new(
                Method::GET,
                "/bucket",
                &[("list-type", "2"), ("prefix", "a/")],
            ),
        ),
        ("GetObject", Draft::new(Method::GET, "/bucket/key", &[])),
        ("HeadObject", Draft::new(Method::HEAD, "/bucket/key", &[])),
        (
            "PutObject",
            Draft::new(Method::PUT, "/bucket/key", &[]).body("data"),
        ),
        (
            "CopyObject",
            Draft::new(Method::PUT, "/bucket/key", &[]).header("x-amz-copy-source", "/other/key"),
        ),
        (
            "DeleteObject",
            Draft::new(Method::DELETE, "/bucket/key", &[]),
        ),
        (
            "DeleteObjects",
            Draft::new(Method::POST, "/bucket", &[("delete", "")]).body(delete),
        ),
        (
            "CreateMultipartUpload",
            Draft::new(Method::POST, "/bucket/key", &[("uploads", "")]),
        ),
        (
            "UploadPart",
            Draft::new(
                Method::PUT,
                "/bucket/key",
                &[("partNumber", "1"), ("uploadId", "u")],
            )
            .body("data"),
        ),
        (
            "CompleteMultipartUpload",
            Draft::new(Method::POST, "/bucket/key", &upload).body(complete),
        ),
        (
            "GetBucketEncryption",
            Draft::new(Method::GET, "/bucket", &[("encryption", "")]),
        ),
        (
            "DeleteBucketEncryption",
            Draft::new(Method::DELETE, "/bucket", &[("encryption", "")]),
        ),
        (
            "GetObjectTagging",
            Draft::new(Method::GET, "/bucket/key", &[("tagging", "")]),
        ),
    ]
}

/// How a request is signed, and what each operation then answers.
type Kind = (&'static str, fn(Draft) -> Draft, fn(&str) -> StatusCode);

const ADMIT: fn(&str) -> StatusCode = |_| ADMITTED;
const DENY: fn(&str) -> StatusCode = |_| StatusCode::FORBIDDEN;
/// Version 2 does not cover `?encryption`.
const ADMIT_WHAT_V2_COVERS: fn(&str) -> StatusCode = |operation| {
    if operation.ends_with("BucketEncryption") {
        StatusCode::FORBIDDEN
    } else {
        ADMITTED
    }
};

const KINDS: &[Kind] = &[
    ("anonymous", |d| d, DENY),
    (
        "anonymous with a streaming payload",
        |d| {
            d.header("x-amz-content-sha256", TRAILER)
                .header("x-amz-trailer", "x-amz-checksum-crc32")
                .header("x-amz-decoded-content-length", "0")
        },
        DENY,
    ),
    ("v4", |d| d.sign_v4(USER, PASSWORD), ADMIT),
    (
        "v4 with the wrong password",
        |d| d.sign_v4(USER, "another password"),
        DENY,
    ),
    (
        "v4 of an unknown user",
        |d| d.sign_v4("somebody", PASSWORD),
        DENY,
    ),
    (
        "v4 of nobody",
        |d| d.sign_v4("", ""),
        |_| StatusCode::FORBIDDEN,
    ),
    (
        "v4 with an unsigned x-amz header",
        |d| d.sign_v4(USER, PASSWORD).header("x-amz-meta-a", "b"),
        DENY,
    ),
    (
        "v4 with an unsigned encryption header",
        |d| {
            d.sign_v4(USER, PASSWORD)
                .header("x-amz-server-side-encryption", "AES256")
        },
        DENY,
    ),
    (
        "v4 and a presigned URL",
        |d| {
            d.presign_v4(USER, PASSWORD, 0)
                .header("authorization", "AWS4-HMAC-SHA256 x")
        },
        |_| StatusCode::BAD_REQUEST,
    ),
    ("presigned v4", |d| d.presign_v4(USER, PASSWORD, 0), ADMIT),
    (
        "presigned v4 with the wrong password",
        |d| d.presign_v4(USER, "another password", 0),
        DENY,
    ),
    (
        "presigned v4, expired",
        |d| d.presign_v4(USER, PASSWORD, 3600),
        DENY,
    ),
    (
        "presigned v4 with an unsigned x-amz header",
        |d| {
            d.presign_v4(USER, PASSWORD, 0)
                .header("x-amz-tagging", "a=b")
        },
        DENY,
    ),
    (
        "presigned v4 with a streaming payload",
        |d| {
            d.presign_v4(USER, PASSWORD, 0)
                .header("x-amz-content-sha256", TRAILER)
        },
        |_| StatusCode::NOT_IMPLEMENTED,
    ),
    ("v2", |d| d.sign_v2(USER, PASSWORD), ADMIT_WHAT_V2_COVERS),
    (
        "v2 with the wrong password",
        |d| d.sign_v2(USER, "another password"),
        DENY,
    ),
    (
        "v2 of an unknown user",
        |d| d.sign_v2("somebody", PASSWORD),
        DENY,
    ),
    (
        "v2 with an unsigned x-amz header",
        |d| d.sign_v2(USER, PASSWORD).header("x-amz-meta-a", "b"),
        DENY,
    ),
    (
        "presigned v2",
        |d| d.presign_v2(USER, PASSWORD),
        ADMIT_WHAT_V2_COVERS,
    ),
    (
        "presigned v2 with an unsigned x-amz header",
        |d| d.presign_v2(USER, PASSWORD).header("x-amz-meta-a", "b"),
        DENY,
    ),
    (
        "presigned v2 and an Authorization header",
        |d| {
            d.presign_v2(USER, PASSWORD)
                .header("authorization", "AWS4-HMAC-SHA256 x")
        },
        |_| StatusCode::BAD_REQUEST,
    ),
];

#[tokio::test]
async fn lesson_01_02_03_each_operation_is_admitted_only_with_a_whole_signature() {
    let service = server(true);
    for (kind, sign, expected) in KINDS {
        for (operation, draft) in operations() {
            let (status, body) = call(&service, sign(draft).build()).await;
            assert_eq!(status, expected(operation), "{kind} × {operation}: {body}");
        }
    }
}

#[tokio::test]
async fn v2_is_refused_where_it_is_switched_off() {
    let service = server(false);
    for (operation, draft) in operations() {
        for signed in [
            draft.clone().sign_v2(USER, PASSWORD),
            draft.clone().presign_v2(USER, PASSWORD),
        ] {
            let (status, body) = call(&service, signed.build()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{operation}: {body}");
        }
        let (status, body) = call(&service, draft.sign_v4(USER, PASSWORD).build()).await;
        assert_eq!(status, ADMITTED, "{operation}: {body}");
    }
}

#[tokio::test]
async fn a_v2_url_cannot_be_turned_into_another_operation() {
    let service = server(true);
    for (name, value) in [
        ("encryption", ""),
        ("legal-hold", ""),
        ("attributes", ""),
        ("x-id", "GetObjectAcl"),
        ("metadata", "true"),
    ] {
        let mut draft = Draft::new(Method::GET, "/bucket/key", &[]).presign_v2(USER, PASSWORD);
        draft.query.push((name.into(), value.into()));
        let (status, body) = call(&service, draft.build()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {body}");
        assert!(body.contains("AccessDenied"), "{name}: {body}");
    }
    // Given twice, a sub-resource is not in the string to sign.
    let mut draft = Draft::new(Method::GET, "/bucket/key", &[]).presign_v2(USER, PASSWORD);
    draft.query.extend([
        ("tagging".into(), String::new()),
        ("tagging".into(), String::new()),
    ]);
    let (status, body) = call(&service, draft.build()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_are_told_apart_as_s3_does() {
    let service = server(true);
    let draft = Draft::new(Method::GET, "/bucket/key", &[]);
    let (_, body) = call(
        &service,
        draft.clone().sign_v4("somebody", PASSWORD).build(),
    )
    .await;
    assert!(body.contains("InvalidAccessKeyId"), "{body}");
    let (_, body) = call(&service, draft.sign_v4(USER, "another password").build()).await;
    assert!(body.contains("SignatureDoesNotMatch"), "{body}");
    assert!(!body.contains(PASSWORD), "{body}");
}
