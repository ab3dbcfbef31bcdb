//! What may be sent again, and what must be looked at first.
//!
//! A read may be repeated at will. A create or delete whose answer was lost may have been carried out: repeating it
//! blindly would turn our own success into "exists already" or "does not exist".

use std::time::Duration;

use strongroom_kes_api::KeyName;
use strongroom_keystore::StoredValue;

use crate::failure::Failure;
use crate::rest::Limits;
use crate::store::Vendor;

/// As many as upstream KES makes.
pub(crate) const ATTEMPTS_MAX: u32 = 3;

/// Waits between two attempts.
pub(crate) async fn pause(limits: &Limits) {
    tokio::time::sleep(limits.wait + at_random(limits.spread)).await;
}

/// Anything from nothing to all of `most`. Without randomness, half: it spreads load and guards nothing.
pub(crate) fn at_random(most: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or(u32::MAX / 2);
    most.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// Calls until it works, the failure is no passing one, or it has failed often enough.
pub(crate) async fn repeated<T, F: Future<Output = Result<T, Failure>>>(
    limits: &Limits,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Failure> {
    let mut made = 1;
    loop {
        match attempt().await {
            Err(failure) if failure.is_passing() && made < ATTEMPTS_MAX => {
                tracing::debug!(%failure, attempt = made, "call of the key store is repeated");
                made += 1;
                pause(limits).await;
            }
            end => return end,
        }
    }
}

/// Stores a value. After an answer that never came, the appliance is asked what it holds: our value there is our
/// success.
pub(crate) async fn create<V: Vendor>(
    vendor: &V,
    name: &KeyName,
    value: &StoredValue,
) -> Result<(), Failure> {
    let limits = &vendor.rest().limits;
    let mut is_doubtful = false;
    let mut made = 1;
    loop {
        let failure = match vendor.store(name, value).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        let is_taken = matches!(failure, Failure::Exists);
        if is_taken && !is_doubtful {
            return Err(failure);
        }
        if !is_taken && !failure.is_ambiguous() && !failure.is_passing() {
            return Err(failure);
        }
        is_doubtful |= failure.is_ambiguous();
        if is_doubtful {
            if !is_taken {
                pause(limits).await;
            }
            match repeated(limits, || vendor.load(name)).await {
                Ok(stored) if stored.expose() == value.expose() => return Ok(()),
                Ok(_) => return Err(Failure::Exists),
                Err(Failure::NotFound) => {}
                // Whether it was stored cannot be learnt: the first failure tells more than this one.
                Err(_) => return Err(failure),
            }
        } else {
            pause(limits).await;
        }
        if made == ATTEMPTS_MAX {
            return Err(failure);
        }
        made += 1;
    }
}

/// Removes a value. A name that is gone after an answer that never came is what we wanted.
pub(crate) async fn remove<V: Vendor>(vendor: &V, name: &KeyName) -> Result<(), Failure> {
    let limits = &vendor.rest().limits;
    let mut is_doubtful = false;
    let mut made = 1;
    loop {
        match vendor.remove(name).await {
            Err(Failure::NotFound) if is_doubtful => return Ok(()),
            Err(failure) if failure.is_passing() && made < ATTEMPTS_MAX => {
                is_doubtful |= failure.is_ambiguous();
                made += 1;
                pause(limits).await;
            }
            end => return end,
        }
    }
}
