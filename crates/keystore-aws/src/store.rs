//! The store itself.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Config, IdentityCache, Region};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use strongroom_kes_api::KeyName;
use strongroom_keystore::{Finding, KeyStore, Page, StoreError, StoredValue, config};
use zeroize::Zeroizing;

use crate::credentials;
use crate::endpoint::Endpoint;
use crate::failure::{Call, Failure};
use crate::line::{CALL_MAX, Line, retries};

/// Getting credentials, within [`CALL_MAX`]: an instance's metadata and STS are tried more than once.
const CREDENTIALS_MAX: Duration = Duration::from_secs(8);
/// AWS frees a name a moment after it said that it deleted the secret: "if you delete a secret and then immediately create
/// a secret with the same name, use appropriate back off and retry logic" (API reference, `DeleteSecret`).
const NAME_IS_FREE_AFTER: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1000),
];
/// The most that AWS gives at once (API reference, `ListSecrets`).
const SECRETS_PER_ANSWER: i32 = 100;
/// A listing of more than 100,000 secrets does not end within [`CALL_MAX`] anyway.
const ANSWERS_MAX: usize = 1000;
const CLEAR: &str =
    "its endpoint is plain http: keys travel unencrypted, and anybody on the way can read them";

/// Keys as secrets of AWS Secrets Manager.
#[derive(Clone)]
pub struct AwsStore {
    endpoint: Endpoint,
    given_endpoint: String,
    region: String,
    kms_key: Option<String>,
    pub(crate) credentials: SharedCredentialsProvider,
    pub(crate) line: Line,
    client: Client,
}

impl fmt::Debug for AwsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsStore")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl AwsStore {
    /// Prepares everything and asks nobody. Without credentials in the configuration, profile files are read later, with
    /// the first call.
    ///
    /// # Errors
    /// The endpoint is no address, or the region is missing.
    pub async fn open(config: config::Aws) -> Result<Self, StoreError> {
        let endpoint = Endpoint::parse(&config.endpoint)?;
        let region = config.region.trim().to_owned();
        if region.is_empty() {
            return Err(StoreError::other(
                "the region of AWS Secrets Manager is missing; it looks like us-east-1, and requests are signed for it",
            ));
        }
        let line = Line::new(&endpoint);
        let credentials = credentials::provider(config.credentials.as_ref(), &region, &line).await;
        let client = Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new(region.clone()))
                .endpoint_url(endpoint.as_str())
                .credentials_provider(credentials.clone())
                .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS_MAX).build())
                .retry_config(retries())
                .http_client(line.client())
                .build(),
        );
        Ok(Self {
            endpoint,
            given_endpoint: config.endpoint.trim().to_owned(),
            region,
            kms_key: config.kms_key.filter(|k| !k.trim().is_empty()),
            credentials,
            line,
            client,
        })
    }

    pub(crate) fn url(&self) -> &str {
        self.endpoint.as_str()
    }

    pub(crate) fn call<'a>(&'a self, action: &'static str, key: Option<&'a KeyName>) -> Call<'a> {
        Call {
            action,
            key,
            kms_key: self.kms_key.as_deref(),
            url: self.url(),
        }
    }

    /// The one request that needs no key and shows whether AWS knows us.
    pub(crate) async fn list_one(&self) -> Result<(), Failure> {
        let request = self.client.list_secrets().max_results(1).send();
        within(async { request.await.map(|_| ()).map_err(|e| Failure::of(&e)) }).await
    }

    pub(crate) async fn read(&self, name: &KeyName) -> Result<GetSecretValueOutput, Failure> {
        let request = self
            .client
            .get_secret_value()
            .secret_id(name.as_str())
            .send();
        within(async { request.await.map_err(|e| Failure::of(&e)) }).await
    }

    async fn create_once(&self, name: &KeyName, value: &StoredValue) -> Result<(), Failure> {
        // The SDK sends a token of its own with each call, so that its retries of an answer that was lost are no conflict
        // with itself.
        let request = self
            .client
            .create_secret()
            .name(name.as_str())
            .secret_string(value.expose())
            .set_kms_key_id(self.kms_key.clone())
            .send();
        request.await.map(|_| ()).map_err(|e| Failure::of(&e))
    }

    async fn create_when_free(&self, name: &KeyName, value: &StoredValue) -> Result<(), Failure> {
        for wait in NAME_IS_FREE_AFTER {
            match self.create_once(name, value).await {
                Err(Failure::Held { .. }) => tokio::time::sleep(wait).await,
                done => return done,
            }
        }
        self.create_once(name, value).await
    }

    async fn names(&self, prefix: &str) -> Result<Vec<KeyName>, StoreError> {
        let mut names = Vec::new();
        let mut token = None;
        for _ in 0..ANSWERS_MAX {
            let answer = self
                .client
                .list_secrets()
                .set_filters(filter(prefix))
                .max_results(SECRETS_PER_ANSWER)
                .set_next_token(token)
                .send()
                .await
                .map_err(|e| Failure::of(&e).in_words(self.call("ListSecrets", None)))?;
            let secrets = answer.secret_list();
            names.extend(
                secrets
                    .iter()
                    .filter_map(|s| KeyName::parse(s.name()?).ok()),
            );
            token = answer.next_token;
            if token.is_none() {
                return Ok(names);
            }
        }
        Err(StoreError::other(format!(
            "AWS Secrets Manager holds more than {} secrets; list keys by a prefix",
            ANSWERS_MAX * usize::try_from(SECRETS_PER_ANSWER).unwrap_or_default()
        )))
    }
}

