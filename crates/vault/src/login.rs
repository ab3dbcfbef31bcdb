//! How a token is got, kept alive and proven.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::client::{Client, Payload, Request, Verb};
use crate::error::VaultError;
use crate::path::{Namespace, Path};
use crate::secret::Secret;

/// Longest service account token; real ones have some 1,500 bytes.
const JWT_BYTES_MAX: u64 = 64 << 10;
/// Room for what surrounds secrets in a login.
const LOGIN_BYTES_SPARE: usize = 4 << 10;

/// Who one is to Vault.
#[derive(Debug, Clone)]
pub enum Login {
    /// <https://openbao.org/api-docs/auth/approle/#login-with-approle>
    AppRole {
        /// Where the method is mounted below `auth/`.
        engine: Path,
        /// Role ID.
        role_id: String,
        /// Secret ID.
        secret_id: Secret,
    },
    /// <https://openbao.org/api-docs/auth/kubernetes/#login>
    Kubernetes {
        /// Where the method is mounted below `auth/`.
        engine: Path,
        /// Role.
        role: String,
        /// Service account token.
        jwt: Jwt,
    },
}

/// Where a service account token comes from.
#[derive(Debug, Clone)]
pub enum Jwt {
    /// A file that Kubernetes renews: read at each login.
    File(PathBuf),
    /// The token itself.
    Token(Secret),
}

/// What a login or a renewal gives.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) token: Secret,
    /// Zero: for ever.
    pub(crate) ttl: Duration,
    pub(crate) is_renewable: bool,
}

#[derive(Serialize)]
struct ByAppRole<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Serialize)]
struct ByKubernetes<'a> {
    role: &'a str,
    jwt: &'a str,
}

#[derive(Serialize)]
struct Renewal {
    /// Zero leaves it to the role how long the token lives on.
    increment: u32,
}

#[derive(Deserialize)]
struct Granted {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: Secret,
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppRole { engine, .. } => write!(f, "by AppRole at 'auth/{engine}'"),
            Self::Kubernetes { engine, role, .. } => {
                write!(f, "by Kubernetes at 'auth/{engine}' as role '{role}'")
            }
        }
    }
}

impl Login {
    fn engine(&self) -> &Path {
        match self {
            Self::AppRole { engine, .. } | Self::Kubernetes { engine, .. } => engine,
        }
    }

    async fn payload(&self) -> Result<Payload, VaultError> {
        match self {
            Self::AppRole {
                role_id, secret_id, ..
            } => {
                let secret_id = secret_id.expose();
                let size = role_id.len() + secret_id.len() + LOGIN_BYTES_SPARE;
                Payload::json(&ByAppRole { role_id, secret_id }, size)
            }
            Self::Kubernetes { role, jwt, .. } => {
                let token = jwt.read().await?;
                let jwt = token.expose();
                let size = role.len() + jwt.len() + LOGIN_BYTES_SPARE;
                Payload::json(&ByKubernetes { role, jwt }, size)
            }
        }
    }
}

impl Jwt {
    async fn read(&self) -> Result<Secret, VaultError> {
        let path = match self {
            Self::Token(token) => return Ok(token.clone()),
            Self::File(path) => path,
        };
        let bad = |why: String| {
            VaultError::Config(format!(
                "service account token {} cannot be used: {why}",
                path.display()
            ))
        };
        let length = tokio::fs::metadata(path)
            .await
            .map_err(|e| bad(e.to_string()))?
            .len();
        if length > JWT_BYTES_MAX {
            return Err(bad(format!("it has {length} bytes")));
        }
        let text = tokio::fs::read_to_string(path)
            .await
            .map(Zeroizing::new)
            .map_err(|e| bad(e.to_string()))?;
        if text.trim().is_empty() {
            return Err(bad("it is empty".to_owned()));
        }
        Ok(Secret::new(text.trim().to_owned()))
    }
}

impl Client {
    pub(crate) async fn log_in(
        &self,
        namespace: &Namespace,
        login: &Login,
    ) -> Result<Grant, VaultError> {
        let path = Path::of(&["auth"]).join(login.engine()).and("login");
        let payload = login.payload().await?;
        let request = Request::new(Verb::Put, namespace, &path).body(&payload);
        let refused = |status, said| VaultError::LoginRefused {
            how: login.to_string(),
            status,
            said,
        };
        let answer = self
            .send(request, None)
            .await
            .map_err(|error| match error {
                VaultError::Denied { said, .. } => refused(403, said),
                VaultError::Refused { status, said, .. } if status < 500 => refused(status, said),
                other => other,
            })?;
        if answer.is_missing() {
            return Err(refused(answer.status, crate::error::Said::default()));
        }
        granted(&answer)
    }

    pub(crate) async fn renew(
        &self,
        namespace: &Namespace,
        token: &Secret,
    ) -> Result<Grant, VaultError> {
        let path = Path::of(&["auth", "token", "renew-self"]);
        let payload = Payload::json(&Renewal { increment: 0 }, LOGIN_BYTES_SPARE)?;
        let request = Request::new(Verb::Put, namespace, &path).body(&payload);
        granted(&self.send(request, Some(token)).await?)
    }

    /// Does the token still live? A token that may not look itself up counts as dead.
    pub(crate) async fn is_alive(
        &self,
        namespace: &Namespace,
        token: &Secret,
    ) -> Result<bool, VaultError> {
        let path = Path::of(&["auth", "token", "lookup-self"]);
        let request = Request::new(Verb::Read, namespace, &path);
        match self.send(request, Some(token)).await {
            Ok(answer) => Ok(!answer.is_missing()),
            Err(VaultError::Denied { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn granted(answer: &Answer) -> Result<Grant, VaultError> {
    let Auth {
        client_token,
        lease_duration,
        renewable,
    } = answer.parse::<Granted>()?.auth;
    if client_token.expose().is_empty()
        || http::HeaderValue::from_str(client_token.expose()).is_err()
    {
        return Err(VaultError::Garbage {
            path: answer.path.clone(),
            what: "it has no token that can be sent".to_owned(),
        });
    }
    Ok(Grant {
        token: client_token,
        ttl: Duration::from_secs(lease_duration),
        is_renewable: renewable,
    })
}
