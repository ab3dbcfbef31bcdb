//! Connections to Vault, and one request.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Url, redirect};
use rustls::{AlertDescription, CertificateError};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::error::VaultError;
use crate::path::{Namespace, Path};
use crate::secret::Secret;
use crate::tls::TlsFiles;

/// Longest wait for one answer. Vault answers within milliseconds; a caller who waits 10 s should hear of it.
pub const REQUEST_MAX: Duration = Duration::from_secs(8);
/// A host that is there accepts at once; several addresses of a name share this.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// HTTP/2: a quiet connection is asked this often whether it lives, also while it is idle …
const PING_EVERY: Duration = Duration::from_secs(5);
/// … and is given up when nothing comes back for so long.
const PING_MAX: Duration = Duration::from_secs(3);
/// The same for HTTP/1.1, by the system: sent bytes that nobody acknowledges for so long end the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// Idle connections are probed, so that firewalls do not forget them and dead ones are found.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Below the 90 s and more after which servers and balancers drop idle connections.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// A standby names the active node; that is one step.
const REDIRECTS_MAX: usize = 2;
/// Longest answer to anything but a listing. Stored values have at most 1 MiB, six times that when escaped.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Longest listing: some 400,000 names.
pub(crate) const LISTING_BYTES_MAX: usize = 32 << 20;
/// What an answer's buffer starts with when its length is not told.
const ANSWER_BYTES_USUAL: usize = 4 << 10;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Vault's agents and proxies can demand it; it keeps browsers and forged requests out.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// One Vault, over connections that are kept.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    endpoint: String,
    ca: Option<String>,
    has_certificate: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A request, whoever sends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: Verb,
    pub(crate) namespace: &'a Namespace,
    pub(crate) path: &'a Path,
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) body: Option<&'a Payload>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Verb, namespace: &'a Namespace, path: &'a Path) -> Self {
        Self {
            method,
            namespace,
            path,
            query: &[],
            body: None,
        }
    }

    pub(crate) fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn body(mut self, body: &'a Payload) -> Self {
        self.body = Some(body);
        self
    }
}

/// What is done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Delete,
    List,
    Post,
    Put,
    Read,
}

impl Verb {
    /// May it be sent again when a connection ended without an answer? A second delete finds nothing, which is what it wants.
    fn can_repeat(self) -> bool {
        matches!(self, Self::Delete | Self::List | Self::Read)
    }

    fn method(self) -> Method {
        match self {
            Self::Delete => Method::DELETE,
            Self::List | Self::Read => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
        }
    }
}

/// A JSON body; it may hold secrets, so it is wiped.
pub(crate) struct Payload(Bytes);

