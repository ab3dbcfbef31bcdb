//! What a configuration says of each kind of store: plain data, checked for shape only. The store's own crate opens it.

mod place;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Where the keys lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeystoreConfig {
    /// In memory: gone when the server ends. No configuration file can ask for it.
    Memory,
    /// In a directory.
    Fs {
        /// The directory; made when missing.
        path: PathBuf,
    },
    /// HashiCorp Vault or OpenBao.
    Vault(Box<Vault>),
    /// AWS Secrets Manager.
    Aws(Box<Aws>),
    /// Google Secret Manager.
    Gcp(Box<Gcp>),
    /// Azure Key Vault.
    Azure(Box<Azure>),
    /// Thales CipherTrust Manager, formerly Gemalto KeySecure.
    CipherTrust(Box<CipherTrust>),
    /// Entrust KeyControl.
    KeyControl(Box<KeyControl>),
    /// Fortanix SDKMS.
    Sdkms(Box<Sdkms>),
}

/// A password, token or private key of a configuration: wiped on drop, never shown.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a text over.
    #[must_use]
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretText {}

/// `keystore.vault`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// `https://vault.example:8200`.
    pub endpoint: String,
    /// Mount path of the K/V engine (`kv`).
    pub engine: String,
    /// Which K/V engine.
    pub version: KvVersion,
    /// Namespace of the engines.
    pub namespace: Option<String>,
    /// Path below the engine that all keys lie under.
    pub prefix: Option<String>,
    /// Wraps values before they are stored.
    pub transit: Option<VaultTransit>,
    /// How a token is got.
    pub login: VaultLogin,
    /// The namespace of the login where it is not that of the engines; `/` is the root namespace.
    pub login_namespace: Option<String>,
    /// Own certificates.
    pub tls: ClientTls,
    /// How often the seal state is asked for.
    pub ping: Duration,
}

/// Versions of Vault's K/V engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvVersion {
    /// Unversioned. It has no atomic create.
    V1,
    /// Versioned, with check-and-set.
    V2,
}

/// `keystore.vault.transit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultTransit {
    /// Mount path (`transit`).
    pub engine: String,
    /// Name of the key that wraps.
    pub key: String,
}

/// `keystore.vault.approle` or `keystore.vault.kubernetes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultLogin {
    /// By AppRole.
    AppRole {
        /// Mount path (`approle`).
        engine: String,
        /// Role ID.
        id: String,
        /// Secret ID.
        secret: SecretText,
    },
    /// By a service account token of Kubernetes.
    Kubernetes {
        /// Mount path (`kubernetes`).
        engine: String,
        /// Role.
        role: String,
        /// The token.
        jwt: Jwt,
    },
}

/// Where a service account token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwt {
    /// A file, read again at each login: Kubernetes renews it.
    File(PathBuf),
    /// The token itself.
    Token(SecretText),
}

/// Own certificates for a connection to a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Private key for a client certificate.
    pub key: Option<PathBuf>,
    /// Client certificate.
    pub cert: Option<PathBuf>,
    /// The only authorities to trust, a file or a directory; the system's when not given.
    pub ca: Option<PathBuf>,
}

/// `keystore.aws.secretsmanager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// `secretsmanager.us-east-1.amazonaws.com`, with or without a scheme.
    pub endpoint: String,
    /// `us-east-1`.
    pub region: String,
    /// AWS KMS key that Secrets Manager encrypts with; its default when not given.
    pub kms_key: Option<String>,
    /// Fixed credentials; otherwise the default chain of AWS (environment, profile, web identity, instance).
    pub credentials: Option<AwsCredentials>,
}

/// Fixed credentials of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// Access key ID.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: SecretText,
    /// Session token.
    pub session_token: Option<SecretText>,
}

/// `keystore.gcp.secretmanager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gcp {
    /// Project.
    pub project_id: String,
    /// The public one when not given.
    pub endpoint: Option<String>,
    /// OAuth scopes; Google's default when empty.
    pub scopes: Vec<String>,
    /// A service account; otherwise ambient credentials.
    pub credentials: Option<GcpCredentials>,
}

/// A service account of Google.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcpCredentials {
    /// `name@project.iam.gserviceaccount.com`.
    pub client_email: String,
    /// Numeric ID.
    pub client_id: String,
    /// ID of the private key.
    pub private_key_id: String,
    /// PEM, with real line ends.
    pub private_key: SecretText,
}

/// `keystore.azure.keyvault`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Azure {
    /// `https://my-vault.vault.azure.net`.
    pub endpoint: String,
    /// How a token is got.
    pub credentials: AzureCredentials,
    /// Authorities to trust besides the system's, for private clouds. An addition of ours: `tls.ca`.
    pub ca: Option<PathBuf>,
}

/// How Azure is told who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureCredentials {
    /// An application's secret.
    ClientSecret {
        /// Directory.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// Its secret.
        client_secret: SecretText,
    },
    /// The identity of the machine.
    ManagedIdentity {
        /// Of a user-assigned identity.
        client_id: Option<String>,
    },
    /// Azure's default chain: environment, workload identity, managed identity.
    Default,
}

/// `keystore.gemalto.keysecure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherTrust {
    /// `https://ciphertrust.example`.
    pub endpoint: String,
    /// Refresh token.
    pub token: SecretText,
    /// Domain of the user.
    pub domain: Option<String>,
    /// The only authorities to trust; the system's when not given.
    pub ca: Option<PathBuf>,
}

/// `keystore.entrust.keycontrol`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyControl {
    /// `https://keycontrol.example`.
    pub endpoint: String,
    /// Vault.
    pub vault_id: String,
    /// Box in the vault.
    pub box_id: String,
    /// User.
    pub username: String,
    /// Password.
    pub password: SecretText,
    /// The only authorities to trust; the system's when not given.
    pub ca: Option<PathBuf>,
}

/// `keystore.fortanix.sdkms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdkms {
    /// `https://sdkms.fortanix.com`.
    pub endpoint: String,
    /// Group for new keys.
    pub group_id: Option<String>,
    /// API key of the application.
    pub key: SecretText,
    /// The only authorities to trust; the system's when not given.
    pub ca: Option<PathBuf>,
}
