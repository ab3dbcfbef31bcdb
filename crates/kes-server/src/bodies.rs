//! Room for request bodies: what all clients together may have in memory at once.
//!
//! Whoever comes when there is no room waits for it, within the time of its route: clients would only try again, and
//! against three servers in turn. Almost all bodies are small and share places of their own, so that large ones, which
//! import or decrypt in bulk, do not hold them up. Who outgrows a small place takes a large one and waits for nothing
//! more, so that nobody waits in a circle.

use tokio::sync::{Semaphore, SemaphorePermit};

/// A data key with its context takes some hundred bytes; this is for contexts a hundred times longer.
pub(crate) const SMALL_BODY_BYTES: usize = 16 << 10;
/// Small bodies at once: 64 MiB.
const SMALL_BODIES_MAX: usize = 4096;
/// Large bodies at once; with the 1 MB that a route allows they take 128 MB, twice that while one grows.
const LARGE_BODIES_MAX: usize = 128;

#[derive(Debug)]
pub(crate) struct Bodies {
    small: Semaphore,
    large: Semaphore,
}

/// A place for one body; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Room<'b> {
    bodies: &'b Bodies,
    /// Semaphores that are never closed give no errors; without one there is simply no limit.
    _small: Option<SemaphorePermit<'b>>,
    large: Option<SemaphorePermit<'b>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            small: Semaphore::new(SMALL_BODIES_MAX),
            large: Semaphore::new(LARGE_BODIES_MAX),
        }
    }
}

impl Bodies {
    /// Waits for room for a body that is announced with so many bytes, or with none.
    pub(crate) async fn room(&self, announced: u64) -> Room<'_> {
        let is_large = announced > SMALL_BODY_BYTES as u64;
        let mut room = Room {
            bodies: self,
            _small: None,
            large: None,
        };
        if is_large {
            room.grow(SMALL_BODY_BYTES + 1).await;
        } else {
            room._small = self.small.acquire().await.ok();
        }
        room
    }
}

impl Room<'_> {
    /// Waits until there is room for so many bytes.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        if bytes > SMALL_BODY_BYTES && self.large.is_none() {
            self.large = self.bodies.large.acquire().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    /// Would it have to wait?
    fn waits(future: impl Future) -> bool {
        let future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        matches!(future.poll(&mut context), Poll::Pending)
    }

    #[tokio::test]
    async fn large_bodies_wait_for_each_other_and_small_ones_do_not() {
        let bodies = Bodies::default();
        let mut large = Vec::new();
        for _ in 0..LARGE_BODIES_MAX - 1 {
            large.push(bodies.room(SMALL_BODY_BYTES as u64 + 1).await);
        }
        // One of unknown length, which turns out to be long.
        let mut grows = bodies.room(0).await;
        grows.grow(SMALL_BODY_BYTES).await;
        assert_eq!(bodies.large.available_permits(), 1);
        grows.grow(SMALL_BODY_BYTES + 1).await;
        assert_eq!(bodies.large.available_permits(), 0);
        assert!(!waits(grows.grow(1_000_000)), "it has its place already");
        assert!(waits(bodies.room(1_000_000)));
        assert!(!waits(bodies.room(SMALL_BODY_BYTES as u64)));
        drop(large.pop());
        assert!(!waits(bodies.room(1_000_000)));
        drop(grows);
        drop(large);
        assert_eq!(bodies.large.available_permits(), LARGE_BODIES_MAX);
        assert_eq!(bodies.small.available_permits(), SMALL_BODIES_MAX);
    }
}
