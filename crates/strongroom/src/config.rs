//! What the operator said, checked: past this module nobody looks at an environment variable.
//!
//! The variables keep the names that MinIO gave them, so that existing settings run as they are; what MinIO
//! accepted silently and wrongly is an error here, in one sentence. See docs/operating/configuration.md.

mod environment;
mod kms;
mod root;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use strongroom_access::{Hosts, RootCredentials};

pub(crate) use self::environment::Environment;
pub(crate) use self::kms::{KesAuth, KesConfig, KmsConfig};

/// How long the start waits for a KMS that does not answer, unless `STRONGROOM_KMS_START_TIMEOUT` says otherwise.
const KMS_START_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest that the start may be told to wait: more is a typing error.
const KMS_START_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What is done with an upload that says nothing of encryption, into a bucket without default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoEncryption {
    Off,
    SseS3,
    SseKms,
}

/// Everything that the environment decides of an object server.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) root: RootCredentials,
    pub(crate) kms: KmsConfig,
    pub(crate) auto_encryption: AutoEncryption,
    pub(crate) kms_start_timeout: Duration,
    pub(crate) hosts: Hosts,
    /// Sentences that the operator should read once.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads the environment of an object server.
    ///
    /// `authorities` are those of the certificates folder, trusted for the key server if nothing else is named.
    pub(crate) fn read(env: &Environment, authorities: Option<&Path>) -> Result<Self> {
        env.refuse_unknown()?;
        let mut warnings = Vec::new();
        let root = root::read(env, &mut warnings)?;
        let allow_public_keys = env.switch("STRONGROOM_ALLOW_PUBLIC_KEYS")?.unwrap_or(false);
        let kms = kms::read(env, allow_public_keys, authorities, &mut warnings)?;
        if allow_public_keys {
            warnings.push(
                "STRONGROOM_ALLOW_PUBLIC_KEYS is on: keys that are printed in public documents are accepted, \
                 and protect nothing"
                    .to_owned(),
            );
        }
        let auto_encryption = auto_encryption(env, &kms)?;
        let hosts = match env.get("MINIO_DOMAIN") {
            None => Hosts::path_style(),
            Some(list) => Hosts::under(list.split(',').map(str::trim).filter(|d| !d.is_empty()))
                .map_err(|error| anyhow::anyhow!("MINIO_DOMAIN cannot be used: {error}"))?,
        };
        Ok(Self {
            root,
            kms,
            auto_encryption,
            kms_start_timeout: kms_start_timeout(env)?,
            hosts,
            warnings,
        })
    }
}

fn auto_encryption(env: &Environment, kms: &KmsConfig) -> Result<AutoEncryption> {
    const NAMES: [&str; 2] = ["MINIO_KMS_AUTO_ENCRYPTION", "MINIO_SSE_AUTO_ENCRYPTION"];
    let [new, old] = [env.switch(NAMES[0])?, env.switch(NAMES[1])?];
    if let (Some(new), Some(old)) = (new, old)
        && new != old
    {
        bail!(
            "{} and {} contradict each other: keep the first, remove the second",
            NAMES[0],
            NAMES[1]
        );
    }
    let mode = match env.get("MINIO_KMS_AUTO_ENCRYPTION_MODE") {
        None | Some("AES256") => AutoEncryption::SseS3,
        Some("aws:kms") => AutoEncryption::SseKms,
        Some(other) => {
            bail!("MINIO_KMS_AUTO_ENCRYPTION_MODE is {other:?}: it must be AES256 or aws:kms")
        }
    };
    if !new.or(old).unwrap_or(false) {
        return Ok(AutoEncryption::Off);
    }
    if matches!(kms, KmsConfig::None) {
        bail!(
            "auto-encryption is on and no key management system is configured: \
             set MINIO_KMS_KES_ENDPOINT or MINIO_KMS_SECRET_KEY, or switch it off"
        );
    }
    Ok(mode)
}

fn kms_start_timeout(env: &Environment) -> Result<Duration> {
    const NAME: &str = "STRONGROOM_KMS_START_TIMEOUT";
    let Some(text) = env.get(NAME) else {
        return Ok(KMS_START_TIMEOUT);
    };
    let (number, seconds) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let timeout = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(seconds))
        .map(Duration::from_secs)
        .filter(|timeout| *timeout <= KMS_START_TIMEOUT_MAX);
    match timeout {
        Some(timeout) => Ok(timeout),
        None => bail!(
            "{NAME} is {text:?}: it must be seconds or minutes up to a day, such as 90s or 5m"
        ),
    }
}
