//! Building a client.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::balancer::Balancer;
use crate::client::KesClient;
use crate::credentials::Credentials;
use crate::endpoint::{Endpoint, EndpointError};
use crate::transport::Transport;
use crate::trust::{Trust, TrustError};
use crate::witness::{Alerts, Witness};

/// Idle connections are kept this long, as KES servers keep them.
const IDLE: Duration = Duration::from_secs(90);
/// Idle connections per endpoint; HTTP/2 needs one.
const IDLE_CONNECTIONS_MAX: usize = 100;
/// A connection whose peer vanished without a word is noticed after both of these.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP connection.
    pub connect: Duration,
    /// For one try on one endpoint, from the connection to the last byte. Servers allow a request 15 s.
    pub one_try: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            one_try: Duration::from_secs(20),
        }
    }
}

/// What a client cannot be built from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No endpoint was given.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No server would be believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The TLS library refused its settings.
    #[error("tls settings cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

/// Settings of a [`KesClient`].
#[derive(Debug, Clone)]
pub struct KesClientBuilder {
    endpoints: Vec<Endpoint>,
    credentials: Option<Credentials>,
    trust: Trust,
    timeouts: Timeouts,
}

impl KesClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            credentials: None,
            trust: Trust::system(),
            timeouts: Timeouts::default(),
        }
    }

    /// The servers: one at least. All must hold the same keys.
    #[must_use]
    pub fn endpoints(mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        self.endpoints = endpoints.into_iter().collect();
        self
    }

    /// Who the client is. Without credentials only what a server opens to everybody can be asked.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Which servers are believed; [`Trust::system`] unless told.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// How long to wait.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Builds the client; nothing is sent yet. Blocking: reads the system's root certificates.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<KesClient, BuildError> {
        let first = self.endpoints.first().ok_or(EndpointError::Empty)?;
        let balancer = Balancer::new(self.endpoints.len(), first.is_loopback());

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = self.trust.verifier(Arc::clone(&provider))?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let tls = match &self.credentials {
            Some(credentials) => tls.with_client_cert_resolver(credentials.resolver()),
            None => tls.with_no_client_auth(),
        };

        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.timeouts.connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_all_versions()
            .wrap_connector(tcp);
        let alerts = Alerts::default();
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .build(Witness::new(connector, alerts.clone()));
        let identity = self.credentials.as_ref().map(Credentials::identity);
        let transport = Transport {
            endpoints: self.endpoints,
            balancer,
            client,
            alerts,
            try_timeout: self.timeouts.one_try,
        };
        Ok(KesClient::new(transport, identity))
    }
}
