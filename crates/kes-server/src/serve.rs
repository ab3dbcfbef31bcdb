//! The way of a request: path, method, time limit, identity and policy, handler — in this order, which clients can see:
//! who is not authorised gets 403 whatever the name, a wrong method 405 whoever asks.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use strongroom_kes_api::{KesError, path};
use strongroom_transport::Received;
use zeroize::Zeroizing;

use crate::authenticate::{Caller, Permit, authenticate};
use crate::bodies::{Owner, Room};
use crate::handlers;
use crate::log::{AuditRecord, ErrorRecord, Level, RequestInfo};
use crate::reply::{self, Answer, Reply};
use crate::routes::{Destination, Route};
use crate::server::Inner;
use crate::state::State;
use crate::trust::Client;

/// What a handler works with.
#[derive(Debug)]
pub(crate) struct Call<'c> {
    pub(crate) server: &'c Inner,
    pub(crate) state: &'c Arc<State>,
    pub(crate) permit: Permit,
    /// The rest of the path, not yet checked.
    pub(crate) argument: &'c str,
    pub(crate) headers: &'c HeaderMap,
    subject: &'c Subject<'c>,
    body: Option<&'c mut Incoming>,
    body_max: usize,
}

/// A request body.
#[derive(Debug)]
pub(crate) struct RequestBody<'b> {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// The client said that it sends none. A body of unknown length that turns out empty was lost on the way.
    pub(crate) is_declared_empty: bool,
    _room: Room<'b>,
}

impl<'c> Call<'c> {
    pub(crate) fn elapsed(&self) -> Duration {
        self.server.surroundings.clock.elapsed()
    }

    /// Reads the body, up to the limit of the route.
    pub(crate) async fn body(&mut self) -> Result<RequestBody<'c>, KesError> {
        let Some(body) = self.body.take() else {
            return Err(KesError::INVALID_BODY);
        };
        let is_declared_empty = body.is_end_stream() || body.size_hint().exact() == Some(0);
        if body.size_hint().lower() > self.body_max as u64 {
            return Err(KesError::INVALID_BODY);
        }
        let announced = body.size_hint().lower();
        let owner = Owner::of(self.subject.caller.identity, self.subject.caller.ip);
        let mut room = self.server.bodies.room(owner, announced).await;
        let capacity = usize::try_from(announced).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        let mut body = Limited::new(Received(body), self.body_max);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| KesError::INVALID_BODY)?;
            if let Some(data) = frame.data_ref() {
                room.grow(bytes.len() + data.len()).await;
                append(&mut bytes, data);
            }
        }
        Ok(RequestBody {
            bytes,
            is_declared_empty,
            _room: room,
        })
    }

    /// Logs what the client is not told.
    pub(crate) fn log(&self, level: Level, message: String) {
        self.server
            .log_error(self.state, level, message, Some(self.subject.info()));
    }
}

/// A request that reached authentication, as records name it: written out only when there is a record.
#[derive(Debug)]
struct Subject<'r> {
    method: &'r Method,
    path: Cow<'r, str>,
    caller: Caller,
}

impl Subject<'_> {
    fn info(&self) -> RequestInfo {
        RequestInfo {
            method: self.method.to_string(),
            path: recorded(&self.path),
            ip: self.caller.ip,
            identity: self.caller.identity,
        }
    }
}

/// What is to be audited, and the state whose settings decide how.
///
/// Whoever drops it without an answer leaves a record all the same: a client that asks for a deletion and hangs up, or a
/// server that ends meanwhile, takes nothing out of the audit.
struct Judged<'r> {
    server: &'r Inner,
    state: arc_swap::Guard<Arc<State>>,
    subject: Subject<'r>,
    started: Duration,
    is_recorded: bool,
}

/// The status of a request that got no answer, as nginx logs it ("client closed request").
const UNANSWERED: u16 = 499;

impl Judged<'_> {
    /// Counts the request and audits it.
    fn record(&mut self, status: u16) {
        let now = self.server.surroundings.clock.elapsed();
        let took = now.saturating_sub(self.started);
        self.is_recorded = true;
        self.server.audit(self, status, took);
        self.server.metrics.answered(status, took);
    }
}

