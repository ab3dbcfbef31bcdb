//! Keys in memory, in front of the key store.
//!
//! - Concurrent misses of one name make one request to the store, and share its outcome; other names are not held up.
//! - Errors are never remembered: a key created on another server is found at once.
//! - Every entry has its own end, so that they do not all end at once.
//! - A deletion that overtakes a fetch wins: what was fetched before is not remembered after it.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_kes_api::KeyName;
use tokio::sync::OnceCell;

use crate::config::CacheConfig;

/// More keys than any known installation has; at some 300 bytes each they take 30 MB.
pub(crate) const ENTRIES_MAX: usize = 100_000;

/// How much of an entry's life is left to chance, in sixteenths: what was loaded together does not end together.
const JITTER_SIXTEENTHS: u32 = 2;

/// A cache of `V`. Times are those of one monotonic clock, given by the caller.
pub(crate) struct Cache<V, E> {
    config: CacheConfig,
    state: Mutex<State<V, E>>,
}

struct State<V, E> {
    entries: HashMap<KeyName, Entry<V>>,
    flights: HashMap<KeyName, Arc<Flight<V, E>>>,
    /// Since when the store has been out of reach.
    offline_since: Option<Duration>,
    jitter: u32,
}

struct Entry<V> {
    value: Arc<V>,
    ends_at: Duration,
    /// The end of its life wherever it came from, offline or not.
    ends_at_last: Option<Duration>,
    used_at: Duration,
}

/// What a fetch brought.
#[derive(Debug)]
pub(crate) struct Fetched<V> {
    pub(crate) value: V,
    /// Not to be remembered for longer, whatever the settings.
    pub(crate) good_for: Option<Duration>,
}

impl<V> From<V> for Fetched<V> {
    fn from(value: V) -> Self {
        Self {
            value,
            good_for: None,
        }
    }
}

type Outcome<V, E> = Result<(Arc<V>, Option<Duration>), Arc<E>>;

/// One who waits for a flight. The last to give up takes the flight away: names that a slow store never answers for would
/// pile up.
struct Seat<'c, V, E> {
    cache: &'c Cache<V, E>,
    name: &'c KeyName,
    flight: Arc<Flight<V, E>>,
}

impl<V, E> Drop for Seat<'_, V, E> {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        // Counted under the lock, where seats are taken too.
        let is_last = self.flight.waiting.fetch_sub(1, Ordering::Relaxed) == 1;
        let is_listed = state
            .flights
            .get(self.name)
            .is_some_and(|f| Arc::ptr_eq(f, &self.flight));
        if is_last && is_listed {
            state.flights.remove(self.name);
        }
    }
}

/// A fetch that somebody waits for.
struct Flight<V, E> {
    outcome: OnceCell<Outcome<V, E>>,
    is_overtaken: AtomicBool,
    waiting: AtomicUsize,
}

impl<V, E> fmt::Debug for Cache<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Cache")
            .field("entries", &state.entries.len())
            .finish_non_exhaustive()
    }
}

