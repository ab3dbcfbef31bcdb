//! HTTP with limits: how long, how often, how much.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Certificate, Client, ClientBuilder, Method, Url, redirect};
use strongroom_keystore::StoreError;
use strongroom_keystore::config::SecretText;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// One attempt: two of them, and the pauses, fit into a call.
const ATTEMPT_MAX: Duration = Duration::from_secs(4);
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Attempts of a request that can be repeated.
const ATTEMPTS_MAX: usize = 3;
/// Where there is no metadata service, its address leads nowhere: that should be told before the call ends.
const ATTEMPTS_DIRECT_MAX: usize = 2;
/// Nothing is sent again that failed later than this: with the pause and one more attempt, a call's 10 s are used up.
const REPEATS_UNTIL: Duration = Duration::from_secs(5);
/// Between attempts: this and a random part, so that many servers do not come back together.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_RANDOM_MILLIS: u64 = 800;
/// A longer `Retry-After` is not waited for within a call.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3);
/// A page of 25 entries has some 20 KB, a value at most 25 KB (Key Vault's limit).
const BODY_BYTES_MAX: usize = 1 << 20;
/// Shorter than the idle limits of Azure's front ends.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// 200 ms and up to 800 more.
pub(crate) async fn pause() {
    let mut random = [0; 8];
    // Without randomness the pause is merely the same for all.
    let _ = getrandom::fill(&mut random);
    let millis = u64::from_le_bytes(random) % PAUSE_RANDOM_MILLIS;
    tokio::time::sleep(PAUSE + Duration::from_millis(millis)).await;
}

/// A request.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, SecretText)>,
    pub(crate) body: Option<(&'static str, Zeroizing<Vec<u8>>)>,
    /// May be sent again when its fate is unknown.
    pub(crate) repeats: bool,
    /// Past any proxy: what a machine asks about itself (Microsoft: "don't use proxies with IMDS").
    pub(crate) is_direct: bool,
}

impl Call {
    pub(crate) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: None,
            repeats: true,
            is_direct: false,
        }
    }

    pub(crate) fn with(mut self, header: HeaderName, value: SecretText) -> Self {
        self.headers.push((header, value));
        self
    }
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
    pub(crate) challenge: Option<String>,
    pub(crate) date: Option<String>,
    retry_after: Option<Duration>,
}

/// Both clients: through the system's proxy, and past it.
#[derive(Debug)]
pub(crate) struct Web {
    usual: Client,
    direct: Client,
}

impl Web {
    pub(crate) fn new(ca: Option<&Path>) -> Result<Self, StoreError> {
        let authorities = ca.map_or_else(|| Ok(Vec::new()), authorities)?;
        let build = |builder: ClientBuilder| {
            builder
                .timeout(ATTEMPT_MAX)
                .connect_timeout(CONNECT_MAX)
                .pool_idle_timeout(IDLE_MAX)
                // A bearer token goes where it was meant to go.
                .redirect(redirect::Policy::none())
                // With HTTP/2 all callers would share one connection, and a half-dead one would fail them all, again
                // and again; here a request that times out takes its connection along.
                .http1_only()
                .tls_certs_merge(authorities.clone())
                .build()
                .map_err(|e| StoreError::failed("TLS for Azure cannot be set up", e))
        };
        Ok(Self {
            usual: build(Client::builder())?,
            direct: build(Client::builder().no_proxy())?,
        })
    }

    /// Sends, and sends again where that is safe and may help. `whom` is asked: `Azure Key Vault at https://…`.
    pub(crate) async fn exchange(&self, whom: &str, call: &Call) -> Result<Answer, StoreError> {
        let started = Instant::now();
        let attempts_max = if call.is_direct {
            ATTEMPTS_DIRECT_MAX
        } else {
            ATTEMPTS_MAX
        };
        let mut attempt = 1;
        loop {
            let outcome = self.once(call).await;
            let wait = match &outcome {
                Ok(answer) => answer.wait(call.repeats),
                Err(Failure::Network(error)) if call.repeats || error.is_connect() => {
                    Some(Duration::ZERO)
                }
                Err(_) => None,
            };
            match wait {
                Some(wait) if attempt < attempts_max && started.elapsed() < REPEATS_UNTIL => {
                    attempt += 1;
                    tokio::time::sleep(wait).await;
                    pause().await;
                }
                _ => return outcome.map_err(|failure| failure.of(whom)),
            }
        }
    }

