//! Google's SDK, made when it is first needed, and made anew when its token turns out to be bad.
//!
//! Two habits of the SDK are the reason: making credentials starts a task that fetches a token at once, so opening a
//! store would be a network call; and after one refusal that looks permanent that task ends, so a service account that
//! was disabled for a minute would stay locked out until a restart.

use std::fmt;
use std::time::Duration;

use google_cloud_auth::credentials::{self, Credentials, anonymous, service_account};
use google_cloud_gax::error::Error;
use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::{Aip194Strict, RetryPolicyExt as _};
use google_cloud_secretmanager_v1::client::SecretManagerService;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;
use strongroom_keystore::StoreError;
use strongroom_keystore::config::{Gcp, GcpCredentials};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::refusal::Refusal;

/// One attempt: two of them, and the pauses, fit into a call.
const ATTEMPT_MAX: Duration = Duration::from_secs(4);
/// Attempts of a call that can be repeated.
const ATTEMPTS_MAX: u32 = 3;
/// No attempt starts later.
const RETRIES_MAX: Duration = Duration::from_secs(8);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A client that replaced another is kept for so long at least, and what Google says against it is the answer meanwhile:
/// each client has a task of its own that asks for tokens, and with credentials that are dead every call would start one.
const REPLACEMENT_HOLDS: Duration = Duration::from_secs(5);
/// Google's, for every service account (developers.google.com/identity/protocols/oauth2/service-account).
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// What a token is for when the configuration does not say: Secret Manager takes no narrower scope.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Who one is.
pub(crate) enum Credential {
    /// Nobody: emulators.
    Anonymous,
    /// What the environment or the machine has: Google's Application Default Credentials.
    Ambient { scopes: Vec<String> },
    /// A service account with its key.
    ServiceAccount {
        account: GcpCredentials,
        project: String,
        scopes: Vec<String>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Credential {
    pub(crate) fn of(config: &Gcp, endpoint: &Endpoint) -> Result<Self, StoreError> {
        let scopes = if config.scopes.is_empty() {
            vec![SCOPE.to_owned()]
        } else {
            config.scopes.clone()
        };
        if let Some(account) = &config.credentials {
            check(account)?;
        }
        if endpoint.is_clear_text() {
            if config.credentials.is_some() {
                tracing::warn!(
                    "gcp.secretmanager.credentials are not sent to {endpoint}, which is not encrypted"
                );
            }
            return Ok(Self::Anonymous);
        }
        Ok(match &config.credentials {
            None => Self::Ambient { scopes },
            Some(account) => Self::ServiceAccount {
                account: account.clone(),
                project: config.project_id.clone(),
                scopes,
            },
        })
    }

    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Ambient { .. } => "application default credentials",
            Self::ServiceAccount { .. } => "service account",
        }
    }

    fn build(&self) -> Result<Credentials, StoreError> {
        match self {
            Self::Anonymous => Ok(anonymous::Builder::new().build()),
            Self::Ambient { scopes } => credentials::Builder::default()
                .with_scopes(scopes)
                .build()
                .map_err(|e| {
                    StoreError::failed(
                        "there are no Google credentials here: set gcp.secretmanager.credentials or \
                         GOOGLE_APPLICATION_CREDENTIALS, or run on a machine with a service account",
                        e,
                    )
                }),
            Self::ServiceAccount {
                account,
                project,
                scopes,
            } => {
                let key = json!({
                    "type": "service_account",
                    "project_id": project,
                    "private_key_id": account.private_key_id,
                    "private_key": account.private_key.expose(),
                    "client_email": account.client_email,
                    "client_id": account.client_id,
                    "token_uri": TOKEN_URI,
                });
                service_account::Builder::new(key)
                    .with_access_specifier(service_account::AccessSpecifier::from_scopes(scopes))
                    .build()
                    .map_err(|e| {
                        StoreError::failed("gcp.secretmanager.credentials cannot be used", e)
                    })
            }
        }
    }
}

/// All four or none, and a key that is one.
fn check(account: &GcpCredentials) -> Result<(), StoreError> {
    let values = [
        ("client_email", account.client_email.as_str()),
        ("client_id", account.client_id.as_str()),
        ("private_key_id", account.private_key_id.as_str()),
        ("private_key", account.private_key.expose()),
    ];
    for (name, value) in values {
        if value.trim().is_empty() {
            return Err(StoreError::other(format!(
                "gcp.secretmanager.credentials.{name} is missing: a service account has all of client_email, \
                 client_id, private_key_id and private_key"
            )));
        }
    }
    // The parser's error is not passed on: it may quote what it read.
    PrivatePkcs8KeyDer::from_pem_slice(account.private_key.expose().as_bytes())
        .map(drop)
        .map_err(|_| {
            StoreError::other(
                "gcp.secretmanager.credentials.private_key is no PKCS#8 private key in PEM: copy the value from the \
                 JSON file that Google made, from -----BEGIN PRIVATE KEY----- on",
            )
        })
}

