use bytes::Bytes;
use strongroom_backend::object::OpenObject;
use strongroom_backend::put::Precondition;
use strongroom_backend::upload::UploadId;

use super::harness::*;
use crate::uploads_list::{ListUploadsQuery, UploadItem};

#[tokio::test]
async fn chosen_attempts_and_a_footer_become_the_object_and_no_byte_moves() {
    let f = Fixture::new().await;
    let upload = begin_upload(&f.store, "k").await;
    let (a, b, c) = (pattern(70_000, 1), pattern(10, 2), pattern(5_000, 3));
    let second = put_part(&f.store, "k", &upload, 5, &b).await;
    let stale = put_part(&f.store, "k", &upload, 1, &c).await;
    let first = put_part(&f.store, "k", &upload, 1, &a).await;
    let empty = put_part(&f.store, "k", &upload, 9, b"").await;
    let listed = f.store.part_attempts(&at("k"), &upload).await.unwrap();
    let names = |list: &[&strongroom_backend::upload::PartAttempt]| -> Vec<String> {
        list.iter().map(|attempt| attempt.attempt.clone()).collect()
    };
    assert_eq!(
        names(&listed.iter().collect::<Vec<_>>()),
        names(&[&stale, &first, &second, &empty])
    );
    assert_eq!(
        f.store.upload(&at("k"), &upload).await.unwrap().new.record,
        "notes"
    );

    let mut complete = complete_of("k", &upload, &[&first, &second, &empty]);
    complete.footer = Bytes::from_static(b"footer");
    f.store.complete_upload(complete.clone()).await.unwrap();

    let whole = [a, b, b"footer".to_vec()].concat();
    assert_eq!(get(&f.store, "k").await.unwrap(), whole);
    let object = f.store.open_object(&at("k")).await.unwrap();
    assert_eq!(
        read(&object, 69_999, 70_015).await.unwrap(),
        whole[69_999..70_015]
    );
    let parts: Vec<_> = object
        .stat()
        .parts
        .iter()
        .map(|part| (part.number, part.stored_length))
        .collect();
    assert_eq!(parts, [(1, 70_000), (5, 10), (9, 0)]);
    assert_eq!(object.stat().upload_id.as_ref(), Some(&upload.0));
    f.data_files_become(2).await; // the attempt that was not chosen is gone
    assert_eq!(
        code(f.store.complete_upload(complete).await.unwrap_err()),
        "NoSuchUpload"
    );
    assert_eq!(
        code(f.store.abort_upload(&at("k"), &upload).await.unwrap_err()),
        "NoSuchUpload"
    );
    let late = f.store.put_part(part_of("k", &upload, 2, b"late")).await;
    assert_eq!(code(late.unwrap_err()), "NoSuchUpload");
    f.data_files_become(2).await;
}

