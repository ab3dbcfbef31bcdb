use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, noise, read, request};
use crate::checksum::{Algorithm, Hasher};
use crate::complete::hex;
use crate::condition::strong;

/// The least that a part before the last may have.
const MIN: usize = 5 << 20;

fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

pub async fn parts_become_one_object<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut create = subject.create_input("k");
    create.content_type = Some("video/mp4".into());
    create.metadata = Some([("a".to_owned(), "b".to_owned())].into());
    create.tagging = Some("t=1".into());
    let id = subject.begin(create).await.unwrap();
    assert_eq!(code(subject.get("k").await), "NoSuchKey");
    let all = noise(MIN + MIN + 12_345);
    let slices = [&all[..MIN], &all[MIN..2 * MIN], &all[2 * MIN..]];
    // Parts may come in any order.
    let mut parts = Vec::new();
    for number in [3, 1, 2] {
        let bytes = slices[usize::try_from(number).unwrap() - 1].to_vec();
        parts.push(
            subject
                .part(subject.part_input("k", &id, number, bytes))
                .await
                .unwrap(),
        );
    }
    parts.sort_by_key(|part| part.part_number);
    let done = subject
        .complete(subject.complete_input("k", &id, parts))
        .await
        .unwrap();
    assert_eq!(done.key.as_deref(), Some("k"));
    assert_eq!(done.bucket.as_ref(), Some(&subject.bucket));
    if subject.md5_etags {
        let inner: Vec<u8> = slices.iter().flat_map(|slice| md5(slice)).collect();
        assert_eq!(
            done.e_tag,
            Some(strong(&format!("{}-3", hex(&md5(&inner)))))
        );
    }
    let head = subject.head("k").await.unwrap();
    assert_eq!(head.e_tag, done.e_tag);
    assert_eq!(head.content_length, i64::try_from(all.len()).ok());
    assert_eq!(head.content_type.as_deref(), Some("video/mp4"));
    assert_eq!(head.metadata.unwrap()["a"], "b");
    assert_eq!(head.tag_count, Some(1));
    assert!(subject.get("k").await.unwrap() == all);
    let mut input = subject.get_input("k");
    let (from, to) = (MIN - 3, 2 * MIN + 5);
    input.range = Some(Range::Int {
        first: from as u64,
        last: Some(to as u64 - 1),
    });
    let ranged = subject.get_with(input).await.unwrap();
    assert!(read(ranged.body).await.unwrap() == all[from..to]);
    let page = subject.list(subject.list_input()).await.unwrap();
    let row = &page.contents.unwrap()[0];
    assert_eq!(
        (row.size, &row.e_tag),
        (i64::try_from(all.len()).ok(), &done.e_tag)
    );
}

pub async fn lesson_40_gaps_unaligned_sizes_and_an_empty_last_part_are_legal<S: S3>(
    subject: Subject<S>,
) {
    let subject = subject.with_bucket().await;
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let all = noise(2 * MIN + 70_001);
    let mut parts = Vec::new();
    for (number, bytes) in [
        (1, &all[..MIN + 1]),
        (3, &all[MIN + 1..]),
        (10_000, &all[all.len()..]),
    ] {
        let input = subject.part_input("k", &id, number, bytes.to_vec());
        parts.push(subject.part(input).await.unwrap());
    }
    subject
        .complete(subject.complete_input("k", &id, parts))
        .await
        .unwrap();
    assert!(subject.get("k").await.unwrap() == all);

    let id = subject.begin(subject.create_input("empty")).await.unwrap();
    let only = subject
        .part(subject.part_input("empty", &id, 7, ""))
        .await
        .unwrap();
    subject
        .complete(subject.complete_input("empty", &id, vec![only]))
        .await
        .unwrap();
    assert_eq!(subject.get("empty").await.unwrap(), b"");
    assert_eq!(subject.head("empty").await.unwrap().content_length, Some(0));
}

pub async fn a_part_uploaded_again_is_the_one_that_is_listed<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    subject
        .part(subject.part_input("k", &id, 1, "first"))
        .await
        .unwrap();
    let second = subject
        .part(subject.part_input("k", &id, 1, "second try"))
        .await
        .unwrap();
    let listed = list_parts(&subject, "k", &id, None, None)
        .await
        .parts
        .unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].size, &listed[0].e_tag),
        (Some(10), &second.e_tag)
    );
    subject
        .complete(subject.complete_input("k", &id, vec![second]))
        .await
        .unwrap();
    assert_eq!(subject.get("k").await.unwrap(), b"second try");
}

