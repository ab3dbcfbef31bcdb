//! Log streams: every record as a line, to whoever listens.
//!
//! A reader that does not keep up is cut off, so that no request ever waits for one. A reload cuts all of them: who may
//! still listen connects again and is judged anew.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

/// Lines that a reader may be behind; at some 300 bytes each they take 300 KB.
const LINES_BEHIND_MAX: usize = 1024;
/// Readers of one stream at once: operators and their collectors, not clients.
const READERS_MAX: usize = 64;

/// One stream with its readers.
#[derive(Debug, Default)]
pub(crate) struct LineStream {
    readers: Mutex<Vec<mpsc::Sender<Bytes>>>,
    /// How many those are, for requests to see without waiting for each other.
    count: AtomicUsize,
}

/// The end of a stream that a client reads.
#[derive(Debug)]
pub(crate) struct Lines(mpsc::Receiver<Bytes>);

impl LineStream {
    /// A new reader, which sees what comes from now on; none when there are too many.
    pub(crate) fn subscribe(&self) -> Option<Lines> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| !reader.is_closed());
        if readers.len() >= READERS_MAX {
            return None;
        }
        let (sender, receiver) = mpsc::channel(LINES_BEHIND_MAX);
        readers.push(sender);
        self.count.store(readers.len(), Ordering::Relaxed);
        Some(Lines(receiver))
    }

    /// Does anybody listen?
    pub(crate) fn has_readers(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Hands a line to all readers; makes it only when there are any.
    pub(crate) fn send(&self, line: impl FnOnce() -> Vec<u8>) {
        if !self.has_readers() {
            return;
        }
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Bytes::from(line());
        readers.retain(|reader| reader.try_send(line.clone()).is_ok());
        self.count.store(readers.len(), Ordering::Relaxed);
    }

    /// Ends the stream for all of its readers.
    pub(crate) fn cut(&self) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.clear();
        self.count.store(0, Ordering::Relaxed);
    }
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_keep_up_is_cut_and_others_are_not() {
        let stream = LineStream::default();
        let slow = stream.subscribe().unwrap();
        let mut quick = stream.subscribe().unwrap();
        for _ in 0..=LINES_BEHIND_MAX {
            stream.send(|| b"line\n".to_vec());
            assert!(quick.0.try_recv().is_ok());
        }
        drop(slow);
        assert_eq!(stream.readers.lock().unwrap().len(), 1);
        stream.cut();
        assert!(matches!(
            quick.0.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        ));
    }

    #[test]
    fn readers_are_limited_and_places_are_free_again() {
        let stream = LineStream::default();
        let readers: Vec<_> = (0..READERS_MAX)
            .map(|_| stream.subscribe().unwrap())
            .collect();
        assert!(stream.subscribe().is_none());
        drop(readers);
        assert!(stream.subscribe().is_some());
    }
}
