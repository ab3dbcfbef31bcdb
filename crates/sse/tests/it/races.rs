//! What happens at the same time, or is given up in the middle.

use s3s::S3;
use s3s::dto::*;

use crate::harness::*;
use crate::multipart::PART;

/// The copy has seen the old object when the new one is stored: it must not undo that.
#[tokio::test]
async fn a_copy_onto_itself_never_undoes_a_write_that_came_in_between() {
    let server = Server::new().await;
    for (from, to) in [
        // The key is sealed anew; the object is rewritten; a plain object is encrypted.
        (How::Kms, How::KmsOther),
        (How::Customer(7), How::Kms),
        (How::Nothing, How::Kms),
    ] {
        for size in [0, 100_000] {
            server.put("key", &noise(size), from).await.unwrap();
            let gate = server.kms.hold_next();
            let copy = server.copy(("key", from.to_read()), ("key", to));
            let (copied, ()) = tokio::join!(copy, async {
                gate.is_reached().await;
                server
                    .put("key", b"written meanwhile", How::Nothing)
                    .await
                    .unwrap();
                gate.release();
            });
            let refused = copied.unwrap_err();
            assert_eq!(
                refused.code().as_str(),
                "OperationAborted",
                "{from:?} to {to:?}"
            );
            let told = refused
                .status_code()
                .or_else(|| refused.code().status_code());
            assert_eq!(told, Some(http::StatusCode::CONFLICT));
            let got = server.get("key", How::Nothing).await.unwrap();
            assert_eq!(got, b"written meanwhile", "{from:?} to {to:?}");
        }
    }
}

#[tokio::test]
async fn a_copy_onto_itself_that_meets_a_delete_does_not_bring_the_object_back() {
    let server = Server::new().await;
    for to in [How::KmsOther, How::S3] {
        server.put("key", &noise(1000), How::Kms).await.unwrap();
        let gate = server.kms.hold_next();
        let copy = server.copy(("key", How::Nothing), ("key", to));
        let (copied, ()) = tokio::join!(copy, async {
            gate.is_reached().await;
            let delete = DeleteObjectInput {
                bucket: BUCKET.into(),
                key: "key".into(),
                ..Default::default()
            };
            server.sse.delete_object(request(delete)).await.unwrap();
            gate.release();
        });
        assert!(copied.is_err(), "{to:?}");
        assert_eq!(code(server.get("key", How::Nothing).await), "NoSuchKey");
    }
}

#[tokio::test]
async fn a_copy_onto_itself_keeps_to_its_conditions() {
    let server = Server::new().await;
    let etag = server.put("key", b"x", How::Kms).await.unwrap().e_tag;
    let mut input = copy_input(("key", How::Nothing), ("key", How::KmsOther));
    input.if_match = etag.map(ETagCondition::ETag);
    server.copy_with(input.clone()).await.unwrap();
    assert_eq!(server.get("key", How::Nothing).await.unwrap(), b"x");
    server.put("key", b"y", How::Kms).await.unwrap();
    assert_eq!(code(server.copy_with(input).await), "PreconditionFailed");
    assert_eq!(server.get("key", How::Nothing).await.unwrap(), b"y");
}

