//! A key store out of a vendor's calls: limits, repetitions and sentences that are the same for all of them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_kes_api::KeyName;
use strongroom_keystore::{Finding, KeyStore, Page, StoreError, StoredValue};

use crate::failure::Failure;
use crate::rest::Rest;
use crate::retry;

/// More names than any store of keys has; a listing that goes on is endless.
pub(crate) const NAMES_MAX: usize = 1 << 20;

/// The calls of one vendor. Each is made once, except `names`, which repeats what may be repeated.
pub trait Vendor: fmt::Debug + Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// Where the configuration has the credentials.
    const CREDENTIALS: &'static str;

    /// The way there.
    fn rest(&self) -> &Rest;
    /// Does somebody answer?
    fn reach(&self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Logs in, and sees that the place for the keys is there.
    fn prove(&self) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Stores a value under a free name.
    fn store(
        &self,
        name: &KeyName,
        value: &StoredValue,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Reads a value.
    fn load(&self, name: &KeyName) -> impl Future<Output = Result<StoredValue, Failure>> + Send;
    /// Removes a value.
    fn remove(&self, name: &KeyName) -> impl Future<Output = Result<(), Failure>> + Send;
    /// All names that are names of keys.
    fn names(&self) -> impl Future<Output = Result<Vec<KeyName>, Failure>> + Send;
}

/// A key store in an appliance.
pub struct ApplianceStore<V> {
    vendor: V,
}

impl<V: Vendor> fmt::Debug for ApplianceStore<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApplianceStore")
            .field(&self.describe())
            .finish()
    }
}

impl<V: Vendor> ApplianceStore<V> {
    pub(crate) fn new(vendor: V) -> Self {
        Self { vendor }
    }

    /// Runs an operation to its end or to the end of its time, and words what went wrong.
    async fn run<T>(
        &self,
        act: &str,
        operation: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let limit: Duration = self.vendor.rest().limits.call;
        tokio::time::timeout(limit, operation)
            .await
            .unwrap_or(Err(Failure::TooSlow(limit.as_secs())))
            .map_err(|failure| self.told(act, failure))
    }

    fn told(&self, act: &str, failure: Failure) -> StoreError {
        let (what, endpoint) = (V::NAME, self.vendor.rest().endpoint());
        match failure {
            Failure::Exists => StoreError::Exists,
            Failure::NotFound => StoreError::NotFound,
            absence if absence.is_absence() => {
                let (first, below) = match &absence {
                    Failure::Login(below) => ("log in, in order to ", &**below),
                    other => ("", other),
                };
                let reason = match below {
                    Failure::Refused(refusal) => {
                        format!("{what} at {endpoint} could not {first}{act}: {refusal}")
                    }
                    Failure::NotConnected(_) => format!(
                        "no connection to {what} at {endpoint} to {first}{act}; check the address, the network and `tls.ca`"
                    ),
                    _ => {
                        format!("{what} at {endpoint} did not answer to a request to {first}{act}")
                    }
                };
                StoreError::unreachable(reason, absence)
            }
            Failure::Login(below) => {
                let reason = format!(
                    "{what} at {endpoint} did not let us log in, in order to {act}: {below}; check {}",
                    V::CREDENTIALS
                );
                StoreError::failed(reason, *below)
            }
            Failure::Refused(refusal) => {
                let check = match refusal.status {
                    401 => V::CREDENTIALS,
                    403 => "what the owner of the credentials may do",
                    300..=399 => "the endpoint, which sends elsewhere",
                    404 => "the endpoint",
                    429 => "its limits on requests",
                    500.. => "its logs",
                    _ => "its version and settings",
                };
                StoreError::other(format!(
                    "{what} at {endpoint} refused to {act}: {refusal}; check {check}"
                ))
            }
            Failure::Garbled(_) => StoreError::other(format!(
                "{what} at {endpoint} was asked to {act}, but {failure}; check that the endpoint is its address and no proxy's"
            )),
            other => StoreError::other(format!("{what} at {endpoint} could not {act}: {other}")),
        }
    }
}

#[async_trait]
impl<V: Vendor> KeyStore for ApplianceStore<V> {
    async fn create(&self, name: &KeyName, value: StoredValue) -> Result<(), StoreError> {
        let act = format!("store key '{}'", name.as_str());
        self.run(&act, retry::create(&self.vendor, name, &value))
            .await
    }

    async fn get(&self, name: &KeyName) -> Result<StoredValue, StoreError> {
        let act = format!("read key '{}'", name.as_str());
        let limits = &self.vendor.rest().limits;
        self.run(&act, retry::repeated(limits, || self.vendor.load(name)))
            .await
    }

    async fn delete(&self, name: &KeyName) -> Result<(), StoreError> {
        let act = format!("delete key '{}'", name.as_str());
        self.run(&act, retry::remove(&self.vendor, name)).await
    }

    async fn list(
        &self,
        prefix: &str,
        from: Option<&KeyName>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        // None of the three sorts as we do, or can start at a name: all names are read, and cut here.
        let names = self.run("list keys", self.vendor.names()).await?;
        Ok(Page::cut(names, prefix, from, limit))
    }

    async fn status(&self) -> Result<(), StoreError> {
        let limits = &self.vendor.rest().limits;
        self.run(
            "tell its status",
            retry::repeated(limits, || self.vendor.reach()),
        )
        .await
    }

    async fn connect(&self) -> Result<(), StoreError> {
        let limits = &self.vendor.rest().limits;
        self.run(
            "open its key store",
            retry::repeated(limits, || self.vendor.prove()),
        )
        .await
    }

    async fn examine(&self) -> Vec<Finding> {
        let reached = self.status().await;
        let mut findings = vec![Finding::of(
            format!("reach {} at {}", V::NAME, self.vendor.rest().endpoint()),
            &reached,
            "it answers",
        )];
        if reached.is_err() {
            return findings;
        }
        let proven = self.connect().await;
        findings.push(Finding::of(
            format!("log in with {}", V::CREDENTIALS),
            &proven,
            "accepted",
        ));
        if proven.is_err() {
            return findings;
        }
        let listed = self.run("list keys", self.vendor.names()).await;
        findings.push(match listed {
            Ok(names) => Finding::good("list keys", format!("allowed; {} found", names.len())),
            Err(error) => Finding::bad("list keys", error.in_full()),
        });
        findings
    }

    fn describe(&self) -> String {
        format!("{}: {}", V::NAME, self.vendor.rest().endpoint())
    }
}

/// A value from the text that an appliance holds.
pub(crate) fn value(text: zeroize::Zeroizing<String>) -> Result<StoredValue, Failure> {
    StoredValue::new(text)
        .map_err(|_| Failure::Unusable("what lies there is too long to be a key".to_owned()))
}

/// A value from base64 of a text.
pub(crate) fn value_of_base64(text: &str) -> Result<StoredValue, Failure> {
    use base64::Engine as _;
    let unusable = |what: &str| Failure::Unusable(format!("what lies there is no key: {what}"));
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| unusable("it is not base64"))?;
    match String::from_utf8(bytes) {
        Ok(text) => value(zeroize::Zeroizing::new(text)),
        Err(error) => {
            drop(zeroize::Zeroizing::new(error.into_bytes()));
            Err(unusable("it is not text"))
        }
    }
}

/// A value as base64 of its text.
pub(crate) fn base64_of(value: &StoredValue) -> zeroize::Zeroizing<String> {
    use base64::Engine as _;
    zeroize::Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(value.expose()))
}
