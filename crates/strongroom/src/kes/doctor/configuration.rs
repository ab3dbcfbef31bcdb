//! The file itself: who may read it, what it says, and the variables it takes values from.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use strongroom_kes_server::Config;
use strongroom_kes_server::config::CertificateSource;
use strongroom_keystore::KeystoreConfig;
use strongroom_keystore::config::{AzureCredentials, Jwt, VaultLogin};
use zeroize::Zeroizing;

use super::report::Report;

const FILE: &str = "configuration file";

/// The environment, by name.
type Environment<'e> = &'e (dyn Fn(&str) -> Option<String> + Send + Sync);

/// Reads the file; without a configuration there is nothing else to look at.
pub(super) fn look(
    file: &Path,
    environment: Environment<'_>,
    report: &mut Report,
) -> Option<Config> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            report.bad(
                FILE,
                format!(
                    "{} cannot be read: {error}; check the path and the rights of this user",
                    file.display()
                ),
            );
            return None;
        }
    };
    // Whether a variable is set, and to something.
    let asked: RefCell<BTreeMap<String, Option<bool>>> = RefCell::default();
    let lookup = |name: &str| {
        let value = environment(name);
        let is_there = value.as_ref().map(|value| !value.is_empty());
        asked.borrow_mut().insert(name.to_owned(), is_there);
        value
    };
    let parsed = Config::parse(&text, &lookup);
    report.good(FILE, format!("{} can be read", file.display()));
    variables(&asked.into_inner(), report);
    let (config, warnings) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            report.bad(
                "settings",
                format!("{error}; correct it in {}", file.display()),
            );
            return None;
        }
    };
    report.good(
        "settings",
        format!("understood; keys lie in {}", kind(&config.keystore)),
    );
    for warning in warnings {
        report.warn("settings", warning.to_string());
    }
    who_reads(file, &text, &config, report);
    cache(&config, report);
    Some(config)
}

fn variables(asked: &BTreeMap<String, Option<bool>>, report: &mut Report) {
    for (name, is_there) in asked {
        let step = format!("variable {name}");
        match is_there {
            Some(true) => report.good(step, "set"),
            Some(false) => report.warn(step, "set, but empty: the setting that names it is empty"),
            None => report.bad(step, "not set; set it for the server's process (and for this one), or write the value into the file"),
        }
    }
}

/// A file that others read must hold no secret.
fn who_reads(file: &Path, text: &str, config: &Config, report: &mut Report) {
    let Ok(metadata) = std::fs::metadata(file) else {
        return;
    };
    let others_read = metadata.permissions().mode() & 0o004 != 0;
    let holds_secret = secrets(config).any(|secret| !secret.is_empty() && text.contains(secret));
    match (holds_secret, others_read) {
        (true, true) => report.warn(
            FILE,
            format!(
                "it holds a password or token, and every user can read it; run: chmod o= {}",
                file.display()
            ),
        ),
        (true, false) => report.good(
            FILE,
            "it holds a password or token, and not every user can read it",
        ),
        (false, _) => {}
    }
}

/// Passwords and tokens of a configuration, wherever they came from.
fn secrets(config: &Config) -> impl Iterator<Item = &str> {
    let mut all: Vec<&str> = Vec::new();
    if let CertificateSource::Files {
        password: Some(password),
        ..
    } = &config.tls.certificate
    {
        all.push(password);
    }
    match &config.keystore {
        KeystoreConfig::Memory | KeystoreConfig::Fs { .. } => {}
        KeystoreConfig::Vault(vault) => match &vault.login {
            VaultLogin::AppRole { secret, .. } => all.push(secret.expose()),
            VaultLogin::Kubernetes {
                jwt: Jwt::Token(token),
                ..
            } => all.push(token.expose()),
            VaultLogin::Kubernetes { .. } => {}
        },
        KeystoreConfig::Aws(aws) => {
            if let Some(credentials) = &aws.credentials {
                all.push(credentials.secret_key.expose());
                all.extend(
                    credentials
                        .session_token
                        .as_ref()
                        .map(|token| token.expose()),
                );
            }
        }
        KeystoreConfig::Gcp(gcp) => {
            // The file has it in lines, so one of them does.
            let key = gcp
                .credentials
                .iter()
                .flat_map(|c| c.private_key.expose().lines());
            all.extend(key.filter(|line| !line.contains('-')).take(1));
        }
        KeystoreConfig::Azure(azure) => {
            if let AzureCredentials::ClientSecret { client_secret, .. } = &azure.credentials {
                all.push(client_secret.expose());
            }
        }
        KeystoreConfig::CipherTrust(ciphertrust) => all.push(ciphertrust.token.expose()),
        KeystoreConfig::KeyControl(keycontrol) => all.push(keycontrol.password.expose()),
        KeystoreConfig::Sdkms(sdkms) => all.push(sdkms.key.expose()),
    }
    all.into_iter()
}

fn kind(keystore: &KeystoreConfig) -> &'static str {
    match keystore {
        KeystoreConfig::Memory => "memory",
        KeystoreConfig::Fs { .. } => "a directory",
        KeystoreConfig::Vault(_) => "HashiCorp Vault or OpenBao",
        KeystoreConfig::Aws(_) => "AWS Secrets Manager",
        KeystoreConfig::Gcp(_) => "Google Secret Manager",
        KeystoreConfig::Azure(_) => "Azure Key Vault",
        KeystoreConfig::CipherTrust(_) => "Thales CipherTrust Manager",
        KeystoreConfig::KeyControl(_) => "Entrust KeyControl",
        KeystoreConfig::Sdkms(_) => "Fortanix SDKMS",
    }
}

fn cache(config: &Config, report: &mut Report) {
    const STEP: &str = "cache";
    let cache = &config.cache;
    if cache.any.is_zero() {
        report.warn(STEP, "keys are not remembered, so each request asks the key store, and none is answered while it is away");
    } else if cache.unused > cache.any {
        report.warn(STEP, "'unused' is longer than 'any', so it has no effect: a key is forgotten after 'any' at the latest");
    } else {
        report.good(
            STEP,
            format!(
                "a key is remembered for {:?} at most, and for {:?} without use",
                cache.any, cache.unused
            ),
        );
    }
    if !cache.offline.is_zero() && cache.offline < cache.any {
        report.warn(STEP, "'offline' is shorter than 'any': keys are forgotten sooner while the key store is away");
    }
}
