//! Which key management system, and how to reach it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use strongroom_kes_client::{ApiKey, Endpoint, KeyName};
use strongroom_kms::NamedKey;

use super::environment::{Environment, Places, VAULT_FAMILIES};

/// Names that container images of MinIO set for files that may not exist.
const PRESET_FILES: &[&str] = &["kms_master_key", "sse_master_key"];
/// The identity of the public KES sandbox: its private key is printed in guides, and its keys are everybody's.
const SANDBOX_IDENTITY: &str = "3ecfcdf38fcbe141ae26a1030f81e96b753365a46760ae6b578698a97c59fd22";
const SECRET_KEY: &str = "MINIO_KMS_SECRET_KEY";
const SECRET_KEY_FILE: &str = "MINIO_KMS_SECRET_KEY_FILE";

/// What to ask for data keys.
#[derive(Debug)]
pub(crate) enum KmsConfig {
    /// Nothing: only SSE-C.
    None,
    /// One key in memory; an older one opens only.
    StaticKey {
        current: NamedKey,
        old: Option<NamedKey>,
    },
    Kes(KesConfig),
}

/// A KES, and who we are to it.
#[derive(Clone, Debug)]
pub(crate) struct KesConfig {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) default_key: KeyName,
    pub(crate) auth: KesAuth,
    /// Authorities to trust; `None`: those of the system.
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) allow_public_keys: bool,
}

/// Who we are to a KES.
#[derive(Clone)]
pub(crate) enum KesAuth {
    /// The text of an API key, known to be one.
    ApiKey(String),
    /// Files, read again while running.
    Files {
        certificate: PathBuf,
        private_key: PathBuf,
        password: Option<String>,
    },
}

impl fmt::Debug for KesAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(_) => f.write_str("ApiKey(secret)"),
            Self::Files {
                certificate,
                private_key,
                ..
            } => f
                .debug_struct("Files")
                .field("certificate", certificate)
                .field("private_key", private_key)
                .finish_non_exhaustive(),
        }
    }
}

pub(super) fn read(
    env: &Environment,
    allow_public_keys: bool,
    authorities: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Result<KmsConfig> {
    refuse_what_is_not_spoken(env)?;
    let current = secret_key(env, allow_public_keys)?;
    let master = master_key(env, allow_public_keys)?;
    let kes = kes(env, allow_public_keys, authorities, warnings)?;
    match (kes, current, master) {
        (None, None, None) => Ok(KmsConfig::None),
        (None, Some(current), old) => Ok(KmsConfig::StaticKey { current, old }),
        (None, None, Some(current)) => {
            warnings.push(
                "the master key in hexadecimal is an old form: it is used, and new data keys are sealed in the \
                 current form"
                    .to_owned(),
            );
            Ok(KmsConfig::StaticKey { current, old: None })
        }
        (Some(kes), None, None) => Ok(KmsConfig::Kes(kes)),
        (Some(_), _, _) => bail!(
            "configuration for KES (MINIO_KMS_KES_…) and for a static key ({SECRET_KEY} or \
             MINIO_SSE_MASTER_KEY) is present: keep one of them"
        ),
    }
}

fn refuse_what_is_not_spoken(env: &Environment) -> Result<()> {
    for name in [
        "MINIO_KMS_SERVER",
        "MINIO_KMS_ENCLAVE",
        "MINIO_KMS_SSE_KEY",
        "MINIO_KMS_API_KEY",
    ] {
        if env.get(name).is_some() {
            bail!(
                "{name} is a setting of MinIO's own KMS, which Strongroom does not speak: \
                 use a KES (MINIO_KMS_KES_ENDPOINT) or a static key ({SECRET_KEY})"
            );
        }
    }
    for family in VAULT_FAMILIES {
        let mut names = env.with_prefix(family);
        if let Some(name) = names.find(|name| *name != "MINIO_KMS_VAULT_DEPRECATION") {
            bail!(
                "{name}: using Vault without a KES is not supported yet; \
                 nothing was started, and objects of such a server stay as they are"
            );
        }
    }
    Ok(())
}

fn secret_key(env: &Environment, allow_public: bool) -> Result<Option<NamedKey>> {
    let in_file = env.value_in_file(SECRET_KEY_FILE, Places::PathThenSecret, PRESET_FILES)?;
    let (name, text) = match (env.get(SECRET_KEY), in_file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            bail!("{SECRET_KEY} and {SECRET_KEY_FILE} are both set: keep one of them")
        }
        (Some(text), None) => (SECRET_KEY, text.to_owned()),
        (None, Some(text)) => (SECRET_KEY_FILE, text),
    };
    match NamedKey::parse_base64(text.trim(), allow_public) {
        Ok(key) => Ok(Some(key)),
        Err(error) => bail!(
            "{name} cannot be used: {error} (<name>:<base64 of 32 random bytes> is expected; \
             `head -c 32 /dev/urandom | base64` makes such bytes)"
        ),
    }
}

