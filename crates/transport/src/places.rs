//! Places for connections: so many in all, and of those so many for one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    per_address_max: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that nobody has yet.
#[derive(Debug)]
pub(crate) struct FreePlace {
    places: Arc<Places>,
    permit: OwnedSemaphorePermit,
}

/// A place of one connection; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    network: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(max)),
            per_address_max,
            taken: Mutex::default(),
        })
    }

    pub(crate) fn are_taken(&self) -> bool {
        self.all.available_permits() == 0
    }

    /// Waits for a place.
    pub(crate) async fn free(self: &Arc<Self>) -> Option<FreePlace> {
        let permit = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(FreePlace {
            places: Arc::clone(self),
            permit,
        })
    }
}

impl FreePlace {
    /// The place, unless this address has its share already.
    pub(crate) fn taken_by(self, address: IpAddr) -> Option<Place> {
        let network = network(address);
        {
            let mut taken = self
                .places
                .taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = taken.entry(network).or_default();
            if *count >= self.places.per_address_max {
                return None;
            }
            *count += 1;
        }
        Some(Place {
            places: self.places,
            network,
            _permit: self.permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

/// Who has one IPv6 address has 2^64 of them (RFC 4291 §2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_counted_by_network_and_come_back() {
        let places = Places::new(10, 1);
        let take = async |text: &str| {
            let address: IpAddr = text.parse().unwrap();
            places.free().await.unwrap().taken_by(address)
        };
        let first = take("2001:db8::1").await;
        assert!(first.is_some());
        assert!(take("2001:db8::2").await.is_none());
        assert!(take("2001:db8:0:1::1").await.is_some());
        let mapped = take("::ffff:192.0.2.1").await;
        assert!(mapped.is_some() && take("192.0.2.1").await.is_none());
        drop(first);
        assert!(take("2001:db8::2").await.is_some());
        drop(mapped);
        assert!(places.taken.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), 10);
    }
}
