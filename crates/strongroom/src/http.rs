//! What stands between the listener and the protocol layer: health, early refusals, and the rest of bodies that nobody
//! read.

mod health;
mod protocol_errors;
mod remainder;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue, SERVER};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::Service;
use s3s::Body;
use s3s::service::S3Service;
use strongroom_access::is_body_without_length;
use strongroom_sse::ConnectionSecurity;
use strongroom_transport::Peer;

pub(crate) use self::health::Health;
use self::remainder::Remainder;

/// The header by which S3 tells a request's name.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// Answers requests of one connection.
#[derive(Clone)]
pub(crate) struct ObjectService {
    s3: S3Service,
    health: Arc<Health>,
    request_ids: Arc<RequestIds>,
}

/// Names that tell requests apart, in the log and in what a client shows to whom it asks for help.
struct RequestIds {
    /// Random, so that two runs do not repeat each other.
    first: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// Spreads counted numbers over all of them: odd, so that none repeats; near 2^64 divided by the golden ratio, so that neighbours
    /// look different.
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

    fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!(
            "{:016X}",
            self.first.wrapping_add(count.wrapping_mul(Self::STEP))
        )
    }
}

impl ObjectService {
    /// `run` tells this run of the server from others.
    pub(crate) fn new(s3: S3Service, health: Arc<Health>, run: u64) -> Self {
        let request_ids = Arc::new(RequestIds {
            first: run,
            count: AtomicU64::new(0),
        });
        Self {
            s3,
            health,
            request_ids,
        }
    }

    async fn answer(self, mut request: Request<Incoming>, request_id: &str) -> Response<Body> {
        if let Some(response) = self
            .health
            .answer(request.method(), request.uri().path())
            .await
        {
            return response;
        }
        if is_body_without_length(request.method(), request.headers()) {
            return refused(
                StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            );
        }
        // It signs nothing; the protocol layer would call it malformed.
        if request
            .headers()
            .get(AUTHORIZATION)
            .is_some_and(HeaderValue::is_empty)
        {
            request.headers_mut().remove(AUTHORIZATION);
        }
        let is_tls = request.extensions().get::<Peer>().is_some_and(Peer::is_tls);
        request
            .extensions_mut()
            .insert(ConnectionSecurity { tls: is_tls });
        let started = Instant::now();
        // Queries may be credentials: neither is ever logged.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // Over HTTP/2 an unread body is cancelled on its own; the connection and the answer are not touched.
        let is_http1 = request.version() <= Version::HTTP_11;
        let waits_for_continue = request.headers().contains_key(EXPECT);
        let request = request.map(|body| {
            if is_http1 {
                Body::http_body_unsync(Remainder::new(body, waits_for_continue))
            } else {
                Body::from(body)
            }
        });
        let response = match self.s3.call(request).await {
            Ok(mut response) => {
                protocol_errors::complete(&mut response, &path, request_id);
                response
            }
            Err(error) => {
                tracing::error!(request_id, %method, path, ?error, "a request could not be answered");
                return refused(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "InternalError",
                    "We encountered an internal error. Please try again.",
                );
            }
        };
        let status = response.status().as_u16();
        let ms = started.elapsed().as_millis();
        if response.status().is_server_error() {
            tracing::warn!(request_id, %method, path, status, ms, "request failed");
        } else {
            tracing::debug!(request_id, %method, path, status, ms, "request");
        }
        response
    }
}

impl Service<Request<Incoming>> for ObjectService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let service = self.clone();
        let is_head = request.method() == Method::HEAD;
        Box::pin(async move {
            let request_id = service.request_ids.next();
            let mut response = service.answer(request, &request_id).await;
            if is_head {
                // An error of the protocol layer has a body, which HTTP/2 would send: a protocol error for
                // Go's clients (RFC 9110, 9.3.2).
                *response.body_mut() = Body::empty();
            }
            let headers = response.headers_mut();
            headers.insert(SERVER, HeaderValue::from_static("Strongroom"));
            if let Ok(value) = HeaderValue::try_from(request_id) {
                headers.insert(REQUEST_ID, value);
            }
            Ok(response)
        })
    }
}

/// An error in S3's form. Neither code nor message may need escaping.
fn refused(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
