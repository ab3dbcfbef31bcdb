//! Damaged files are neither absent nor empty.

use std::fs;
use std::path::PathBuf;

use strongroom_backend::put::Precondition;

use super::harness::*;
use crate::layout;

fn root_of(f: &Fixture, key: &str) -> PathBuf {
    layout::path(
        &f.dir.path().join("buckets").join(BUCKET).join("names"),
        key,
    )
}

#[tokio::test]
async fn a_damaged_root_is_an_error_and_is_neither_replaced_nor_deleted() {
    let f = Fixture::new().await;
    put(&f.store, "good", b"good").await;
    put(&f.store, "bad", b"bad").await;
    let path = root_of(&f, "bad");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(
        code(get(&f.store, "bad").await.unwrap_err()),
        "ObjectNotAuthentic"
    );
    assert_eq!(
        code(f.store.put(put_of("bad", b"new")).await.unwrap_err()),
        "ObjectNotAuthentic"
    );
    let mut absent = put_of("bad", b"new");
    absent.precondition = Precondition::Absent;
    assert_eq!(
        code(f.store.put(absent).await.unwrap_err()),
        "ObjectNotAuthentic"
    );
    let deleted = f.store.delete(&at("bad"), Precondition::None).await;
    assert_eq!(code(deleted.unwrap_err()), "ObjectNotAuthentic");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    // It hides no other object.
    assert_eq!(get(&f.store, "good").await.unwrap(), b"good");
    assert!(keys(&f.store).await.contains(&"good".to_owned()));
}

#[tokio::test]
async fn a_root_at_another_keys_place_is_damage() {
    let f = Fixture::new().await;
    put(&f.store, "a", b"a").await;
    fs::copy(root_of(&f, "a"), root_of(&f, "b")).unwrap();
    assert_eq!(
        code(get(&f.store, "b").await.unwrap_err()),
        "ObjectNotAuthentic"
    );
    assert_eq!(keys(&f.store).await, ["a"]);
}

#[tokio::test]
async fn data_that_is_short_or_gone_cuts_the_stream() {
    let f = Fixture::new().await;
    put(&f.store, "k", &pattern(600_000, 0)).await;
    let folders = fs::read_dir(f.dir.path().join("data")).unwrap();
    let data = folders
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .next()
        .unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&data)
        .unwrap()
        .set_len(300_000)
        .unwrap();
    let object = f.store.open_object(&at("k")).await.unwrap();
    assert_eq!(
        read(&object, 0, 300_000).await.unwrap(),
        pattern(300_000, 0)
    );
    assert!(read(&object, 0, 600_000).await.is_err());
    fs::remove_file(&data).unwrap();
    assert!(read(&object, 0, 10).await.is_err());
}

#[tokio::test]
async fn data_of_a_part_that_is_gone_makes_no_object() {
    let f = Fixture::new().await;
    let upload = begin_upload(&f.store, "k").await;
    let part = put_part(&f.store, "k", &upload, 1, &pattern(100_000, 0)).await;
    for folder in fs::read_dir(f.dir.path().join("data")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
    let refused = f
        .store
        .complete_upload(complete_of("k", &upload, &[&part]))
        .await;
    assert_eq!(code(refused.unwrap_err()), "InvalidPart");
}

#[tokio::test]
async fn foreign_files_in_the_tree_are_let_be() {
    let f = Fixture::new().await;
    put(&f.store, "a/k", b"x").await;
    let folder = root_of(&f, "a/k").parent().unwrap().to_path_buf();
    fs::write(folder.join(".DS_Store"), b"?").unwrap();
    fs::write(folder.join("k+o.bak"), b"?").unwrap();
    assert_eq!(keys(&f.store).await, ["a/k"]);
    f.store
        .delete(&at("a/k"), Precondition::None)
        .await
        .unwrap();
    assert_eq!(keys(&f.store).await, Vec::<String>::new());
    assert!(folder.join(".DS_Store").exists());
}
