//! One request, sent until somebody answers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use strongroom_kes_api::{KesError, path};

use crate::balancer::{Balancer, Turn};
use crate::endpoint::Endpoint;
use crate::error::{ConnectionError, Error};
use crate::witness::{Alerts, Witness};

/// Tries on one endpoint.
const TRIES_MAX: u32 = 3;
/// Shortest pause between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// What is added to it at most, so that many clients do not come back at once.
const PAUSE_SPREAD_MS: u64 = 800;

/// What to ask.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) route: &'static str,
    /// Not escaped.
    pub(crate) argument: String,
    /// Sent with its length, whole, to each endpoint.
    pub(crate) body: Bytes,
    pub(crate) response_bytes_max: usize,
}

/// What came back, with status 200.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) endpoint: Endpoint,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

struct RawAnswer {
    status: StatusCode,
    content_type: Option<String>,
    body: Bytes,
}

pub(crate) struct Transport {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) balancer: Balancer,
    pub(crate) client: Client<Witness<HttpsConnector<HttpConnector>>, Full<Bytes>>,
    pub(crate) alerts: Alerts,
    pub(crate) try_timeout: Duration,
}

impl Transport {
    /// Asks the endpoints in turn; the last failure is the one reported.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let [only] = self.endpoints.as_slice() else {
            return self.send_to_any(call).await;
        };
        let raw = self.send_to(only, call).await?;
        judge(only, raw)
    }

    async fn send_to_any(&self, call: &Call) -> Result<Answer, Error> {
        let order: Vec<usize> = self.balancer.order(random_index()).collect();
        let mut last = None;
        // The second round is for the case that all endpoints rest, so that nobody was asked in the first.
        for is_after_all in [false, true] {
            for &i in &order {
                let turn = if is_after_all {
                    self.balancer.turn_after_all(i)
                } else {
                    self.balancer.turn(i, Instant::now())
                };
                let Some(turn) = turn else { continue };
                match self.take(turn, &self.endpoints[i], call).await {
                    Ok(verdict) => return verdict,
                    Err(failure) => last = Some(failure),
                }
            }
            if let Some(failure) = last {
                return failure;
            }
        }
        // Not reached: a client is built with one endpoint at least, and the second round asks all.
        Err(no_endpoint())
    }

    /// `Ok` is final, be it success or refusal; `Err` is worth asking another endpoint.
    async fn take(
        &self,
        turn: Turn<'_>,
        endpoint: &Endpoint,
        call: &Call,
    ) -> Result<Result<Answer, Error>, Result<Answer, Error>> {
        match self.send_to(endpoint, call).await {
            Err(error) => {
                tracing::debug!(%endpoint, %error, "endpoint does not answer");
                turn.failed(Instant::now());
                Err(Err(error))
            }
            Ok(raw)
                if raw.status.is_server_error() && raw.status != StatusCode::NOT_IMPLEMENTED =>
            {
                tracing::debug!(%endpoint, status = %raw.status, "endpoint answers with a failure");
                turn.failed(Instant::now());
                Err(judge(endpoint, raw))
            }
            Ok(raw) => {
                turn.succeeded();
                Ok(judge(endpoint, raw))
            }
        }
    }

    async fn send_to(&self, endpoint: &Endpoint, call: &Call) -> Result<RawAnswer, Error> {
        let mut tries = 1;
        loop {
            let result = match tokio::time::timeout(
                self.try_timeout,
                self.send_once(endpoint, call),
            )
            .await
            {
                Ok(result) => result,
                Err(_) => Err(call.connection_error(
                    endpoint,
                    ConnectionError::TimedOut {
                        after: self.try_timeout,
                    },
                )),
            };
            let is_worth_another = match &result {
                Ok(raw) => raw.status == StatusCode::SERVICE_UNAVAILABLE,
                // A second handshake ends like the first, and a server that is silent for so long was given its time.
                Err(Error::Connection { source, .. }) => {
                    matches!(**source, ConnectionError::Broken { .. })
                }
                Err(_) => false,
            };
            if !is_worth_another || tries == TRIES_MAX {
                return result;
            }
            tries += 1;
            tokio::time::sleep(PAUSE_MIN + Duration::from_millis(random_u64() % PAUSE_SPREAD_MS))
                .await;
        }
    }

    async fn send_once(&self, endpoint: &Endpoint, call: &Call) -> Result<RawAnswer, Error> {
        let response = self.ask(endpoint, call).await?;
        self.collect(endpoint, call, response).await
    }

    async fn ask(&self, endpoint: &Endpoint, call: &Call) -> Result<Response<Incoming>, Error> {
        let request = call.request(endpoint).map_err(|source| {
            call.connection_error(endpoint, ConnectionError::Request { source })
        })?;
        let uri = request.uri().clone();
        self.client.request(request).await.map_err(|error| {
            let source = match ConnectionError::new(error.into()) {
                // The alert is the cause, and what is left of it here is that the connection ended.
                ConnectionError::Broken { source } => match self.alerts.take(&uri) {
                    Some(source) => ConnectionError::Tls { source },
                    None => ConnectionError::Broken { source },
                },
                other => other,
            };
            call.connection_error(endpoint, source)
        })
    }

    /// Opens an answer that has no end: on the first endpoint, since each server has logs of its own.
    pub(crate) async fn open(&self, call: &Call) -> Result<(Endpoint, Incoming), Error> {
        let endpoint = self.endpoints.first().ok_or_else(no_endpoint)?;
        let opening = async {
            let response = self.ask(endpoint, call).await?;
            if response.status() == StatusCode::OK {
                return Ok(response.into_body());
            }
            let raw = self.collect(endpoint, call, response).await?;
            let status = raw.status;
            Err(judge(endpoint, raw)
                .err()
                .unwrap_or_else(|| Error::BadAnswer {
                    endpoint: endpoint.clone(),
                    reason: format!("its status is {status}"),
                }))
        };
        let body = tokio::time::timeout(self.try_timeout, opening)
            .await
            .map_err(|_| {
                call.connection_error(
                    endpoint,
                    ConnectionError::TimedOut {
                        after: self.try_timeout,
                    },
                )
            })??;
        Ok((endpoint.clone(), body))
    }

    /// Reads the rest of an answer, up to the limit.
    async fn collect(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        response: Response<Incoming>,
    ) -> Result<RawAnswer, Error> {
        let (parts, body) = response.into_parts();
        let is_success = parts.status == StatusCode::OK;
        let bytes_max = if is_success {
            call.response_bytes_max
        } else {
            strongroom_kes_api::error::ERROR_BODY_BYTES_MAX
        };
        let body = match Limited::new(body, bytes_max).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Error::BadAnswer {
                    endpoint: endpoint.clone(),
                    reason: format!("it is longer than {bytes_max} bytes"),
                });
            }
            Err(error) => return Err(call.connection_error(endpoint, ConnectionError::new(error))),
        };
        let content_type = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        Ok(RawAnswer {
            status: parts.status,
            content_type,
            body,
        })
    }
}

