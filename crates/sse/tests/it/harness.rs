//! A server without a network, and a client that speaks every scheme to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Extensions, HeaderMap, Method, Uri};
use md5::{Digest as _, Md5};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Result};
use strongroom_backend_fs::{Durability, LocalStore, Options};
use strongroom_kms::Kms;
use strongroom_sse::{AutoEncryption, Config, ConnectionSecurity, KeyWindows, OpenError, Sse};

use crate::kms::{FakeKms, OTHER_KEY, random};

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const MIB: usize = 1 << 20;

pub(crate) fn store(folder: &Path) -> LocalStore {
    let options = Options::new(Arc::new(SystemTime::now), Arc::new(random::<16>));
    LocalStore::open(
        folder,
        options.durability(Durability::RelaxedLosesDataOnPowerCut),
    )
    .unwrap()
}

pub(crate) fn config(kms: Option<Arc<FakeKms>>) -> Config {
    Config {
        kms: kms.map(|kms| kms as Arc<dyn Kms>),
        auto_encryption: AutoEncryption::Off,
        compat_etags: true,
        windows: KeyWindows::default(),
        settings_lease: None,
        clock: Arc::new(|| Duration::from_secs(1)),
        entropy: Arc::new(|bytes: &mut [u8]| getrandom::fill(bytes).map_err(|e| e.to_string())),
    }
}

pub(crate) struct Server {
    pub(crate) sse: Sse<LocalStore>,
    pub(crate) kms: Arc<FakeKms>,
    now: Arc<AtomicU64>,
    pub(crate) folder: Arc<tempfile::TempDir>,
}