pub async fn lesson_45_a_repeated_complete_answers_the_same<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let part = subject
        .part(subject.part_input("k", &id, 2, "bytes"))
        .await
        .unwrap();
    let complete = subject.complete_input("k", &id, vec![part.clone()]);
    let first = subject.complete(complete.clone()).await.unwrap();
    let again = subject.complete(complete.clone()).await.unwrap();
    assert_eq!((again.e_tag, again.key), (first.e_tag, first.key));

    let mut other = part;
    other.part_number = Some(1);
    let other = subject.complete_input("k", &id, vec![other]);
    assert_eq!(code(subject.complete(other).await), "NoSuchUpload");
    subject.put("k", "something else").await;
    assert_eq!(code(subject.complete(complete).await), "NoSuchUpload");
    assert_eq!(subject.get("k").await.unwrap(), b"something else");
}

pub async fn an_aborted_upload_is_gone<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let part = subject
        .part(subject.part_input("k", &id, 1, "bytes"))
        .await
        .unwrap();
    subject.abort("k", &id).await.unwrap();
    assert_eq!(code(subject.abort("k", &id).await), "NoSuchUpload");
    let late = subject.part(subject.part_input("k", &id, 2, "late")).await;
    assert_eq!(code(late), "NoSuchUpload");
    let complete = subject.complete_input("k", &id, vec![part]);
    assert_eq!(code(subject.complete(complete).await), "NoSuchUpload");
    assert!(
        list_uploads(&subject, ListMultipartUploadsInput::default())
            .await
            .uploads
            .unwrap_or_default()
            .is_empty()
    );
    assert!(subject.keys().await.is_empty());
}

pub async fn lists_of_parts_that_break_the_rules_are_refused<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let mut parts = Vec::new();
    for number in [1, 2] {
        let input = subject.part_input("k", &id, number, format!("part {number}"));
        parts.push(subject.part(input).await.unwrap());
    }
    let [one, two] = <[_; 2]>::try_from(parts).unwrap();
    let complete =
        |parts: Vec<CompletedPart>| subject.complete(subject.complete_input("k", &id, parts));
    assert_eq!(code(complete(vec![]).await), "MalformedXML");
    assert_eq!(
        code(complete(vec![two.clone(), one.clone()]).await),
        "InvalidPartOrder"
    );
    assert_eq!(
        code(complete(vec![one.clone(), one.clone()]).await),
        "InvalidPartOrder"
    );
    assert_eq!(
        code(complete(vec![one.clone(), two.clone()]).await),
        "EntityTooSmall"
    );
    let missing = CompletedPart {
        part_number: Some(3),
        ..one.clone()
    };
    assert_eq!(code(complete(vec![missing]).await), "InvalidPart");
    let wrong = CompletedPart {
        e_tag: Some(strong("0123")),
        ..one.clone()
    };
    assert_eq!(code(complete(vec![wrong]).await), "InvalidPart");
    let zero = CompletedPart {
        part_number: Some(0),
        ..one.clone()
    };
    assert_eq!(code(complete(vec![zero]).await), "InvalidArgument");
    for number in [0, 10_001] {
        let part = subject
            .part(subject.part_input("k", &id, number, "x"))
            .await;
        assert_eq!(code(part), "InvalidArgument", "part {number}");
    }
    assert_eq!(
        code(subject.part(subject.part_input("k", "none", 1, "x")).await),
        "NoSuchUpload"
    );
    // None of that harmed the upload.
    complete(vec![two]).await.unwrap();
    assert_eq!(subject.get("k").await.unwrap(), b"part 2");
}

async fn list_parts<S: S3>(
    subject: &Subject<S>,
    key: &str,
    upload_id: &str,
    max_parts: Option<i32>,
    part_number_marker: Option<i32>,
) -> ListPartsOutput {
    let input = ListPartsInput {
        bucket: subject.bucket.clone(),
        key: key.to_owned(),
        upload_id: upload_id.to_owned(),
        max_parts,
        part_number_marker,
        ..Default::default()
    };
    subject
        .store
        .list_parts(request(input))
        .await
        .unwrap()
        .output
}

async fn list_uploads<S: S3>(
    subject: &Subject<S>,
    input: ListMultipartUploadsInput,
) -> ListMultipartUploadsOutput {
    let input = ListMultipartUploadsInput {
        bucket: subject.bucket.clone(),
        ..input
    };
    subject
        .store
        .list_multipart_uploads(request(input))
        .await
        .unwrap()
        .output
}

