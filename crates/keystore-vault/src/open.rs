//! From a configuration to a store.

use strongroom_keystore::StoreError;
use strongroom_keystore::config::{self, ClientTls, VaultLogin};
use strongroom_vault::{
    Client, Jwt, Kv, KvVersion, Login, Mount, Namespace, Path, Secret, Session, SessionOptions,
    TlsFiles, Transit, VaultError,
};
use tokio::sync::{Mutex, OnceCell};

use crate::VaultStore;

impl VaultStore {
    /// Checks the settings and reads the certificates; makes no connection.
    ///
    /// # Errors
    /// A setting or a file cannot be used.
    pub async fn open(config: config::Vault) -> Result<Self, StoreError> {
        Self::new(config).map_err(|error| StoreError::other(error.to_string()))
    }

    fn new(config: config::Vault) -> Result<Self, VaultError> {
        let ClientTls { key, cert, ca } = config.tls;
        let client = Client::new(&config.endpoint, &TlsFiles { key, cert, ca })?;
        let namespace = Namespace::parse(config.namespace.as_deref().unwrap_or_default())?;
        let login_namespace = match config.login_namespace.as_deref() {
            None | Some("") => namespace.clone(),
            Some(text) => Namespace::parse(text)?,
        };
        let login = login(config.login)?;
        let login_text = login.to_string();
        let transit = config.transit.map(|transit| {
            let path = engine("transit.engine", &transit.engine)?;
            let mount = Mount {
                namespace: namespace.clone(),
                path,
            };
            if Path::parse(&transit.key)?.is_empty() {
                return Err(empty("transit.key"));
            }
            let key = transit.key;
            Ok(Transit { mount, key })
        });
        let kv = Kv {
            mount: Mount {
                path: engine("engine", &config.engine)?,
                namespace,
            },
            version: match config.version {
                config::KvVersion::V1 => KvVersion::V1,
                config::KvVersion::V2 => KvVersion::V2,
            },
        };
        let options = SessionOptions {
            login,
            namespace: login_namespace.clone(),
            ping: config.ping,
        };
        Ok(Self {
            session: Session::new(client, options),
            kv,
            prefix: Path::parse(config.prefix.as_deref().unwrap_or_default())?,
            transit: transit.transpose()?,
            login_namespace,
            login: login_text,
            creating: Mutex::default(),
            is_checked: OnceCell::new(),
        })
    }
}

fn login(login: VaultLogin) -> Result<Login, VaultError> {
    Ok(match login {
        VaultLogin::AppRole {
            engine: at,
            id,
            secret,
        } => {
            if id.is_empty() {
                return Err(empty("approle.id"));
            }
            Login::AppRole {
                engine: engine("approle.engine", &at)?,
                role_id: id,
                // Empty for roles that ask for none.
                secret_id: Secret::new(secret.expose().to_owned()),
            }
        }
        VaultLogin::Kubernetes {
            engine: at,
            role,
            jwt,
        } => {
            if role.is_empty() {
                return Err(empty("kubernetes.role"));
            }
            Login::Kubernetes {
                engine: engine("kubernetes.engine", &at)?,
                role,
                jwt: match jwt {
                    config::Jwt::File(path) => Jwt::File(path),
                    config::Jwt::Token(token) => Jwt::Token(Secret::new(token.expose().to_owned())),
                },
            }
        }
    })
}

fn engine(setting: &str, text: &str) -> Result<Path, VaultError> {
    let path = Path::parse(text)?;
    if path.is_empty() {
        return Err(empty(setting));
    }
    Ok(path)
}

fn empty(setting: &str) -> VaultError {
    VaultError::Config(format!(
        "vault.{setting} is empty: set it, or leave it out for its default where it has one"
    ))
}
