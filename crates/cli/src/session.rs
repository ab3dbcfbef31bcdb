//! From flags and environment to a client.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use rustls_pki_types::PrivateKeyDer;
use strongroom_kes_client::{ApiKey, Credentials, Endpoint, KesClient, Trust};
use strongroom_transport::certificate::{self, CertificateError};
use strongroom_transport::pem::PemError;
use zeroize::Zeroizing;

use crate::secret_argument::SecretArgument;
use crate::shell::Shell;

const SERVER: [&str; 3] = ["MINIO_KES_SERVER", "KES_SERVER", "MINIO_KMS_KES_ENDPOINT"];
const SERVER_DEFAULT: &str = "127.0.0.1:7373";
const API_KEY: [&str; 3] = ["MINIO_KES_API_KEY", "KES_API_KEY", "MINIO_KMS_KES_API_KEY"];
const KEY_FILE: [&str; 4] = [
    "MINIO_KES_KEY_FILE",
    "KES_CLIENT_KEY",
    "MINIO_KES_CLIENT_KEY",
    "KES_CLIENT_TLS_KEY_FILE",
];
const CERT_FILE: [&str; 4] = [
    "MINIO_KES_CERT_FILE",
    "KES_CLIENT_CERT",
    "MINIO_KES_CLIENT_CERT",
    "KES_CLIENT_TLS_CERT_FILE",
];
/// What a MinIO server on the same machine has. They count only when there is nothing else: a MinIO server's certificate
/// is no conflict with a person's API key.
const MINIO_KEY_FILE: &str = "MINIO_KMS_KES_KEY_FILE";
const MINIO_CERT_FILE: &str = "MINIO_KMS_KES_CERT_FILE";
const KEY_PASSWORD: [&str; 1] = ["MINIO_KMS_KES_KEY_PASSWORD"];
const CA_PATH: [&str; 3] = ["MINIO_KES_CA_CERT", "KES_CA_CERT", "MINIO_KMS_KES_CAPATH"];

/// How to reach the server.
#[derive(Debug, Default, Args)]
pub(crate) struct Connect {
    /// Skip the check of the server's certificate.
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,
    /// Trust the certificates in this PEM file or directory, too [env: KES_CA_CERT].
    #[arg(long, value_name = "PATH")]
    pub(crate) ca: Option<PathBuf>,
    /// API key to authenticate with [env: KES_API_KEY].
    #[arg(short = 'a', long, value_name = "KEY", hide_short_help = false)]
    pub(crate) api_key: Option<SecretArgument>,
    /// Accepted for old scripts, without effect.
    #[arg(short = 'e', long, value_name = "NAME", hide = true)]
    pub(crate) enclave: Option<String>,
}

/// Which server.
#[derive(Debug, Default, Args)]
pub(crate) struct Server {
    /// Server to talk to [env: KES_SERVER] [default: 127.0.0.1:7373].
    #[arg(short = 's', long, value_name = "HOST[:PORT]")]
    pub(crate) server: Option<String>,
}

impl Connect {
    /// A client of all named servers.
    pub(crate) fn client(
        &self,
        server: Option<&str>,
        shell: &Shell<'_>,
    ) -> anyhow::Result<KesClient> {
        self.client_of(endpoints(server, shell)?, shell)
    }

    /// A client of these servers.
    pub(crate) fn client_of(
        &self,
        endpoints: Vec<Endpoint>,
        shell: &Shell<'_>,
    ) -> anyhow::Result<KesClient> {
        let credentials = self.credentials(shell)?;
        let trust = self.trust(shell)?;
        Ok(KesClient::builder()
            .endpoints(endpoints)
            .credentials(credentials)
            .trust(trust)
            .build()?)
    }

    fn trust(&self, shell: &Shell<'_>) -> anyhow::Result<Trust> {
        if self.insecure {
            return Ok(Trust::dangerous_everybody());
        }
        let ca = self.ca.clone().or_else(|| {
            shell
                .first_set(&CA_PATH)
                .filter(|p| !p.is_empty())
                .map(PathBuf::from)
        });
        match ca {
            Some(path) => Ok(Trust::system().with_ca_path(&path)?),
            None => Ok(Trust::system()),
        }
    }

    fn credentials(&self, shell: &Shell<'_>) -> anyhow::Result<Credentials> {
        if let Some(key) = &self.api_key {
            return Ok(Credentials::api_key(ApiKey::parse(key)?)?);
        }
        let api_key = shell.first_set(&API_KEY).map(Zeroizing::new);
        let key_file = shell.first_set(&KEY_FILE);
        let cert_file = shell.first_set(&CERT_FILE);
        match (api_key, key_file, cert_file) {
            (Some(key), None, None) => Ok(Credentials::api_key(ApiKey::parse(&key)?)?),
            (Some(_), _, _) => {
                bail!("API key and private key file cannot be used at the same time")
            }
            (None, None, None) => {
                let minio = |name| (shell.env)(name).filter(|file| !file.is_empty());
                match (minio(MINIO_KEY_FILE), minio(MINIO_CERT_FILE)) {
                    (Some(key), Some(cert)) => from_files(key.as_ref(), cert.as_ref(), shell),
                    _ => bail!("no API key specified. Consider setting {}", API_KEY[0]),
                }
            }
            (None, Some(_), None) => bail!(
                "no certificate file specified. Consider setting {}",
                CERT_FILE[0]
            ),
            (None, None, Some(_)) => bail!(
                "no private key file specified. Consider setting {}",
                KEY_FILE[0]
            ),
            (None, Some(key_file), Some(cert_file)) => {
                from_files(Path::new(&key_file), Path::new(&cert_file), shell)
            }
        }
    }
}

/// The servers of the flag, else of the environment.
pub(crate) fn endpoints(server: Option<&str>, shell: &Shell<'_>) -> anyhow::Result<Vec<Endpoint>> {
    let list = match server {
        Some(server) => server.to_owned(),
        None => shell
            .first_set(&SERVER)
            .unwrap_or_else(|| SERVER_DEFAULT.to_owned()),
    };
    Ok(Endpoint::parse_list(&list)?)
}

fn from_files(key_file: &Path, cert_file: &Path, shell: &Shell<'_>) -> anyhow::Result<Credentials> {
    let read = |file: &Path| {
        std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
    };
    let chain = certificate::certificates(&read(cert_file)?)
        .with_context(|| cert_file.display().to_string())?;
    let key = private_key(key_file, &Zeroizing::new(read(key_file)?), shell)?;
    Credentials::from_der(chain, &key).with_context(|| cert_file.display().to_string())
}

/// Reads a private key; asks for the password if it has one.
pub(crate) fn private_key(
    file: &Path,
    pem: &[u8],
    shell: &Shell<'_>,
) -> anyhow::Result<PrivateKeyDer<'static>> {
    let key = match certificate::private_key(pem, None) {
        Err(CertificateError::Pem(PemError::PasswordMissing)) => {
            let password = match shell.first_set(&KEY_PASSWORD) {
                Some(password) => Zeroizing::new(password),
                None => (shell.ask_password)("Enter password for private key: ")?,
            };
            certificate::private_key(pem, Some(&password))
        }
        other => other,
    };
    key.with_context(|| file.display().to_string())
}
