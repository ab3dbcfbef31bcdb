use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::contract::{self, name, value};

fn store() -> (tempfile::TempDir, FsStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FsStore::open(folder.path().join("keys")).unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_directory_keeps_the_promises_of_a_key_store() {
    let folders = std::sync::Mutex::new(Vec::new());
    contract::holds(|| async {
        let (folder, store) = store();
        folders.lock().unwrap().push(folder);
        Arc::new(store)
    })
    .await;
}

#[tokio::test]
async fn a_key_is_one_private_file_that_holds_the_value_and_nothing_else() {
    let (_folder, store) = store();
    store.create(&name("k"), value("the value")).await.unwrap();
    let file = store.path().join("k");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "the value");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let entries: Vec<_> = std::fs::read_dir(store.path()).unwrap().collect();
    assert_eq!(entries.len(), 1, "no temporary file stays: {entries:?}");
}

#[tokio::test]
async fn where_there_are_no_links_a_key_is_made_in_place_and_never_over_another() {
    let (_folder, one) = store();
    let other = FsStore::open(one.path()).unwrap();
    for s in [&one, &other] {
        s.0.has_links.store(false, Ordering::Relaxed);
    }
    for round in 0..50 {
        let key = name(&format!("k{round}"));
        let (a, b) = tokio::join!(
            one.create(&key, value("one")),
            other.create(&key, value("other"))
        );
        let (made, refused) = if a.is_ok() { ("one", b) } else { ("other", a) };
        assert!(matches!(refused, Err(StoreError::Exists)), "{refused:?}");
        assert_eq!(one.get(&key).await.unwrap().expose(), made);
    }
    let mode = std::fs::metadata(one.path().join("k0"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let entries = std::fs::read_dir(one.path()).unwrap().count();
    assert_eq!(entries, 50, "nothing else was left");
}

#[test]
fn what_a_file_system_without_links_answers_is_known() {
    for errno in [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS] {
        assert!(is_without_links(&errno.into()), "{errno}");
    }
    for errno in [Errno::EXIST, Errno::NOSPC, Errno::ACCESS, Errno::IO] {
        assert!(!is_without_links(&errno.into()), "{errno}");
    }
}

#[test]
fn a_file_instead_of_the_directory_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = FsStore::open(file.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&file.path().display().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_crash_leaves_behind_is_neither_listed_nor_in_the_way() {
    let (_folder, store) = store();
    // As if the process had died between write and link, with half a value written.
    let torn = store.0.temporary_name();
    std::fs::write(store.path().join(&torn), "half a va").unwrap();
    store.create(&name("k"), value("whole")).await.unwrap();
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "whole");
    assert_eq!(store.list("", None, 10).await.unwrap().names, [name("k")]);
}

#[tokio::test]
async fn key_text_that_a_crash_left_is_removed_at_the_next_start_and_nothing_else_is() {
    let (folder, store) = store();
    store.create(&name("k"), value("text")).await.unwrap();
    let path = |name: &str| store.path().join(name);
    let old = SystemTime::now() - STALE_AFTER - Duration::from_secs(60);
    let age = |path: &Path| {
        let file = std::fs::File::open(path).unwrap();
        file.set_modified(old).unwrap();
    };
    // As if the process had died between link and unlink: the same file under both names.
    let stale = store.0.temporary_name();
    std::fs::hard_link(path("k"), path(&stale)).unwrap();
    let of_another = ".strongroom-0123456789abcdef-0";
    std::fs::write(path(of_another), "half").unwrap();
    let mut stays = vec!["k".to_owned()];
    for foreign in [
        ".strongroom-0123456789abcdef",
        ".strongroom-0123456789abcdef-",
        ".strongroom-0123456789ABCDEF-0",
        ".strongroom-0123456789abcde-0",
        ".strongroom-0123456789abcdef-0.bak",
        ".strongroom-notes",
        "strongroom-0123456789abcdef-0",
    ] {
        std::fs::write(path(foreign), "x").unwrap();
        stays.push(foreign.to_owned());
    }
    for file in stays.iter().map(String::as_str).chain([of_another]) {
        age(&path(file));
    }
    // Another server writes this one now.
    let young = ".strongroom-fedcba9876543210-1f";
    std::fs::write(path(young), "text").unwrap();
    let directory = ".strongroom-fedcba9876543210-2";
    std::fs::create_dir(path(directory)).unwrap();
    age(&path(directory));
    let link = ".strongroom-fedcba9876543210-3";
    let outside = folder.path().join("outside");
    std::fs::write(&outside, "x").unwrap();
    age(&outside);
    symlink(&outside, path(link)).unwrap();
    stays.extend([young, directory, link].map(str::to_owned));

    FsStore::open(store.path()).unwrap();
    let mut there: Vec<String> = std::fs::read_dir(store.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    stays.sort();
    assert_eq!(there, stays);
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "text");
}

#[tokio::test]
async fn lesson_18_links_folders_and_foreign_names_are_no_keys() {
    let (folder, store) = store();
    let outside = folder.path().join("secret");
    std::fs::write(&outside, "outside").unwrap();
    symlink(&outside, store.path().join("link")).unwrap();
    symlink("../secret", store.path().join("far")).unwrap();
    std::fs::create_dir(store.path().join("folder")).unwrap();
    for foreign in [".hidden", "a.b", "a b", "é", "lost+found"] {
        std::fs::write(store.path().join(foreign), "x").unwrap();
    }
    std::fs::write(store.path().join("x".repeat(81)), "x").unwrap();
    store.create(&name("good"), value("v")).await.unwrap();

    assert_eq!(
        store.list("", None, 10).await.unwrap().names,
        [name("good")]
    );
    for (key, word) in [
        ("link", "links are followed only inside"),
        ("far", "links are followed only inside"),
        ("folder", "regular file"),
    ] {
        let error = store.get(&name(key)).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        let error = store.create(&name(key), value("v")).await.unwrap_err();
        assert!(matches!(error, StoreError::Exists), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "outside");
}

#[tokio::test]
async fn values_that_are_no_keys_fail_their_own_get_only() {
    let (_folder, store) = store();
    std::fs::write(store.path().join("binary"), [0xff, 0xfe]).unwrap();
    std::fs::write(store.path().join("huge"), vec![b'x'; VALUE_BYTES_MAX + 1]).unwrap();
    std::fs::write(store.path().join("empty"), "").unwrap();
    assert!(
        store
            .get(&name("binary"))
            .await
            .unwrap_err()
            .to_string()
            .contains("no text")
    );
    assert!(
        store
            .get(&name("huge"))
            .await
            .unwrap_err()
            .to_string()
            .contains("larger")
    );
    assert_eq!(store.get(&name("empty")).await.unwrap().expose(), "");
    assert_eq!(store.list("", None, 10).await.unwrap().names.len(), 3);
}

#[tokio::test]
async fn a_pipe_in_the_directory_does_not_hang_a_reader() {
    let (_folder, store) = store();
    let flags = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(&store.0.handle, "pipe", FileType::Fifo, flags, 0).unwrap();
    let pipe = name("pipe");
    let read = store.get(&pipe);
    let outcome = tokio::time::timeout(std::time::Duration::from_secs(5), read).await;
    assert!(outcome.expect("reading a pipe hangs").is_err());
}

#[tokio::test]
async fn a_directory_that_disappears_is_unreachable() {
    let (_folder, store) = store();
    store.status().await.unwrap();
    std::fs::remove_dir_all(store.path()).unwrap();
    assert!(matches!(
        store.status().await,
        Err(StoreError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn two_servers_on_one_directory_never_overwrite_each_other() {
    let (_folder, one) = store();
    let other = FsStore::open(one.path()).unwrap();
    for round in 0..50 {
        let key = name(&format!("k{round}"));
        let (a, b) = tokio::join!(
            one.create(&key, value("one")),
            other.create(&key, value("other"))
        );
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        let kept = one.get(&key).await.unwrap();
        assert_eq!(kept.expose(), if a.is_ok() { "one" } else { "other" });
    }
}

#[tokio::test]
async fn a_secret_that_kubernetes_mounted_is_read_and_follows_its_renewal() {
    let (_folder, store) = store();
    let root = store.path();
    let publish = |version: &str, text: &str| {
        let folder = root.join(version);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("k"), text).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    publish("..2024_01_01", "one");
    symlink("..data/k", root.join("k")).unwrap();
    symlink("..data/gone", root.join("dangling")).unwrap();
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "one");
    assert_eq!(store.list("", None, 10).await.unwrap().names, [name("k")]);
    publish("..2024_01_02", "two");
    assert_eq!(store.get(&name("k")).await.unwrap().expose(), "two");
    let gone = store.get(&name("dangling")).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound), "{gone}");
    // A link is never written through.
    for key in ["k", "dangling"] {
        let error = store.create(&name(key), value("x")).await.unwrap_err();
        assert!(matches!(error, StoreError::Exists), "{error}");
    }
    assert!(!root.join("..2024_01_02/gone").exists());
}

#[tokio::test]
async fn a_directory_that_was_replaced_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let store = FsStore::open(&path).unwrap();
    store.create(&name("k"), value("text")).await.unwrap();
    std::fs::rename(&path, folder.path().join("old")).unwrap();
    let gone =
        |error: StoreError| assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    gone(store.get(&name("other")).await.unwrap_err());
    std::fs::create_dir(&path).unwrap();
    gone(store.status().await.unwrap_err());
    gone(store.get(&name("other")).await.unwrap_err());
    gone(store.delete(&name("other")).await.unwrap_err());
    gone(store.create(&name("new"), value("text")).await.unwrap_err());
    gone(store.list("", None, 10).await.unwrap_err());
}
