//! The local store keeps the contract of all stores, with S3's ETags and with opaque ones.

use std::sync::Arc;
use std::time::SystemTime;

use strongroom_backend::contract::Subject;
use strongroom_backend_fs::{Durability, LocalStore, Options};

pub(crate) fn options() -> Options {
    Options::new(
        Arc::new(SystemTime::now),
        Arc::new(|| *uuid::Uuid::new_v4().as_bytes()),
    )
    .durability(Durability::RelaxedLosesDataOnPowerCut)
}

async fn subject() -> Subject<LocalStore> {
    let folder = tempfile::tempdir().unwrap();
    Subject::new(LocalStore::open(folder.path(), options()).unwrap(), folder)
}

strongroom_backend::s3_contract!(subject);
strongroom_backend::seam_contract!(subject);

mod opaque_etags {
    use super::*;

    async fn subject() -> Subject<LocalStore> {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path(), options().compat_etags(false)).unwrap();
        Subject {
            md5_etags: false,
            ..Subject::new(store, folder)
        }
    }

    strongroom_backend::s3_contract!(subject);
}
