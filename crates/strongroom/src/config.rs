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
use strongroom_sse::KeyWindows;

pub(crate) use self::environment::Environment;
pub(crate) use self::kms::{KesAuth, KesConfig, KmsConfig};

/// How long the start waits for a KMS that does not answer, unless `STRONGROOM_KMS_START_TIMEOUT` says otherwise.
const KMS_START_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest that the start may be told to wait: more is a typing error.
const KMS_START_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest that a data key may live in memory. Who disables a key waits for this.
const KEY_WINDOW_MAX: Duration = Duration::from_secs(60 * 60);

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
    pub(crate) windows: KeyWindows,
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
            windows: windows(env)?,
            kms_start_timeout: duration(
                env,
                "STRONGROOM_KMS_START_TIMEOUT",
                KMS_START_TIMEOUT,
                KMS_START_TIMEOUT_MAX,
            )?,
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

/// How long data keys live in memory: the sum of both is how long a disabled key still works here.
fn windows(env: &Environment) -> Result<KeyWindows> {
    let default = KeyWindows::default();
    let bucket_key = duration(
        env,
        "STRONGROOM_BUCKET_KEY_WINDOW",
        default.bucket_key,
        KEY_WINDOW_MAX,
    )?;
    let opened = duration(
        env,
        "STRONGROOM_DATA_KEY_CACHE",
        default.opened.min(bucket_key),
        KEY_WINDOW_MAX,
    )?;
    if opened > bucket_key {
        bail!(
            "STRONGROOM_DATA_KEY_CACHE is longer than STRONGROOM_BUCKET_KEY_WINDOW: opened data keys would outlive \
             those that seal"
        );
    }
    Ok(KeyWindows {
        bucket_key,
        opened,
        ..default
    })
}

/// Seconds (`90`, `90s`) or minutes (`5m`), at most `max`.
fn duration(env: &Environment, name: &str, default: Duration, max: Duration) -> Result<Duration> {
    let Some(text) = env.get(name) else {
        return Ok(default);
    };
    let (number, seconds) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let duration = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(seconds))
        .map(Duration::from_secs)
        .filter(|duration| *duration <= max);
    match duration {
        Some(duration) => Ok(duration),
        None => bail!(
            "{name} is {text:?}: it must be seconds or minutes, such as 90s or 5m, and at most {} minutes",
            max.as_secs() / 60
        ),
    }
}