    /// Sends once and takes any answer.
    pub(crate) async fn probe(&self, whom: &str, call: &Call) -> Result<Answer, StoreError> {
        let outcome = self.once(call).await;
        outcome.map_err(|failure| failure.of(whom))
    }

    async fn once(&self, call: &Call) -> Result<Answer, Failure> {
        let client = if call.is_direct {
            &self.direct
        } else {
            &self.usual
        };
        let mut request = client.request(call.method.clone(), call.url.clone());
        for (name, value) in &call.headers {
            request = request.header(name.clone(), value.expose());
        }
        if let Some((kind, body)) = &call.body {
            // Wiped when it is sent: it holds a key or a credential.
            let body = Bytes::from_owner(body.clone());
            request = request.header(CONTENT_TYPE, *kind).body(body);
        }
        let mut response = request.send().await.map_err(Failure::Network)?;
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let mut answer = Answer {
            status: response.status().as_u16(),
            // Sized once: growing would leave copies of a key behind.
            body: Zeroizing::new(Vec::with_capacity(length(&response))),
            challenge: header(WWW_AUTHENTICATE),
            date: header(DATE),
            retry_after: header(RETRY_AFTER)
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
        };
        while let Some(chunk) = response.chunk().await.map_err(Failure::Network)? {
            if answer.body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Failure::TooLong);
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

fn length(response: &reqwest::Response) -> usize {
    let told = response.content_length().unwrap_or(0);
    usize::try_from(told).map_or(BODY_BYTES_MAX, |told| told.min(BODY_BYTES_MAX))
}

impl Answer {
    /// How long to wait before asking again; nothing where asking again is no use. A throttled request was not carried out.
    fn wait(&self, repeats: bool) -> Option<Duration> {
        let helps = self.status == 429 || (repeats && (500..=504).contains(&self.status));
        let wait = self.retry_after.unwrap_or_default();
        (helps && wait <= RETRY_AFTER_MAX).then_some(wait)
    }
}

enum Failure {
    Network(reqwest::Error),
    TooLong,
}

impl Failure {
    fn of(self, whom: &str) -> StoreError {
        match self {
            Self::Network(error) => StoreError::unreachable(
                format!(
                    "{whom} does not answer: check the address and the network, and tls.ca where a private authority is \
                     used"
                ),
                error.without_url(),
            ),
            Self::TooLong => StoreError::other(format!(
                "{whom} sent more than {BODY_BYTES_MAX} bytes, which is no answer of Azure's"
            )),
        }
    }
}

/// The certificates of a PEM file, or of all files of a directory.
fn authorities(path: &Path) -> Result<Vec<Certificate>, StoreError> {
    let fail = |e: io::Error| {
        StoreError::failed(format!("{} of tls.ca cannot be read", path.display()), e)
    };
    let files = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(fail)?;
        let entries: Result<Vec<_>, _> = entries.map(|e| e.map(|e| e.path())).collect();
        entries
            .map_err(fail)?
            .into_iter()
            .filter(|f| f.is_file())
            .collect()
    } else {
        vec![path.to_path_buf()]
    };
    let mut certificates = Vec::new();
    for file in files {
        let pem = std::fs::read(&file).map_err(fail)?;
        let read = Certificate::from_pem_bundle(&pem).map_err(|e| {
            StoreError::failed(
                format!("{} of tls.ca holds no certificates in PEM", file.display()),
                e,
            )
        })?;
        certificates.extend(read);
    }
    if certificates.is_empty() {
        return Err(StoreError::other(format!(
            "{} of tls.ca holds no certificate",
            path.display()
        )));
    }
    Ok(certificates)
}