impl Server {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let kms = Arc::new(FakeKms::new());
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let server = Self::start(folder, kms, change).await.unwrap();
        let input = CreateBucketInput {
            bucket: BUCKET.into(),
            ..Default::default()
        };
        server.sse.create_bucket(request(input)).await.unwrap();
        server
    }

    pub(crate) async fn start(
        folder: Arc<tempfile::TempDir>,
        kms: Arc<FakeKms>,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self, OpenError> {
        let now = Arc::new(AtomicU64::new(1));
        let clock = Arc::clone(&now);
        let mut config = config(Some(Arc::clone(&kms)));
        config.clock = Arc::new(move || Duration::from_secs(clock.load(Ordering::SeqCst)));
        change(&mut config);
        let sse = Sse::open(store(folder.path()), config).await?;
        Ok(Self {
            sse,
            kms,
            now,
            folder,
        })
    }

    /// The same folder, served by a new process.
    pub(crate) async fn restarted(
        self,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self, OpenError> {
        let Self {
            sse, kms, folder, ..
        } = self;
        drop(sse);
        Self::start(folder, kms, change).await
    }

    pub(crate) fn forward(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8], how: How) -> S3Result<PutObjectOutput> {
        self.put_with(put_input(key, bytes, how)).await
    }

    pub(crate) async fn put_with(&self, input: PutObjectInput) -> S3Result<PutObjectOutput> {
        Ok(self.sse.put_object(request(input)).await?.output)
    }

    pub(crate) async fn get(&self, key: &str, how: How) -> S3Result<Vec<u8>> {
        read(self.get_with(get_input(key, how)).await?.body).await
    }

    pub(crate) async fn get_with(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        Ok(self.sse.get_object(request(input)).await?.output)
    }

    pub(crate) async fn range(
        &self,
        key: &str,
        first: u64,
        last: u64,
        how: How,
    ) -> S3Result<Vec<u8>> {
        let range = Some(Range::Int {
            first,
            last: Some(last),
        });
        read(
            self.get_with(GetObjectInput {
                range,
                ..get_input(key, how)
            })
            .await?
            .body,
        )
        .await
    }

    pub(crate) async fn head(&self, key: &str, how: How) -> S3Result<HeadObjectOutput> {
        let mut input = HeadObjectInput {
            bucket: BUCKET.into(),
            key: key.into(),
            ..Default::default()
        };
        if let How::Customer(secret) = how {
            let (algorithm, key, md5) = customer(secret);
            (input.sse_customer_algorithm, input.sse_customer_key) = (algorithm, key);
            input.sse_customer_key_md5 = md5;
        }
        Ok(self.sse.head_object(request(input)).await?.output)
    }

    pub(crate) async fn copy(
        &self,
        from: (&str, How),
        to: (&str, How),
    ) -> S3Result<CopyObjectOutput> {
        self.copy_with(copy_input(from, to)).await
    }

    pub(crate) async fn copy_with(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        Ok(self.sse.copy_object(request(input)).await?.output)
    }

    pub(crate) async fn list(&self) -> Vec<(String, i64, String)> {
        let input = ListObjectsV2Input {
            bucket: BUCKET.into(),
            ..Default::default()
        };
        let page = self
            .sse
            .list_objects_v2(request(input))
            .await
            .unwrap()
            .output;
        let rows = page.contents.unwrap_or_default().into_iter();
        rows.map(|row| {
            (
                row.key.unwrap(),
                row.size.unwrap(),
                row.e_tag.unwrap().into_value(),
            )
        })
        .collect()
    }

    /// Every byte on disk, file by file.
    pub(crate) fn raw(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(std::path::PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        found
    }

    #[track_caller]
    pub(crate) fn assert_nowhere_on_disk(&self, needle: &[u8]) {
        for (path, bytes) in self.raw() {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} holds what must not be there", path.display());
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Nothing,
    S3,
    Kms,
    /// SSE-KMS under another key than the default one.
    KmsOther,
    Customer(u8),
}

pub(crate) const SCHEMES: [How; 4] = [How::S3, How::Kms, How::KmsOther, How::Customer(7)];

impl How {
    /// What a read of the same object sends.
    pub(crate) fn to_read(self) -> Self {
        match self {
            Self::Customer(key) => Self::Customer(key),
            _ => Self::Nothing,
        }
    }
}

type CustomerTriple = (Option<String>, Option<String>, Option<String>);

pub(crate) fn customer(secret: u8) -> CustomerTriple {
    let key = [secret; 32];
    let md5 = STANDARD.encode(Md5::digest(key));
    (Some("AES256".into()), Some(STANDARD.encode(key)), Some(md5))
}

macro_rules! ask {
    ($input:expr, $how:expr) => {
        match $how {
            How::Nothing => {}
            How::S3 => $input.server_side_encryption = Some("AES256".to_owned().into()),
            How::Kms => $input.server_side_encryption = Some("aws:kms".to_owned().into()),
            How::KmsOther => {
                $input.server_side_encryption = Some("aws:kms".to_owned().into());
                $input.ssekms_key_id = Some(format!("arn:aws:kms:{OTHER_KEY}"));
            }
            How::Customer(secret) => {
                let (algorithm, key, md5) = customer(secret);
                $input.sse_customer_algorithm = algorithm;
                $input.sse_customer_key = key;
                $input.sse_customer_key_md5 = md5;
            }
        }
    };
}

pub(crate) fn put_input(key: &str, bytes: &[u8], how: How) -> PutObjectInput {
    let mut input = PutObjectInput {
        bucket: BUCKET.into(),
        key: key.into(),
        content_length: Some(bytes.len() as i64),
        body: blob(bytes),
        ..Default::default()
    };
    ask!(input, how);
    input
}

pub(crate) fn create_input(key: &str, how: How) -> CreateMultipartUploadInput {
    let mut input = CreateMultipartUploadInput {
        bucket: BUCKET.into(),
        key: key.into(),
        ..Default::default()
    };
    ask!(input, how);
    input
}

pub(crate) fn copy_input(from: (&str, How), to: (&str, How)) -> CopyObjectInput {
    let source = CopySource::Bucket {
        bucket: BUCKET.into(),
        key: from.0.into(),
        version_id: None,
    };
    let mut input = CopyObjectInput::builder()
        .bucket(BUCKET.into())
        .key(to.0.into())
        .copy_source(source)
        .build()
        .unwrap();
    ask!(input, to.1);
    if let How::Customer(secret) = from.1 {
        let (algorithm, key, md5) = customer(secret);
        input.copy_source_sse_customer_algorithm = algorithm;
        input.copy_source_sse_customer_key = key;
        input.copy_source_sse_customer_key_md5 = md5;
    }
    input
}

pub(crate) fn get_input(key: &str, how: How) -> GetObjectInput {
    let mut input = GetObjectInput {
        bucket: BUCKET.into(),
        key: key.into(),
        ..Default::default()
    };
    if let How::Customer(secret) = how {
        let (algorithm, key, md5) = customer(secret);
        input.sse_customer_algorithm = algorithm;
        input.sse_customer_key = key;
        input.sse_customer_key_md5 = md5;
    }
    input
}

/// A request that came over TLS.
pub(crate) fn request<T>(input: T) -> S3Request<T> {
    let mut extensions = Extensions::new();
    extensions.insert(ConnectionSecurity { tls: true });
    S3Request {
        extensions,
        ..plain_http(input)
    }
}

/// A request that came over plain HTTP.
pub(crate) fn plain_http<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Method::GET,
        uri: Uri::from_static("/"),
        headers: HeaderMap::new(),
        extensions: Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

pub(crate) fn blob(bytes: &[u8]) -> Option<StreamingBlob> {
    Some(StreamingBlob::from_bytes(Bytes::copy_from_slice(bytes)))
}

pub(crate) async fn read(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let Some(body) = body else {
        return Ok(Vec::new());
    };
    body.try_fold(Vec::new(), |mut all, bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    })
    .await
    .map_err(strongroom_backend::body::error)
}

/// Bytes without a short period, and a mark in them that is looked for on disk.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for at in (0..length.saturating_sub(MARK.len())).step_by(40_000) {
        bytes[at..at + MARK.len()].copy_from_slice(MARK);
    }
    bytes
}

pub(crate) const MARK: &[u8] = b"plaintext-that-must-not-be-found";

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    strongroom_backend::complete::hex(&Md5::digest(bytes))
}

#[track_caller]
pub(crate) fn code<T>(result: S3Result<T>) -> String {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(error) => error.code().as_str().to_owned(),
    }
}
