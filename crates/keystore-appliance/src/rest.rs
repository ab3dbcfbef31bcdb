//! HTTP with an appliance: one pool of connections, every wait limited, answers bounded.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strongroom_keystore::StoreError;
use zeroize::Zeroizing;

use crate::failure::{Failure, Refusal};
use crate::trust;

/// A whole operation, with logins and repetitions: the key server's own limit of 15 s for a request is never the one
/// that ends it, so that the client learns what happened.
const CALL_MAX: Duration = Duration::from_secs(10);
/// One request and its answer: two fit into an operation.
const ATTEMPT_MAX: Duration = Duration::from_secs(4);
/// A connection with its handshake, across a continent.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Between two attempts: at least so long, and up to so much more at random, so that servers that failed together do
/// not come back together.
const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_SPREAD: Duration = Duration::from_millis(800);
/// Below the 75 s after which nginx, which stands in front of all three, closes an idle connection.
const IDLE_MAX: Duration = Duration::from_secs(55);
/// Finds connections that a firewall forgot.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The longest value (1 MiB) as base64 in JSON, or a page of some thousand entries.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// So much of a secret in an error text is no accident: 72 bits, where it is base64.
const TELLING_BYTES: usize = 12;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// An operation.
    pub call: Duration,
    /// An attempt.
    pub attempt: Duration,
    /// Least wait between attempts.
    pub wait: Duration,
    /// What is added to it at random.
    pub spread: Duration,
}

impl Limits {
    /// Those of production.
    pub const NORMAL: Self = Self {
        call: CALL_MAX,
        attempt: ATTEMPT_MAX,
        wait: WAIT_MIN,
        spread: WAIT_SPREAD,
    };
}

/// A client of one appliance.
pub struct Rest {
    client: Client,
    endpoint: Url,
    /// How long things may take.
    pub limits: Limits,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("endpoint", &self.endpoint())
            .finish_non_exhaustive()
    }
}

/// A request that can be sent more than once.
pub struct Request {
    method: Method,
    url: Url,
    body: Option<Bytes>,
    header: Option<(HeaderName, HeaderValue)>,
    /// What no error text may repeat.
    private: Vec<Zeroizing<String>>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            body: None,
            header: None,
            private: Vec::new(),
        }
    }

    /// With a body in JSON.
    pub fn json<T: Serialize>(mut self, body: &T, bytes: usize) -> Result<Self, Failure> {
        // Room for all of it: a buffer that grows leaves copies of the secret behind.
        let mut text = Zeroizing::new(Vec::with_capacity(bytes.saturating_mul(2) + 1024));
        serde_json::to_writer(&mut *text, body)
            .map_err(|_| Failure::Unusable("the request does not fit into JSON".to_owned()))?;
        self.body = Some(Bytes::from_owner(text));
        Ok(self)
    }

    /// With a header that nobody may see.
    pub fn secret_header(
        mut self,
        name: HeaderName,
        scheme: &str,
        secret: &str,
    ) -> Result<Self, Failure> {
        let text = Zeroizing::new(format!("{scheme}{secret}"));
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Failure::Unusable("the credential has characters that no header can carry".to_owned())
        })?;
        value.set_sensitive(true);
        self.header = Some((name, value));
        Ok(self.hiding(secret))
    }

    /// Keeps a secret of the body out of error texts, should the appliance repeat it.
    pub fn hiding(mut self, secret: &str) -> Self {
        if !secret.is_empty() {
            self.private.push(Zeroizing::new(secret.to_owned()));
        }
        self
    }
}

/// A whole answer of status 2xx.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// Reads the body as the vendor documents it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Not the error's own text: it may quote what it stumbled over.
            Failure::Garbled(format!(
                "status {} with {} bytes that do not read as expected at line {}",
                self.status,
                self.body.len(),
                error.line()
            ))
        })
    }
}

/// A text of an answer that is nobody else's: wiped on drop, never shown.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(crate) struct Private(Zeroizing<String>);

impl Private {
    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The text itself, taken over.
    pub(crate) fn into_text(self) -> Zeroizing<String> {
        self.0
    }
}

