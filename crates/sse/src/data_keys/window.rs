//! Values that live for a bounded time and number of uses, made once however many ask at the same time.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_kms::KmsError;

use crate::config::Clock;

pub(super) struct Window<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
    lifetime: Duration,
    uses_max: u64,
    entries_max: usize,
    clock: Clock,
}

/// One value in the making or in use. Its lock is held over the call that makes the value: that is what
/// makes all who ask wait for one call.
struct Slot<V>(tokio::sync::Mutex<State<V>>);

struct State<V> {
    value: Option<Born<V>>,
    failure: Option<(Duration, KmsError)>,
}

struct Born<V> {
    value: V,
    at: Duration,
    uses: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Window<K, V> {
    pub(super) fn new(lifetime: Duration, uses_max: u64, entries_max: usize, clock: Clock) -> Self {
        Self {
            slots: Mutex::default(),
            lifetime,
            uses_max,
            entries_max,
            clock,
        }
    }

    /// The value of `key` if it is still good, else a new one.
    pub(super) async fn get<F, Made>(&self, key: K, make: F) -> Result<V, KmsError>
    where
        F: FnOnce() -> Made,
        Made: Future<Output = Result<V, KmsError>>,
    {
        let asked = (self.clock)();
        let slot = self.slot(&key, asked);
        let mut state = slot.0.lock().await;
        let now = (self.clock)();
        if let Some(born) = &mut state.value
            && self.is_good(born, now)
        {
            born.uses += 1;
            return Ok(born.value.clone());
        }
        // Whoever waited while the call failed shares its failure: a KMS that is down is not asked once for
        // each request that piled up.
        if let Some((failed, failure)) = &state.failure
            && *failed >= asked
        {
            return Err(repeat(failure));
        }
        state.value = None;
        match make().await {
            Ok(value) => {
                // `now` was taken before the call: the window never grows by its duration.
                state.value = Some(Born {
                    value: value.clone(),
                    at: now,
                    uses: 1,
                });
                state.failure = None;
                Ok(value)
            }
            Err(failure) => {
                state.failure = Some(((self.clock)(), repeat(&failure)));
                drop(state);
                self.forget(&key, &slot);
                Err(failure)
            }
        }
    }

    fn is_good(&self, born: &Born<V>, now: Duration) -> bool {
        now.saturating_sub(born.at) < self.lifetime && born.uses < self.uses_max
    }

    fn slot(&self, key: &K, now: Duration) -> Arc<Slot<V>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            return Arc::clone(slot);
        }
        // What has ended is dropped, and with it zeroed, whenever something new comes.
        slots.retain(|_, slot| self.is_live(slot, now));
        if slots.len() >= self.entries_max
            && let Some(any) = slots.keys().next().cloned()
        {
            slots.remove(&any);
        }
        let slot = Arc::new(Slot(tokio::sync::Mutex::new(State {
            value: None,
            failure: None,
        })));
        slots.insert(key.clone(), Arc::clone(&slot));
        slot
    }

    fn is_live(&self, slot: &Arc<Slot<V>>, now: Duration) -> bool {
        match slot.0.try_lock() {
            Ok(state) => {
                let used = Arc::strong_count(slot) > 1;
                used || state
                    .value
                    .as_ref()
                    .is_some_and(|born| self.is_good(born, now))
            }
            Err(_) => true,
        }
    }

    fn forget(&self, key: &K, slot: &Arc<Slot<V>>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who wait keep the slot and find the failure in it; whoever comes later makes a new one.
        if slots.get(key).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            slots.remove(key);
        }
    }
}

/// The same failure for another caller; the cause was logged with the first.
fn repeat(error: &KmsError) -> KmsError {
    match error {
        KmsError::InvalidKeyName { key, reason } => KmsError::InvalidKeyName {
            key: key.clone(),
            reason: reason.clone(),
        },
        KmsError::KeyNotFound { key } => KmsError::KeyNotFound { key: key.clone() },
        KmsError::KeyExists { key } => KmsError::KeyExists { key: key.clone() },
        KmsError::Denied { key } => KmsError::Denied { key: key.clone() },
        KmsError::Disabled { key } => KmsError::Disabled { key: key.clone() },
        KmsError::InvalidCiphertext { key } => KmsError::InvalidCiphertext { key: key.clone() },
        KmsError::Refused { key, message } => KmsError::Refused {
            key: key.clone(),
            message: message.clone(),
        },
        KmsError::Unavailable { key, message, .. } => KmsError::Unavailable {
            key: key.clone(),
            message: message.clone(),
            source: None,
        },
        KmsError::NotSupported { what } => KmsError::NotSupported { what },
    }
}

#[cfg(test)]
mod tests;