impl<V, E> Cache<V, E> {
    pub(crate) fn new(config: CacheConfig) -> Self {
        let state = State {
            entries: HashMap::new(),
            flights: HashMap::new(),
            offline_since: None,
            jitter: 0,
        };
        Self {
            config,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn config(&self) -> &CacheConfig {
        &self.config
    }

    fn state(&self) -> MutexGuard<'_, State<V, E>> {
        // Nothing below panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a name, if it is remembered.
    pub(crate) fn remembered(&self, name: &KeyName, now: Duration) -> Option<Arc<V>> {
        self.state().remembered(name, now, &self.config)
    }

    /// The value of a name: remembered, or fetched.
    pub(crate) async fn get<F>(
        &self,
        name: &KeyName,
        now: impl Fn() -> Duration,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<V>, Arc<E>>
    where
        F: Future<Output = Result<Fetched<V>, E>>,
    {
        let seat = {
            let mut state = self.state();
            if let Some(value) = state.remembered(name, now(), &self.config) {
                return Ok(value);
            }
            let flight = state
                .flights
                .entry(name.clone())
                .or_insert_with(Flight::new);
            flight.waiting.fetch_add(1, Ordering::Relaxed);
            Seat {
                cache: self,
                name,
                flight: Arc::clone(flight),
            }
        };
        let flight = &seat.flight;
        // When the one who fetches is cancelled, another of those who wait takes over.
        let outcome = flight.outcome.get_or_init(|| async {
            let fetched = fetch().await.map_err(Arc::new)?;
            Ok((Arc::new(fetched.value), fetched.good_for))
        });
        let outcome = outcome.await.clone();
        self.state()
            .land(name, flight, &outcome, now(), &self.config);
        outcome.map(|(value, _)| value)
    }

    /// Forgets a name, and whatever is being fetched for it.
    pub(crate) fn evict(&self, name: &KeyName) {
        let mut state = self.state();
        state.entries.remove(name);
        if let Some(flight) = state.flights.remove(name) {
            flight.is_overtaken.store(true, Ordering::Relaxed);
        }
    }

    /// Drops what has ended, so that keys leave the memory though nobody asks for them.
    pub(crate) fn sweep(&self, now: Duration) {
        let mut state = self.state();
        let offline_since = state.offline_since;
        state
            .entries
            .retain(|_, entry| entry.is_good(now, &self.config, offline_since));
    }

    /// Whether the store is out of reach, as the regular check found.
    pub(crate) fn set_offline(&self, is_offline: bool, now: Duration) {
        let mut state = self.state();
        state.offline_since = is_offline.then(|| state.offline_since.unwrap_or(now));
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.state().offline_since.is_some()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.state().entries.len()
    }
}

impl<V, E> Flight<V, E> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            outcome: OnceCell::new(),
            is_overtaken: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        })
    }
}

impl<V> Entry<V> {
    fn is_good(
        &self,
        now: Duration,
        config: &CacheConfig,
        offline_since: Option<Duration>,
    ) -> bool {
        if self.ends_at_last.is_some_and(|end| now >= end) {
            return false;
        }
        if let Some(since) = offline_since {
            return now < since + config.offline;
        }
        let is_used = config.unused.is_zero() || now < self.used_at + config.unused;
        now < self.ends_at && is_used
    }
}

impl<V, E> State<V, E> {
    fn remembered(
        &mut self,
        name: &KeyName,
        now: Duration,
        config: &CacheConfig,
    ) -> Option<Arc<V>> {
        let offline_since = self.offline_since;
        let entry = self.entries.get_mut(name)?;
        if !entry.is_good(now, config, offline_since) {
            self.entries.remove(name);
            return None;
        }
        entry.used_at = now;
        Some(Arc::clone(&entry.value))
    }

    /// The first to come back from a flight ends it.
    fn land(
        &mut self,
        name: &KeyName,
        flight: &Arc<Flight<V, E>>,
        outcome: &Outcome<V, E>,
        now: Duration,
        config: &CacheConfig,
    ) {
        if !self
            .flights
            .get(name)
            .is_some_and(|f| Arc::ptr_eq(f, flight))
        {
            return;
        }
        self.flights.remove(name);
        let Ok((value, good_for)) = outcome else {
            return;
        };
        if flight.is_overtaken.load(Ordering::Relaxed) || config.any.is_zero() {
            return;
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.make_room(now, config);
        }
        self.jitter = (self.jitter + 5) % (16 * JITTER_SIXTEENTHS);
        let life = config.any - config.any * self.jitter / (16 * 16);
        let entry = Entry {
            value: Arc::clone(value),
            ends_at: now + life,
            ends_at_last: good_for.map(|time| now + time),
            used_at: now,
        };
        self.entries.insert(name.clone(), entry);
    }

