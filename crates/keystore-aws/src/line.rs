//! The connection to Secrets Manager: one pool, its time limits, and the plain question whether anybody is there.

use std::time::Duration;

use aws_sdk_secretsmanager::config::SharedHttpClient;
use aws_sdk_secretsmanager::config::http::HttpRequest;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::primitives::{DateTime, DateTimeFormat};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt as _, Limited};
use strongroom_keystore::StoreError;

use crate::endpoint::Endpoint;
use crate::failure::{Cause, Failure};

/// A call with all its attempts, and with getting credentials: below the 15 s of a route, which then never ends first.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(10);
/// Three attempts that reach nobody fit into [`CALL_MAX`].
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Three attempts that nobody answers, with the waits between, fit into [`CALL_MAX`]. Answers take some 50 ms.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// The SDK's own number.
const ATTEMPTS_MAX: u32 = 3;
/// The SDK waits 1 s and more, which is meant for jobs in the background; here a client waits.
const BACKOFF: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How much of an answer to the plain question is read, so that its connection can be used again.
const GREETING_BYTES_MAX: usize = 64 << 10;

/// Longest answer. A hundred secrets with all the tags that they can have are some 5 MB; the SDK itself reads on until
/// memory or time is used up.
const ANSWER_BYTES_MAX: usize = 16 << 20;

pub(crate) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(BACKOFF)
        .with_max_backoff(BACKOFF_MAX)
}

/// The same connections, for answers that end.
#[derive(Debug)]
struct Bounded(SharedHttpConnector);

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, ANSWER_BYTES_MAX))))
        })
    }
}

/// Connections to one endpoint, shared by all calls.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    connector: SharedHttpConnector,
    url: String,
}

/// An answer to the plain question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Greeting {
    /// Any will do: AWS says 404 or 400 to whoever asks for nothing.
    pub(crate) status: u16,
    /// When it was sent, by the clock over there; seconds since 1970.
    pub(crate) sent_at: Option<i64>,
}

impl Line {
    /// Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`), authorities those of the system (`SSL_CERT_FILE`).
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        let limits = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_MAX)
            .read_timeout(ANSWER_MAX)
            .build();
        let connector = Connector::builder()
            .connector_settings(limits)
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build();
        Self {
            connector: SharedHttpConnector::new(connector),
            url: endpoint.as_str().to_owned(),
        }
    }

    /// The same connections for the SDK.
    pub(crate) fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(Bounded(self.connector.clone()));
        http_client_fn(move |_, _| connector.clone())
    }

    /// Is anybody there? Whatever answers HTTP counts, as upstream counts it.
    pub(crate) async fn greet(&self) -> Result<Greeting, StoreError> {
        let request = HttpRequest::get(format!("{}/", self.url))
            .map_err(|error| self.silent(Cause::of(&error)))?;
        let answer = tokio::time::timeout(CALL_MAX, self.connector.call(request))
            .await
            .map_err(|_| Failure::too_slow().into_words(&self.url))?
            .map_err(|error: ConnectorError| self.silent(Cause::of(&error)))?;
        let greeting = Greeting {
            status: answer.status().as_u16(),
            sent_at: answer
                .headers()
                .get("date")
                .and_then(|d| DateTime::from_str(d, DateTimeFormat::HttpDate).ok())
                .map(|d| d.secs()),
        };
        let body = Limited::new(answer.into_body(), GREETING_BYTES_MAX);
        // What it says is nobody's business, nor whether it ends well.
        let _ = tokio::time::timeout(ANSWER_MAX, body.collect()).await;
        Ok(greeting)
    }

    fn silent(&self, cause: Cause) -> StoreError {
        Failure::Silent { cause }.into_words(&self.url)
    }
}
