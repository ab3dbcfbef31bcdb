use std::sync::Arc;

use strongroom_backend::object::OpenObject;
use strongroom_backend::put::Precondition;

use super::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_writers_of_one_key_leave_one_whole_object() {
    let f = Fixture::new().await;
    let writers: Vec<_> = (0..100_u8)
        .map(|seed| {
            let store = Arc::clone(&f.store);
            tokio::spawn(async move {
                let length = if seed % 2 == 0 { 1000 } else { 120_000 };
                put(&store, "k", &pattern(length, seed)).await
            })
        })
        .collect();
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&f.store);
            tokio::spawn(async move {
                for _ in 0..20 {
                    match get(&store, "k").await {
                        Ok(bytes) => assert_eq!(bytes, pattern(bytes.len(), bytes[0])),
                        Err(error) => assert_eq!(code(error), "NoSuchKey"),
                    }
                }
            })
        })
        .collect();
    for task in readers {
        task.await.unwrap();
    }
    let mut generations = Vec::new();
    for task in writers {
        generations.push(task.await.unwrap().generation);
    }
    let last = f.store.open_object(&at("k")).await.unwrap();
    assert!(generations.contains(&last.stat().generation));
    let length = last.stat().stored_length;
    let bytes = read(&last, 0, length).await.unwrap();
    assert_eq!(bytes, pattern(bytes.len(), bytes[0]));
    f.data_files_become(usize::from(length > 1000)).await;
    assert_eq!(
        std::fs::read_dir(f.dir.path().join("tmp")).unwrap().count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_demand_absence_exactly_one_wins() {
    let f = Fixture::new().await;
    for round in 0..5 {
        let key = format!("folder-{round}/k");
        let writers: Vec<_> = (0..40_u8)
            .map(|seed| {
                let (store, key) = (Arc::clone(&f.store), key.clone());
                tokio::spawn(async move {
                    let mut new = put_of(&key, &pattern(50_000, seed));
                    new.precondition = Precondition::Absent;
                    store.put(new).await.map(|_| seed).map_err(code)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for task in writers {
            match task.await.unwrap() {
                Ok(seed) => winners.push(seed),
                Err(code) => assert_eq!(code, "PreconditionFailed"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(
            get(&f.store, &key).await.unwrap(),
            pattern(50_000, winners[0])
        );
        f.data_files_become(round + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn folders_come_and_go_under_writers() {
    let f = Fixture::new().await;
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let store = Arc::clone(&f.store);
            tokio::spawn(async move {
                for round in 0..60 {
                    let key = format!("a/b/{}/{worker}", round % 3);
                    put(&store, &key, b"x").await;
                    assert_eq!(get(&store, &key).await.unwrap(), b"x");
                    store.delete(&at(&key), Precondition::None).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(keys(&f.store).await, Vec::<String>::new());
    let names = f.dir.path().join("buckets").join(BUCKET).join("names");
    assert_eq!(std::fs::read_dir(names).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_is_never_deleted_from_under_an_object() {
    for _ in 0..20 {
        let f = Fixture::new().await;
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let store = Arc::clone(&f.store);
                tokio::spawn(async move {
                    let done = store.put(put_of(&format!("{writer}/k"), b"x")).await;
                    done.map(|_| writer).map_err(code)
                })
            })
            .collect();
        let deleted = f.store.delete_bucket(BUCKET).await.map_err(code);
        let mut stored = Vec::new();
        for task in writers {
            match task.await.unwrap() {
                Ok(writer) => stored.push(format!("{writer}/k")),
                Err(code) => assert_eq!(code, "NoSuchBucket"),
            }
        }
        match deleted {
            Ok(()) => assert_eq!(stored, Vec::<String>::new()),
            Err(code) => {
                assert_eq!(code, "BucketNotEmpty");
                assert_eq!(keys(&f.store).await, stored);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn complete_twice_and_abort_at_once_have_one_outcome() {
    for _ in 0..20 {
        let f = Fixture::new().await;
        let upload = begin_upload(&f.store, "k").await;
        let part = put_part(&f.store, "k", &upload, 1, &pattern(50_000, 1)).await;
        let complete = || {
            let (store, new) = (Arc::clone(&f.store), complete_of("k", &upload, &[&part]));
            tokio::spawn(async move { store.complete_upload(new).await.map(drop).map_err(code) })
        };
        let abort = {
            let (store, upload) = (Arc::clone(&f.store), upload.clone());
            tokio::spawn(async move { store.abort_upload(&at("k"), &upload).await.map_err(code) })
        };
        let outcomes = [complete(), complete(), abort];
        let mut good = Vec::new();
        for (index, task) in outcomes.into_iter().enumerate() {
            match task.await.unwrap() {
                Ok(()) => good.push(index),
                Err(code) => assert_eq!(code, "NoSuchUpload"),
            }
        }
        assert_eq!(good.len(), 1);
        if good == [2] {
            assert_eq!(code(get(&f.store, "k").await.unwrap_err()), "NoSuchKey");
            assert_eq!(f.data_files(), 0);
        } else {
            assert_eq!(get(&f.store, "k").await.unwrap(), pattern(50_000, 1));
        }
    }
}
