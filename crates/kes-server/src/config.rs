//! The configuration file: the YAML of every age of upstream KES → one checked [`Config`].
//!
//! Errors have upstream's words where those are known, and the place in the file. Settings that nobody knows are warnings
//! with their place; `--strict` makes them errors.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use strongroom_kes_api::{AdminIdentity, IdentityName, KeyName, Policy, PolicyName, path};
use strongroom_keystore::KeystoreConfig;
use strongroom_transport::Identity as Certificate;
use zeroize::Zeroizing;

use crate::log::Level;

mod api;
mod keystore;
mod policy;
mod read;
mod top;
mod yaml;

#[cfg(test)]
mod tests;

pub use api::ApiSettings;
pub use yaml::Place;

/// Where KES listens when nobody says otherwise.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 7373);
/// Largest configuration file.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// Who may do everything.
    pub admin: AdminIdentity,
    /// The server's certificate, and what is asked of clients.
    pub tls: TlsConfig,
    /// Who may do what.
    pub policies: BTreeMap<PolicyName, PolicyConfig>,
    /// How long keys are remembered.
    pub cache: CacheConfig,
    /// Deviations of single routes, by route path.
    pub api: BTreeMap<&'static str, ApiSettings>,
    /// What is logged.
    pub log: LogConfig,
    /// Keys made before serving.
    pub keys: Vec<KeyName>,
    /// Where the keys lie.
    pub keystore: KeystoreConfig,
}

/// The `tls` section.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The server's own certificate.
    pub certificate: CertificateSource,
    /// Verify the chain and validity of client certificates.
    pub verify_clients: bool,
    /// Authorities besides the system's: a file, or a folder of files.
    pub authorities: Option<PathBuf>,
    /// Identities whose `X-Tls-Client-Cert`-like header is believed.
    pub proxies: Vec<IdentityName>,
    /// That header.
    pub proxy_header: Option<String>,
}

/// Where the server's certificate comes from.
#[derive(Clone)]
pub enum CertificateSource {
    /// Two PEM files; read again on reload.
    Files {
        /// Private key.
        private_key: PathBuf,
        /// Chain, leaf first.
        certificate: PathBuf,
        /// For an encrypted private key.
        password: Option<Zeroizing<String>>,
    },
    /// Made in memory.
    Given(Certificate),
}

impl std::fmt::Debug for CertificateSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files {
                private_key,
                certificate,
                ..
            } => f
                .debug_struct("Files")
                .field("private_key", private_key)
                .field("certificate", certificate)
                .finish_non_exhaustive(),
            Self::Given(certificate) => certificate.fmt(f),
        }
    }
}

/// One policy with those it is for.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// The patterns.
    pub policy: Policy,
    /// Each identity has at most one policy.
    pub identities: BTreeSet<IdentityName>,
}

/// How long keys are remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// At most this long; zero: not at all.
    pub any: Duration,
    /// As long as a key was used within this time; zero: whether used or not.
    pub unused: Duration,
    /// While the store is unreachable, this long instead; zero: no such exception.
    pub offline: Duration,
    /// A sealed copy on disk, for starts while the store is away. An addition of ours: `cache.disk`.
    pub disk: Option<DiskCacheConfig>,
}

/// `cache.disk`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCacheConfig {
    /// The directory.
    pub path: PathBuf,
    /// How long a key in it may be used; never zero.
    pub max_age: Duration,
}

/// How long a key on disk may be used when nobody says otherwise: a store is back within a day.
pub const DISK_CACHE_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for CacheConfig {
    /// As upstream documents it (its code has 30 s and nothing when `unused` is left out).
    fn default() -> Self {
        Self {
            any: Duration::from_secs(5 * 60),
            unused: Duration::from_secs(30),
            offline: Duration::ZERO,
            disk: None,
        }
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Least important error record that is written.
    pub error: Level,
    /// Audit records have the level INFO.
    pub audit: Level,
    /// Records of the process are JSON instead of text. An addition of ours.
    pub json: bool,
    /// Audit records also go into this file, as the lines of `/v1/log/audit`. An addition of ours.
    pub audit_file: Option<PathBuf>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            error: Level::INFO,
            audit: Level::INFO,
            json: false,
            audit_file: None,
        }
    }
}

