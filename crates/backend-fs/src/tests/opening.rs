use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::harness::*;
use crate::error::OpenError;
use crate::store::Store;

fn refusal(path: &std::path::Path) -> String {
    Store::open(path, random_options()).unwrap_err().to_string()
}

#[tokio::test]
async fn a_store_opens_again_as_it_was() {
    let dir = temp_dir();
    let path = dir.path().join("made/on/demand");
    {
        let store = open(&path, None);
        store.create_bucket(BUCKET).await.unwrap();
        put(&store, "k", &pattern(100_000, 1)).await;
    }
    fs::write(path.join("tmp/left"), b"over").unwrap();
    fs::create_dir_all(path.join("tmp/nested/deeper")).unwrap();
    let store = open(&path, None);
    assert_eq!(get(&store, "k").await.unwrap(), pattern(100_000, 1));
    assert_eq!(fs::read_dir(path.join("tmp")).unwrap().count(), 0);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[tokio::test]
async fn a_second_server_is_told_that_another_one_is_there() {
    let f = Fixture::new().await;
    let said = refusal(f.dir.path());
    assert!(said.contains("is in use by another server"), "{said}");
    assert!(
        said.contains(&*f.dir.path().canonicalize().unwrap().to_string_lossy()),
        "{said}"
    );
    let path = f.dir.path().to_path_buf();
    drop(f.store);
    open(&path, None);
}

#[test]
fn what_is_no_store_is_refused_in_words_and_left_alone() {
    let dir = temp_dir();
    fs::write(dir.path().join("holiday.jpg"), b"x").unwrap();
    let said = refusal(dir.path());
    assert!(
        said.contains("is not a store") && said.contains("holiday.jpg"),
        "{said}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    assert!(refusal(&dir.path().join("holiday.jpg")).contains("is not a directory"));
    assert!(refusal(&dir.path().join("holiday.jpg/below")).contains("is not a directory"));

    let long = dir
        .path()
        .join("x".repeat(250))
        .join("y".repeat(250))
        .join("z".repeat(100));
    assert!(refusal(&long).contains("name a shorter one"));
}

#[test]
fn a_newer_store_is_refused_and_a_damaged_one_too() {
    let dir = temp_dir();
    drop(open(dir.path(), None));
    let file = dir.path().join("strongroom.json");
    let text = fs::read_to_string(&file).unwrap();
    for (from, to, says) in [
        ("\"format\": 1", "\"format\": 2", "newer release"),
        (
            "\"features\": []",
            "\"features\": [\"versions\"]",
            "newer release",
        ),
        ("strongroom local store", "something else", "damaged"),
        ("\"epoch\"", "\"epic\"", "damaged"),
        ("{", "", "damaged"),
    ] {
        assert!(text.contains(from));
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let said = refusal(dir.path());
        assert!(said.contains(says), "{said}");
    }
    fs::write(&file, &text).unwrap();
    fs::rename(dir.path().join("buckets"), dir.path().join("elsewhere")).unwrap();
    assert!(refusal(dir.path()).contains("buckets is missing"));
    fs::rename(dir.path().join("elsewhere"), dir.path().join("buckets")).unwrap();
    drop(open(dir.path(), None));
}

#[test]
fn a_half_made_store_is_made_whole() {
    let dir = temp_dir();
    drop(open(dir.path(), None));
    fs::remove_file(dir.path().join("strongroom.json")).unwrap();
    drop(open(dir.path(), None));
    assert!(dir.path().join("strongroom.json").exists());
    // But never one that holds something.
    fs::remove_file(dir.path().join("strongroom.json")).unwrap();
    fs::create_dir(dir.path().join("buckets/photos")).unwrap();
    assert!(matches!(
        Store::open(dir.path(), random_options()),
        Err(OpenError::Foreign { found, .. }) if found == "buckets/photos"
    ));
}

#[tokio::test]
async fn empty_folders_that_a_copy_lost_are_made_again() {
    let dir = temp_dir();
    {
        let store = open(dir.path(), None);
        store.create_bucket(BUCKET).await.unwrap();
    }
    fs::remove_dir_all(dir.path().join("tmp")).unwrap();
    fs::remove_dir_all(dir.path().join("data/ab")).unwrap();
    fs::remove_dir(dir.path().join("buckets").join(BUCKET).join("names")).unwrap();
    fs::remove_dir(dir.path().join("buckets").join(BUCKET).join("uploads")).unwrap();
    let store = open(dir.path(), None);
    put(&store, "k", b"x").await;
    begin_upload(&store, "k").await;
}

#[test]
fn a_directory_without_leave_is_refused_in_words() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let dir = temp_dir();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
    assert!(refusal(dir.path()).contains("cannot be read and written"));
}
