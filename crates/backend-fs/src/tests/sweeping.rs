use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::*;
use crate::sweep::SweepReport;

#[tokio::test]
async fn only_what_nothing_refers_to_is_removed() {
    let f = Fixture::new().await;
    put(&f.store, "small", b"x").await;
    put(&f.store, "large", &pattern(100_000, 1)).await;
    let upload = begin_upload(&f.store, "u").await;
    put_part(&f.store, "u", &upload, 1, &pattern(50_000, 2)).await;
    let garbage = f
        .dir
        .path()
        .join("data/ab")
        .join(format!("ab{}", "0".repeat(30)));
    fs::write(&garbage, b"left by a crash").unwrap();
    fs::write(garbage.with_extension("page"), b"this too").unwrap();
    fs::write(f.dir.path().join("data/ab/notes.txt"), b"not ours").unwrap();
    fs::create_dir_all(
        f.dir
            .path()
            .join("buckets")
            .join(BUCKET)
            .join("names/a+d/b+d"),
    )
    .unwrap();
    let report = f.store.sweep().await.unwrap();
    assert_eq!(
        report,
        SweepReport {
            seen: 4,
            removed: 2,
            removed_bytes: 23,
            damaged: 0
        }
    );
    assert!(
        !f.dir
            .path()
            .join("buckets")
            .join(BUCKET)
            .join("names/a+d")
            .exists()
    );
    assert_eq!(get(&f.store, "large").await.unwrap(), pattern(100_000, 1));
    assert_eq!(f.data_files(), 3);
    assert_eq!(f.store.sweep().await.unwrap().removed, 0);
}

#[tokio::test]
async fn with_a_damaged_root_nothing_is_removed() {
    let f = Fixture::new().await;
    put(&f.store, "large", &pattern(100_000, 1)).await;
    fs::write(
        f.dir.path().join("buckets").join(BUCKET).join("names/k+o"),
        b"nonsense",
    )
    .unwrap();
    fs::write(
        f.dir
            .path()
            .join("data/ab")
            .join(format!("ab{}", "0".repeat(30))),
        b"x",
    )
    .unwrap();
    let report = f.store.sweep().await.unwrap();
    assert_eq!((report.removed, report.damaged), (0, 1));
    assert_eq!(f.data_files(), 2);
}

#[tokio::test]
async fn young_files_are_left_alone() {
    let dir = temp_dir();
    let mut options = random_options();
    options.sweep_grace = std::time::Duration::from_secs(3600);
    options.clock = Arc::new(std::time::SystemTime::now);
    let store = crate::store::Store::open(dir.path(), options).unwrap();
    fs::write(
        dir.path()
            .join("data/ab")
            .join(format!("ab{}", "0".repeat(30))),
        b"x",
    )
    .unwrap();
    assert_eq!(store.sweep().await.unwrap(), SweepReport::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sweeps_beside_all_other_work_lose_nothing() {
    let f = Fixture::new().await;
    let stop = Arc::new(AtomicBool::new(false));
    let sweeper = {
        let (store, stop) = (Arc::clone(&f.store), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut sweeps = 0;
            while !stop.load(Ordering::Relaxed) {
                let report = store.sweep().await.unwrap();
                assert_eq!(report.damaged, 0);
                sweeps += 1;
            }
            sweeps
        })
    };
    let workers: Vec<_> = (0..6_u8)
        .map(|worker| {
            let store = Arc::clone(&f.store);
            tokio::spawn(async move {
                for round in 0..25_u8 {
                    let bytes = pattern(80_000, worker ^ round);
                    let key = format!("w{worker}/put-{}", round % 4);
                    put(&store, &key, &bytes).await;
                    let key = format!("w{worker}/upload-{}", round % 4);
                    let upload = begin_upload(&store, &key).await;
                    let part = put_part(&store, &key, &upload, 1, &bytes).await;
                    store
                        .complete_upload(complete_of(&key, &upload, &[&part]))
                        .await
                        .unwrap();
                    assert_eq!(get(&store, &key).await.unwrap(), bytes);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(sweeper.await.unwrap() > 3);
    for key in keys(&f.store).await {
        assert_eq!(get(&f.store, &key).await.unwrap().len(), 80_000);
    }
    f.store.sweep().await.unwrap();
    assert_eq!(f.data_files(), keys(&f.store).await.len());
}
