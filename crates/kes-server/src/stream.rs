//! Log streams: every record as a line, to whoever listens.
//!
//! A reader that does not keep up is cut off, so that no request ever waits for one. A reload cuts all of them: who may
//! still listen connects again and is judged anew.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use strongroom_kes_api::Identity;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

/// Lines that a reader may be behind; at some 300 bytes each they take 300 KB.
const LINES_BEHIND_MAX: usize = 1024;
/// Readers of one stream at once: operators and their collectors, not clients.
const READERS_MAX: usize = 64;
/// Readers of one stream by one identity: a client that connects again and again without hanging up must not take the places
/// of all others.
const READERS_OF_ONE_MAX: usize = 16;

/// One stream with its readers.
#[derive(Debug, Default)]
pub(crate) struct LineStream {
    readers: Mutex<Vec<Reader>>,
    /// How many those are, for requests to see without waiting for each other.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Reader {
    of: Option<Identity>,
    lines: mpsc::Sender<Bytes>,
}

/// The end of a stream that a client reads.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: mpsc::Receiver<Bytes>,
    /// Where the route has a time limit.
    end: Option<Pin<Box<Sleep>>>,
}

impl LineStream {
    /// A new reader, which sees what comes from now on; none when there are too many.
    pub(crate) fn subscribe(&self, of: Option<Identity>) -> Option<Lines> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| !reader.lines.is_closed());
        let of_this_one = readers.iter().filter(|reader| reader.of == of).count();
        if readers.len() >= READERS_MAX || of_this_one >= READERS_OF_ONE_MAX {
            return None;
        }
        let (sender, lines) = mpsc::channel(LINES_BEHIND_MAX);
        readers.push(Reader { of, lines: sender });
        self.count.store(readers.len(), Ordering::Relaxed);
        Some(Lines { lines, end: None })
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
        readers.retain(|reader| reader.lines.try_send(line.clone()).is_ok());
        self.count.store(readers.len(), Ordering::Relaxed);
    }

    /// Ends the stream for all of its readers.
    pub(crate) fn cut(&self) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.clear();
        self.count.store(0, Ordering::Relaxed);
    }
}

impl Lines {
    /// Ends the stream after this time, as its route wants.
    pub(crate) fn ending_after(mut self, time: Duration) -> Self {
        self.end = Some(Box::pin(sleep(time)));
        self
    }
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(end) = &mut self.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        self.lines
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
        let slow = stream.subscribe(None).unwrap();
        let mut quick = stream.subscribe(None).unwrap();
        for _ in 0..=LINES_BEHIND_MAX {
            stream.send(|| b"line\n".to_vec());
            assert!(quick.lines.try_recv().is_ok());
        }
        drop(slow);
        assert_eq!(stream.readers.lock().unwrap().len(), 1);
        stream.cut();
        assert!(matches!(
            quick.lines.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        ));
    }

    #[tokio::test]
    async fn a_stream_with_a_limit_ends_by_itself() {
        let stream = LineStream::default();
        let lines = stream.subscribe(None).unwrap();
        let lines = lines.ending_after(Duration::from_millis(10));
        stream.send(|| b"line\n".to_vec());
        let all = http_body_util::BodyExt::collect(lines).await.unwrap();
        assert_eq!(all.to_bytes().as_ref(), b"line\n");
    }

    #[test]
    fn readers_are_limited_and_places_are_free_again() {
        let stream = LineStream::default();
        let identity = |i: usize| format!("{i:064x}").parse().ok();
        let mut readers = Vec::new();
        for i in 0..READERS_MAX / READERS_OF_ONE_MAX {
            for _ in 0..READERS_OF_ONE_MAX {
                readers.push(stream.subscribe(identity(i)).unwrap());
            }
            assert!(stream.subscribe(identity(i)).is_none(), "one has enough");
        }
        assert!(stream.subscribe(identity(99)).is_none(), "all have enough");
        drop(readers);
        assert!(stream.subscribe(identity(0)).is_some());
    }
}
