//! Threads that each serve their own connections.
//!
//! For requests that are answered from memory within microseconds, a runtime that moves tasks between threads spends more on
//! waking them than on the requests. Here a connection stays with the thread that it was given to, and everything that its
//! requests do happens there: nobody is woken, and an answer leaves in one write.
//!
//! Not for servers whose requests compute for long: they would hold up their thread's other connections.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Most threads. At 10 µs per request this many answer a million requests a second; more would only take memory.
pub const WORKERS_MAX: usize = 16;
/// Stack of a thread of which the runtime needs little, handshakes some 100 KB.
const STACK_BYTES: usize = 1 << 20;

/// The threads. They end when this is dropped.
pub struct Workers(Vec<Worker>);

struct Worker {
    handle: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropping it ends the thread.
    _end: oneshot::Sender<()>,
}

/// A place on one of the threads; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("threads", &self.0.len())
            .finish()
    }
}

impl Workers {
    /// One thread for each core, up to [`WORKERS_MAX`].
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (0..cores.min(WORKERS_MAX))
            .map(start)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The thread with the fewest connections.
    pub(crate) fn seat(&self) -> Option<(Seat, &Handle)> {
        let worker = self
            .0
            .iter()
            .min_by_key(|worker| worker.connections.load(Ordering::Relaxed))?;
        worker.connections.fetch_add(1, Ordering::Relaxed);
        Some((Seat(Arc::clone(&worker.connections)), &worker.handle))
    }
}

fn start(number: usize) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::Builder::new()
        .name(format!("serve-{number}"))
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // Both outcomes say that nobody has work for this thread any more.
            let _ = runtime.block_on(ended);
            // What blocks (a file system that hangs) is not waited for.
            runtime.shutdown_background();
        })?;
    Ok(Worker {
        handle,
        connections: Arc::default(),
        _end: end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_shared_out_evenly_and_given_back() {
        let workers = Workers((0..2).map(|n| start(n).unwrap()).collect());
        let taken: Vec<_> = (0..4).map(|_| workers.seat().unwrap().0).collect();
        let counts = || -> Vec<usize> {
            let of = |w: &Worker| w.connections.load(Ordering::Relaxed);
            workers.0.iter().map(of).collect()
        };
        assert_eq!(counts(), [2, 2]);
        drop(taken);
        assert_eq!(counts(), [0, 0]);
    }

    #[test]
    fn threads_end_with_their_owner() {
        let workers = Workers::start().unwrap();
        let task = workers
            .seat()
            .unwrap()
            .1
            .spawn(std::future::pending::<()>());
        drop(workers);
        let runtime = Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    }
}