/// Only what AWS need not send: its filter is a prefix too, but the exact cut is made here. A `!` at its start would turn
/// the filter round, and no key name has one (API reference, `Filter`).
fn filter(prefix: &str) -> Option<Vec<Filter>> {
    KeyName::parse(prefix).ok()?;
    let by_name = Filter::builder()
        .key(FilterNameStringType::Name)
        .values(prefix);
    Some(vec![by_name.build()])
}

async fn within<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let outcome = tokio::time::timeout(CALL_MAX, call).await;
    outcome.unwrap_or_else(|_| Err(Failure::too_slow()))
}

fn value_of(name: &KeyName, secret: GetSecretValueOutput) -> Result<StoredValue, StoreError> {
    let strange = |why: &str| StoreError::other(format!("the secret of key '{name}' {why}"));
    if secret.name.as_deref().is_some_and(|n| n != name.as_str()) {
        return Err(strange(
            "came under another name; AWS took the name for a part of an ARN",
        ));
    }
    let text = match (secret.secret_string, secret.secret_binary) {
        (Some(text), _) => Zeroizing::new(text),
        (None, Some(bytes)) => String::from_utf8(bytes.into_inner())
            .map(Zeroizing::new)
            .map_err(|error| {
                drop(Zeroizing::new(error.into_bytes()));
                strange("is not text, so no key server wrote it")
            })?,
        (None, None) => return Err(strange("has no value")),
    };
    StoredValue::new(text).map_err(|error| StoreError::failed(format!("key '{name}'"), error))
}

#[async_trait]
impl KeyStore for AwsStore {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        let created = within(self.create_when_free(name, &value)).await;
        created.map_err(|f| f.in_words(self.call("CreateSecret", Some(name))))
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        let secret = self.read(name).await;
        let secret = secret.map_err(|f| f.in_words(self.call("GetSecretValue", Some(name))))?;
        value_of(name, secret)
    }

    /// AWS does not say whether there was one (API reference, `DeleteSecret`).
    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_secret()
            .secret_id(name.as_str())
            .force_delete_without_recovery(true)
            .send();
        let deleted = within(async { request.await.map_err(|e| Failure::of(&e)) }).await;
        deleted
            .map(|_| ())
            .map_err(|f| f.in_words(self.call("DeleteSecret", Some(name))))
    }

    /// All names anew for each page: AWS lists by date, and a remembered listing would hide keys.
    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let names = tokio::time::timeout(CALL_MAX, self.names(prefix)).await;
        let names = names.unwrap_or_else(|_| Err(Failure::too_slow().into_words(self.url())))?;
        Ok(Page::cut(names, prefix, from, limit))
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.line.greet().await.map(|_| ())
    }

    /// A server may do without listing, so that only a stranger to AWS is stopped.
    async fn connect(&self) -> Result<(), StoreError> {
        match self.list_one().await {
            Ok(()) => Ok(()),
            Err(denied @ Failure::Denied { .. }) => {
                let denied = denied.in_words(self.call("ListSecrets", None));
                tracing::warn!("keys cannot be listed: {denied}");
                Ok(())
            }
            Err(failure) => Err(failure.in_words(self.call("ListSecrets", None))),
        }
    }

    fn caveat(&self) -> Option<&'static str> {
        self.endpoint.is_clear().then_some(CLEAR)
    }

    async fn examine(&self) -> Vec<Finding> {
        self.look_around().await
    }

    fn describe(&self) -> String {
        format!("AWS SecretsManager: {}", self.given_endpoint)
    }
}
