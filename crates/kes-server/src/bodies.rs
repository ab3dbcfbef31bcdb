//! Room for request bodies: what all clients together may have in memory at once.
//!
//! Whoever comes when there is no room waits for it, within the time of its route: clients would only try again, and
//! against three servers in turn. Almost all bodies are small and share places of their own, so that large ones, which
//! import or decrypt in bulk, do not hold them up. Who outgrows a small place takes a large one and waits for nothing
//! more, so that nobody waits in a circle.
//!
//! Nobody gets all of the room: a client whose bodies never end holds up itself. It waits for its own share first, and so
//! never stands in front of others in the queue for all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_kes_api::Identity;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// A data key with its context takes some hundred bytes; this is for contexts a hundred times longer.
pub(crate) const SMALL_BODY_BYTES: usize = 16 << 10;
/// Small bodies at once: 64 MiB.
const SMALL_BODIES_MAX: usize = 4096;
/// Large bodies at once; with the 1 MB that a route allows they take 128 MB, twice that while one grows.
const LARGE_BODIES_MAX: usize = 128;
/// One client gets at most this part of either: a busy cluster has one identity for all its nodes, and a thousand bodies
/// at once are more than it sends, while three that misbehave still leave room to everybody else.
const SHARE: usize = 4;

#[derive(Debug)]
pub(crate) struct Bodies {
    small: Semaphore,
    large: Semaphore,
    /// Of those who have a body here, or wait for room.
    shares: Mutex<HashMap<Owner, Arc<Share>>>,
}

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// The client, from wherever it comes.
    Identity(Identity),
    /// Nobody is named: the address, where that is known.
    Address(Option<IpAddr>),
}

impl Owner {
    pub(crate) fn of(identity: Option<Identity>, address: Option<IpAddr>) -> Self {
        identity.map_or(Self::Address(address), Self::Identity)
    }
}

/// What one client may take.
#[derive(Debug)]
struct Share {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A place for one body; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Room<'b> {
    bodies: &'b Bodies,
    owner: Owner,
    share: Arc<Share>,
    /// Semaphores that are never closed give no errors; without one there is simply no limit.
    _small: Option<Place<'b>>,
    large: Option<Place<'b>>,
}

/// A place of the own share, and one of all.
#[derive(Debug)]
struct Place<'b> {
    _of_share: OwnedSemaphorePermit,
    _of_all: SemaphorePermit<'b>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            small: Semaphore::new(SMALL_BODIES_MAX),
            large: Semaphore::new(LARGE_BODIES_MAX),
            shares: Mutex::default(),
        }
    }
}

impl Bodies {
    /// Waits for room for a body that is announced with so many bytes, or with none.
    pub(crate) async fn room(&self, owner: Owner, announced: u64) -> Room<'_> {
        let is_large = announced > SMALL_BODY_BYTES as u64;
        let mut room = Room {
            bodies: self,
            owner,
            share: self.share_of(owner),
            _small: None,
            large: None,
        };
        if is_large {
            room.grow(SMALL_BODY_BYTES + 1).await;
        } else {
            room._small = place(&room.share.small, &self.small).await;
        }
        room
    }

    fn share_of(&self, owner: Owner) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry(owner).or_insert_with(|| {
            Arc::new(Share {
                small: Arc::new(Semaphore::new(SMALL_BODIES_MAX / SHARE)),
                large: Arc::new(Semaphore::new(LARGE_BODIES_MAX / SHARE)),
            })
        });
        Arc::clone(share)
    }
}

async fn place<'b>(share: &Arc<Semaphore>, all: &'b Semaphore) -> Option<Place<'b>> {
    let of_share = Arc::clone(share).acquire_owned().await.ok()?;
    let of_all = all.acquire().await.ok()?;
    Some(Place {
        _of_share: of_share,
        _of_all: of_all,
    })
}

impl Room<'_> {
    /// Waits until there is room for so many bytes.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        if bytes > SMALL_BODY_BYTES && self.large.is_none() {
            self.large = place(&self.share.large, &self.bodies.large).await;
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut shares = self
            .bodies
            .shares
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The map has one and this room the other. Only who holds the lock makes more.
        if Arc::strong_count(&self.share) == 2 {
            shares.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    /// Would it have to wait?
    fn waits(future: impl Future) -> bool {
        // Tokio makes a task yield that takes many permits in a row.
        let future = std::pin::pin!(tokio::task::unconstrained(future));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        matches!(future.poll(&mut context), Poll::Pending)
    }

    fn owner(n: usize) -> Owner {
        let last = u8::try_from(n).unwrap();
        Owner::of(None, Some(IpAddr::from([192, 0, 2, last])))
    }

    #[tokio::test]
    async fn large_bodies_wait_for_each_other_and_small_ones_do_not() {
        let bodies = Bodies::default();
        let mut large = Vec::new();
        for n in 0..LARGE_BODIES_MAX - 1 {
            large.push(bodies.room(owner(n), SMALL_BODY_BYTES as u64 + 1).await);
        }
        // One of unknown length, which turns out to be long.
        let mut grows = bodies.room(owner(200), 0).await;
        grows.grow(SMALL_BODY_BYTES).await;
        assert_eq!(bodies.large.available_permits(), 1);
        grows.grow(SMALL_BODY_BYTES + 1).await;
        assert_eq!(bodies.large.available_permits(), 0);
        assert!(!waits(grows.grow(1_000_000)), "it has its place already");
        assert!(waits(bodies.room(owner(201), 1_000_000)));
        assert!(!waits(bodies.room(owner(201), SMALL_BODY_BYTES as u64)));
        drop(large.pop());
        assert!(!waits(bodies.room(owner(201), 1_000_000)));
        drop(grows);
        drop(large);
        assert_eq!(bodies.large.available_permits(), LARGE_BODIES_MAX);
        assert_eq!(bodies.small.available_permits(), SMALL_BODIES_MAX);
        assert!(bodies.shares.lock().unwrap().is_empty(), "nobody is kept");
    }

    #[tokio::test]
    async fn one_client_waits_for_its_own_share_while_others_find_room() {
        let bodies = Bodies::default();
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        let greedy = Owner::of(Some(Identity::of_public_key_info(b"greedy")), address);
        for (bytes, share) in [
            (0, SMALL_BODIES_MAX / SHARE),
            (1_000_000, LARGE_BODIES_MAX / SHARE),
        ] {
            let mut rooms = Vec::new();
            for _ in 0..share {
                rooms.push(bodies.room(greedy, bytes).await);
            }
            assert!(waits(bodies.room(greedy, bytes)));
            assert!(!waits(bodies.room(Owner::of(None, address), bytes)));
            let waiting = bodies.room(greedy, bytes);
            drop(rooms.pop());
            assert!(!waits(waiting));
            assert_eq!(bodies.shares.lock().unwrap().len(), 1);
        }
        assert!(bodies.shares.lock().unwrap().is_empty());
    }
}
