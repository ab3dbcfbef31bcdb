use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, request};

pub async fn tags_are_set_replaced_and_removed<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut input = subject.put_input("k", "v");
    input.tagging = Some("a=1&b=sp%20ace".into());
    let etag = subject.put_with(input).await.unwrap().e_tag;

    let get = || {
        let input = GetObjectTaggingInput::builder()
            .bucket(subject.bucket.clone())
            .key("k".to_owned())
            .build()
            .unwrap();
        subject.store.get_object_tagging(request(input))
    };
    let pairs = |tags: Vec<Tag>| -> Vec<(String, String)> {
        tags.into_iter()
            .map(|t| (t.key.unwrap(), t.value.unwrap()))
            .collect()
    };
    let owned = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let set = pairs(get().await.unwrap().output.tag_set);
    assert_eq!(set, [owned("a", "1"), owned("b", "sp ace")]);

    let put = |key: &str, set: &[(&str, &str)]| {
        let tag_set = set
            .iter()
            .map(|(k, v)| Tag {
                key: Some((*k).to_owned()),
                value: Some((*v).to_owned()),
            })
            .collect();
        let input = PutObjectTaggingInput::builder()
            .bucket(subject.bucket.clone())
            .key(key.to_owned())
            .tagging(Tagging { tag_set })
            .build()
            .unwrap();
        subject.store.put_object_tagging(request(input))
    };
    put("k", &[("ü", "&=+")]).await.unwrap();
    assert_eq!(
        pairs(get().await.unwrap().output.tag_set),
        [owned("ü", "&=+")]
    );
    assert_eq!(
        code(put("k", &[("a", "1"), ("a", "2")]).await),
        "InvalidTag"
    );
    assert_eq!(code(put("none", &[("a", "1")]).await), "NoSuchKey");

    let input = DeleteObjectTaggingInput::builder()
        .bucket(subject.bucket.clone())
        .key("k".to_owned())
        .build()
        .unwrap();
    subject
        .store
        .delete_object_tagging(request(input))
        .await
        .unwrap();
    assert!(get().await.unwrap().output.tag_set.is_empty());
    let head = subject.head("k").await.unwrap();
    assert_eq!((head.e_tag, head.tag_count), (etag, None));
    assert_eq!(subject.get("k").await.unwrap(), b"v");
}
