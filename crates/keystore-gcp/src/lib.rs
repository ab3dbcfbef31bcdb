#![forbid(unsafe_code)]
//! Keys in Google Secret Manager: a secret a key, and its version 1 is the value.
//!
//! Google has no single call that creates a secret with its value. The secret comes first, then a version, and
//! Secret Manager numbers versions from 1 up and never twice: who made version 1 created the key. A creator that was
//! cut off between the calls leaves a secret without a version, which the next creator completes.

mod client;
mod endpoint;
mod examine;
mod refusal;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use google_cloud_secretmanager_v1::model::{Replication, Secret, SecretPayload, replication};
use strongroom_kes_api::KeyName;
use strongroom_keystore::config::Gcp;
use strongroom_keystore::{Finding, KeyStore, Page, StoreError, StoredValue};
use zeroize::Zeroizing;

use client::{Client, Credential};
use endpoint::Endpoint;
use refusal::Refusal;

/// Longest that any call may take: below the 15 s after which the key server answers for itself.
const CALL_MAX: Duration = Duration::from_secs(10);
/// Names in one answer of a listing. Secret Manager allows 25,000; a page of these has some 75 KB, and comes within the
/// time of an attempt over a slow line too.
const PAGE_NAMES: i32 = 250;
/// Most pages that are asked for: a million names. A token that never ends must.
const PAGES_MAX: usize = 4000;
/// How often a create starts over because the secret was deleted between its two calls.
const ROUNDS_MAX: usize = 3;

/// A key store in Google Secret Manager.
#[derive(Debug)]
pub struct GcpStore {
    project: String,
    endpoint: Endpoint,
    client: Client,
}

impl GcpStore {
    /// Checks the configuration; makes no network call.
    ///
    /// # Errors
    /// [`StoreError::Other`] naming the value that cannot be used.
    pub async fn open(config: Gcp) -> Result<Self, StoreError> {
        let project = config.project_id.trim().to_owned();
        let is_project = |b: u8| b.is_ascii_alphanumeric() || b"-.:_".contains(&b);
        if project.is_empty() || !project.bytes().all(is_project) {
            return Err(StoreError::other(format!(
                "'{project}' is no Google Cloud project: set gcp.secretmanager.project_id"
            )));
        }
        let endpoint = Endpoint::parse(config.endpoint.as_deref())?;
        let credential = Credential::of(&config, &endpoint)?;
        let client = Client::new(endpoint.clone(), credential)?;
        Ok(Self {
            project,
            endpoint,
            client,
        })
    }

    fn parent(&self) -> String {
        format!("projects/{}", self.project)
    }

    fn secret(&self, name: &str) -> String {
        format!("projects/{}/secrets/{name}", self.project)
    }

    /// The first version and no other: what was created stays the key, whatever is added later.
    fn first_version(&self, name: &str) -> String {
        format!("{}/versions/1", self.secret(name))
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(CALL_MAX, work)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unreachable {
                    reason: format!(
                        "Google Secret Manager at {} did not answer within {} s: check the network and \
                         https://status.cloud.google.com",
                        self.endpoint,
                        CALL_MAX.as_secs()
                    ),
                    source: None,
                })
            })
    }

    /// What is not found by a call that names no secret is the project: no word of any key.
    fn of_project(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::NotFound => Refusal::Store(StoreError::other(format!(
                "Google does not know project '{}': check gcp.secretmanager.project_id, and that the Secret Manager API is \
                 enabled there",
                self.project
            ))),
            refusal => refusal,
        }
    }

    async fn make_secret(&self, name: &KeyName) -> Result<(), Refusal> {
        let replication = Replication::new().set_automatic(replication::Automatic::new());
        let secret = Secret::new().set_replication(replication);
        self.client
            .call(|client| {
                client
                    .create_secret()
                    .set_parent(self.parent())
                    .set_secret_id(name.as_str())
                    .set_secret(secret.clone())
                    .send()
            })
            .await
            .map(drop)
            .map_err(|refusal| self.of_project(refusal))
    }

    /// Adds a version; gives its full name.
    async fn add_version(&self, name: &KeyName, value: &StoredValue) -> Result<String, Refusal> {
        let data = Bytes::copy_from_slice(value.expose().as_bytes());
        let payload = SecretPayload::new()
            .set_data_crc32c(crc32c(&data))
            .set_data(data);
        self.client
            .call(|client| {
                client
                    .add_secret_version()
                    .set_parent(self.secret(name.as_str()))
                    .set_payload(payload.clone())
                    .send()
            })
            .await
            .map(|version| version.name)
    }

    /// A version that lost the race for number 1 is nobody's key. Without the right to destroy it stays, unread.
    async fn destroy(&self, name: &KeyName, version: &str) {
        let destroyed = self
            .client
            .call(|client| client.destroy_secret_version().set_name(version).send())
            .await;
        if let Err(refusal) = destroyed {
            tracing::warn!(
                key = name.as_str(),
                version,
                "a surplus version of this secret could not be destroyed; it is never read: {}",
                refusal.on("destroying it").in_full()
            );
        }
    }

    async fn access(&self, name: &str) -> Result<SecretPayload, Refusal> {
        let version = self.first_version(name);
        let answer = self
            .client
            .call(|client| client.access_secret_version().set_name(&version).send())
            .await?;
        // A version always has a payload; an answer without one comes from something else.
        answer.payload.ok_or_else(|| {
            Refusal::failed("Google Secret Manager sent a version without its payload")
        })
    }

    /// True where version 1 is taken, even if it cannot be read: disabled, destroyed, or withheld from this account.
    async fn has_first_version(&self, name: &KeyName) -> Result<bool, Refusal> {
        match self.access(name.as_str()).await {
            Ok(_) | Err(Refusal::Precondition { .. } | Refusal::Denied { .. }) => Ok(true),
            Err(Refusal::NotFound) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    async fn create_once(&self, name: &KeyName, value: &StoredValue) -> Result<Created, Refusal> {
        match self.make_secret(name).await {
            Ok(()) => {}
            Err(Refusal::Exists) if self.has_first_version(name).await? => {
                return Ok(Created::Existed);
            }
            // Somebody stopped half way, or is between the two calls right now. Number 1 decides.
            Err(Refusal::Exists) => {}
            Err(refusal) => return Err(refusal),
        }
        let version = match self.add_version(name, value).await {
            Ok(version) => version,
            Err(Refusal::NotFound) => return Ok(Created::Vanished),
            Err(refusal) => return Err(refusal),
        };
        if version.rsplit('/').next() == Some("1") {
            return Ok(Created::Now);
        }
        self.destroy(name, &version).await;
        Ok(Created::Existed)
    }

    async fn names(&self) -> Result<Vec<KeyName>, Refusal> {
        let mut names = Vec::new();
        let mut token = String::new();
        for _ in 0..PAGES_MAX {
            let page = self
                .client
                .call(|client| {
                    client
                        .list_secrets()
                        .set_parent(self.parent())
                        .set_page_size(PAGE_NAMES)
                        .set_page_token(&token)
                        .send()
                })
                .await
                .map_err(|refusal| self.of_project(refusal))?;
            let last_parts = page
                .secrets
                .iter()
                .filter_map(|s| s.name.rsplit('/').next());
            names.extend(last_parts.filter_map(|name| KeyName::parse(name).ok()));
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(names);
            }
        }
        Err(Refusal::failed(format!(
            "project {} has more than {PAGES_MAX} pages of secrets: keep keys in a project of their own",
            self.project
        )))
    }
}