/// The source stays the one that was looked at.
#[tokio::test]
async fn a_source_that_is_replaced_while_it_is_copied_is_copied_whole() {
    let server = Server::new().await;
    let old = noise(300_000);
    for from in [How::Nothing, How::S3, How::Customer(7)] {
        server.put("from", &old, from).await.unwrap();
        let gate = server.kms.hold_next();
        let copy = server.copy(("from", from.to_read()), ("to", How::Kms));
        let (copied, ()) = tokio::join!(copy, async {
            gate.is_reached().await;
            server
                .put("from", &[1; 300_000], How::Nothing)
                .await
                .unwrap();
            gate.release();
        });
        copied.unwrap();
        assert!(
            server.get("to", How::Nothing).await.unwrap() == old,
            "{from:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writes_that_demand_absence_or_the_same_etag_one_wins() {
    let server = Server::new().await;
    for round in 0..20_u8 {
        let key = format!("{round}");
        let put = |byte: u8, condition: fn(&mut PutObjectInput, Option<ETag>), etag| {
            let mut input = put_input(&key, &[byte; 1000], How::S3);
            condition(&mut input, etag);
            server.put_with(input)
        };
        let absent: fn(&mut PutObjectInput, Option<ETag>) =
            |input, _| input.if_none_match = Some(ETagCondition::Any);
        let (a, b) = tokio::join!(put(1, absent, None), put(2, absent, None));
        assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1);
        let etag = a.or(b).unwrap().e_tag;
        let same: fn(&mut PutObjectInput, Option<ETag>) =
            |input, etag| input.if_match = etag.map(ETagCondition::ETag);
        let (a, b) = tokio::join!(put(3, same, etag.clone()), put(4, same, etag));
        assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1);
        let winner = if a.is_ok() { 3 } else { 4 };
        assert_eq!(
            server.get(&key, How::Nothing).await.unwrap(),
            [winner; 1000]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_45_completes_at_the_same_time_all_have_one_answer() {
    let server = Server::new().await;
    for round in 0..30 {
        for how in [How::S3, How::Customer(7)] {
            let key = format!("{round}");
            let upload = server.begin(&key, how).await;
            let parts = [upload.part(2, b"bytes").await];
            let complete = || {
                let mut input = upload.complete_input(&parts);
                // The first one breaks the others' condition.
                input.if_none_match = (round % 2 == 0).then_some(ETagCondition::Any);
                server.sse.complete_multipart_upload(request(input))
            };
            let (a, b, c) = tokio::join!(complete(), complete(), complete());
            let etags = [a, b, c].map(|done| done.unwrap().output.e_tag.unwrap());
            assert!(etags.iter().all(|etag| *etag == etags[0]));
            assert_eq!(server.get(&key, how.to_read()).await.unwrap(), b"bytes");
            let delete = DeleteObjectInput {
                bucket: BUCKET.into(),
                key,
                ..Default::default()
            };
            server.sse.delete_object(request(delete)).await.unwrap();
        }
    }
}

/// A client that goes away, at whatever point, and asks again gets its object.
#[tokio::test]
async fn lesson_45_a_complete_that_was_given_up_anywhere_can_be_asked_again() {
    let server = Server::new().await;
    let whole = [noise(PART), vec![7; 10]].concat();
    let mut polls = 0;
    loop {
        let upload = server.begin("key", How::Kms).await;
        let parts = [
            upload.part(1, &whole[..PART]).await,
            upload.part(2, &whole[PART..]).await,
        ];
        let mut first = Box::pin(upload.complete(&parts));
        let mut ended = false;
        for _ in 0..polls {
            if futures::poll!(&mut first).is_ready() {
                ended = true;
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        drop(first);
        let again = upload.complete(&parts).await.unwrap();
        assert!(server.get("key", How::Nothing).await.unwrap() == whole);
        assert_eq!(upload.complete(&parts).await.unwrap().e_tag, again.e_tag);
        if ended {
            break;
        }
        polls += 1;
    }
    assert!(polls > 2, "it was given up in the middle");
}

/// A part that is finished while its upload is completed is either among those that were chosen or gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_49_a_part_that_ends_beside_complete_changes_nothing() {
    let server = Server::new().await;
    for round in 0..20_u8 {
        let upload = server.begin("key", How::Kms).await;
        let chosen = upload.part(1, &[round; 70_000]).await;
        let (late, done) = tokio::join!(
            upload.part_as(1, &[99; 70_000], How::Nothing),
            upload.complete(std::slice::from_ref(&chosen)),
        );
        done.unwrap();
        assert!(late.is_ok() || code(late) == "NoSuchUpload");
        let got = server.get("key", How::Nothing).await.unwrap();
        assert_eq!(got, [round; 70_000]);
    }
}

/// Whoever comes last wins, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_beside_complete_leaves_one_of_the_two_whole() {
    let server = Server::new().await;
    for _ in 0..20 {
        let upload = server.begin("key", How::S3).await;
        let part = upload.part(1, &[1; 70_000]).await;
        let (put, done) = tokio::join!(
            server.put("key", &[2; 60_000], How::Kms),
            upload.complete(std::slice::from_ref(&part)),
        );
        put.unwrap();
        done.unwrap();
        let got = server.get("key", How::Nothing).await.unwrap();
        assert!(got == [1; 70_000] || got == [2; 60_000]);
    }
}