/// What the command line says besides the file. All but the admin are words of older servers, heard where the file is
/// silent: there the certificate was named by flags alone, and clients were verified unless a flag said `off`.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--root`; over the file's admin.
    pub root: Option<String>,
    /// `--key`.
    pub private_key: Option<PathBuf>,
    /// `--cert`.
    pub certificate: Option<PathBuf>,
    /// `--auth`.
    pub verify_clients: Option<bool>,
}

/// A configuration that was read, and what there is to say about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Settings of the file that are hardly meant, in its order.
    pub warnings: Vec<Warning>,
    /// Flags that had no effect, because the file says otherwise.
    pub unheeded: Vec<&'static str>,
}

/// Something in the file that is accepted but hardly meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is no YAML.
    #[error("kesconf: configuration is no valid YAML: {0}")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// A setting is missing, or has a value that makes no sense.
    #[error("{message}{}", place.map(|p| format!(" ({p})")).unwrap_or_default())]
    Invalid {
        /// What is wrong, in upstream's words where those are known.
        message: String,
        /// Where, when the setting is there.
        place: Option<Place>,
    },
}

impl ConfigError {
    fn at(place: Place, message: impl Into<String>) -> Self {
        Self::Invalid {
            message: message.into(),
            place: Some(place),
        }
    }

    fn missing(message: impl Into<String>) -> Self {
        Self::Invalid {
            message: message.into(),
            place: None,
        }
    }
}

impl Config {
    /// Reads a configuration file. `environment` looks up the variables that the file names.
    ///
    /// # Errors
    /// [`ConfigError`] with the place in the file.
    pub fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let loaded = Self::parse_with(text, environment, &Flags::default())?;
        Ok((loaded.config, loaded.warnings))
    }

    /// [`Config::parse`] under what the command line says.
    ///
    /// # Errors
    /// As there.
    pub fn parse_with(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        flags: &Flags,
    ) -> Result<Loaded, ConfigError> {
        if text.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::missing(format!(
                "kesconf: configuration is longer than {CONFIG_BYTES_MAX} bytes"
            )));
        }
        let root = yaml::parse(text).map_err(|e| ConfigError::Yaml(Box::new(e)))?;
        top::read(&root, environment, flags)
    }

    /// A configuration for development: keys in memory, no policies, everything for the admin.
    #[must_use]
    pub fn development(
        address: SocketAddr,
        admin: AdminIdentity,
        certificate: Certificate,
    ) -> Self {
        Self {
            address,
            admin,
            tls: TlsConfig {
                certificate: CertificateSource::Given(certificate),
                verify_clients: false,
                authorities: None,
                proxies: Vec::new(),
                proxy_header: None,
            },
            policies: BTreeMap::new(),
            cache: CacheConfig::default(),
            api: BTreeMap::new(),
            log: LogConfig::default(),
            keys: Vec::new(),
            keystore: KeystoreConfig::Memory,
        }
    }

    /// Does any route do without identities? Then clients need no certificate to connect.
    #[must_use]
    pub fn skips_auth_somewhere(&self) -> bool {
        self.api.values().any(|settings| settings.skip_auth)
    }
}

/// Routes whose authentication may be switched off: they show nothing of keys. Upstream lets any route go unguarded.
/// (`/version` asks for none; there it only lets clients connect without a certificate.)
pub const SKIP_AUTH_ROUTES: [&str; 5] = [
    path::VERSION,
    path::READY,
    path::STATUS,
    path::METRICS,
    path::API,
];
