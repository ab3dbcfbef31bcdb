//! Accepting connections and serving HTTP/1.1 and HTTP/2 on them, each bounded in time and number.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::connection::{Activity, CountedService, Expiry, WatchedIo};
use crate::drain::ShutdownSignal;
use crate::peer::Peer;
use crate::places::{Place, Places};
use crate::socket::Socket;
use crate::streams::Streams;
use crate::tls::Tls;
use crate::waking::{Seldom, Turns};
use crate::workers::Workers;

/// A connection costs some 50 KB with TLS: this many stay below 1 GB, and below usual descriptor limits.
pub const CONNECTIONS_MAX: usize = 16_384;
/// As Go's server, which upstream KES is: it bounds the TLS handshake and the head of a request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may wait for its next request.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a client may refuse to take bytes of its answer.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Largest head of a request: S3 allows 2 KB of user metadata and 8 KB of headers; policies and tokens need more.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Requests at once on one HTTP/2 connection, as Go's server allows.
pub const HTTP2_STREAMS_MAX: u32 = 250;
/// How long running requests may take after the server was asked to end.
pub const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Accepting fails in bursts when the process has no descriptors left; trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

type BoxError = Box<dyn StdError + Send + Sync>;

/// What a listener grants its clients.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections at once from one address, of IPv6 from one network of 64 bits; more are closed at once, so that one
    /// client cannot take all places. Behind a proxy every client has the same address.
    pub connections_per_address_max: usize,
    /// From accepting to a finished TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// Without any request.
    pub idle_timeout: Duration,
    /// Without the client taking a byte of its answer.
    pub write_stall_timeout: Duration,
    /// Largest head of a request.
    pub header_bytes_max: usize,
    /// Requests at once on one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// For running requests after the shutdown has begun.
    pub drain_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            connections_per_address_max: CONNECTIONS_MAX,
            handshake_timeout: HEADER_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            write_stall_timeout: WRITE_STALL_TIMEOUT,
            header_bytes_max: HEADER_BYTES_MAX,
            http2_streams_max: HTTP2_STREAMS_MAX,
            drain_grace: DRAIN_GRACE,
        }
    }
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", advice(source, *address))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub source: io::Error,
}

fn advice(error: &io::Error, address: SocketAddr) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "port {port} is taken; stop the program that uses it, or choose another address"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has that address".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            format!("no permission; port {port} may be reserved for the administrator")
        }
        _ => error.to_string(),
    }
}

/// Listens on an address.
///
/// # Errors
/// [`BindError`], which says what to do.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError { address, source })
}

/// Accepts and serves until `shutdown`, then lets running requests finish for [`Limits::drain_grace`].
///
/// `make_service` is called once for each connection, with its peer. [`TellPeer`](crate::peer::TellPeer) hands it on to requests.
pub async fn serve<M, S, B>(
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    make_service: M,
    shutdown: ShutdownSignal,
) where
    M: Fn(&Peer) -> S + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    serve_on(None, listener, tls, limits, make_service, shutdown).await;
}