impl Call {
    fn request(&self, endpoint: &Endpoint) -> Result<Request<Full<Bytes>>, http::Error> {
        let uri = endpoint.uri(&path::with_argument(self.route, &self.argument))?;
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if self.route == path::METRICS {
            request = request.header(ACCEPT, HeaderValue::from_static("text/plain;version=0.0.4"));
        }
        request.body(Full::new(self.body.clone()))
    }

    fn connection_error(&self, endpoint: &Endpoint, source: ConnectionError) -> Error {
        let method = match self.method {
            Method::GET => "Get",
            Method::DELETE => "Delete",
            Method::PUT => "Put",
            _ => "Post",
        };
        let path = path::with_argument(self.route, &self.argument);
        Error::Connection {
            endpoint: endpoint.clone(),
            method,
            path,
            source: Box::new(source),
        }
    }
}

fn no_endpoint() -> Error {
    Error::Server {
        status: 503,
        message: "no server endpoint".to_owned(),
    }
}

/// Only 200 is a success.
fn judge(endpoint: &Endpoint, raw: RawAnswer) -> Result<Answer, Error> {
    let status = raw.status.as_u16();
    match status {
        200 => Ok(Answer {
            endpoint: endpoint.clone(),
            content_type: raw.content_type,
            body: raw.body,
        }),
        400.. => {
            Err(KesError::from_response(status, raw.content_type.as_deref(), &raw.body).into())
        }
        _ => Err(Error::BadAnswer {
            endpoint: endpoint.clone(),
            reason: format!("its status is {status}"),
        }),
    }
}

fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    // Spreads load only: without randomness every client starts at the same endpoint, and works.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn random_index() -> usize {
    usize::try_from(random_u64() >> 33).unwrap_or_default()
}
