//! A store that was written with encryption and is served without it.

use bytes::Bytes;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Result};
use strongroom_backend::Backend as _;
use strongroom_backend::object::{Location, ObjectHeaders};
use strongroom_backend::put::{Finish, FinishSlot, Precondition, Put};
use strongroom_backend_fs::LocalStore;

use crate::contract::options;

fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::from_static("/"),
        headers: http::HeaderMap::new(),
        extensions: http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

fn code<T>(result: S3Result<T>) -> String {
    result
        .err()
        .map(|error| error.code().as_str().to_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn ciphertext_is_never_served_as_the_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path(), options()).unwrap();
    store.create_bucket("bucket").await.unwrap();
    let put = Put {
        at: Location::new("bucket", "k"),
        headers: ObjectHeaders::default(),
        body: StreamingBlob::from_bytes(Bytes::from_static(b"ciphertext")),
        stored_length: Some(10),
        envelope: Some(Bytes::from_static(b"envelope")),
        finish: FinishSlot::filled(Finish {
            etag: "e-1".into(),
            ..Default::default()
        }),
        precondition: Precondition::None,
    };
    store.put(put).await.unwrap();

    let (bucket, key) = ("bucket".to_owned(), "k".to_owned());
    let get = GetObjectInput {
        bucket: bucket.clone(),
        key: key.clone(),
        ..Default::default()
    };
    assert_eq!(code(store.get_object(request(get)).await), "NotImplemented");
    let head = HeadObjectInput {
        bucket: bucket.clone(),
        key: key.clone(),
        ..Default::default()
    };
    assert_eq!(
        code(store.head_object(request(head)).await),
        "NotImplemented"
    );
    let source = CopySource::parse("bucket/k").unwrap();
    let copy = CopyObjectInput::builder()
        .bucket(bucket.clone())
        .key("copy".to_owned())
        .copy_source(source)
        .build()
        .unwrap();
    assert_eq!(
        code(store.copy_object(request(copy)).await),
        "NotImplemented"
    );

    // Tags lie beside the envelope, and leave it as it is.
    let tag = Tag {
        key: Some("a".to_owned()),
        value: Some("1".to_owned()),
    };
    let tagging = PutObjectTaggingInput::builder()
        .bucket(bucket)
        .key(key)
        .tagging(Tagging { tag_set: vec![tag] })
        .build()
        .unwrap();
    store.put_object_tagging(request(tagging)).await.unwrap();
    let object = store.open(&Location::new("bucket", "k")).await.unwrap();
    assert_eq!(object.stat().envelope.as_deref(), Some(&b"envelope"[..]));
    assert_eq!(object.stat().headers.tagging.as_deref(), Some("a=1"));
}