    fn make_room(&mut self, now: Duration, config: &CacheConfig) {
        let offline_since = self.offline_since;
        self.entries
            .retain(|_, entry| entry.is_good(now, config, offline_since));
        if self.entries.len() >= ENTRIES_MAX {
            // Rare enough that looking at all of them is no matter.
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, e)| e.used_at)
                .map(|(n, _)| n.clone());
            if let Some(name) = oldest {
                self.entries.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> KeyName {
        KeyName::parse(text).unwrap()
    }

    fn config(any: u64, unused: u64, offline: u64) -> CacheConfig {
        let s = Duration::from_secs;
        CacheConfig {
            any: s(any),
            unused: s(unused),
            offline: s(offline),
            disk: None,
        }
    }

    struct Fixture {
        cache: Cache<u32, &'static str>,
        fetches: AtomicUsize,
    }

    impl Fixture {
        fn new(config: CacheConfig) -> Self {
            Self {
                cache: Cache::new(config),
                fetches: AtomicUsize::new(0),
            }
        }

        async fn get_at(
            &self,
            seconds: u64,
            outcome: Result<u32, &'static str>,
        ) -> Result<u32, &'static str> {
            let now = || Duration::from_secs(seconds);
            let fetch = || async {
                self.fetches.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                outcome.map(Fetched::from)
            };
            self.cache
                .get(&name("k"), now, fetch)
                .await
                .map(|v| *v)
                .map_err(|e| *e)
        }

        fn fetches(&self) -> usize {
            self.fetches.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn concurrent_misses_make_one_fetch_and_share_its_outcome() {
        for outcome in [Ok(7), Err("gone")] {
            let f = Fixture::new(config(300, 30, 0));
            let all = futures::future::join_all((0..100).map(|_| f.get_at(0, outcome))).await;
            assert!(all.iter().all(|o| *o == outcome));
            assert_eq!(f.fetches(), 1);
        }
    }

    #[tokio::test]
    async fn errors_are_not_remembered() {
        let f = Fixture::new(config(300, 30, 0));
        assert_eq!(f.get_at(0, Err("missing")).await, Err("missing"));
        assert_eq!(f.get_at(0, Ok(1)).await, Ok(1));
        assert_eq!(f.fetches(), 2);
    }

    #[tokio::test]
    async fn entries_end_by_age_and_by_disuse() {
        let f = Fixture::new(config(60, 30, 0));
        f.get_at(0, Ok(1)).await.unwrap();
        assert_eq!(f.get_at(29, Ok(2)).await, Ok(1), "used in time");
        assert_eq!(f.get_at(50, Ok(2)).await, Ok(1), "each use counts");
        assert_eq!(f.get_at(61, Ok(2)).await, Ok(2), "but the age decides");
        assert_eq!(f.get_at(91, Ok(3)).await, Ok(3), "unused too long");
        f.cache.sweep(Duration::from_secs(200));
        assert_eq!(f.cache.len(), 0, "keys leave the memory though nobody asks");
    }

    #[tokio::test]
    async fn zero_means_no_cache_and_no_limit_of_disuse() {
        let f = Fixture::new(config(0, 30, 0));
        f.get_at(0, Ok(1)).await.unwrap();
        assert_eq!(f.get_at(0, Ok(2)).await, Ok(2));
        let f = Fixture::new(config(300, 0, 0));
        f.get_at(0, Ok(1)).await.unwrap();
        assert_eq!(f.get_at(200, Ok(2)).await, Ok(1));
    }

    #[tokio::test]
    async fn while_the_store_is_away_keys_stay_for_the_offline_time() {
        let f = Fixture::new(config(60, 30, 600));
        f.get_at(0, Ok(1)).await.unwrap();
        f.cache.set_offline(true, Duration::from_secs(10));
        assert_eq!(f.get_at(500, Ok(2)).await, Ok(1));
        f.cache.set_offline(true, Duration::from_secs(550));
        assert_eq!(f.get_at(611, Err("away")).await, Err("away"), "not longer");
    }

    #[tokio::test]
    async fn what_may_be_kept_for_a_while_only_ends_then_offline_too() {
        for offline in [false, true] {
            let cache: Cache<u32, ()> = Cache::new(config(300, 300, 600));
            let k = name("k");
            let old = || async {
                Ok(Fetched {
                    value: 1,
                    good_for: Some(Duration::from_secs(10)),
                })
            };
            let at = |s: u64| move || Duration::from_secs(s);
            cache.get(&k, at(0), old).await.unwrap();
            cache.set_offline(offline, Duration::from_secs(1));
            let again = || async { Ok(2.into()) };
            assert_eq!(*cache.get(&k, at(9), again).await.unwrap(), 1);
            assert_eq!(*cache.get(&k, at(10), again).await.unwrap(), 2);
        }
    }

    #[tokio::test]
    async fn what_was_loaded_together_does_not_end_together() {
        let cache: Cache<u32, ()> = Cache::new(config(320, 0, 0));
        for i in 0..16 {
            let fetch = || async { Ok(1.into()) };
            let now = || Duration::ZERO;
            cache
                .get(&name(&format!("k{i}")), now, fetch)
                .await
                .unwrap();
        }
        cache.sweep(Duration::from_secs(280));
        assert_eq!(cache.len(), 16, "an eighth at most is left to chance");
        cache.sweep(Duration::from_secs(300));
        assert!((1..16).contains(&cache.len()), "{}", cache.len());
        cache.sweep(Duration::from_secs(320));
        assert_eq!(cache.len(), 0);
    }

    #[tokio::test]
    async fn a_full_cache_gives_up_what_was_not_used_for_longest() {
        let cache: Cache<u32, ()> = Cache::new(config(300, 0, 0));
        for i in 0..=ENTRIES_MAX {
            let now = || Duration::from_millis(i as u64);
            let fetch = || async { Ok(1.into()) };
            cache
                .get(&name(&format!("k{i}")), now, fetch)
                .await
                .unwrap();
        }
        assert_eq!(cache.len(), ENTRIES_MAX);
        let now = || Duration::from_secs(101);
        let fetch = || async { Ok(2.into()) };
        assert_eq!(*cache.get(&name("k1"), now, fetch).await.unwrap(), 1);
        assert_eq!(*cache.get(&name("k0"), now, fetch).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_deletion_overtakes_a_fetch() {
        let cache: Cache<u32, ()> = Cache::new(config(300, 30, 0));
        let now = || Duration::ZERO;
        let k = name("k");
        let deleted_meanwhile = || async {
            cache.evict(&k);
            Ok(1.into())
        };
        assert_eq!(*cache.get(&k, now, deleted_meanwhile).await.unwrap(), 1);
        assert_eq!(
            cache.len(),
            0,
            "what was read before the deletion is not remembered"
        );
    }

    #[tokio::test]
    async fn a_cancelled_fetch_is_taken_over_by_those_who_wait() {
        let cache: Cache<u32, ()> = Cache::new(config(300, 30, 0));
        let now = || Duration::ZERO;
        let k = name("k");
        let first = cache.get(&k, now, std::future::pending);
        assert!(
            tokio::time::timeout(Duration::from_millis(5), first)
                .await
                .is_err()
        );
        assert_eq!(
            cache.state().flights.len(),
            0,
            "nobody waits, nothing is kept"
        );
        let second = cache.get(&k, now, std::future::pending);
        let third = cache.get(&k, now, || async { Ok(2.into()) });
        let second = tokio::time::timeout(Duration::from_millis(5), second);
        let (second, third) = tokio::join!(second, third);
        assert!(second.is_err());
        assert_eq!(*third.unwrap(), 2);
        assert_eq!(cache.state().flights.len(), 0);
    }
}
