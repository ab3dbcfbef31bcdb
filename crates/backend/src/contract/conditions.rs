use futures::future::join_all;
use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, request};
use crate::condition::strong;

fn tag(etag: &ETag) -> Option<ETagCondition> {
    Some(ETagCondition::ETag(etag.clone()))
}

pub async fn reads_obey_conditions<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let etag = subject.put("k", "v").await.e_tag.unwrap();
    let modified = subject.head("k").await.unwrap().last_modified.unwrap();
    let get = |change: fn(&mut GetObjectInput, ETag, Timestamp), etag: &ETag| {
        let mut input = subject.get_input("k");
        change(&mut input, etag.clone(), modified.clone());
        subject.get_with(input)
    };
    let other = strong("0123");
    let matching: fn(&mut GetObjectInput, ETag, Timestamp) = |i, e, _| i.if_match = tag(&e);
    let differing: fn(&mut GetObjectInput, ETag, Timestamp) = |i, e, _| i.if_none_match = tag(&e);
    assert!(get(matching, &etag).await.is_ok());
    assert_eq!(code(get(matching, &other).await), "PreconditionFailed");
    assert_eq!(code(get(differing, &etag).await), "NotModified");
    assert!(get(differing, &other).await.is_ok());
    assert_eq!(
        code(get(|i, _, at| i.if_modified_since = Some(at), &etag).await),
        "NotModified"
    );
    assert!(
        get(|i, _, at| i.if_unmodified_since = Some(at), &etag)
            .await
            .is_ok()
    );
    let long_ago = Timestamp::default();
    let mut input = subject.get_input("k");
    input.if_unmodified_since = Some(long_ago);
    assert_eq!(code(subject.get_with(input).await), "PreconditionFailed");

    let head = HeadObjectInput {
        bucket: subject.bucket.clone(),
        key: "k".to_owned(),
        if_none_match: tag(&etag),
        ..Default::default()
    };
    let error = subject
        .store
        .head_object(request(head))
        .await
        .err()
        .unwrap();
    assert_eq!(error.status_code().map(|s| s.as_u16()), Some(304));
    assert!(
        error
            .headers()
            .is_some_and(|headers| headers.contains_key("etag"))
    );
}

pub async fn writes_obey_conditions<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let put = |if_match, if_none_match, bytes: &'static str| {
        let mut input = subject.put_input("k", bytes);
        input.if_match = if_match;
        input.if_none_match = if_none_match;
        subject.put_with(input)
    };
    assert_eq!(
        code(put(tag(&strong("0123")), None, "0").await),
        "NoSuchKey"
    );
    let first = put(None, Some(ETagCondition::Any), "1")
        .await
        .unwrap()
        .e_tag
        .unwrap();
    assert_eq!(
        code(put(None, Some(ETagCondition::Any), "2").await),
        "PreconditionFailed"
    );
    assert_eq!(
        code(put(tag(&strong("0123")), None, "3").await),
        "PreconditionFailed"
    );
    assert_eq!(
        code(put(None, tag(&strong("0123")), "4").await),
        "NotImplemented"
    );
    assert_eq!(subject.get("k").await.unwrap(), b"1");
    put(tag(&first), None, "5").await.unwrap();
    assert_eq!(
        code(put(tag(&first), None, "6").await),
        "PreconditionFailed"
    );
    assert_eq!(subject.get("k").await.unwrap(), b"5");
    subject.delete("k").await.unwrap();
    put(None, Some(ETagCondition::Any), "7").await.unwrap();
}

pub async fn deletes_obey_conditions<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let etag = subject.put("k", "v").await.e_tag.unwrap();
    let delete = |if_match, if_match_size| {
        let input = DeleteObjectInput {
            bucket: subject.bucket.clone(),
            key: "k".to_owned(),
            if_match,
            if_match_size,
            ..Default::default()
        };
        subject.store.delete_object(request(input))
    };
    assert_eq!(
        code(delete(tag(&strong("0123")), None).await),
        "PreconditionFailed"
    );
    assert_eq!(code(delete(None, Some(2)).await), "PreconditionFailed");
    assert_eq!(subject.get("k").await.unwrap(), b"v");
    delete(tag(&etag), Some(1)).await.unwrap();
    assert_eq!(code(delete(tag(&etag), None).await), "NoSuchKey");
    delete(None, None).await.unwrap();
}

pub async fn of_fifty_creations_exactly_one_wins<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    for round in 0..4 {
        let key = format!("k{round}");
        let attempts = (0..50).map(|n| {
            let mut input = subject.put_input(&key, format!("{n}").repeat(1 + n * 1000));
            input.if_none_match = Some(ETagCondition::Any);
            let store = subject.shared();
            tokio::spawn(async move { (n, store.put_object(request(input)).await) })
        });
        let results = join_all(attempts).await;
        let mut winners = Vec::new();
        for result in results {
            match result.unwrap() {
                (n, Ok(_)) => winners.push(n),
                (_, Err(error)) => assert_eq!(error.code().as_str(), "PreconditionFailed"),
            }
        }
        assert_eq!(winners.len(), 1, "winners: {winners:?}");
        let expected = format!("{}", winners[0])
            .repeat(1 + winners[0] * 1000)
            .into_bytes();
        assert!(subject.get(&key).await.unwrap() == expected);
    }
}
