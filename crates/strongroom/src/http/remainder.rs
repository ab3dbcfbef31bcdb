//! A request's body, whose unread rest is still received when nobody wants it any more.
//!
//! A request that is refused before its body was read (412, 403, 507) must still reach its sender. Closing a connection on
//! which bytes arrive resets it, and the reset overtakes the answer: the client reports a network error and tries a request
//! again that can never succeed. So the rest is read and thrown away while the answer is on its way, for a while.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Most bytes that are received for nothing; clients that have more to send and never look up see a reset.
const REST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest that they are received for.
const REST_TIME_MAX: Duration = Duration::from_secs(20);

/// A body, and the promise to receive its rest.
///
/// A body of which nothing was asked is left alone: its sender may wait for `100 Continue`, and asking would say so.
#[derive(Debug)]
pub(super) struct Remainder {
    /// `None` once the end was seen, or an error.
    body: Option<Incoming>,
    waits_for_continue: bool,
}

impl Remainder {
    pub(super) const fn new(body: Incoming, waits_for_continue: bool) -> Self {
        Self {
            body: Some(body),
            waits_for_continue,
        }
    }
}

impl Body for Remainder {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits_for_continue = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Remainder {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if self.waits_for_continue || body.is_end_stream() {
            return;
        }
        // A body that is dropped at the end of the process has no runtime left, and no client.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(REST_TIME_MAX, receive(body)));
        }
    }
}

async fn receive(mut body: Incoming) {
    let mut received = 0;
    while received < REST_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        received += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}