/// What [`Bytes`] keeps alive and drops, wiped.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Payload {
    /// `size` is at least that of the JSON, so that no growing buffer leaves a copy behind.
    pub(crate) fn json<T: Serialize>(value: &T, size: usize) -> Result<Self, VaultError> {
        let mut text = Zeroizing::new(Vec::with_capacity(size));
        serde_json::to_writer(&mut *text, value)
            .map_err(|_| VaultError::Config("a request to Vault cannot be written".to_owned()))?;
        Ok(Self(Bytes::from_owner(Wiped(text))))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl Client {
    /// Reads the certificates; makes no connection.
    ///
    /// # Errors
    /// The endpoint is no URL, or a file cannot be used.
    pub fn new(endpoint: &str, tls: &TlsFiles) -> Result<Self, VaultError> {
        let base = base_url(endpoint)?;
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEP_ALIVE)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_MAX)
            .http2_keep_alive_while_idle(true)
            .redirect(redirect::Policy::custom(follow));
        let http = tls.apply(builder)?.build().map_err(|error| {
            VaultError::Config(format!(
                "connections to Vault at {endpoint} cannot be set up: {}",
                causes(&error)
            ))
        })?;
        Ok(Self {
            http,
            base,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            ca: tls.ca.as_ref().map(|path| path.display().to_string()),
            has_certificate: tls.cert.is_some(),
        })
    }

    /// What was given as endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends a request, and sorts the answer: success or "nothing there".
    pub(crate) async fn send(
        &self,
        request: Request<'_>,
        token: Option<&Secret>,
    ) -> Result<Answer, VaultError> {
        self.send_as_is(request, token)
            .await?
            .checked(&self.endpoint)
    }

    /// Sends a request; every status is an answer.
    pub(crate) async fn send_as_is(
        &self,
        request: Request<'_>,
        token: Option<&Secret>,
    ) -> Result<Answer, VaultError> {
        let started = Instant::now();
        let mut outcome = self.attempt(request, token, REQUEST_MAX).await;
        // A kept connection may have died without a word: what is harmless to repeat goes out once more, on a new one.
        if let Err(error) = &outcome
            && request.method.can_repeat()
            && !error.is_timeout()
            && !error.is_redirect()
            && let Some(left) = REQUEST_MAX.checked_sub(started.elapsed())
        {
            outcome = self.attempt(request, token, left).await;
        }
        let (status, body) = outcome.map_err(|error| self.unreachable(&error))?;
        let path = request.path.to_string();
        let Some(body) = body else {
            let what = "it is longer than any that is expected".to_owned();
            return Err(VaultError::Garbage { path, what });
        };
        Ok(Answer { status, path, body })
    }

    async fn attempt(
        &self,
        request: Request<'_>,
        token: Option<&Secret>,
        limit: Duration,
    ) -> Result<(u16, Option<Zeroizing<Vec<u8>>>), reqwest::Error> {
        let mut http = self
            .http
            .request(request.method.method(), self.url(request))
            .headers(headers(request.namespace, token))
            .timeout(limit);
        if let Some(Payload(body)) = request.body {
            http = http
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let mut answer = http.send().await?;
        let status = answer.status().as_u16();
        let bytes_max = if request.method == Verb::List {
            LISTING_BYTES_MAX
        } else {
            ANSWER_BYTES_MAX
        };
        let told = answer
            .content_length()
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(ANSWER_BYTES_USUAL);
        if told > bytes_max {
            return Ok((status, None));
        }
        let mut body = Zeroizing::new(Vec::with_capacity(told));
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > bytes_max {
                return Ok((status, None));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, Some(body)))
    }

    fn url(&self, request: Request<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().push("v1").extend(request.path.parts());
            // A listing is of a folder. Policies name it with its slash.
            if request.method == Verb::List {
                parts.push("");
            }
        }
        if request.method == Verb::List {
            url.query_pairs_mut().append_pair("list", "true");
        }
        for (key, value) in request.query {
            url.query_pairs_mut().append_pair(key, value);
        }
        url
    }

    /// One sentence on why no answer came.
    fn unreachable(&self, error: &reqwest::Error) -> VaultError {
        let endpoint = &self.endpoint;
        let text = match tls_error(error) {
            Some(cause) => self.about_tls(cause),
            None if error.is_connect() && error.is_timeout() => format!(
                "Vault at {endpoint} does not accept connections within {} s: check the address and the firewall",
                CONNECT_MAX.as_secs()
            ),
            None if error.is_timeout() => format!(
                "Vault at {endpoint} does not answer within {} s",
                REQUEST_MAX.as_secs()
            ),
            None if error.is_connect() => {
                format!(
                    "Vault at {endpoint} cannot be connected to: {}",
                    causes(error)
                )
            }
            None => format!(
                "the connection to Vault at {endpoint} failed: {}{}",
                causes(error),
                self.about_certificate()
            ),
        };
        VaultError::Unreachable(text)
    }

    /// With TLS 1.3 a server refuses a client after the handshake (RFC 8446 §4.4.2.4), by an alert that can be lost when
    /// the connection ends with it.
    fn about_certificate(&self) -> &'static str {
        match (self.base.scheme(), self.has_certificate) {
            ("https", false) => {
                " (a server that demands a client certificate does that: set tls.cert and tls.key)"
            }
            ("https", true) => {
                " (a server that does not accept the client certificate does that: check tls.cert)"
            }
            _ => "",
        }
    }

    fn about_tls(&self, error: &rustls::Error) -> String {
        let endpoint = &self.endpoint;
        match error {
            // A bad signature: an authority has the right name, as one that was made anew has, and another key.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => match &self.ca {
                Some(ca) => format!(
                    "the certificate of Vault at {endpoint} is signed by none of the authorities in {ca} (tls.ca): put the authority there that signed it"
                ),
                None => format!(
                    "the certificate of Vault at {endpoint} is signed by no authority that this system trusts: name the one that signed it in tls.ca"
                ),
            },
            rustls::Error::InvalidCertificate(cause) => {
                format!("the certificate of Vault at {endpoint} is not accepted: {cause}")
            }
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate),
            ) => format!(
                "Vault at {endpoint} does not accept our client certificate ({alert:?}): check tls.cert and tls.key"
            ),
            other => format!("TLS with Vault at {endpoint} fails: {other}"),
        }
    }
}

