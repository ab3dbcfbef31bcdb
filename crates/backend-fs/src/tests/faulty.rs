//! Disks that refuse.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::*;
use crate::disk::{Change, Watch};

/// Refuses every write (not the making of names) while armed.
#[derive(Default)]
struct Refusing {
    kind: Option<io::ErrorKind>,
    armed: AtomicBool,
}

impl Watch for Refusing {
    fn before(&self, change: Change<'_>) -> io::Result<()> {
        match (change, self.kind) {
            (Change::Write, Some(kind)) if self.armed.load(Ordering::Relaxed) => Err(kind.into()),
            _ => Ok(()),
        }
    }
    fn after(&self, _: Change<'_>) {}
}

async fn put_on(kind: io::ErrorKind, length: usize) -> s3s::S3Error {
    let dir = temp_dir();
    let disk = Arc::new(Refusing {
        kind: Some(kind),
        armed: AtomicBool::new(false),
    });
    let store = open(dir.path(), Some(Arc::clone(&disk) as _));
    store.create_bucket(BUCKET).await.unwrap();
    put(&store, "k", b"old").await;
    disk.armed.store(true, Ordering::Relaxed);
    let error = store
        .put(put_of("k", &pattern(length, 0)))
        .await
        .unwrap_err();
    assert_eq!(data_files(dir.path()), 0);
    assert_eq!(
        std::fs::read_dir(dir.path().join("tmp")).unwrap().count(),
        0
    );
    assert_eq!(get(&store, "k").await.unwrap(), b"old");
    store
        .delete(&at("k"), strongroom_backend::put::Precondition::None)
        .await
        .unwrap();
    error.into()
}

#[tokio::test]
async fn a_full_disk_is_507_in_plain_words_and_deletes_still_work() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        for length in [100, 1_000_000] {
            let error = put_on(kind, length).await;
            assert_eq!(error.code().as_str(), "XMinioStorageFull");
            assert_eq!(
                error.status_code(),
                Some(http::StatusCode::INSUFFICIENT_STORAGE)
            );
            assert_eq!(
                error.message(),
                Some("the disk is full; free space and try again")
            );
        }
    }
}

#[tokio::test]
async fn other_failures_of_the_disk_are_500_and_tell_no_path() {
    for kind in [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::Other,
    ] {
        let error = put_on(kind, 1_000_000).await;
        assert_eq!(error.code().as_str(), "InternalError");
        assert!(!error.message().unwrap().contains("/tmp"), "{error:?}");
    }
}
