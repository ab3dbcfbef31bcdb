//! The one token of a session: got once for all who wait, replaced once when it dies.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::error::VaultError;
use crate::login::Grant;
use crate::renewal::{self, Due};
use crate::secret::Secret;

/// Longest login. Well below what a caller waits, so that the outcome reaches all who wait for it.
pub(crate) const LOGIN_MAX: Duration = Duration::from_secs(5);
/// After a failed login its error is the answer for at least so long: however many ask, Vault sees one login a second.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// While Vault is away the pause stays short, so that its return is noticed.
const AWAY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Refused credentials do not get better soon, and Vault locks users out who keep trying.
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A token that was got because the one before it was denied is not thrown away for another denial so soon: then it is
/// the policy. (Only needed where tokens may not look themselves up, so that dead and denied look alike.)
const REPLACEMENT_PAUSE: Duration = Duration::from_secs(10);

/// Where tokens come from, and who judges them.
pub(crate) trait Authority: fmt::Debug + Send + Sync + 'static {
    fn log_in(&self) -> impl Future<Output = Result<Grant, VaultError>> + Send;
    fn renew(&self, token: &Secret) -> impl Future<Output = Result<Grant, VaultError>> + Send;
    fn is_alive(&self, token: &Secret) -> impl Future<Output = Result<bool, VaultError>> + Send;
    /// Unsealed and reachable?
    fn is_open(&self) -> impl Future<Output = bool> + Send;
}

/// A token and what is known of its life.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) token: Secret,
    /// Counts logins; a renewal keeps it.
    pub(crate) generation: u64,
    since: Instant,
    /// None: it lives for ever.
    pub(crate) until: Option<Instant>,
    pub(crate) due: Option<Due>,
    is_replacement: bool,
}

impl Live {
    fn new(grant: Grant, generation: u64, is_replacement: bool) -> Self {
        let since = Instant::now();
        Self {
            // A time that the clock cannot hold is for ever.
            until: Some(grant.ttl)
                .filter(|ttl| !ttl.is_zero())
                .and_then(|ttl| since.checked_add(ttl)),
            due: renewal::due(since, grant.ttl, grant.is_renewable, fraction()),
            token: grant.token,
            generation,
            since,
            is_replacement,
        }
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Holds the token.
pub(crate) struct Keeper<A: Authority> {
    inner: Arc<Inner<A>>,
    renewal: OnceLock<AbortHandle>,
}

impl<A: Authority> fmt::Debug for Keeper<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("authority", &self.inner.authority)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Inner<A> {
    pub(crate) authority: A,
    pub(crate) ping: Duration,
    current: watch::Sender<Option<Arc<Live>>>,
    /// Held by whoever logs in; the others wait for what comes of it.
    pub(crate) gate: Mutex<Gate>,
}

#[derive(Default)]
pub(crate) struct Gate {
    logins: u64,
    failures: u32,
    /// The last failure, and until when it is the answer.
    pub(crate) failed: Option<(Instant, VaultError)>,
    /// Which token was last seen alive, and when.
    proven: Option<(u64, Instant)>,
    /// Was any token ever able to look itself up? Then one that is not has died.
    can_prove: bool,
}

impl<A: Authority> Keeper<A> {
    pub(crate) fn new(authority: A, ping: Duration) -> Self {
        let inner = Inner {
            authority,
            ping,
            current: watch::Sender::new(None),
            gate: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
            renewal: OnceLock::new(),
        }
    }

    /// The token; where there is none yet or it has expired, the one of a login that all who wait share.
    pub(crate) async fn token(&self) -> Result<Arc<Live>, VaultError> {
        if let Some(live) = self.inner.usable() {
            return Ok(live);
        }
        self.renewal.get_or_init(|| {
            let changes = self.inner.current.subscribe();
            let weak = Arc::downgrade(&self.inner);
            tokio::spawn(renewal::keep(weak, changes)).abort_handle()
        });
        let inner = Arc::clone(&self.inner);
        detached(async move { inner.token().await }).await
    }

    /// A token was denied something in an answer to what was `asked` then. If it has died since, the next one, else none.
    pub(crate) async fn replaced(
        &self,
        denied: Arc<Live>,
        asked: Instant,
    ) -> Result<Option<Arc<Live>>, VaultError> {
        let inner = Arc::clone(&self.inner);
        detached(async move { inner.replaced(&denied, asked).await }).await
    }
}

impl<A: Authority> Drop for Keeper<A> {
    fn drop(&mut self) {
        if let Some(renewal) = self.renewal.get() {
            renewal.abort();
        }
    }
}

/// In a task of its own: a caller that gives up must not cancel the login that others wait for.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, VaultError>> + Send + 'static,
) -> Result<T, VaultError> {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        Err(VaultError::Unreachable(
            "the login at Vault was ended with the server".to_owned(),
        ))
    })
}

