//! A store written by the first release, in `fixtures/local-store/v1`, opens for ever. Its README says how it
//! was made; it is never made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use strongroom_backend::object::{Checksum, ObjectHeaders, OpenObject};
use strongroom_backend::record::RecordName;
use strongroom_backend::upload::{NewUpload, UploadId};

use super::harness::*;
use crate::store::Store;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/local-store/v1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

const PLAIN: &str = "Reports/2026/Übersicht 1.txt";
const SEALED: &str = "sealed//object";
const LARGE: &str = "large";
const PARTS: &str = "parts/";

/// Enough, with their checksums, for a page.
const PART_COUNT: u32 = 45;

fn part_checksum() -> Checksum {
    let value = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=".to_owned();
    Checksum {
        algorithm: "SHA256".to_owned(),
        value,
        composite: false,
    }
}

fn headers() -> ObjectHeaders {
    ObjectHeaders {
        cache_control: Some("no-cache".to_owned()),
        content_disposition: Some("inline".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        content_language: Some("de".to_owned()),
        content_type: Some("text/plain".to_owned()),
        expires: Some("Thu, 01 Dec 2094 16:00:00 GMT".to_owned()),
        storage_class: Some("STANDARD_IA".to_owned()),
        user_metadata: [
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), "zwölf".to_owned()),
        ]
        .into(),
        website_redirect_location: Some("/elsewhere".to_owned()),
        tagging: Some("k=v".to_owned()),
    }
}

fn checksum() -> Checksum {
    Checksum {
        algorithm: "CRC32C".to_owned(),
        value: "yZRlqg==".to_owned(),
        composite: false,
    }
}

/// Wrote the fixture. It stays to show how, and so that the check below is of what was written.
async fn write(store: &Arc<Store>) {
    store.create_bucket(BUCKET).await.unwrap();
    let mut plain = put_of(PLAIN, b"hello world");
    plain.headers = headers();
    plain.finish = strongroom_backend::put::FinishSlot::filled(strongroom_backend::put::Finish {
        etag: "5eb63bbbe01eeed093cb22bb8f5acdc3".to_owned(),
        checksum: Some(checksum()),
        record: Bytes::new(),
    });
    store.put(plain).await.unwrap();
    let mut sealed = put_of(SEALED, b"ciphertext");
    sealed.envelope = Some(Bytes::from_static(b"envelope"));
    store.put(sealed).await.unwrap();
    put(store, LARGE, &pattern(40_000, 1)).await;
    let upload = begin_upload(store, PARTS).await;
    let mut attempts = Vec::new();
    for number in 1..=PART_COUNT {
        let mut part = part_of(PARTS, &upload, number, &number.to_le_bytes());
        part.finish =
            strongroom_backend::put::FinishSlot::filled(strongroom_backend::put::Finish {
                etag: format!("part-{number}"),
                checksum: Some(part_checksum()),
                record: Bytes::from_static(b"attempt"),
            });
        attempts.push(store.put_part(part).await.unwrap());
    }
    let mut complete = complete_of(PARTS, &upload, &attempts.iter().collect::<Vec<_>>());
    complete.footer = Bytes::from_static(b"footer");
    store.complete_upload(complete).await.unwrap();
    let upload = store
        .create_upload(NewUpload {
            at: at("in progress"),
            headers: headers(),
            envelope: Some(Bytes::from_static(b"envelope")),
            record: Bytes::from_static(b"notes"),
            checksum: Some(("CRC32C".to_owned(), "COMPOSITE".to_owned())),
        })
        .await
        .unwrap();
    put_part(store, "in progress", &upload, 7, b"part").await;
    put_part(store, "in progress", &upload, 8, b"").await;
    let name = RecordName::new("bucket/photos/encryption").unwrap();
    store
        .write_record(&name, None, Bytes::from_static(b"settings"))
        .await
        .unwrap();
}

