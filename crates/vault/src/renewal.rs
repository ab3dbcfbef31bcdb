//! Keeps a token alive in the background.
//!
//! As upstream KES does it: at 80 % of its life a token is renewed, with a few tries; where that fails, and for tokens
//! that live too briefly or cannot be renewed, a new one is got while the old one still works. Nothing is tried while
//! Vault is sealed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::keeper::{Authority, Inner, Live, fraction, pause_after};

/// Which part of its life a token is used before it is renewed …
const RENEW_AT: f64 = 0.8;
/// … less up to this part: servers that started together should not come together for ever.
const SPREAD: f64 = 0.1;
/// A token of a shorter life is not worth renewing: its role's maximum is near, or it is meant to be brief.
const RENEWABLE_MIN: Duration = Duration::from_secs(30);
/// Nor is a new one got more often than this in the background, however brief the lives are.
const REPLACED_EVERY_MIN: Duration = Duration::from_secs(3);
/// Tries before a new login.
const RENEWALS_MAX: u32 = 3;
/// Replicas of a cluster learn of a new token with delay: the old one serves on for so long at most.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// What is to be done for a token, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) by_renewal: bool,
}

/// When a token of this life needs care. One without an end needs none.
pub(crate) fn due(since: Instant, ttl: Duration, is_renewable: bool, fraction: f64) -> Option<Due> {
    if ttl.is_zero() {
        return None;
    }
    let after = ttl.mul_f64(RENEW_AT - SPREAD * fraction);
    let at = since.checked_add(after.max(REPLACED_EVERY_MIN))?;
    let by_renewal = is_renewable && ttl >= RENEWABLE_MIN;
    Some(Due { at, by_renewal })
}

/// Runs until the session ends.
pub(crate) async fn keep<A: Authority>(
    session: Weak<Inner<A>>,
    mut changes: watch::Receiver<Option<Arc<Live>>>,
) {
    loop {
        let live = changes.borrow_and_update().clone();
        if let Some(live) = live
            && let Some(due) = live.due
        {
            tokio::select! {
                () = sleep_until(due.at) => {}
                changed = changes.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
            let Some(inner) = session.upgrade() else {
                return;
            };
            extend(&inner, &live, due).await;
        }
        // What `extend` did is a change; where it gave up, the next login by a caller is.
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn extend<A: Authority>(inner: &Inner<A>, live: &Live, due: Due) {
    while !inner.authority.is_open().await {
        sleep(inner.ping).await;
        if inner.has_moved_on(live) {
            return;
        }
    }
    if due.by_renewal && !live.is_expired() && is_renewed(inner, live).await {
        return;
    }
    if let Some(next) = logged_in_again(inner, live).await {
        let left = live
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        sleep((left.unwrap_or_default() / 2).min(SETTLE_MAX)).await;
        inner.succeed(live, next);
    }
}

async fn is_renewed<A: Authority>(inner: &Inner<A>, live: &Live) -> bool {
    for attempt in 1..=RENEWALS_MAX {
        match inner.authority.renew(&live.token).await {
            // No life is left to grant: for ever is what a login may say, but not of a token that had an end.
            Ok(grant) if grant.ttl.is_zero() => {
                tracing::warn!("the Vault token cannot be renewed beyond its end");
                return false;
            }
            Ok(grant) => {
                inner.renewed(live, grant);
                return true;
            }
            Err(error) => {
                tracing::warn!(%error, attempt, "the Vault token cannot be renewed");
                if error.is_refusal() {
                    return false;
                }
            }
        }
        sleep(pause_after(attempt, false, fraction())).await;
    }
    false
}

/// Tries until the old token has expired: after that a caller is needed, who also hears what is wrong.
async fn logged_in_again<A: Authority>(inner: &Inner<A>, live: &Live) -> Option<Arc<Live>> {
    loop {
        let retry_at = {
            let mut gate = inner.gate.lock().await;
            if inner.has_moved_on(live) {
                return None;
            }
            match inner.log_in(&mut gate, false).await {
                Ok(next) => return Some(next),
                Err(error) => {
                    tracing::warn!(%error, "no new Vault token can be got");
                    gate.failed.as_ref().map(|(until, _)| *until)
                }
            }
        };
        if live.is_expired() {
            return None;
        }
        sleep_until(retry_at.unwrap_or_else(Instant::now)).await;
    }
}