/// Where a client is, and how to make one.
pub(crate) struct Client {
    endpoint: Endpoint,
    credential: Credential,
    /// Asks only whether the endpoint is there.
    plain: reqwest::Client,
    /// Held while a client is made, so that many callers make one.
    current: Mutex<Current>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Current {
    made: u64,
    service: Option<(SecretManagerService, Credentials)>,
    /// When one was last dropped, to be replaced.
    dropped: Option<Instant>,
    /// What the replacement was told, and when.
    refused: Option<(Instant, Refusal)>,
}

impl Current {
    fn is_replaced_lately(&self) -> bool {
        self.dropped
            .is_some_and(|when| when.elapsed() < REPLACEMENT_HOLDS)
    }

    fn remembered(&self) -> Option<Refusal> {
        let (when, refusal) = self.refused.as_ref()?;
        let is_fresh = when.elapsed() < REPLACEMENT_HOLDS;
        refusal.of_identity().filter(|_| is_fresh)
    }
}

/// A client that was current when it was asked for.
struct Held {
    number: u64,
    service: SecretManagerService,
    credentials: Credentials,
}

impl Client {
    pub(crate) fn new(endpoint: Endpoint, credential: Credential) -> Result<Self, StoreError> {
        let plain = reqwest::Client::builder()
            .timeout(ATTEMPT_MAX)
            .redirect(reqwest::redirect::Policy::none())
            // A connection that died while idle must not fail the next question.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| StoreError::failed("TLS cannot be set up", e))?;
        Ok(Self {
            endpoint,
            credential,
            plain,
            current: Mutex::default(),
        })
    }

    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    async fn held(&self) -> Result<Held, StoreError> {
        let mut current = self.current.lock().await;
        let (service, credentials) = match &current.service {
            Some(held) => held.clone(),
            None => {
                let made = self.make().await?;
                current.made += 1;
                current.service.insert(made).clone()
            }
        };
        Ok(Held {
            number: current.made,
            service,
            credentials,
        })
    }

    async fn make(&self) -> Result<(SecretManagerService, Credentials), StoreError> {
        let credentials = self.credential.build()?;
        let service = SecretManagerService::builder()
            .with_endpoint(self.endpoint.as_str())
            .with_credentials(credentials.clone())
            .with_retry_policy(
                Aip194Strict
                    .with_attempt_limit(ATTEMPTS_MAX)
                    .with_time_limit(RETRIES_MAX),
            )
            .with_backoff_policy(backoff())
            .with_attempt_timeout(ATTEMPT_MAX)
            .build()
            .await
            .map_err(|e| StoreError::failed("Google's client cannot be set up", e))?;
        Ok((service, credentials))
    }

    /// A client was refused. Is there another one to try, or to be made?
    async fn give_up(&self, number: u64, refusal: &Refusal) -> bool {
        let mut current = self.current.lock().await;
        if current.made != number {
            // Somebody made a new one meanwhile.
            return true;
        }
        if current.is_replaced_lately() {
            current.refused = refusal
                .of_identity()
                .map(|refusal| (Instant::now(), refusal));
            return false;
        }
        current.dropped = Some(Instant::now());
        current.service = None;
        true
    }

    /// One call. A token that Google no longer takes is replaced once; such a call was not carried out.
    pub(crate) async fn call<T, F>(
        &self,
        request: impl Fn(SecretManagerService) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>>,
    {
        if let Some(refusal) = self.current.lock().await.remembered() {
            return Err(refusal);
        }
        let held = self.held().await.map_err(Refusal::Store)?;
        let refusal = match request(held.service).await.map_err(Refusal::of) {
            Err(refusal) if self.is_of_identity(&refusal) => refusal,
            outcome => return outcome,
        };
        if !self.give_up(held.number, &refusal).await {
            return Err(refusal);
        }
        let held = self.held().await.map_err(Refusal::Store)?;
        let outcome = request(held.service).await.map_err(Refusal::of);
        if let Err(refusal) = &outcome
            && self.is_of_identity(refusal)
        {
            self.give_up(held.number, refusal).await;
        }
        outcome
    }

    fn is_of_identity(&self, refusal: &Refusal) -> bool {
        !matches!(self.credential, Credential::Anonymous) && refusal.of_identity().is_some()
    }

    /// Any HTTP answer counts, a refusal too. Gives the answer's `Date`.
    pub(crate) async fn reach(&self) -> Result<Option<String>, StoreError> {
        let answer = self.plain.get(self.endpoint.as_str()).send().await;
        let answer = answer.map_err(|e| {
            StoreError::unreachable(
                format!("Google Secret Manager at {} does not answer", self.endpoint),
                e.without_url(),
            )
        })?;
        let date = answer.headers().get(reqwest::header::DATE);
        Ok(date.and_then(|d| d.to_str().ok()).map(str::to_owned))
    }

    /// A token, or why there is none.
    pub(crate) async fn token(&self) -> Result<(), StoreError> {
        let held = self.held().await?;
        match held.credentials.headers(http::Extensions::new()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let refusal = Refusal::of(Error::authentication(error));
                if self.is_of_identity(&refusal) {
                    self.give_up(held.number, &refusal).await;
                }
                Err(refusal.on("getting a token"))
            }
        }
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(RETRY_PAUSE)
        .with_maximum_delay(RETRY_PAUSE_MAX)
        .clamp()
}

#[cfg(test)]
mod tests;
