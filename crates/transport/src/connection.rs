//! One accepted connection: what it is doing, when it has done nothing for too long, and how it is closed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::listen::Limits;

/// A request refused before its body was read must still reach the client: closing a socket with unread bytes resets the
/// connection, and the client sees a network error instead of the answer. So a bounded rest is read and dropped first.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 8 << 20;

/// Stands for "since the next look": requests do not ask for the time, the watch does it for them.
const SINCE_NEXT_LOOK: u64 = u64::MAX;

/// How finely the age of waiting answers is told. Those of the oldest group have waited for two turns at least, and three
/// groups let a turn be half of what a client may take.
const GROUPS: usize = 3;

/// Answers that wait for their client to take them, in groups by age.
///
/// On HTTP/2 a client that grants no window lets an answer wait while the socket itself stands still for nobody: without
/// this, whoever may connect could have any number of answers kept for it, for ever.
#[derive(Debug, Default)]
struct Waiting {
    groups: [AtomicUsize; GROUPS],
    newest: AtomicUsize,
    turned_at: AtomicU64,
}

impl Waiting {
    fn add(&self) -> usize {
        let group = self.newest.load(Ordering::Relaxed) % GROUPS;
        self.groups[group].fetch_add(1, Ordering::Relaxed);
        group
    }

    fn remove(&self, group: usize) {
        self.groups[group].fetch_sub(1, Ordering::Relaxed);
    }

    /// Turns the groups when it is time to. Has one answer waited for as long as `limit`?
    fn is_one_stuck(&self, now: u64, limit: Duration) -> bool {
        let turned_at = self.turned_at.load(Ordering::Relaxed);
        if u128::from(now.saturating_sub(turned_at)) < limit.as_millis() / 2 {
            return false;
        }
        let next = (self.newest.load(Ordering::Relaxed) + 1) % GROUPS;
        if self.groups[next].load(Ordering::Relaxed) > 0 {
            return true;
        }
        self.newest.store(next, Ordering::Relaxed);
        self.turned_at.store(now, Ordering::Relaxed);
        false
    }
}

/// What a connection is doing. Times are milliseconds since it was accepted; 0 stands for "not".
#[derive(Debug)]
pub(crate) struct Activity {
    accepted: Instant,
    requests: AtomicUsize,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    write_stalled_since: AtomicU64,
    waiting: Waiting,
    is_draining: AtomicBool,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(0),
            write_stalled_since: AtomicU64::new(0),
            waiting: Waiting::default(),
            is_draining: AtomicBool::new(false),
        })
    }

    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn begin_request(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        InFlight {
            activity: Arc::clone(self),
            waits_in: None,
        }
    }

    fn has_read(&self) {
        if self.requests.load(Ordering::Relaxed) == 0 {
            begin(&self.head_since);
        }
    }

    fn expiry(&self, limits: &Limits, is_http2: bool) -> Option<Expiry> {
        let now = self.now();
        let passed = |since: &AtomicU64, limit: Duration| match since.load(Ordering::Relaxed) {
            0 => false,
            SINCE_NEXT_LOOK => {
                // Whatever began or ended in the meantime is newer.
                let _ = since.compare_exchange(
                    SINCE_NEXT_LOOK,
                    now,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                false
            }
            began => u128::from(now.saturating_sub(began)) >= limit.as_millis(),
        };
        if passed(&self.write_stalled_since, limits.write_stall_timeout) {
            return Some(Expiry::Stuck);
        }
        if self.waiting.is_one_stuck(now, limits.write_stall_timeout) {
            return Some(Expiry::Stuck);
        }
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        // On HTTP/2 bytes between requests are pings and settings, no half-sent head.
        if !is_http2 && passed(&self.head_since, limits.header_timeout) {
            return Some(Expiry::Stuck);
        }
        passed(&self.idle_since, limits.idle_timeout).then_some(Expiry::Idle)
    }

    /// Comes back when the connection has been idle, half a request, or stuck in a write for too long.
    pub(crate) async fn expired(&self, limits: &Limits, is_http2: bool) -> Expiry {
        let shortest = limits
            .header_timeout
            .min(limits.idle_timeout)
            .min(limits.write_stall_timeout);
        let period = (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(1));
        loop {
            if let Some(expiry) = self.expiry(limits, is_http2) {
                return expiry;
            }
            tokio::time::sleep(period).await;
        }
    }
}