fn base_url(endpoint: &str) -> Result<Url, VaultError> {
    let bad = |why: &str| {
        VaultError::Config(format!(
            "Vault endpoint {endpoint:?} {why}: write it like https://vault.example:8200"
        ))
    };
    let base = Url::parse(endpoint).map_err(|_| bad("is no URL"))?;
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(bad("is no http or https URL"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        // Not quoted: it holds a password.
        return Err(VaultError::Config(
            "the Vault endpoint has a user or password in it, which Vault does not use: take it out"
                .to_owned(),
        ));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(bad("has a query or fragment"));
    }
    Ok(base)
}

/// A standby may send a client to the active node. The token goes along, so never from TLS to clear text. Only statuses
/// that keep the method (RFC 9110 §15.4.8, §15.4.9): after the others a delete would go out as a read, and look done.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let before = attempt.previous().last().map(Url::scheme);
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    if !keeps_method
        || attempt.previous().len() > REDIRECTS_MAX
        || before != Some(attempt.url().scheme())
    {
        attempt.stop()
    } else {
        attempt.follow()
    }
}

fn headers(namespace: &Namespace, token: Option<&Secret>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(REQUEST, HeaderValue::from_static("true"));
    if let Some(text) = namespace.as_deref()
        && let Ok(value) = HeaderValue::from_str(text)
    {
        headers.insert(NAMESPACE, value);
    }
    if let Some(token) = token
        && let Ok(mut value) = HeaderValue::from_str(token.expose())
    {
        value.set_sensitive(true);
        headers.insert(TOKEN, value);
    }
    headers
}

/// The deepest TLS error below. An [`io::Error`] hides what it wraps from [`StdError::source`], so it is asked itself.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The causes below an error. Its own text is left out: it only repeats the address.
fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if texts.last().is_none_or(|last| *last != text) {
            texts.push(text);
        }
        next = cause.source();
    }
    if texts.is_empty() {
        return "no cause is known".to_owned();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str, method: Verb, path: &str) -> String {
        let client = Client::new(endpoint, &TlsFiles::default()).unwrap();
        let path = Path::parse(path).unwrap();
        client
            .url(Request::new(method, &Namespace::ROOT, &path))
            .to_string()
    }

    #[test]
    fn paths_lie_below_v1_of_the_endpoint_and_folders_end_with_a_slash() {
        assert_eq!(
            url("http://v:8200", Verb::Read, "kv/k"),
            "http://v:8200/v1/kv/k"
        );
        assert_eq!(
            url("http://v/vault/", Verb::Put, "kv/a b"),
            "http://v/vault/v1/kv/a%20b"
        );
        assert_eq!(
            url("http://v", Verb::List, "kv/p"),
            "http://v/v1/kv/p/?list=true"
        );
        assert_eq!(
            url("http://v", Verb::Read, "kv/a?b#c%2F"),
            "http://v/v1/kv/a%3Fb%23c%252F"
        );
    }

    #[test]
    fn an_endpoint_that_is_none_is_refused_in_words_without_its_password() {
        for endpoint in ["vault:8200", "", "ftp://v", "https://v?x=1"] {
            let error = Client::new(endpoint, &TlsFiles::default()).unwrap_err();
            assert!(
                error.to_string().contains("https://vault.example:8200"),
                "{error}"
            );
        }
        let error = Client::new("https://u:hunter2@v", &TlsFiles::default()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn bodies_and_tokens_are_not_shown() {
        let body = Payload::json(&"hunter2", 64).unwrap();
        assert!(!format!("{body:?}").contains("hunter2"));
        let headers = headers(&Namespace::ROOT, Some(&Secret::new("hvs.x".to_owned())));
        assert!(!format!("{headers:?}").contains("hvs.x"));
    }
}
