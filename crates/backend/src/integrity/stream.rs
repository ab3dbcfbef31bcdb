use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, StdError, s3_error};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::verifier::Hashes;
use super::{Digests, Expectations, Verifier};
use crate::body;

/// Bytes that are gathered before a thread is asked to hash them: some 200 µs of MD5, which is far more
/// than handing it over costs. At most two such batches of a body are alive.
const BATCH_BYTES: usize = 128 * 1024;

/// A body up to this length is hashed where it is: the hand-over would cost more than it saves.
const INLINE_BYTES_MAX: u64 = 64 * 1024;

/// A body that ends without error only if it was what the client announced.
///
/// It yields the bytes as they come, and at the end either nothing more, with [`digests`](Self::digests)
/// set, or an error that carries the S3 code ([`body::error`] gives it back). Whoever reads it must not
/// commit before that end. Dear hashes run on another thread, a batch at a time, so that a slow client
/// holds none.
pub struct VerifiedBody {
    inner: StreamingBlob,
    state: State,
    digests: Arc<OnceLock<Digests>>,
}

enum State {
    /// Hashes run in `poll_next`.
    Inline(Box<Verifier>),
    /// Hashes run beside.
    Beside(Box<Beside>),
    /// The end, good or bad, was told.
    Ended,
}

struct Beside {
    /// Counts; its hashes are in `work`.
    verifier: Verifier,
    runtime: Handle,
    batch: Batch,
    work: Work,
}

enum Work {
    /// The hashes are here.
    Rest(Box<Hashes>),
    /// The hashes are with a batch on another thread.
    Away(JoinHandle<Box<Hashes>>),
    /// The job panicked or was cancelled with the runtime.
    Lost,
}

#[derive(Default)]
struct Batch {
    chunks: Vec<Bytes>,
    bytes: usize,
    /// The body ended; only the hashes are outstanding.
    last: bool,
}

impl std::fmt::Debug for VerifiedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedBody")
            .field("digests", &self.digests)
            .finish_non_exhaustive()
    }
}

impl VerifiedBody {
    /// Wraps the body of a request; none is an empty one.
    #[must_use]
    pub fn new(inner: Option<StreamingBlob>, expected: Expectations, want_md5: bool) -> Self {
        let inner = inner.unwrap_or_else(body::empty);
        let mut verifier = Verifier::new(expected, want_md5);
        let small = verifier
            .expected_length()
            .is_some_and(|n| n <= INLINE_BYTES_MAX);
        let state = match Handle::try_current() {
            Ok(runtime) if verifier.is_dear() && !small => {
                let work = Work::Rest(Box::new(verifier.take_hashes()));
                State::Beside(Box::new(Beside {
                    verifier,
                    runtime,
                    batch: Batch::default(),
                    work,
                }))
            }
            _ => State::Inline(Box::new(verifier)),
        };
        Self {
            inner,
            state,
            digests: Arc::default(),
        }
    }

    /// What was computed, once the body has ended well.
    #[must_use]
    pub fn digests(&self) -> Option<&Digests> {
        self.digests.get()
    }

    /// A handle to the same that outlives the body.
    #[must_use]
    pub fn digests_handle(&self) -> Arc<OnceLock<Digests>> {
        Arc::clone(&self.digests)
    }

    /// As a body that, before it ends, hands what was computed to `on_end`.
    pub fn into_blob<F>(self, on_end: F) -> StreamingBlob
    where
        F: FnOnce(&Digests) + Send + Sync + Unpin + 'static,
    {
        StreamingBlob::new(Ending {
            body: self,
            on_end: Some(on_end),
        })
    }

    fn end(&mut self, result: Result<Digests, S3Error>) -> Poll<Option<Result<Bytes, StdError>>> {
        self.state = State::Ended;
        match result {
            Ok(digests) => {
                let _ = self.digests.set(digests);
                Poll::Ready(None)
            }
            Err(error) => Poll::Ready(Some(Err(body::carry(error)))),
        }
    }
}

