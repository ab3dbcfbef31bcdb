use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, noise, request};
use crate::condition::strong;

async fn source<S: S3>(subject: &Subject<S>) -> (Vec<u8>, ETag) {
    let bytes = noise(150_000);
    let mut input = subject.put_input("from/ä b", bytes.clone());
    input.content_type = Some("image/png".into());
    input.metadata = Some([("a".to_owned(), "1".to_owned())].into());
    input.tagging = Some("t=1".into());
    let etag = subject.put_with(input).await.unwrap().e_tag.unwrap();
    (bytes, etag)
}

pub async fn a_copy_takes_bytes_headers_and_tags<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let (bytes, etag) = source(&subject).await;
    let copy = subject
        .copy(subject.copy_input("from/ä b", "to"))
        .await
        .unwrap();
    let result = copy.copy_object_result.unwrap();
    assert!(result.last_modified.is_some());
    if subject.md5_etags {
        assert_eq!(result.e_tag, Some(etag));
    }
    let head = subject.head("to").await.unwrap();
    assert_eq!(head.e_tag, result.e_tag);
    assert_eq!(head.content_type.as_deref(), Some("image/png"));
    assert_eq!(head.metadata.unwrap()["a"], "1");
    assert_eq!(head.tag_count, Some(1));
    subject.delete("from/ä b").await.unwrap();
    assert!(subject.get("to").await.unwrap() == bytes);
    assert_eq!(
        code(subject.copy(subject.copy_input("none", "x")).await),
        "NoSuchKey"
    );

    subject.put("empty", "").await;
    subject
        .copy(subject.copy_input("empty", "empty too"))
        .await
        .unwrap();
    assert_eq!(subject.get("empty too").await.unwrap(), b"");
}

pub async fn a_copy_replaces_what_its_directives_say<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    source(&subject).await;
    let mut input = subject.copy_input("from/ä b", "to");
    input.metadata_directive = Some(MetadataDirective::from_static(MetadataDirective::REPLACE));
    input.metadata = Some([("b".to_owned(), "2".to_owned())].into());
    input.content_type = Some("text/plain".into());
    input.tagging_directive = Some(TaggingDirective::from_static(TaggingDirective::REPLACE));
    subject.copy(input).await.unwrap();
    let head = subject.head("to").await.unwrap();
    assert_eq!(head.content_type.as_deref(), Some("text/plain"));
    assert_eq!(head.tag_count, None);
    let metadata = head.metadata.unwrap();
    assert_eq!(metadata.len(), 1);
    assert_eq!(metadata["b"], "2");
}

pub async fn a_copy_onto_itself_must_change_something<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let (bytes, etag) = source(&subject).await;
    let mut input = subject.copy_input("from/ä b", "from/ä b");
    assert_eq!(code(subject.copy(input.clone()).await), "InvalidRequest");
    input.metadata_directive = Some(MetadataDirective::from_static(MetadataDirective::REPLACE));
    input.metadata = Some([("c".to_owned(), "3".to_owned())].into());
    let copy = subject.copy(input).await.unwrap();
    if subject.md5_etags {
        assert_eq!(copy.copy_object_result.unwrap().e_tag, Some(etag));
    }
    let head = subject.head("from/ä b").await.unwrap();
    let metadata = head.metadata.unwrap();
    assert_eq!((metadata.len(), metadata["c"].as_str()), (1, "3"));
    assert_eq!(head.tag_count, Some(1));
    assert!(subject.get("from/ä b").await.unwrap() == bytes);
}

pub async fn a_copy_obeys_conditions_on_its_source<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let (_, etag) = source(&subject).await;
    let copy = |change: fn(&mut CopyObjectInput, ETagCondition), etag: ETag| {
        let mut input = subject.copy_input("from/ä b", "to");
        change(&mut input, ETagCondition::ETag(etag));
        subject.copy(input)
    };
    let (other, failed) = (strong("0123"), "PreconditionFailed");
    assert_eq!(
        code(copy(|i, e| i.copy_source_if_match = Some(e), other.clone()).await),
        failed
    );
    assert_eq!(
        code(copy(|i, e| i.copy_source_if_none_match = Some(e), etag.clone()).await),
        failed
    );
    assert_eq!(code(subject.get("to").await), "NoSuchKey");
    copy(|i, e| i.copy_source_if_match = Some(e), etag.clone())
        .await
        .unwrap();
    // The destination is there now.
    let create = copy(|i, _| i.if_none_match = Some(ETagCondition::Any), etag).await;
    assert_eq!(code(create), failed);
}

pub async fn parts_are_copied_by_range<S: S3>(subject: Subject<S>) {
    const MIN: usize = 5 << 20;
    let subject = subject.with_bucket().await;
    let bytes = noise(MIN + 70_000);
    subject.put("source", bytes.clone()).await;
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let copy = |number: i32, range: Option<String>| {
        let mut input = UploadPartCopyInput::builder()
            .bucket(subject.bucket.clone())
            .key("k".to_owned())
            .upload_id(id.clone())
            .part_number(number)
            .copy_source(subject.source("source"))
            .build()
            .unwrap();
        input.copy_source_range = range;
        subject.store.upload_part_copy(request(input))
    };
    let mut parts = Vec::new();
    for (number, range) in [
        (1, Some(format!("bytes=0-{}", MIN - 1))),
        (2, Some("bytes=7-70006".into())),
        (3, None),
    ] {
        let result = copy(number, range)
            .await
            .unwrap()
            .output
            .copy_part_result
            .unwrap();
        parts.push(CompletedPart {
            part_number: Some(number),
            e_tag: result.e_tag,
            ..Default::default()
        });
    }
    assert_eq!(
        code(copy(4, Some(format!("bytes=0-{}", bytes.len()))).await),
        "InvalidRange"
    );
    assert_eq!(
        code(copy(4, Some("bytes=5-".into())).await),
        "InvalidArgument"
    );
    // A small part may only be the last.
    let small = subject
        .complete(subject.complete_input("k", &id, parts.clone()))
        .await;
    assert_eq!(code(small), "EntityTooSmall");
    parts.truncate(2);
    subject
        .complete(subject.complete_input("k", &id, parts))
        .await
        .unwrap();
    let expected = [&bytes[..MIN], &bytes[7..70_007]].concat();
    assert!(subject.get("k").await.unwrap() == expected);
}