pub async fn parts_and_uploads_are_listed_in_pages<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let mut ids = Vec::new();
    for key in ["a", "a", "b/1", "b/2", "c"] {
        ids.push(subject.begin(subject.create_input(key)).await.unwrap());
    }
    for number in [5, 1, 9] {
        let bytes = vec![0; usize::try_from(number).unwrap()];
        subject
            .part(subject.part_input("c", &ids[4], number, bytes))
            .await
            .unwrap();
    }
    let first = list_parts(&subject, "c", &ids[4], Some(2), None).await;
    let shown = |output: &ListPartsOutput| -> Vec<_> {
        let parts = output.parts.iter().flatten();
        parts
            .map(|part| (part.part_number.unwrap(), part.size.unwrap()))
            .collect()
    };
    assert_eq!(shown(&first), [(1, 1), (5, 5)]);
    assert_eq!(first.is_truncated, Some(true));
    let rest = list_parts(&subject, "c", &ids[4], None, first.next_part_number_marker).await;
    assert_eq!(shown(&rest), [(9, 9)]);
    assert_eq!(rest.is_truncated, Some(false));

    let mut told = Vec::new();
    let mut input = ListMultipartUploadsInput {
        max_uploads: Some(2),
        ..Default::default()
    };
    loop {
        let page = list_uploads(&subject, input.clone()).await;
        let uploads = page.uploads.unwrap_or_default();
        assert!(uploads.len() <= 2);
        told.extend(
            uploads
                .into_iter()
                .map(|u| (u.key.unwrap(), u.upload_id.unwrap())),
        );
        if page.is_truncated != Some(true) {
            break;
        }
        input.key_marker = page.next_key_marker;
        input.upload_id_marker = page.next_upload_id_marker;
    }
    let keys: Vec<_> = told.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a", "a", "b/1", "b/2", "c"]);
    let mut told: Vec<_> = told.into_iter().map(|(_, id)| id).collect();
    told.sort();
    ids.sort();
    assert_eq!(told, ids);

    let rolled = ListMultipartUploadsInput {
        delimiter: Some("/".into()),
        ..Default::default()
    };
    let page = list_uploads(&subject, rolled).await;
    let prefixes = page.common_prefixes.unwrap_or_default();
    assert_eq!(prefixes.len(), 1);
    assert_eq!(prefixes[0].prefix.as_deref(), Some("b/"));
    assert_eq!(page.uploads.unwrap().len(), 3);
    let within = ListMultipartUploadsInput {
        prefix: Some("b/".into()),
        ..Default::default()
    };
    assert_eq!(
        list_uploads(&subject, within).await.uploads.unwrap().len(),
        2
    );
}

fn digest(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

pub async fn lesson_48_checksums_of_parts_make_that_of_the_whole<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let all = noise(MIN + 1000);
    let slices = [&all[..MIN], &all[MIN..]];
    for (algorithm, kind) in [
        (Algorithm::Crc64Nvme, None),
        (Algorithm::Crc32, Some("FULL_OBJECT")),
        (Algorithm::Crc32, Some("COMPOSITE")),
        (Algorithm::Sha256, None),
    ] {
        let mut create = subject.create_input("k");
        create.checksum_algorithm = Some(algorithm.dto());
        create.checksum_type = kind.map(ChecksumType::from_static);
        let id = subject.begin(create).await.unwrap();
        let mut parts = Vec::new();
        for (n, slice) in (1..).zip(slices) {
            // The first tells its checksum; the second leaves it to the server.
            let mut input = subject.part_input("k", &id, n, slice.to_vec());
            if n == 1 {
                let value = Some(BASE64_STANDARD.encode(digest(algorithm, slice)));
                match algorithm {
                    Algorithm::Crc64Nvme => input.checksum_crc64nvme = value,
                    Algorithm::Crc32 => input.checksum_crc32 = value,
                    _ => input.checksum_sha256 = value,
                }
            }
            parts.push(subject.part(input).await.unwrap());
        }
        let mut wrong = parts.clone();
        wrong[1] = CompletedPart {
            part_number: Some(2),
            e_tag: wrong[1].e_tag.clone(),
            ..wrong[0].clone()
        };
        let refused = subject
            .complete(subject.complete_input("k", &id, wrong))
            .await;
        assert_eq!(code(refused), "BadDigest", "{algorithm:?}");

        let done = subject
            .complete(subject.complete_input("k", &id, parts))
            .await
            .unwrap();
        let composite = match kind {
            Some(kind) => kind == "COMPOSITE",
            None => algorithm == Algorithm::Sha256,
        };
        let expected = if composite {
            let inner: Vec<u8> = slices.iter().flat_map(|s| digest(algorithm, s)).collect();
            format!("{}-2", BASE64_STANDARD.encode(digest(algorithm, &inner)))
        } else {
            BASE64_STANDARD.encode(digest(algorithm, &all))
        };
        let head = subject.head("k").await.unwrap();
        let told = match algorithm {
            Algorithm::Crc64Nvme => [done.checksum_crc64nvme, head.checksum_crc64nvme],
            Algorithm::Crc32 => [done.checksum_crc32, head.checksum_crc32],
            _ => [done.checksum_sha256, head.checksum_sha256],
        };
        assert_eq!(
            told,
            [Some(expected.clone()), Some(expected)],
            "{algorithm:?} {kind:?}"
        );
        let kind = if composite {
            "COMPOSITE"
        } else {
            "FULL_OBJECT"
        };
        assert_eq!(done.checksum_type.as_ref().map(|t| t.as_str()), Some(kind));
        assert_eq!(head.checksum_type.as_ref().map(|t| t.as_str()), Some(kind));
    }
    let mut create = subject.create_input("k");
    create.checksum_algorithm = Some(Algorithm::Crc64Nvme.dto());
    create.checksum_type = Some(ChecksumType::from_static(ChecksumType::COMPOSITE));
    assert_eq!(code(subject.begin(create).await), "InvalidRequest");
}