/// Notes that something goes on from now, unless it does already.
fn begin(since: &AtomicU64) {
    if since.load(Ordering::Relaxed) == 0 {
        since.store(SINCE_NEXT_LOOK, Ordering::Relaxed);
    }
}

/// Why a connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nothing is going on: it can be closed politely.
    Idle,
    /// The client holds something up: waiting for it once more would be in vain.
    Stuck,
}

/// A request whose answer is not fully sent.
#[derive(Debug)]
struct InFlight {
    activity: Arc<Activity>,
    /// Its group among the answers that wait for the client.
    waits_in: Option<usize>,
}

impl InFlight {
    /// Something for the client is there, from now on.
    fn wait_for_client(&mut self) {
        self.work();
        self.waits_in = Some(self.activity.waiting.add());
    }

    /// The client has taken everything so far.
    fn work(&mut self) {
        if let Some(group) = self.waits_in.take() {
            self.activity.waiting.remove(group);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.work();
        let activity = &self.activity;
        activity
            .idle_since
            .store(SINCE_NEXT_LOOK, Ordering::Relaxed);
        activity.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The socket, watched, and closed without losing the last answer.
#[derive(Debug)]
pub(crate) struct WatchedIo<T> {
    inner: T,
    activity: Arc<Activity>,
    is_at_end: bool,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    Open,
    Lingering {
        deadline: Pin<Box<Sleep>>,
        bytes: usize,
    },
    Closed,
}

impl<T> WatchedIo<T> {
    pub(crate) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self {
            inner,
            activity,
            is_at_end: false,
            closing: Closing::Open,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.activity.has_read();
        } else {
            self.is_at_end = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> WatchedIo<T> {
    fn note_write<R>(&self, outcome: Poll<R>) -> Poll<R> {
        let since = &self.activity.write_stalled_since;
        if outcome.is_ready() {
            since.store(0, Ordering::Relaxed);
        } else {
            begin(since);
        }
        outcome
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingering { deadline, bytes } = &mut self.closing else {
            return Poll::Ready(());
        };
        let mut scratch = [0; 8192];
        loop {
            if *bytes >= LINGER_BYTES_MAX || deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => *bytes += buf.filled().len(),
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        self.note_write(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if matches!(self.closing, Closing::Open) {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            let is_hurried = self.activity.is_draining.load(Ordering::Relaxed);
            self.closing = if self.is_at_end || is_hurried {
                Closing::Closed
            } else {
                Closing::Lingering {
                    deadline: Box::pin(tokio::time::sleep(LINGER)),
                    bytes: 0,
                }
            };
        }
        ready!(self.poll_linger(cx));
        self.closing = Closing::Closed;
        Poll::Ready(Ok(()))
    }
}

/// Counts the requests of a connection while they run.
#[derive(Debug)]
pub(crate) struct CountedService<S> {
    pub(crate) inner: S,
    pub(crate) activity: Arc<Activity>,
}

impl<S, B> Service<Request<Incoming>> for CountedService<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        CountedFuture {
            in_flight: Some(self.activity.begin_request()),
            inner: self.inner.call(request),
        }
    }
}

pin_project_lite::pin_project! {
    /// An answer in the making, which hands its count on to the body.
    #[derive(Debug)]
    pub(crate) struct CountedFuture<F> {
        #[pin]
        inner: F,
        in_flight: Option<InFlight>,
    }
}

impl<F, B, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx))?;
        let mut in_flight = this.in_flight.take();
        if let Some(in_flight) = &mut in_flight {
            in_flight.wait_for_client();
        }
        Poll::Ready(Ok(answer.map(|inner| CountedBody { inner, in_flight })))
    }
}

pin_project_lite::pin_project! {
    /// A body that counts as a request in flight until it is sent or dropped.
    #[derive(Debug)]
    pub(crate) struct CountedBody<B> {
        #[pin]
        inner: B,
        in_flight: Option<InFlight>,
    }
}

impl<B: Body> Body for CountedBody<B>
where
    B::Data: Buf,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = this.inner.poll_frame(cx);
        if let Some(in_flight) = this.in_flight {
            match &frame {
                // Asked for more, so what was there is gone.
                Poll::Pending => in_flight.work(),
                Poll::Ready(_) => in_flight.wait_for_client(),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