fn master_key(env: &Environment, allow_public: bool) -> Result<Option<NamedKey>> {
    let mut found: Option<(&str, String)> = None;
    for [name, file_name] in [
        ["MINIO_SSE_MASTER_KEY", "MINIO_SSE_MASTER_KEY_FILE"],
        ["MINIO_KMS_MASTER_KEY", "MINIO_KMS_MASTER_KEY_FILE"],
    ] {
        let in_file = env.value_in_file(file_name, Places::SecretThenPath, PRESET_FILES)?;
        let (name, text) = match (env.get(name), in_file) {
            (None, None) => continue,
            (Some(_), Some(_)) => bail!("{name} and {file_name} are both set: keep one of them"),
            (Some(text), None) => (name, text.to_owned()),
            (None, Some(text)) => (file_name, text),
        };
        match &found {
            Some((other, known)) if *known != text => {
                bail!("{other} and {name} are set to different keys: keep one of them")
            }
            _ => found = Some((name, text)),
        }
    }
    let Some((name, text)) = found else {
        return Ok(None);
    };
    match NamedKey::parse_hex(text.trim(), allow_public) {
        Ok(key) => Ok(Some(key)),
        Err(error) => {
            bail!("{name} cannot be used: {error} (<name>:<64 hexadecimal digits> is expected)")
        }
    }
}

fn kes(
    env: &Environment,
    allow_public_keys: bool,
    authorities: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Result<Option<KesConfig>> {
    const ENDPOINT: &str = "MINIO_KMS_KES_ENDPOINT";
    const KEY_NAME: &str = "MINIO_KMS_KES_KEY_NAME";
    const WITHOUT_EFFECT: [&str; 4] = [
        "MINIO_KMS_KES_ENCLAVE",
        "MINIO_KMS_KES_BULK_API_BATCH_SIZE",
        "MINIO_KMS_KEY_CACHE_INTERVAL",
        "MINIO_KMS_REPLICATE_KEYID",
    ];
    for name in WITHOUT_EFFECT
        .into_iter()
        .filter(|name| env.get(name).is_some())
    {
        warnings.push(format!("{name} has no effect here"));
    }
    let mut names = env.with_prefix("MINIO_KMS_KES_");
    let Some(first) = names.find(|name| !WITHOUT_EFFECT.contains(name)) else {
        return Ok(None);
    };
    let Some(endpoint) = env.get(ENDPOINT) else {
        bail!(
            "{first} is set and {ENDPOINT} is not: set it to https://HOST:7373, or to a list of those"
        )
    };
    let endpoints =
        Endpoint::parse_list(endpoint).map_err(|error| anyhow!("{ENDPOINT}: {error}"))?;
    if endpoint
        .split(',')
        .any(|item| item.trim().starts_with("http://"))
    {
        bail!("{ENDPOINT} says http://: a KES is reached by https:// only");
    }
    let Some(key) = env.get(KEY_NAME) else {
        bail!(
            "{ENDPOINT} is set and {KEY_NAME} is not: name the key that objects are encrypted under by default"
        )
    };
    let default_key = KeyName::parse(key).map_err(|error| anyhow!("{KEY_NAME}: {error}"))?;
    let authorities = ["MINIO_KMS_KES_CAPATH", "MINIO_KMS_KES_CA_PATH"]
        .into_iter()
        .find_map(|name| env.get(name))
        .map(PathBuf::from)
        .or_else(|| authorities.map(Path::to_owned));
    let auth = kes_auth(env)?;
    let kes = KesConfig {
        endpoints,
        default_key,
        auth,
        authorities,
        allow_public_keys,
    };
    if let KesAuth::ApiKey(text) = &kes.auth {
        let key = ApiKey::parse(text).map_err(|error| {
            anyhow!("MINIO_KMS_KES_API_KEY cannot be used: {error} (kes:v1:<base64> is expected)")
        })?;
        kes.refuse_public_identity(&key.identity().to_string())?;
    }
    Ok(Some(kes))
}

impl KesConfig {
    /// Refuses an identity that everybody has.
    pub(crate) fn refuse_public_identity(&self, identity: &str) -> Result<()> {
        if identity == SANDBOX_IDENTITY && !self.allow_public_keys {
            bail!(
                "the KES identity {SANDBOX_IDENTITY} belongs to the public sandbox: everybody has it, so it \
                 protects nothing. Make one with `strongroom kes identity new` \
                 (STRONGROOM_ALLOW_PUBLIC_KEYS=on lets it through, for experiments)"
            );
        }
        Ok(())
    }
}

fn kes_auth(env: &Environment) -> Result<KesAuth> {
    const API_KEY: &str = "MINIO_KMS_KES_API_KEY";
    const KEY_FILE: &str = "MINIO_KMS_KES_KEY_FILE";
    const CERT_FILE: &str = "MINIO_KMS_KES_CERT_FILE";
    const PASSWORD: &str = "MINIO_KMS_KES_KEY_PASSWORD";
    let password = env.get(PASSWORD).map(str::to_owned);
    match (env.get(API_KEY), env.get(CERT_FILE), env.get(KEY_FILE)) {
        (Some(key), None, None) if password.is_none() => Ok(KesAuth::ApiKey(key.to_owned())),
        (Some(_), ..) => bail!(
            "{API_KEY} excludes {KEY_FILE}, {CERT_FILE} and {PASSWORD}: keep the API key or the files"
        ),
        (None, Some(certificate), Some(private_key)) => {
            let (certificate, private_key) = (certificate.into(), private_key.into());
            env.file(CERT_FILE, Path::new(&certificate))?;
            env.file(KEY_FILE, Path::new(&private_key))?;
            Ok(KesAuth::Files {
                certificate,
                private_key,
                password,
            })
        }
        (None, Some(_), None) => bail!("{CERT_FILE} is set and {KEY_FILE} is not: set both"),
        (None, None, Some(_)) => bail!("{KEY_FILE} is set and {CERT_FILE} is not: set both"),
        (None, None, None) => bail!(
            "the KES would not know who asks: set {API_KEY} (kes:v1:…), or {KEY_FILE} and {CERT_FILE}"
        ),
    }
}
