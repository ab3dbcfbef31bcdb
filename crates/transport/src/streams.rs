//! Where the requests of an HTTP/2 connection run.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

use hyper::rt::Executor;

use crate::waking::hushed;

/// Runs the streams of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Streams {
    /// Each in a task of its own: requests may take long, and several threads share them.
    Apart,
    /// At once, in the connection's turn, as far as they come without waiting. Only what has to wait gets a task. Most
    /// requests then cost no task, and no wake of their connection, which writes all answers of the turn at once.
    AtOnce,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        if matches!(self, Self::Apart) {
            tokio::spawn(stream);
            return;
        }
        let mut stream = Box::pin(stream);
        // Without a waker: a task polls it anew. hyper asks for the next stream after each, and before that writes what there
        // is to write, so that the connection need not be woken for it.
        let mut context = Context::from_waker(Waker::noop());
        let turn = || hushed(|| stream.as_mut().poll(&mut context)).0.is_pending();
        // As in a task, a panic ends its own request and no other.
        let is_waiting = catch_unwind(AssertUnwindSafe(turn));
        if matches!(is_waiting, Ok(true)) {
            tokio::spawn(stream);
        }
    }
}
