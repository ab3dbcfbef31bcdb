//! How a token is got: the requests, and what their answers say.
//!
//! - an application's secret, or a federated token (workload identity):
//!   <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
//! - the identity of a machine:
//!   <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
//! - the identity of an App Service: <https://learn.microsoft.com/azure/app-service/overview-managed-identity>

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use form_urlencoded::Serializer;
use reqwest::header::HeaderName;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;
use strongroom_keystore::StoreError;
use strongroom_keystore::config::{AzureCredentials, SecretText};
use zeroize::Zeroizing;

use crate::surroundings::Surroundings;
use crate::web::{Answer, Call};

const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";
/// The same on every virtual machine of Azure; plain HTTP, because it never leaves the machine.
const METADATA_SERVICE: &str = "http://169.254.169.254";
/// Of a token whose answer does not say.
const LIFE_UNKNOWN: Duration = Duration::from_secs(300);
/// Longest part of a refusal that is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// Who gives tokens, and to whom.
#[derive(Debug)]
pub(crate) enum Source {
    Application {
        token_url: Url,
        client_id: String,
        proof: Proof,
    },
    AppService {
        url: Url,
        header: SecretText,
        client_id: Option<String>,
    },
    Machine {
        url: Url,
        client_id: Option<String>,
    },
}

/// How an application proves who it is.
#[derive(Debug)]
pub(crate) enum Proof {
    Secret(SecretText),
    /// Read again at each login: Kubernetes renews it.
    Federated(PathBuf),
}

/// A token as it was given.
pub(crate) struct Given {
    pub(crate) text: SecretText,
    pub(crate) life: Duration,
}

impl Source {
    /// What the configuration says; for the default chain, the first of application, workload and machine that the
    /// environment has values for.
    pub(crate) fn choose(
        credentials: AzureCredentials,
        around: &Surroundings,
    ) -> Result<Self, StoreError> {
        match credentials {
            AzureCredentials::ClientSecret {
                tenant_id,
                client_id,
                client_secret,
            } => {
                let values = [
                    ("tenant_id", tenant_id.as_str()),
                    ("client_id", client_id.as_str()),
                    ("client_secret", client_secret.expose()),
                ];
                if let Some((missing, _)) = values.iter().find(|(_, v)| v.trim().is_empty()) {
                    return Err(StoreError::other(format!(
                        "azure.keyvault.credentials.{missing} is missing: an application has tenant_id, client_id and \
                         client_secret"
                    )));
                }
                Self::application(around, &tenant_id, client_id, Proof::Secret(client_secret))
            }
            AzureCredentials::ManagedIdentity { client_id } => Self::managed(around, client_id),
            AzureCredentials::Default => {
                let client = around.tenant_id.clone().zip(around.client_id.clone());
                match (client, &around.client_secret, &around.federated_token_file) {
                    (Some((tenant, client)), Some(secret), _) => {
                        Self::application(around, &tenant, client, Proof::Secret(secret.clone()))
                    }
                    (Some((tenant, client)), None, Some(file)) => {
                        Self::application(around, &tenant, client, Proof::Federated(file.clone()))
                    }
                    _ => Self::managed(around, around.client_id.clone()),
                }
            }
        }
    }

    fn application(
        around: &Surroundings,
        tenant: &str,
        client_id: String,
        proof: Proof,
    ) -> Result<Self, StoreError> {
        let is_tenant = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if !tenant.bytes().all(is_tenant) {
            return Err(StoreError::other(format!(
                "'{tenant}' is no tenant of Azure: check tenant_id"
            )));
        }
        let given = around
            .authority
            .as_deref()
            .unwrap_or(PUBLIC_AUTHORITY)
            .trim();
        let given = given.trim_end_matches('/');
        let text = if given.contains("://") {
            given.to_owned()
        } else {
            format!("https://{given}")
        };
        let token_url = Url::parse(&format!("{text}/{tenant}/oauth2/v2.0/token"));
        match token_url {
            Ok(token_url) if token_url.scheme() == "https" => Ok(Self::Application {
                token_url,
                client_id,
                proof,
            }),
            _ => Err(StoreError::other(format!(
                "AZURE_AUTHORITY_HOST is '{given}' and must be an https:// address like {PUBLIC_AUTHORITY}: a secret is \
                 sent there"
            ))),
        }
    }