impl Stream for VerifiedBody {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match &mut this.state {
            State::Ended => Poll::Ready(None),
            State::Inline(verifier) => match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                Some(Ok(bytes)) => match verifier.update(&bytes) {
                    Ok(()) => Poll::Ready(Some(Ok(bytes))),
                    Err(error) => this.end(Err(error)),
                },
                Some(Err(error)) => this.end(Err(body::error(error))),
                None => {
                    let State::Inline(verifier) = std::mem::replace(&mut this.state, State::Ended)
                    else {
                        return Poll::Ready(None);
                    };
                    this.end(verifier.finish())
                }
            },
            State::Beside(beside) => {
                let Beside {
                    verifier,
                    runtime,
                    batch,
                    work,
                } = &mut **beside;
                // A full batch waits for the one before it: that bounds memory, and slows the client
                // down to the speed of the hash.
                while batch.last || batch.bytes >= BATCH_BYTES {
                    if let Err(error) = ready!(work.poll_rest(cx)) {
                        return this.end(Err(error));
                    }
                    if batch.chunks.is_empty() {
                        break;
                    }
                    work.send(runtime, std::mem::take(&mut batch.chunks));
                    batch.bytes = 0;
                }
                if batch.last {
                    let State::Beside(beside) = std::mem::replace(&mut this.state, State::Ended)
                    else {
                        return Poll::Ready(None);
                    };
                    let Beside {
                        mut verifier,
                        work: Work::Rest(hashes),
                        ..
                    } = *beside
                    else {
                        return this.end(Err(lost()));
                    };
                    verifier.put_hashes(*hashes);
                    return this.end(verifier.finish());
                }
                match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                    Some(Ok(bytes)) => match verifier.count(bytes.len()) {
                        Ok(()) => {
                            batch.bytes += bytes.len();
                            batch.chunks.push(bytes.clone());
                            Poll::Ready(Some(Ok(bytes)))
                        }
                        Err(error) => this.end(Err(error)),
                    },
                    Some(Err(error)) => this.end(Err(body::error(error))),
                    None => {
                        batch.last = true;
                        self.poll_next(cx)
                    }
                }
            }
        }
    }
}

impl Work {
    /// Ready when the hashes are here.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S3Error>> {
        match self {
            Self::Rest(_) => Poll::Ready(Ok(())),
            Self::Lost => Poll::Ready(Err(lost())),
            Self::Away(job) => match ready!(Pin::new(job).poll(cx)) {
                Ok(hashes) => {
                    *self = Self::Rest(hashes);
                    Poll::Ready(Ok(()))
                }
                Err(_) => {
                    *self = Self::Lost;
                    Poll::Ready(Err(lost()))
                }
            },
        }
    }

    /// Hashes `chunks` elsewhere. Called when the hashes are here.
    fn send(&mut self, runtime: &Handle, chunks: Vec<Bytes>) {
        if let Self::Rest(mut hashes) = std::mem::replace(self, Self::Lost) {
            *self = Self::Away(runtime.spawn_blocking(move || {
                chunks.iter().for_each(|chunk| hashes.update(chunk));
                hashes
            }));
        }
    }
}

fn lost() -> S3Error {
    s3_error!(InternalError, "the thread that hashed the body ended early")
}

impl ByteStream for VerifiedBody {
    fn remaining_length(&self) -> RemainingLength {
        self.inner.remaining_length()
    }
}

struct Ending<F> {
    body: VerifiedBody,
    on_end: Option<F>,
}

impl<F: FnOnce(&Digests) + Send + Sync + Unpin + 'static> Stream for Ending<F> {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.body).poll_next(cx));
        if item.is_none()
            && let Some(on_end) = self.on_end.take()
            && let Some(digests) = self.body.digests()
        {
            on_end(digests);
        }
        Poll::Ready(item)
    }
}

impl<F: FnOnce(&Digests) + Send + Sync + Unpin + 'static> ByteStream for Ending<F> {
    fn remaining_length(&self) -> RemainingLength {
        self.body.remaining_length()
    }
}
