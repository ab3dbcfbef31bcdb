//! The parts of an object server, put together. This module alone knows them all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use s3s::config::StaticConfigProvider;
use s3s::service::S3ServiceBuilder;
use strongroom_access::{Authenticator, Gate, protocol_limits};
use strongroom_backend::Backend as _;
use strongroom_backend_fs::{LocalStore, Options};
use strongroom_kes_client::{ApiKey, Credentials, Trust};
use strongroom_kms::{KesKms, KesSettings, Kms, StaticKey};
use strongroom_sse::Sse;

use crate::config::{AutoEncryption, Config, KesAuth, KesConfig, KmsConfig};
use crate::http::{Health, ObjectService};
use crate::{kms_start, pem, random};

/// Between two sweeps of the store, and before the first: a start has other things to do. A sweep reads every root once.
const SWEEP_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// What the command line decides of an object server.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) compat_etags: bool,
    pub(crate) accept_signature_v2: bool,
}

/// A server that only lacks a listener.
pub(crate) struct ObjectServer {
    pub(crate) service: ObjectService,
    kes: Option<(Arc<KesKms>, KesConfig)>,
}

impl ObjectServer {
    /// Reads the credentials for the KES and the authorities again.
    pub(crate) async fn reload_kms(&self) -> Result<()> {
        let Some((kms, config)) = &self.kes else {
            return Ok(());
        };
        if matches!(config.auth, KesAuth::ApiKey(_)) && config.authorities.is_none() {
            return Ok(());
        }
        let (kms, config) = (Arc::clone(kms), config.clone());
        tokio::task::spawn_blocking(move || Ok(kms.reload(&kes_settings(&config)?)?)).await?
    }
}

/// Builds the stack: store, encryption over it, access before it, HTTP around it. Answers nothing yet.
pub(crate) async fn object_server(config: Config, settings: Settings) -> Result<ObjectServer> {
    let store = open_store(&settings)?;
    let is_new = store
        .list_records("")
        .await
        .map_err(|error| {
            anyhow!(
                "the data in {} cannot be read: {error}",
                settings.path.display()
            )
        })?
        .is_empty();
    let (kms, kes) = open_kms(config.kms)?;
    if let Some(kms) = &kms {
        kms_start::ready(
            &**kms,
            config.kms_start_timeout,
            kms_start::Store::from_is_new(is_new),
        )
        .await?;
    }
    tokio::spawn(sweep(store.clone()));
    let sse = Sse::open(
        store,
        strongroom_sse::Config {
            kms: kms.clone(),
            auto_encryption: match config.auto_encryption {
                AutoEncryption::Off => strongroom_sse::AutoEncryption::Off,
                AutoEncryption::SseS3 => strongroom_sse::AutoEncryption::SseS3,
                AutoEncryption::SseKms => strongroom_sse::AutoEncryption::SseKms,
            },
            compat_etags: settings.compat_etags,
            windows: config.windows,
            // This process alone writes the store: it holds the store's lock.
            settings_lease: None,
            clock: monotonic(),
            entropy: Arc::new(random::fill),
        },
    )
    .await
    .with_context(|| format!("encryption over {} cannot start", settings.path.display()))?;

    let root = Arc::new(config.root);
    let mut s3 = S3ServiceBuilder::new(sse);
    s3.set_auth(Authenticator::new(Arc::clone(&root)));
    s3.set_access(Gate::new(root));
    s3.set_host(config.hosts);
    let limits = protocol_limits(settings.accept_signature_v2);
    s3.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    let mut run = [0; 8];
    random::fill(&mut run).map_err(anyhow::Error::msg)?;
    let run = u64::from_ne_bytes(run);
    let service = ObjectService::new(s3.build(), Arc::new(Health::new(kms)), run);
    Ok(ObjectServer { service, kes })
}

fn open_store(settings: &Settings) -> Result<LocalStore> {
    let options = Options::new(Arc::new(SystemTime::now), random::sixteen())
        .compat_etags(settings.compat_etags);
    Ok(LocalStore::open(&settings.path, options)?)
}

/// Removes now and then what crashes left behind.
async fn sweep(store: LocalStore) {
    loop {
        tokio::time::sleep(SWEEP_PAUSE).await;
        match store.sweep().await {
            Ok(report) => tracing::debug!(?report, "swept"),
            Err(error) => tracing::warn!(%error, "the store could not be swept"),
        }
    }
}

type OpenedKms = (Option<Arc<dyn Kms>>, Option<(Arc<KesKms>, KesConfig)>);

fn open_kms(config: KmsConfig) -> Result<OpenedKms> {
    match config {
        KmsConfig::None => {
            tracing::warn!(
                "no key management system is configured: objects are stored as they are sent, \
                 unless clients bring their own keys (SSE-C)"
            );
            Ok((None, None))
        }
        KmsConfig::StaticKey { current, old } => {
            let kms = StaticKey::new(current, old, Arc::new(random::fill));
            Ok((Some(Arc::new(kms)), None))
        }
        KmsConfig::Kes(config) => {
            let kms =
                Arc::new(KesKms::new(&kes_settings(&config)?).map_err(|error| {
                    anyhow!("the key management system cannot be asked: {error}")
                })?);
            Ok((Some(Arc::clone(&kms) as Arc<dyn Kms>), Some((kms, config))))
        }
    }
}

/// Reads the files that a KES configuration names.
fn kes_settings(config: &KesConfig) -> Result<KesSettings> {
    let credentials = match &config.auth {
        KesAuth::ApiKey(text) => Credentials::api_key(ApiKey::parse(text)?)?,
        KesAuth::Files {
            certificate,
            private_key,
            password,
        } => credentials(certificate, private_key, password.as_deref()).with_context(|| {
            format!(
                "MINIO_KMS_KES_CERT_FILE and MINIO_KMS_KES_KEY_FILE cannot be used ({}, {})",
                certificate.display(),
                private_key.display()
            )
        })?,
    };
    config.refuse_public_identity(&credentials.identity().to_string())?;
    let trust = match &config.authorities {
        None => Trust::system(),
        Some(path) => Trust::system()
            .with_ca_path(path)
            .context("MINIO_KMS_KES_CAPATH cannot be used")?,
    };
    Ok(KesSettings {
        endpoints: config.endpoints.clone(),
        credentials,
        trust,
        default_key: config.default_key.clone(),
    })
}

fn credentials(
    certificate: &Path,
    private_key: &Path,
    password: Option<&str>,
) -> Result<Credentials> {
    let certificate = std::fs::read(certificate)?;
    let private_key = zeroize::Zeroizing::new(std::fs::read(private_key)?);
    let private_key = pem::decrypted(private_key, password)?;
    Ok(Credentials::from_pem(&certificate, &private_key)?)
}

fn monotonic() -> strongroom_sse::Clock {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}