    fn managed(around: &Surroundings, client_id: Option<String>) -> Result<Self, StoreError> {
        let parse = |variable: &str, text: &str| {
            Url::parse(text).map_err(|_| {
                StoreError::other(format!("{variable} is '{text}', which is no address"))
            })
        };
        if let (Some(endpoint), Some(header)) = (&around.identity_endpoint, &around.identity_header)
        {
            return Ok(Self::AppService {
                url: parse("IDENTITY_ENDPOINT", endpoint)?,
                header: header.clone(),
                client_id,
            });
        }
        let host = around.metadata_host.as_deref().unwrap_or(METADATA_SERVICE);
        let url = format!(
            "{}/metadata/identity/oauth2/token",
            host.trim_end_matches('/')
        );
        Ok(Self::Machine {
            url: parse("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)?,
            client_id,
        })
    }

    /// For an error: who is asked.
    pub(crate) fn whom(&self) -> String {
        match self {
            Self::Application { token_url, .. } => {
                format!(
                    "Microsoft Entra ID at {}",
                    token_url.host_str().unwrap_or_default()
                )
            }
            Self::AppService { .. } => "the identity endpoint of this App Service".to_owned(),
            Self::Machine { url, .. } => format!(
                "the metadata service at {}, which gives machines of Azure their identity,",
                url.host_str().unwrap_or_default()
            ),
        }
    }

    /// The request for a token that `resource` takes.
    pub(crate) async fn call(&self, resource: &str) -> Result<Call, StoreError> {
        match self {
            Self::Application {
                token_url,
                client_id,
                proof,
            } => {
                let proven = match proof {
                    Proof::Secret(secret) => Zeroizing::new(secret.expose().to_owned()),
                    Proof::Federated(file) => {
                        let token = tokio::fs::read_to_string(file).await.map(Zeroizing::new);
                        let token = token.map_err(|e| {
                            StoreError::failed(
                                format!(
                                    "{}, named by AZURE_FEDERATED_TOKEN_FILE, cannot be read",
                                    file.display()
                                ),
                                e,
                            )
                        })?;
                        Zeroizing::new(token.trim().to_owned())
                    }
                };
                let body = form(client_id, resource, proof, &proven);
                Ok(Call {
                    method: Method::POST,
                    body: Some(("application/x-www-form-urlencoded", body)),
                    ..Call::get(token_url.clone())
                })
            }
            Self::AppService {
                url,
                header,
                client_id,
            } => Ok(Call {
                is_direct: true,
                ..Call::get(asking(url, "2019-08-01", resource, client_id.as_deref()))
                    .with(HeaderName::from_static("x-identity-header"), header.clone())
            }),
            Self::Machine { url, client_id } => Ok(Call {
                is_direct: true,
                ..Call::get(asking(url, "2018-02-01", resource, client_id.as_deref())).with(
                    HeaderName::from_static("metadata"),
                    SecretText::new("true".to_owned()),
                )
            }),
        }
    }

    /// The token of an answer.
    pub(crate) fn read(&self, answer: &Answer, now: SystemTime) -> Result<Given, StoreError> {
        let whom = self.whom();
        match answer.status {
            200 => {}
            500..=599 => {
                return Err(StoreError::Unreachable {
                    reason: format!("{whom} answered HTTP {} to the login", answer.status),
                    source: None,
                });
            }
            status => {
                let refused: RefusedWire = serde_json::from_slice(&answer.body).unwrap_or_default();
                let line = refused.error_description.lines().next().unwrap_or_default();
                let line: String = line.chars().take(MESSAGE_CHARS_MAX).collect();
                return Err(StoreError::other(format!(
                    "{whom} refused the login (HTTP {status} {}: {line}): {}",
                    refused.error,
                    self.advice()
                )));
            }
        }
        let wire: TokenWire = serde_json::from_slice(&answer.body).map_err(|_| {
            // The parser's error is not passed on: it may quote the token.
            StoreError::other(format!("{whom} sent something that is no token"))
        })?;
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let life = seconds(&wire.expires_in)
            .or_else(|| seconds(&wire.expires_on).map(|on| on.saturating_sub(now)));
        Ok(Given {
            text: SecretText::new(wire.access_token),
            life: life.unwrap_or(LIFE_UNKNOWN),
        })
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Application {
                proof: Proof::Secret(_),
                ..
            } => {
                "check tenant_id, client_id and client_secret, and that the secret has not expired"
            }
            Self::Application { .. } => {
                "check the application's federated credential: issuer, namespace and service account"
            }
            Self::AppService { .. } | Self::Machine { .. } => {
                "assign a managed identity to this machine, and check managed_identity.client_id"
            }
        }
    }
}

fn form(client_id: &str, resource: &str, proof: &Proof, proven: &str) -> Zeroizing<Vec<u8>> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client_id)
        .append_pair("scope", &format!("{resource}/.default"));
    match proof {
        Proof::Secret(_) => form.append_pair("client_secret", proven),
        Proof::Federated(_) => form
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", proven),
    };
    Zeroizing::new(form.finish().into_bytes())
}

fn asking(url: &Url, version: &str, resource: &str, client_id: Option<&str>) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", resource);
    if let Some(client_id) = client_id {
        url.query_pairs_mut().append_pair("client_id", client_id);
    }
    url
}

#[derive(Deserialize)]
struct TokenWire {
    access_token: String,
    /// A number from Entra ID, a text from a machine, missing on an App Service.
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    expires_on: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RefusedWire {
    error: String,
    error_description: String,
}

fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.map(Duration::from_secs)
}
