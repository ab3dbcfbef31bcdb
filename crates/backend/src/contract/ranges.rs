use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, noise, read, request};

pub async fn ranges_are_of_the_visible_bytes<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    // Several sealed packages and hash batches, with a rest.
    let all = noise(300_001);
    subject.put("k", all.clone()).await;
    let size = all.len() as u64;
    let int = |first, last| Range::Int { first, last };
    let cases = [
        (int(0, Some(0)), 0..1),
        (int(0, None), 0..size),
        (int(0, Some(u64::MAX / 2)), 0..size),
        (int(1, Some(65_535)), 1..65_536),
        (int(65_535, Some(65_536)), 65_535..65_537),
        (int(65_536, Some(131_071)), 65_536..131_072),
        (int(200_000, None), 200_000..size),
        (int(size - 1, None), size - 1..size),
        (Range::Suffix { length: 1 }, size - 1..size),
        (Range::Suffix { length: 70_000 }, size - 70_000..size),
        (Range::Suffix { length: size * 2 }, 0..size),
    ];
    for (range, expected) in cases {
        let mut input = subject.get_input("k");
        input.range = Some(range);
        let output = subject.get_with(input).await.unwrap();
        let (start, end) = (expected.start, expected.end);
        assert_eq!(
            output.content_length,
            i64::try_from(end - start).ok(),
            "{range:?}"
        );
        assert_eq!(
            output.content_range,
            Some(format!("bytes {start}-{}/{size}", end - 1))
        );
        let expected = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        assert!(
            read(output.body).await.unwrap() == all[expected],
            "{range:?}"
        );
    }
}

pub async fn ranges_outside_are_not_satisfiable<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("k", "0123456789").await;
    for range in [
        Range::Int {
            first: 10,
            last: None,
        },
        Range::Int {
            first: 10,
            last: Some(20),
        },
        Range::Suffix { length: 0 },
    ] {
        let mut input = subject.get_input("k");
        input.range = Some(range);
        let error = subject.get_with(input).await.err().unwrap();
        assert_eq!(error.code().as_str(), "InvalidRange", "{range:?}");
        assert_eq!(error.status_code().map(|s| s.as_u16()), Some(416));
    }
}

pub async fn an_empty_object_has_no_range<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("k", "").await;
    assert_eq!(subject.get("k").await.unwrap(), b"");
    for range in [
        Range::Int {
            first: 0,
            last: None,
        },
        Range::Suffix { length: 5 },
    ] {
        let mut input = subject.get_input("k");
        input.range = Some(range);
        assert_eq!(
            code(subject.get_with(input).await),
            "InvalidRange",
            "{range:?}"
        );
    }
}

pub async fn a_whole_object_is_its_own_first_part<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("k", "0123456789").await;
    let part = |number, range| {
        let mut input = subject.get_input("k");
        input.part_number = Some(number);
        input.range = range;
        subject.get_with(input)
    };
    let first = part(1, None).await.unwrap();
    assert_eq!(first.content_range.as_deref(), Some("bytes 0-9/10"));
    assert_eq!(first.parts_count, None);
    assert_eq!(read(first.body).await.unwrap(), b"0123456789");
    assert_eq!(code(part(2, None).await), "InvalidPartNumber");
    assert_eq!(code(part(0, None).await), "InvalidArgument");
    let both = part(
        1,
        Some(Range::Int {
            first: 0,
            last: None,
        }),
    )
    .await;
    assert_eq!(code(both), "InvalidRequest");
}

pub async fn answers_take_the_headers_that_the_request_names<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("k", "v").await;
    let mut input = subject.get_input("k");
    input.response_content_type = Some("text/html".into());
    input.response_content_disposition = Some("inline".into());
    input.response_cache_control = Some("no-store".into());
    let output = subject.get_with(input).await.unwrap();
    assert_eq!(output.content_type.as_deref(), Some("text/html"));
    assert_eq!(output.content_disposition.as_deref(), Some("inline"));
    assert_eq!(output.cache_control.as_deref(), Some("no-store"));

    let head = HeadObjectInput {
        bucket: subject.bucket.clone(),
        key: "k".to_owned(),
        response_content_type: Some("text/html".into()),
        range: Some(Range::Int {
            first: 0,
            last: Some(0),
        }),
        ..Default::default()
    };
    let answer = subject.store.head_object(request(head)).await.unwrap();
    assert_eq!(answer.output.content_type.as_deref(), Some("text/html"));
    assert_eq!(answer.output.content_range.as_deref(), Some("bytes 0-0/1"));
    assert_eq!(answer.status.map(|s| s.as_u16()), Some(206));
}