impl<A: Authority> Inner<A> {
    fn usable(&self) -> Option<Arc<Live>> {
        let live = self.current.borrow().clone()?;
        (!live.is_expired()).then_some(live)
    }

    async fn token(&self) -> Result<Arc<Live>, VaultError> {
        let mut gate = self.gate.lock().await;
        match self.usable() {
            Some(live) => Ok(live),
            None => {
                let live = self.log_in(&mut gate, false).await?;
                self.current.send_replace(Some(Arc::clone(&live)));
                Ok(live)
            }
        }
    }

    async fn replaced(
        &self,
        denied: &Live,
        asked: Instant,
    ) -> Result<Option<Arc<Live>>, VaultError> {
        let mut gate = self.gate.lock().await;
        if let Some(live) = self.usable()
            && live.generation != denied.generation
        {
            return Ok(Some(live));
        }
        let generation = denied.generation;
        if gate
            .proven
            .is_some_and(|(g, at)| g == generation && at >= asked)
        {
            return Ok(None);
        }
        let before = Instant::now();
        if self.authority.is_alive(&denied.token).await? {
            gate.proven = Some((generation, before));
            gate.can_prove = true;
            return Ok(None);
        }
        let is_fresh = denied.is_replacement && denied.since.elapsed() < REPLACEMENT_PAUSE;
        if is_fresh && !gate.can_prove {
            return Ok(None);
        }
        tracing::info!("the Vault token is no longer accepted: logging in again");
        let live = self.log_in(&mut gate, true).await?;
        if !gate.can_prove {
            // Known from now on, so that the next death is told from a denial at once.
            gate.can_prove = self.authority.is_alive(&live.token).await == Ok(true);
        }
        self.current.send_replace(Some(Arc::clone(&live)));
        Ok(Some(live))
    }

    /// One login, or the failure of the last one where that is too recent. The token is not in use yet.
    pub(crate) async fn log_in(
        &self,
        gate: &mut Gate,
        is_replacement: bool,
    ) -> Result<Arc<Live>, VaultError> {
        if let Some((until, error)) = &gate.failed
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let outcome = timeout(LOGIN_MAX, self.authority.log_in()).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(VaultError::Unreachable(format!(
                "Vault does not answer a login within {} s",
                LOGIN_MAX.as_secs()
            )))
        });
        match outcome {
            Ok(grant) => {
                gate.failures = 0;
                gate.failed = None;
                gate.logins += 1;
                Ok(Arc::new(Live::new(grant, gate.logins, is_replacement)))
            }
            Err(error) => {
                gate.failures = gate.failures.saturating_add(1);
                let pause = pause_after(gate.failures, error.is_refusal(), fraction());
                gate.failed = Some((Instant::now() + pause, error.clone()));
                Err(error)
            }
        }
    }

    /// Has another token taken the place of this one?
    pub(crate) fn has_moved_on(&self, live: &Live) -> bool {
        let current = self.current.borrow();
        current
            .as_ref()
            .is_none_or(|current| current.generation != live.generation)
    }

    /// The same token, living longer.
    pub(crate) fn renewed(&self, live: &Live, grant: Grant) {
        let mut next = Live::new(grant, live.generation, live.is_replacement);
        next.token = live.token.clone();
        self.succeed(live, Arc::new(next));
    }

    /// Puts a token into the place of another, unless that has left it.
    pub(crate) fn succeed(&self, live: &Live, next: Arc<Live>) {
        self.current.send_if_modified(|current| {
            let is_current = current
                .as_ref()
                .is_some_and(|current| current.generation == live.generation);
            if is_current {
                *current = Some(next);
            }
            is_current
        });
    }
}

/// How long to wait after so many failures in a row; `fraction` spreads servers that failed at the same moment.
pub(crate) fn pause_after(failures: u32, is_refusal: bool, fraction: f64) -> Duration {
    let max = if is_refusal {
        REFUSED_PAUSE_MAX
    } else {
        AWAY_PAUSE_MAX
    };
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    PAUSE_MIN
        .saturating_mul(doubled.max(1))
        .min(max)
        .mul_f64(1.0 + fraction / 2.0)
}

/// A random number from 0 to 1. It spreads load and needs no quality: without an entropy source the middle will do.
pub(crate) fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