impl Drop for Judged<'_> {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.record(UNANSWERED);
        }
    }
}

/// Appends without leaving a copy behind when the buffer has to grow.
fn append(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let needed = bytes.len() + data.len();
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * bytes.capacity())));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(data);
}

impl Inner {
    pub(crate) async fn answer(
        self: Arc<Self>,
        client: &Client,
        request: Request<Incoming>,
    ) -> Answer {
        let started = self.surroundings.clock.elapsed();
        let active = self.metrics.begin();
        let (parts, mut body) = request.into_parts();
        let (mut answer, judged) = self.route(client, &parts, &mut body, started).await;
        let status = answer.status().as_u16();
        match judged {
            Some(mut judged) => judged.record(status),
            None => {
                let took = self.surroundings.clock.elapsed().saturating_sub(started);
                self.metrics.answered(status, took);
            }
        }
        drop(active);
        if parts.version < Version::HTTP_2 && !body.is_end_stream() {
            // Seldom, and large: no part of every request's future.
            let is_received = Box::pin(is_received(&parts, &mut body)).await;
            if !is_received {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
        }
        if parts.method == Method::HEAD {
            answer = reply::without_body(answer);
        }
        answer
    }

    async fn route<'r>(
        &'r self,
        client: &Client,
        parts: &'r Parts,
        body: &mut Incoming,
        started: Duration,
    ) -> (Answer, Option<Judged<'r>>) {
        let Ok(decoded) = path::decode(parts.uri.path()) else {
            return (reply::bad_path(), None);
        };
        if let Some(clean) = path::cleaned(&decoded) {
            let answer = reply::redirect(&parts.method, &clean, parts.uri.query());
            return (answer, None);
        }
        let (route, argument) = match Destination::of(&decoded) {
            Destination::Route(route, argument) => (route, argument),
            Destination::Redirect(path) => {
                let answer = reply::redirect(&parts.method, &path, parts.uri.query());
                return (answer, None);
            }
            Destination::Unimplemented => {
                return (reply::error(&KesError::NOT_IMPLEMENTED), None);
            }
            Destination::Unknown => return (reply::not_found(), None),
        };
        if !accepts(route, &parts.method) {
            return (reply::wrong_method(&parts.method, route.method), None);
        }

        let state = self.state.load();
        // A list without its slash is judged as the list that it is.
        let judged: &str = if decoded.len() < route.path.len() {
            route.path
        } else {
            &decoded
        };
        let (caller, outcome) = authenticate(&state, client, route, judged, &parts.headers);
        let subject = Subject {
            method: &parts.method,
            path: match &decoded {
                Cow::Borrowed(path) if path.len() >= route.path.len() => Cow::Borrowed(*path),
                _ => Cow::Owned(judged.to_owned()),
            },
            caller,
        };
        let judged = Judged {
            server: self,
            state,
            subject,
            started,
            is_recorded: false,
        };
        let (state, subject) = (&judged.state, &judged.subject);
        let answer = match outcome {
            Err(error) => reply::error(&error),
            Ok(permit) => {
                let call = Call {
                    server: self,
                    state,
                    permit,
                    argument,
                    headers: &parts.headers,
                    subject,
                    body: (route.body_max > 0).then_some(body),
                    body_max: route.body_max,
                };
                handle_in_time(state, route, call, subject).await
            }
        };
        (answer, Some(judged))
    }

    fn audit(&self, judged: &Judged<'_>, status: u16, took: Duration) {
        self.metrics.audit_events.fetch_add(1, Ordering::Relaxed);
        // The level governs the process log; who reads the stream, or asked for a file, wants all of it.
        let log = &judged.state.config.log;
        let is_logged = Level::INFO >= log.audit || log.audit_file.is_some();
        if !is_logged && !self.audit_stream.has_readers() {
            return;
        }
        let now = self.surroundings.clock.now();
        let ago = jiff::SignedDuration::try_from(took).unwrap_or_default();
        let record = AuditRecord {
            time: now.checked_sub(ago).unwrap_or(now),
            request: judged.subject.info(),
            status,
            duration: took,
        };
        self.audit_stream.send(|| record.json_line());
        if is_logged {
            self.surroundings.log.audit(&record);
        }
    }