/// As [`serve`], on threads that each serve their own connections. Without `workers` the runtime of the caller serves.
pub async fn serve_on<M, S, B>(
    workers: Option<&Workers>,
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    make_service: M,
    mut shutdown: ShutdownSignal,
) where
    M: Fn(&Peer) -> S + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let limits = Arc::new(limits);
    let make_service = Arc::new(make_service);
    let places = Places::new(limits.connections_max, limits.connections_per_address_max);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = shutdown.wait() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, address, place)) = accepted else {
            continue;
        };
        let (tls, limits, make_service) =
            (tls.clone(), Arc::clone(&limits), Arc::clone(&make_service));
        let shutdown = shutdown.clone();
        let Some((seat, worker)) = workers.and_then(Workers::seat) else {
            connections.spawn(async move {
                let _place = place;
                let settings = (&*limits, Streams::Apart);
                one_connection(stream, address, tls, settings, &*make_service, shutdown).await;
            });
            continue;
        };
        // The socket has to leave the runtime that accepted it; the task enters it into the one that serves it.
        let Ok(stream) = stream.into_std() else {
            continue;
        };
        let task = async move {
            let _places = (place, seat);
            if let Ok(stream) = TcpStream::from_std(stream) {
                let settings = (&*limits, Streams::AtOnce);
                one_connection(stream, address, tls, settings, &*make_service, shutdown).await;
            }
        };
        connections.spawn_on(task, worker);
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain_grace, finished)
        .await
        .is_err()
    {
        info!(
            connections = connections.len(),
            "closing connections whose requests did not finish in time"
        );
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Places>,
) -> Option<(TcpStream, SocketAddr, Place)> {
    if places.are_taken() {
        warn!("all places for connections are taken; new clients wait");
    }
    let free = places.free().await?;
    match listener.accept().await {
        Ok((stream, address)) => match free.taken_by(address.ip()) {
            Some(place) => Some((stream, address, place)),
            None => {
                info!(%address, "closing a connection: too many from this address");
                None
            }
        },
        Err(error) => {
            warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn one_connection<M, S, B>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Tls>,
    (limits, streams): (&Limits, Streams),
    make_service: &M,
    mut shutdown: ShutdownSignal,
) where
    M: Fn(&Peer) -> S,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    // Answers are small or written in large pieces: waiting to fill packets only costs time.
    let _ = stream.set_nodelay(true);
    let activity = Activity::new();
    let Some(tls) = tls else {
        let peer = Peer::plain(address);
        let io = WatchedIo::new(stream, Arc::clone(&activity));
        let service = CountedService {
            inner: make_service(&peer),
            activity,
        };
        serve_http1(io, service, address, limits, shutdown).await;
        return;
    };
    let handshake = tokio::time::timeout(limits.handshake_timeout, handshake(stream, &tls));
    let handshake = tokio::select! {
        () = shutdown.wait() => return,
        outcome = handshake => outcome,
    };
    match handshake {
        Ok(Ok(Some(stream))) => {
            let (_, session) = stream.get_ref();
            let peer = Peer::tls(address, session.peer_certificates().unwrap_or_default());
            let is_http2 = session.alpn_protocol() == Some(b"h2");
            let io = WatchedIo::new(stream, Arc::clone(&activity));
            let service = CountedService {
                inner: make_service(&peer),
                activity,
            };
            // Who speaks HTTP/2 said so in the handshake.
            if is_http2 {
                serve_http2(io, service, address, (limits, streams), shutdown).await;
            } else {
                serve_http1(io, service, address, limits, shutdown).await;
            }
        }
        Ok(Ok(None)) => debug!(%address, "plain HTTP on the TLS port"),
        Ok(Err(error)) => tls.failed(address, &error),
        Err(_) => tls.failed(address, &"it took too long"),
    }
}

type TlsStream = tokio_rustls::server::TlsStream<Socket>;

/// `None` when the client speaks plain HTTP, and was told so.
async fn handshake(mut stream: TcpStream, tls: &Tls) -> io::Result<Option<TlsStream>> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    // A TLS record starts with its type, 22; an HTTP request with a capital letter.
    if first[0].is_ascii_uppercase() {
        refuse_plain_http(&mut stream).await;
        return Ok(None);
    }
    TlsAcceptor::from(tls.current())
        .accept(Socket(stream))
        .await
        .map(Some)
}

/// The words of Go's server, which operators search for.
const PLAIN_HTTP_ANSWER: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

async fn refuse_plain_http(stream: &mut TcpStream) {
    let _ = stream.write_all(PLAIN_HTTP_ANSWER).await;
    let _ = stream.shutdown().await;
    // Unread bytes would turn the close into a reset, which may overtake the answer.
    let mut rest = stream.take(HEADER_BYTES_MAX as u64);
    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
}

async fn serve_http1<T, S, B>(
    io: WatchedIo<T>,
    service: CountedService<S>,
    address: SocketAddr,
    limits: &Limits,
    shutdown: ShutdownSignal,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    let activity = Arc::clone(&service.activity);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Waiting between requests counts as reading a head here, so `Activity` keeps this clock instead.
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes_max.max(8192))
        .serve_connection(TokioIo::new(io), service);
    let outcome = attend(connection, &activity, false, address, limits, shutdown).await;
    log_end(address, outcome);
}

async fn serve_http2<T, S, B>(
    io: WatchedIo<T>,
    service: CountedService<S>,
    address: SocketAddr,
    (limits, streams): (&Limits, Streams),
    shutdown: ShutdownSignal,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let activity = Arc::clone(&service.activity);
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .serve_connection(TokioIo::new(io), service);
    let outcome = attend(connection, &activity, true, address, limits, shutdown).await;
    log_end(address, outcome);
}

/// Serves a connection until it ends, is to end, or has done nothing for too long.
async fn attend<C>(
    connection: C,
    activity: &Activity,
    is_http2: bool,
    address: SocketAddr,
    limits: &Limits,
    mut shutdown: ShutdownSignal,
) -> Result<(), C::Error>
where
    C: GracefulConnection,
{
    let mut turns = std::pin::pin!(Turns::of(connection));
    {
        let end = std::pin::pin!(Seldom::of(async {
            tokio::select! {
                () = shutdown.wait() => None,
                expiry = activity.expired(limits, is_http2) => Some(expiry),
            }
        }));
        let expiry = tokio::select! {
            // The connection is what it was woken for, nearly always.
            biased;
            outcome = turns.as_mut() => return outcome,
            expiry = end => expiry,
        };
        if let Some(expiry) = expiry {
            debug!(%address, ?expiry, "giving a connection up");
            if expiry == Expiry::Stuck {
                return Ok(());
            }
        }
    }
    activity.drain();
    turns.as_mut().connection().graceful_shutdown();
    // After a shutdown `serve` bounds this; after expiry nothing worth waiting for is left.
    if shutdown.is_begun() {
        turns.await
    } else {
        tokio::time::timeout(limits.drain_grace, turns)
            .await
            .unwrap_or(Ok(()))
    }
}

fn log_end(address: SocketAddr, outcome: Result<(), hyper::Error>) {
    if let Err(error) = outcome {
        debug!(%address, %error, "connection ended");
    }
}