async fn check(store: &Arc<Store>) {
    let buckets = store.buckets().await.unwrap();
    assert_eq!(
        buckets
            .iter()
            .map(|bucket| bucket.name.as_str())
            .collect::<Vec<_>>(),
        [BUCKET]
    );
    assert_eq!(keys(store).await, [PLAIN, LARGE, PARTS, SEALED]);
    assert_eq!(get(store, PLAIN).await.unwrap(), b"hello world");
    let plain = store.open_object(&at(PLAIN)).await.unwrap();
    assert_eq!(plain.stat().headers, headers());
    assert_eq!(plain.stat().checksum, Some(checksum()));
    assert_eq!(plain.stat().etag, "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(plain.stat().upload_id, None);
    let sealed = store.open_object(&at(SEALED)).await.unwrap();
    assert_eq!(
        sealed.stat().envelope.as_deref(),
        Some(b"envelope".as_slice())
    );
    assert_eq!(get(store, SEALED).await.unwrap(), b"ciphertext");
    assert_eq!(get(store, LARGE).await.unwrap(), pattern(40_000, 1));
    let parts = store.open_object(&at(PARTS)).await.unwrap();
    assert_eq!(parts.stat().parts.len(), PART_COUNT as usize);
    assert!(
        parts
            .stat()
            .parts
            .iter()
            .all(|part| part.checksum == Some(part_checksum()))
    );
    let pages = fs::read_dir(store.data_folder())
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "page")
        });
    assert_eq!(pages.count(), 1);
    assert_eq!(parts.stat().etag, "whole-2");
    let whole: Vec<u8> = (1..=PART_COUNT)
        .flat_map(u32::to_le_bytes)
        .chain(*b"footer")
        .collect();
    assert_eq!(get(store, PARTS).await.unwrap(), whole);
    let query = crate::uploads_list::ListUploadsQuery {
        bucket: BUCKET.to_owned(),
        max: 10,
        ..Default::default()
    };
    let uploads = store.list_uploads(&query).await.unwrap().items;
    let [crate::uploads_list::UploadItem::Upload(UploadId(id), upload)] = uploads.as_slice() else {
        panic!("{uploads:?}")
    };
    assert_eq!(upload.new.headers, headers());
    assert_eq!(
        upload.new.checksum,
        Some(("CRC32C".to_owned(), "COMPOSITE".to_owned()))
    );
    let attempts = store
        .part_attempts(&at("in progress"), &UploadId(id.clone()))
        .await
        .unwrap();
    let told: Vec<_> = attempts
        .iter()
        .map(|part| (part.number, part.stored_length))
        .collect();
    assert_eq!(told, [(7, 4), (8, 0)]);
    let name = RecordName::new("bucket/photos/encryption").unwrap();
    assert_eq!(
        store.read_record(&name).await.unwrap().unwrap().bytes,
        "settings"
    );
    assert_eq!(store.sweep().await.unwrap().removed, 0);
}

#[tokio::test]
async fn the_first_releases_store_opens_and_can_be_written() {
    let dir = temp_dir();
    copy(&fixture(), dir.path());
    let store = open(dir.path(), None);
    check(&store).await;
    put(&store, PLAIN, b"changed").await;
    assert_eq!(get(&store, PLAIN).await.unwrap(), b"changed");
}

/// The same inputs give the same files: whoever changes the format by accident is told here.
#[tokio::test]
async fn what_is_written_today_is_what_was_written_then() {
    let dir = temp_dir();
    let store = Store::open(dir.path(), options()).unwrap();
    write(&store).await;
    check(&store).await;
    drop(store);
    if let Some(to) = std::env::var_os("STRONGROOM_WRITE_FIXTURE") {
        copy(dir.path(), Path::new(&to));
    }
    for (path, bytes) in files(&fixture(), &fixture()) {
        let today = fs::read(dir.path().join(&path)).unwrap_or_default();
        assert!(today == bytes, "{} differs", path.display());
    }
}

fn files(root: &Path, folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(root, &path));
        } else {
            found.push((
                path.strip_prefix(root).unwrap().to_path_buf(),
                fs::read(&path).unwrap(),
            ));
        }
    }
    assert!(
        folder != root || found.len() > 50,
        "the fixture is not there"
    );
    found
}