    pub(crate) fn log_error(
        &self,
        state: &State,
        level: Level,
        message: String,
        request: Option<RequestInfo>,
    ) {
        let record = ErrorRecord {
            time: self.surroundings.clock.now(),
            level,
            message,
            request,
        };
        self.metrics.error_events.fetch_add(1, Ordering::Relaxed);
        self.error_stream.send(|| record.json_line());
        if level >= state.config.log.error {
            self.surroundings.log.error(&record);
        }
    }

    /// Logs what the disk cache has to say.
    pub(crate) fn log_disk_reports(&self, state: &State) {
        let Some(disk) = &state.disk else { return };
        for (level, message) in disk.reports() {
            self.log_error(state, level, message, None);
        }
    }
}

/// Longest path in a record. Routes with names need some 200 bytes; whoever asks for more is refused, and shall not fill the
/// queues and disks of those who read the records.
const RECORDED_PATH_BYTES_MAX: usize = 512;

fn recorded(path: &str) -> String {
    if path.len() <= RECORDED_PATH_BYTES_MAX {
        return path.to_owned();
    }
    let end = path.floor_char_boundary(RECORDED_PATH_BYTES_MAX);
    format!("{}… ({} bytes)", &path[..end], path.len())
}

/// Most bytes of a refused body that are received for nothing, as by Go's server.
const REST_BYTES_MAX: usize = 256 << 10;
/// Longest wait for them.
const REST_TIME_MAX: Duration = Duration::from_millis(250);

/// Receives what is left of a body, within limits: HTTP/1.1 cannot go on before it has come, and a client that is not told
/// so sends its next request into a closed connection.
async fn is_received(parts: &Parts, body: &mut Incoming) -> bool {
    // Asking for more would tell the client to go on.
    if parts.headers.contains_key(EXPECT) {
        return false;
    }
    let rest = async {
        let mut rest = Limited::new(body, REST_BYTES_MAX);
        while let Some(frame) = rest.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(REST_TIME_MAX, rest)
        .await
        .unwrap_or(false)
}

/// POST serves wherever PUT is declared: the client library of MinIO sends it.
fn accepts(route: &Route, method: &Method) -> bool {
    method.as_str() == route.method || (route.method == "PUT" && method == Method::POST)
}

/// What comes of it without waiting.
async fn first_turn<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Upstream cuts the connection; an answer that another server may do better is the same to a client, and clearer.
const TIMED_OUT: &str = "request timed out";

async fn handle_in_time(
    state: &State,
    route: &Route,
    call: Call<'_>,
    subject: &Subject<'_>,
) -> Answer {
    let limit = state
        .config
        .api
        .get(route.path)
        .and_then(|s| s.timeout)
        .unwrap_or(route.timeout);
    let server = call.server;
    // Pinned here: it is large, and would be moved into the time-out.
    let mut handling = pin!(handlers::handle(route.handler, call));
    // Most requests need no clock: they are answered at once.
    let outcome = match first_turn(handling.as_mut()).await {
        Some(reply) => Ok(reply),
        None if limit.is_zero() => Ok(handling.as_mut().await),
        None => tokio::time::timeout(limit, handling.as_mut()).await,
    };
    match outcome {
        // The limit is for the whole answer, and a stream is one without an end of its own.
        Ok(Ok(Reply::Lines(lines))) if !limit.is_zero() => {
            Reply::Lines(lines.ending_after(limit)).into_answer()
        }
        Ok(Ok(reply)) => reply.into_answer(),
        Ok(Err(error)) => reply::error(&error),
        Err(_) => {
            let message = format!("request took longer than {limit:?}");
            server.log_error(state, Level::ERROR, message, Some(subject.info()));
            reply::error(&KesError::new(504, TIMED_OUT))
        }
    }
}
