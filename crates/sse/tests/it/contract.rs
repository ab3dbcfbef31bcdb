//! The law of the wrapper: what every store promises, with encryption on every write and with none.

use strongroom_backend::contract::Subject;
use strongroom_backend_fs::LocalStore;
use strongroom_sse::{AutoEncryption, Sse};

use crate::harness::{config, store};
use crate::kms::FakeKms;

async fn encrypting(auto: AutoEncryption, compat_etags: bool) -> Subject<Sse<LocalStore>> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(Some(std::sync::Arc::new(FakeKms::new())));
    config.auto_encryption = auto;
    config.compat_etags = compat_etags;
    let sse = Sse::open(store(folder.path()), config).await.unwrap();
    let md5_etags = compat_etags && auto != AutoEncryption::SseKms;
    Subject {
        md5_etags,
        ..Subject::new(sse, folder)
    }
}

mod plain {
    use super::*;

    async fn subject() -> Subject<Sse<LocalStore>> {
        encrypting(AutoEncryption::Off, true).await
    }

    strongroom_backend::s3_contract!(subject);
}

mod sse_s3 {
    use super::*;

    async fn subject() -> Subject<Sse<LocalStore>> {
        encrypting(AutoEncryption::SseS3, true).await
    }

    strongroom_backend::s3_contract!(subject);
}

mod sse_s3_opaque_etags {
    use super::*;

    async fn subject() -> Subject<Sse<LocalStore>> {
        encrypting(AutoEncryption::SseS3, false).await
    }

    strongroom_backend::s3_contract!(subject);
}

mod sse_kms {
    use super::*;

    async fn subject() -> Subject<Sse<LocalStore>> {
        encrypting(AutoEncryption::SseKms, true).await
    }

    strongroom_backend::s3_contract!(subject);
}