/// How one round of a create ended.
enum Created {
    Now,
    Existed,
    /// The secret was deleted between the two calls.
    Vanished,
}

/// As Secret Manager wants it: CRC-32C, widened.
fn crc32c(data: &[u8]) -> i64 {
    checksum(CrcAlgorithm::Crc32Iscsi, data).cast_signed()
}

fn value_of(name: &KeyName, payload: SecretPayload) -> Result<StoredValue, StoreError> {
    if payload
        .data_crc32c
        .is_some_and(|sum| sum != crc32c(&payload.data))
    {
        return Err(StoreError::other(format!(
            "the value of key '{name}' was damaged on its way from Google Secret Manager: its checksum does not fit"
        )));
    }
    let text = std::str::from_utf8(&payload.data).map_err(|_| {
        StoreError::other(format!(
            "version 1 of secret '{name}' holds bytes that are no text: no key server made it"
        ))
    })?;
    StoredValue::new(Zeroizing::new(text.to_owned()))
        .map_err(|e| StoreError::failed(format!("version 1 of secret '{name}' is no key"), e))
}

#[async_trait]
impl KeyStore for GcpStore {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        let what = format!("creating key '{name}'");
        self.within(async {
            for _ in 0..ROUNDS_MAX {
                match self.create_once(name, &value).await {
                    Ok(Created::Now) => return Ok(()),
                    Ok(Created::Existed) => return Err(StoreError::Exists),
                    Ok(Created::Vanished) => {}
                    Err(refusal) => return Err(refusal.on(&what)),
                }
            }
            Err(StoreError::other(format!(
                "key '{name}' is being deleted by somebody else while it is created: try again"
            )))
        })
        .await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        let what = format!("reading key '{name}'");
        self.within(async {
            let payload = self.access(name.as_str()).await;
            value_of(name, payload.map_err(|refusal| refusal.on(&what))?)
        })
        .await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        let what = format!("deleting key '{name}'");
        self.within(async {
            self.client
                .call(|client| {
                    client
                        .delete_secret()
                        .set_name(self.secret(name.as_str()))
                        .send()
                })
                .await
                .map_err(|refusal| refusal.on(&what))
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.within(async {
            let names = self.names().await;
            let names = names.map_err(|refusal| refusal.on("listing keys"))?;
            Ok(Page::cut(names, prefix, from, limit))
        })
        .await
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.within(async { self.client.reach().await.map(drop) })
            .await
    }

    /// A page of one name: it needs a token, the project and the right to list.
    async fn connect(&self) -> Result<(), StoreError> {
        self.within(async {
            self.client
                .call(|client| {
                    client
                        .list_secrets()
                        .set_parent(self.parent())
                        .set_page_size(1)
                        .send()
                })
                .await
                .map(drop)
                .map_err(|refusal| self.of_project(refusal).on("listing keys"))
        })
        .await
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }

    fn describe(&self) -> String {
        format!(
            "GCP SecretManager: {} (project {})",
            self.endpoint, self.project
        )
    }
}