#[tokio::test]
async fn many_parts_and_a_large_footer_lie_outside_the_root() {
    let f = Fixture::new().await;
    let upload = begin_upload(&f.store, "k").await;
    let mut attempts = Vec::new();
    for number in 1..=200 {
        attempts.push(put_part(&f.store, "k", &upload, number * 3, &number.to_le_bytes()).await);
    }
    let mut complete = complete_of("k", &upload, &attempts.iter().collect::<Vec<_>>());
    complete.footer = Bytes::from(pattern(40_000, 4));
    let stored = f.store.complete_upload(complete).await.unwrap();
    assert_eq!(f.data_files(), 200 + 1 + 1, "parts, footer, page");
    let mut whole: Vec<u8> = (1..=200_u32).flat_map(u32::to_le_bytes).collect();
    whole.extend(pattern(40_000, 4));
    assert_eq!(get(&f.store, "k").await.unwrap(), whole);
    let object = f.store.open_object(&at("k")).await.unwrap();
    assert_eq!(object.stat().parts.len(), 200);
    assert_eq!(read(&object, 399, 805).await.unwrap(), whole[399..805]);
    assert_eq!(f.store.sweep().await.unwrap().removed, 0);
    let change = strongroom_backend::object::EnvelopeChange {
        touch: true,
        ..Default::default()
    };
    f.store
        .replace_envelope(&at("k"), &stored.generation, change)
        .await
        .unwrap();
    assert_eq!(get(&f.store, "k").await.unwrap(), whole);
    f.store.delete(&at("k"), Precondition::None).await.unwrap();
    assert_eq!(f.data_files(), 202, "held open");
    drop(object);
    for _ in 0..100 {
        if f.data_files() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("data files stay");
}

#[tokio::test]
async fn attempts_of_other_uploads_and_twice_the_same_are_no_parts() {
    let f = Fixture::new().await;
    let (mine, other) = (
        begin_upload(&f.store, "k").await,
        begin_upload(&f.store, "k").await,
    );
    let part = put_part(&f.store, "k", &mine, 1, b"mine").await;
    let stranger = put_part(&f.store, "k", &other, 1, b"other").await;
    let mut outside = part.clone();
    outside.attempt = format!("../{}/{}", other.0, stranger.attempt);
    for bad in [[&stranger].as_slice(), &[&part, &part], &[&outside]] {
        let refused = f.store.complete_upload(complete_of("k", &mine, bad)).await;
        assert_eq!(code(refused.unwrap_err()), "InvalidPart");
    }
    for id in [
        "",
        "..",
        "nonsense",
        &"A".repeat(32),
        &mine.0.to_uppercase(),
    ] {
        let upload = f.store.upload(&at("k"), &UploadId(id.to_owned())).await;
        assert_eq!(code(upload.unwrap_err()), "NoSuchUpload", "{id}");
    }
    assert_eq!(
        code(f.store.upload(&at("j"), &mine).await.unwrap_err()),
        "NoSuchUpload"
    );
    f.store
        .complete_upload(complete_of("k", &mine, &[&part]))
        .await
        .unwrap();
    assert_eq!(get(&f.store, "k").await.unwrap(), b"mine");
}

#[tokio::test]
async fn a_refused_complete_leaves_the_upload_as_it_was() {
    let f = Fixture::new().await;
    put(&f.store, "k", b"old").await;
    let upload = begin_upload(&f.store, "k").await;
    let part = put_part(&f.store, "k", &upload, 1, b"new").await;
    let mut refused = complete_of("k", &upload, &[&part]);
    refused.precondition = Precondition::Absent;
    let error = f.store.complete_upload(refused.clone()).await.unwrap_err();
    assert_eq!(code(error), "PreconditionFailed");
    assert_eq!(get(&f.store, "k").await.unwrap(), b"old");
    refused.precondition = Precondition::None;
    f.store.complete_upload(refused).await.unwrap();
    assert_eq!(get(&f.store, "k").await.unwrap(), b"new");
}

#[tokio::test]
async fn lesson_49_attempts_of_one_part_resolve_to_one_that_was_chosen() {
    let f = Fixture::new().await;
    let upload = begin_upload(&f.store, "k").await;
    let uploads: Vec<_> = (0..8_u8)
        .map(|seed| {
            let (store, upload) = (f.store.clone(), upload.clone());
            tokio::spawn(
                async move { put_part(&store, "k", &upload, 1, &pattern(90_000, seed)).await },
            )
        })
        .collect();
    let mut attempts = Vec::new();
    for task in uploads {
        attempts.push(task.await.unwrap());
    }
    f.store
        .complete_upload(complete_of("k", &upload, &[&attempts[3]]))
        .await
        .unwrap();
    assert_eq!(get(&f.store, "k").await.unwrap(), pattern(90_000, 3));
    f.data_files_become(1).await;
}

#[tokio::test]
async fn an_aborted_upload_is_gone_with_its_parts() {
    let f = Fixture::new().await;
    let upload = begin_upload(&f.store, "k").await;
    put_part(&f.store, "k", &upload, 1, &pattern(90_000, 0)).await;
    f.store.abort_upload(&at("k"), &upload).await.unwrap();
    f.data_files_become(0).await;
    assert_eq!(
        code(f.store.abort_upload(&at("k"), &upload).await.unwrap_err()),
        "NoSuchUpload"
    );
    assert_eq!(
        code(f.store.part_attempts(&at("k"), &upload).await.unwrap_err()),
        "NoSuchUpload"
    );
}

#[tokio::test]
async fn parts_that_fail_leave_no_trace() {
    let f = Fixture::new().await;
    let upload = begin_upload(&f.store, "k").await;
    let mut broken = part_of("k", &upload, 1, &pattern(500_000, 0));
    broken.body = failing(&pattern(400_000, 0));
    assert_eq!(
        code(f.store.put_part(broken).await.unwrap_err()),
        "IncompleteBody"
    );
    for number in [0, 10_001] {
        let refused = f.store.put_part(part_of("k", &upload, number, b"x")).await;
        assert_eq!(code(refused.unwrap_err()), "InvalidArgument");
    }
    f.data_files_become(0).await;
    assert!(
        f.store
            .part_attempts(&at("k"), &upload)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn uploads_are_listed_by_key_and_beginning() {
    let f = Fixture::new().await;
    let mut begun = Vec::new();
    for key in ["b", "a/1", "a/1", "a/2", "c"] {
        let upload = begin_upload(&f.store, key).await;
        begun.push((key, upload.0));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    begun.sort();
    let show = |items: &[UploadItem]| -> Vec<(String, String)> {
        items
            .iter()
            .map(|item| match item {
                UploadItem::Prefix(prefix) => (prefix.clone(), String::new()),
                UploadItem::Upload(id, upload) => (upload.new.at.key.clone(), id.0.clone()),
            })
            .collect()
    };
    let mut query = ListUploadsQuery {
        bucket: BUCKET.to_owned(),
        max: 1000,
        ..Default::default()
    };
    let all = show(&f.store.list_uploads(&query).await.unwrap().items);
    let expected: Vec<_> = begun
        .iter()
        .map(|(key, id)| ((*key).to_owned(), id.clone()))
        .collect();
    assert_eq!(all, expected);
    query.max = 1;
    let mut paged = Vec::new();
    loop {
        let page = f.store.list_uploads(&query).await.unwrap();
        paged.extend(show(&page.items));
        if !page.truncated {
            break;
        }
        let (key, id) = paged.last().unwrap().clone();
        query.after = Some((key, Some(id)));
    }
    assert_eq!(paged, expected);
    query = ListUploadsQuery {
        delimiter: Some("/".to_owned()),
        max: 1000,
        ..query
    };
    query.after = None;
    let rolled: Vec<_> = show(&f.store.list_uploads(&query).await.unwrap().items)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(rolled, ["a/", "b", "c"]);
    query = ListUploadsQuery {
        prefix: "a/2".to_owned(),
        delimiter: None,
        ..query
    };
    assert_eq!(f.store.list_uploads(&query).await.unwrap().items.len(), 1);
}
