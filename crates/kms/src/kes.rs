//! A KES server, or several that hold the same keys.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use moka::future::Cache;
use strongroom_envelope::{DataKey, Fingerprint};
use strongroom_kes_client::{
    BuildError, Credentials, Endpoint, Error, KesClient, KeyName, Secret, Timeouts, Trust,
};
use tokio::sync::Semaphore;

use crate::{EndpointStatus, KeyInfo, Kms, KmsError, NewDataKey};

/// Most calls under way at once; more wait their turn. A KES server allows 250 streams on a connection.
const CALLS_MAX: usize = 250;
/// Longest that a call may take, waiting and retries over all endpoints included. A client of ours that waits longer has
/// given up by itself.
const CALL_TIME_MAX: Duration = Duration::from_secs(45);
/// Longest that one endpoint may take to tell how it is.
const STATUS_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a key's fingerprint is believed. A key that was deleted and made again under its old name is told apart after
/// this.
const FINGERPRINT_TIME: Duration = Duration::from_secs(60);
/// Most fingerprints that are kept; a name and 16 bytes each.
const FINGERPRINTS_MAX: u64 = 1024;

/// How to reach the servers, and as whom.
#[derive(Clone, Debug)]
pub struct KesSettings {
    /// The servers; all hold the same keys.
    pub endpoints: Vec<Endpoint>,
    /// Who we are.
    pub credentials: Credentials,
    /// Which servers are believed.
    pub trust: Trust,
    /// The key that is meant when none is named.
    pub default_key: KeyName,
}

/// A [`Kms`] over KES. Retries and failover between endpoints are the client's
/// ([`strongroom_kes_client`]): up to three tries an endpoint, none after an answer below 500.
#[derive(Debug)]
pub struct KesKms {
    default_key: KeyName,
    clients: RwLock<Arc<Clients>>,
    calls: Semaphore,
    fingerprints: Cache<String, Option<Fingerprint>>,
}

/// One client over all endpoints for the work, and one for each to ask how it is.
struct Clients {
    all: KesClient,
    each: Vec<(Endpoint, KesClient)>,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients")
            .field("endpoints", &self.all.endpoints())
            .finish_non_exhaustive()
    }
}

impl Clients {
    fn new(settings: &KesSettings) -> Result<Self, BuildError> {
        let build = |endpoints: Vec<Endpoint>, timeouts: Timeouts| {
            KesClient::builder()
                .endpoints(endpoints)
                .credentials(settings.credentials.clone())
                .trust(settings.trust.clone())
                .timeouts(timeouts)
                .build()
        };
        let hasty = Timeouts {
            connect: STATUS_TIME_MAX,
            one_try: STATUS_TIME_MAX,
        };
        let mut each = Vec::with_capacity(settings.endpoints.len());
        for endpoint in &settings.endpoints {
            each.push((endpoint.clone(), build(vec![endpoint.clone()], hasty)?));
        }
        Ok(Self {
            all: build(settings.endpoints.clone(), Timeouts::default())?,
            each,
        })
    }
}

impl KesKms {
    /// Prepares the clients; nothing is sent yet. Blocking: reads the system's root certificates.
    ///
    /// # Errors
    /// No endpoint is given, or no server would be believed.
    pub fn new(settings: &KesSettings) -> Result<Self, BuildError> {
        Ok(Self {
            default_key: settings.default_key.clone(),
            clients: RwLock::new(Arc::new(Clients::new(settings)?)),
            calls: Semaphore::new(CALLS_MAX),
            fingerprints: Cache::builder()
                .max_capacity(FINGERPRINTS_MAX)
                .time_to_live(FINGERPRINT_TIME)
                .build(),
        })
    }

    /// Takes over credentials, trust and endpoints that were read again; the default key stays. Calls under way end as they
    /// began. Blocking, as [`new`](Self::new).
    ///
    /// # Errors
    /// As [`new`](Self::new); everything stays as it was then.
    pub fn reload(&self, settings: &KesSettings) -> Result<(), BuildError> {
        let clients = Arc::new(Clients::new(settings)?);
        *self.clients.write().unwrap_or_else(PoisonError::into_inner) = clients;
        Ok(())
    }

    fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a call within the limits of number and time.
    async fn call<T>(
        &self,
        key: &KeyName,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, KmsError> {
        let bounded = async {
            // The semaphore is never closed.
            let _turn = self.calls.acquire().await;
            call.await
        };
        match tokio::time::timeout(CALL_TIME_MAX, bounded).await {
            Ok(outcome) => outcome.map_err(|error| kms_error(key, error)),
            Err(_) => Err(KmsError::Unavailable {
                key: Some(key.as_str().to_owned()),
                message: format!("no answer within {CALL_TIME_MAX:?}"),
                source: None,
            }),
        }
    }

    /// What identifies the key's material: the HMAC of a fixed text, else when the key was made, else nothing.
    ///
    /// The answer that there is none is remembered like any other; a server that does not answer is asked again.
    async fn fingerprint(&self, key: &KeyName) -> Option<Fingerprint> {
        let asked = self
            .fingerprints
            .try_get_with(key.as_str().to_owned(), async {
                let clients = self.clients();
                let message = Secret::copied_from(Fingerprint::KES_MESSAGE);
                match self.call(key, clients.all.hmac(key, message)).await {
                    Ok(mac) => Ok(mac.expose().try_into().ok().map(Fingerprint::from_kes_hmac)),
                    // No HMAC key, no permission to use it, or no such route: upstream before 2024 answers 404 or 501.
                    Err(
                        KmsError::NotSupported { .. }
                        | KmsError::Denied { .. }
                        | KmsError::Refused { .. },
                    ) => match self.call(key, clients.all.describe_key(key)).await {
                        Ok(info) => Ok(info
                            .created_at
                            .map(|at| Fingerprint::KesCreatedAt(at.to_string()))),
                        Err(
                            KmsError::NotSupported { .. }
                            | KmsError::Denied { .. }
                            | KmsError::Refused { .. },
                        ) => Ok(None),
                        Err(error) => Err(error),
                    },
                    Err(error) => Err(error),
                }
            });
        asked.await.unwrap_or_else(|error| {
            tracing::debug!(key = key.as_str(), %error, "no fingerprint of the key to be had");
            None
        })
    }
}

fn key_name(key: &str) -> Result<KeyName, KmsError> {
    KeyName::parse(key).map_err(|error| KmsError::InvalidKeyName {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

fn kms_error(key: &KeyName, error: Error) -> KmsError {
    let key = key.as_str().to_owned();
    match error {
        Error::KeyNotFound => KmsError::KeyNotFound { key },
        Error::KeyExists => KmsError::KeyExists { key },
        Error::NotAllowed => KmsError::Denied { key },
        Error::NotAuthentic => KmsError::InvalidCiphertext { key },
        Error::NoHmacKey => KmsError::NotSupported {
            what: "HMAC with this key",
        },
        Error::Server { status: 501, .. } => KmsError::NotSupported { what: "this call" },
        Error::Server { status, message } if status < 500 && status != 429 => KmsError::Refused {
            key,
            message: format!("it answered {status}: {message}"),
        },
        // Over KES every failure of a keystore looks alike: 502 "failed to read key".
        Error::Server { status, message } => KmsError::Unavailable {
            key: Some(key),
            message: format!("the key server answered {status}: {message}"),
            source: None,
        },
        other => KmsError::Unavailable {
            key: Some(key),
            message: other.to_string(),
            source: Some(Box::new(other)),
        },
    }
}

#[async_trait]
impl Kms for KesKms {
    async fn new_data_key(
        &self,
        key: Option<&str>,
        context: &[u8],
    ) -> Result<NewDataKey, KmsError> {
        let name = key.map_or_else(|| Ok(self.default_key.clone()), key_name)?;
        let clients = self.clients();
        let made = self
            .call(&name, clients.all.generate_key(&name, context))
            .await?;
        let plaintext = data_key(&name, &made.plaintext)?;
        Ok(NewDataKey {
            fingerprint: self.fingerprint(&name).await,
            key_name: name.as_str().to_owned(),
            key_version: made.version,
            plaintext,
            sealed: made.ciphertext,
        })
    }

    async fn open_data_key(
        &self,
        key: &str,
        _version: Option<&str>,
        sealed: &[u8],
        context: &[u8],
    ) -> Result<DataKey, KmsError> {
        let name = key_name(key)?;
        let clients = self.clients();
        let opened = self
            .call(&name, clients.all.decrypt(&name, sealed, context))
            .await?;
        data_key(&name, &opened)
    }

    async fn create_key(&self, key: &str) -> Result<(), KmsError> {
        let name = key_name(key)?;
        let clients = self.clients();
        self.call(&name, clients.all.create_key(&name)).await
    }

    async fn describe(&self, key: &str) -> Result<KeyInfo, KmsError> {
        let name = key_name(key)?;
        let clients = self.clients();
        let info = self.call(&name, clients.all.describe_key(&name)).await?;
        Ok(KeyInfo {
            name: name.as_str().to_owned(),
            fingerprint: self.fingerprint(&name).await,
            created_at: info.created_at.map(|at| at.to_string()),
            created_by: info.created_by,
            algorithm: info.algorithm.map(|algorithm| algorithm.to_string()),
        })
    }

    async fn status(&self) -> Vec<EndpointStatus> {
        let clients = self.clients();
        let each = clients.each.iter().map(|(endpoint, client)| async move {
            let (version, error) =
                match tokio::time::timeout(STATUS_TIME_MAX, client.version()).await {
                    Ok(Ok(version)) => (Some(version.version), None),
                    // A server that says no is there.
                    Ok(Err(Error::NotAllowed)) => (None, None),
                    Ok(Err(error)) => (None, Some(error.to_string())),
                    Err(_) => (None, Some(format!("no answer within {STATUS_TIME_MAX:?}"))),
                };
            let endpoint = endpoint.to_string();
            EndpointStatus {
                endpoint,
                online: error.is_none(),
                version,
                error,
            }
        });
        join_all(each).await
    }

    fn default_key(&self) -> &str {
        self.default_key.as_str()
    }
}

fn data_key(name: &KeyName, bytes: &Secret) -> Result<DataKey, KmsError> {
    DataKey::try_from_slice(bytes.expose()).map_err(|wrong| KmsError::Refused {
        key: name.as_str().to_owned(),
        message: format!(
            "it answered with a data key of {} bytes, 32 are needed",
            wrong.bytes
        ),
    })
}