impl From<String> for Private {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(…)")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// How a vendor words an error: code and message out of a status and a body.
pub(crate) type ReadRefusal = fn(u16, &[u8]) -> Refusal;

impl Rest {
    /// A client of `endpoint` that believes only the authorities of `ca`, or those of the system without it.
    pub fn open(endpoint: &str, ca: Option<&Path>, limits: Limits) -> Result<Self, StoreError> {
        let endpoint = address(endpoint)?;
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_MAX.min(limits.attempt))
            .timeout(limits.attempt)
            .pool_idle_timeout(IDLE_MAX)
            .tcp_keepalive(KEEP_ALIVE)
            // None of these interfaces redirects; a credential follows nobody elsewhere.
            .redirect(redirect::Policy::none());
        if let Some(ca) = ca {
            builder = builder.tls_certs_only(trust::authorities(ca)?);
        }
        let client = builder.build().map_err(|e| {
            StoreError::failed(
                "no TLS client can be made; name the appliance's authority in `tls.ca`",
                e,
            )
        })?;
        Ok(Self {
            client,
            endpoint,
            limits,
        })
    }

    /// The address as configured, without a slash at its end.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// A URL below the endpoint. The path must consist of characters that need no escape.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.endpoint.clone();
        url.set_path(&format!(
            "{}{path}",
            self.endpoint.path().trim_end_matches('/')
        ));
        url
    }

    /// Sends a request once.
    pub async fn send(&self, request: &Request, read: ReadRefusal) -> Result<Answer, Failure> {
        let mut builder = self
            .client
            .request(request.method.clone(), request.url.clone());
        if let Some((name, value)) = &request.header {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let mut response = builder.send().await.map_err(of_transport)?;
        let status = response.status().as_u16();
        let expected = response.content_length().unwrap_or(0);
        let room = usize::try_from(expected)
            .unwrap_or(usize::MAX)
            .min(ANSWER_BYTES_MAX);
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        while let Some(piece) = response.chunk().await.map_err(of_transport)? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Failure::Garbled(format!(
                    "status {status} with more than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            body.extend_from_slice(&piece);
        }
        if (200..300).contains(&status) {
            return Ok(Answer { status, body });
        }
        let mut refusal = read(status, &body);
        let tells = |text: &Option<String>| {
            text.as_ref()
                .is_some_and(|text| request.private.iter().any(|p| repeats(text, p)))
        };
        if tells(&refusal.message) || tells(&refusal.code) {
            refusal.message = Some("(a message that repeats a secret)".to_owned());
            refusal.code = None;
        }
        Err(Failure::Refused(refusal))
    }
}

/// Is a piece of the secret in the text? Texts are cut to a length, and appliances quote what they did not like, so
/// the whole need not be there.
pub(crate) fn repeats(text: &str, secret: &str) -> bool {
    let secret = secret.as_bytes();
    let piece = TELLING_BYTES.min(secret.len());
    piece > 0
        && text
            .as_bytes()
            .windows(piece)
            .any(|told| secret.windows(piece).any(|part| part == told))
}

fn of_transport(error: reqwest::Error) -> Failure {
    // Our URLs hold no secrets, but they make the texts long; the sentence around names the endpoint.
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        Failure::NotConnected(Arc::new(error))
    } else {
        Failure::NoAnswer(Arc::new(error))
    }
}

/// Checks an endpoint. Credentials travel over TLS, or over the loopback interface to whoever adds it.
fn address(text: &str) -> Result<Url, StoreError> {
    let wrong = |why: &str| StoreError::other(format!("endpoint '{}' {why}", bare(text)));
    let url = Url::parse(text.trim())
        .map_err(|_| wrong("is no URL: write it as https://host or https://host:port"))?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => {}
        "http" if is_local => {}
        "http" => return Err(wrong("would send credentials in clear: use https://")),
        _ => {
            return Err(wrong(
                "is no URL: write it as https://host or https://host:port",
            ));
        }
    }
    let has_more = url.query().is_some() || url.fragment().is_some();
    if url.host_str().is_none()
        || !url.username().is_empty()
        || url.password().is_some()
        || has_more
    {
        return Err(wrong(
            "may have a host, a port and a path only; credentials have places of their own",
        ));
    }
    Ok(url)
}

/// What may be shown of a text that should be an address and may hold `user:password@`.
fn bare(text: &str) -> &str {
    text.rsplit('@').next().unwrap_or_default()
}