pub async fn parts_are_read_by_number<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let all = noise(MIN + 100);
    let mut parts = Vec::new();
    for (number, bytes) in [(1, &all[..MIN]), (4, &all[MIN..])] {
        let input = subject.part_input("k", &id, number, bytes.to_vec());
        parts.push(subject.part(input).await.unwrap());
    }
    subject
        .complete(subject.complete_input("k", &id, parts))
        .await
        .unwrap();
    let mut input = subject.get_input("k");
    input.part_number = Some(4);
    let last = subject.get_with(input.clone()).await.unwrap();
    assert_eq!(last.parts_count, Some(2));
    assert_eq!(last.content_length, Some(100));
    let size = all.len();
    assert_eq!(
        last.content_range,
        Some(format!("bytes {MIN}-{}/{size}", size - 1))
    );
    assert!(read(last.body).await.unwrap() == all[MIN..]);
    input.part_number = Some(5);
    assert_eq!(code(subject.get_with(input).await), "InvalidPartNumber");

    let attributes = GetObjectAttributesInput::builder()
        .bucket(subject.bucket.clone())
        .key("k".to_owned())
        .object_attributes(vec![ObjectAttributes::from_static(
            ObjectAttributes::OBJECT_PARTS,
        )])
        .build()
        .unwrap();
    let answer = subject
        .store
        .get_object_attributes(request(attributes))
        .await
        .unwrap()
        .output;
    let told = answer.object_parts.unwrap();
    assert_eq!(told.total_parts_count, Some(2));
    let told: Vec<_> = told
        .parts
        .unwrap()
        .into_iter()
        .map(|p| (p.part_number, p.size))
        .collect();
    assert_eq!(
        told,
        [(Some(1), i64::try_from(MIN).ok()), (Some(4), Some(100))]
    );
}

pub async fn a_complete_obeys_conditions<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let etag = subject.put("k", "old").await.e_tag.unwrap();
    let id = subject.begin(subject.create_input("k")).await.unwrap();
    let part = subject
        .part(subject.part_input("k", &id, 1, "new"))
        .await
        .unwrap();
    let mut complete = subject.complete_input("k", &id, vec![part]);
    complete.if_none_match = Some(ETagCondition::Any);
    assert_eq!(
        code(subject.complete(complete.clone()).await),
        "PreconditionFailed"
    );
    complete.if_none_match = None;
    complete.if_match = Some(ETagCondition::ETag(strong("0123")));
    assert_eq!(
        code(subject.complete(complete.clone()).await),
        "PreconditionFailed"
    );
    assert_eq!(subject.get("k").await.unwrap(), b"old");
    complete.if_match = Some(ETagCondition::ETag(etag));
    subject.complete(complete).await.unwrap();
    assert_eq!(subject.get("k").await.unwrap(), b"new");
}
