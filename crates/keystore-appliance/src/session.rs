//! A token: got when first needed, kept alive, replaced when the appliance no longer knows it.
//!
//! However many callers need a token at once, one login is under way, and all get its end, good or bad. A task
//! renews the token at half its life. It cannot die of failures: after each it logs in again, later and later, until
//! the store is gone.

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::retry::at_random;

/// For tokens that do not say how long they live: as upstream KES does.
const RENEWAL_OF_UNKNOWN: Duration = Duration::from_secs(5 * 60);
/// Servers that started together do not renew together: half life, less up to a tenth of it.
const JITTER: f64 = 0.1;
/// A token that lives for seconds is still not renewed without end.
const RENEWAL_MIN: Duration = Duration::from_secs(1);
/// First wait after a failed renewal.
const BACKOFF_MIN: Duration = Duration::from_secs(5);
/// Waits double up to this: an appliance that is back is found within a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A refusal of our credentials is believed for so long, and a refused token replaced once in that time. Without that every
/// call would be a login, and an appliance that counts those locks the account.
const REFUSAL_HOLDS: Duration = Duration::from_secs(5);

/// A token, wiped on drop, never shown.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// Takes a token over.
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The token itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What a login gives.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The token.
    pub token: Token,
    /// How long it lives, where that is known.
    pub life: Option<Duration>,
}

/// Who gives tokens.
pub(crate) trait Issuer: fmt::Debug + Send + Sync + 'static {
    /// Logs in with the configured credentials.
    fn login(&self) -> impl Future<Output = Result<Grant, Failure>> + Send;

    /// Lengthens the life of a token, or gives another for it.
    fn renew(&self, token: &Token) -> impl Future<Output = Result<Grant, Failure>> + Send;
}

/// Keeps a token. Dropping it ends its task, also amid a login.
#[derive(Debug)]
pub(crate) struct Session<I> {
    shared: Arc<Shared<I>>,
}

/// What the task has too while it renews. Only there: it holds a weak reference otherwise.
#[derive(Debug)]
struct Shared<I> {
    issuer: I,
    /// Held while a login is under way.
    login: Mutex<()>,
    state: StdMutex<State>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Arc<Token>>,
    renewal: Option<Instant>,
    /// Logins that ended, well or not.
    ended: u64,
    /// How the last one failed, and when.
    failed: Option<(Failure, Instant)>,
    /// When a refused token was last replaced.
    replaced: Option<Instant>,
    keeper: Option<AbortHandle>,
}

impl<I: Issuer> Session<I> {
    pub(crate) fn new(issuer: I) -> Arc<Self> {
        let shared = Arc::new(Shared {
            issuer,
            login: Mutex::new(()),
            state: StdMutex::default(),
            changed: Arc::default(),
        });
        Arc::new(Self { shared })
    }

    #[cfg(test)]
    pub(crate) fn issuer(&self) -> &I {
        &self.shared.issuer
    }

    /// The token; logs in where there is none.
    pub(crate) async fn token(&self) -> Result<Arc<Token>, Failure> {
        self.shared.token().await
    }

    /// Another token for one that was refused; none where another would fare no better.
    pub(crate) async fn replace(&self, dead: &Arc<Token>) -> Result<Option<Arc<Token>>, Failure> {
        self.shared.replace(dead).await
    }

    /// Makes a call with the token, and once more with another where the appliance does not know it any longer.
    pub(crate) async fn with_token<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        call: impl Fn(Arc<Token>) -> F,
    ) -> Result<T, Failure> {
        let token = self.token().await?;
        let failure = match call(Arc::clone(&token)).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if failure.unauthorized().is_none() {
            return Err(failure);
        }
        match self.replace(&token).await? {
            Some(token) => call(token).await,
            None => Err(failure),
        }
    }

    /// Logs in whether or not there is a token: proves that the credentials are good now.
    pub(crate) async fn log_in_anew(&self) -> Result<(), Failure> {
        self.shared.log_in_anew().await
    }
}

impl<I> Drop for Session<I> {
    fn drop(&mut self) {
        let state = self.shared.state.lock();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = &state.keeper {
            keeper.abort();
        }
    }
}

impl<I: Issuer> Shared<I> {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it, and each change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(self: &Arc<Self>) -> Result<Arc<Token>, Failure> {
        let seen = {
            let state = self.state();
            if let Some(token) = &state.token {
                return Ok(Arc::clone(token));
            }
            state.ended
        };
        self.log_in(seen, |_| false).await
    }

    async fn replace(self: &Arc<Self>, dead: &Arc<Token>) -> Result<Option<Arc<Token>>, Failure> {
        let seen = {
            let state = self.state();
            match &state.token {
                Some(token) if !Arc::ptr_eq(token, dead) => return Ok(Some(Arc::clone(token))),
                _ => {}
            }
            // A missing right is told by 403 too, by some even by 401, and a new token changes nothing of that.
            if state
                .replaced
                .is_some_and(|when| when.elapsed() < REFUSAL_HOLDS)
            {
                return Ok(None);
            }
            state.ended
        };
        self.log_in(seen, |token| Arc::ptr_eq(token, dead))
            .await
            .map(Some)
    }

    async fn log_in_anew(self: &Arc<Self>) -> Result<(), Failure> {
        let _turn = self.login.lock().await;
        let grant = self.issuer.login().await;
        let grant = grant.map_err(|failure| Failure::Login(Box::new(failure)))?;
        self.keep(grant, false);
        Ok(())
    }

    /// Logs in, or shares the end of a login that ended since `seen` logins had.
    async fn log_in(
        self: &Arc<Self>,
        seen: u64,
        is_dead: impl Fn(&Arc<Token>) -> bool,
    ) -> Result<Arc<Token>, Failure> {
        let _turn = self.login.lock().await;
        {
            let state = self.state();
            if let Some(token) = state.token.as_ref().filter(|token| !is_dead(token)) {
                return Ok(Arc::clone(token));
            }
            if let Some((failure, when)) = &state.failed {
                let is_refusal = failure.unauthorized().is_some();
                let is_shared = state.ended > seen;
                if is_shared || (is_refusal && when.elapsed() < REFUSAL_HOLDS) {
                    return Err(Failure::Login(Box::new(failure.clone())));
                }
            }
        }
        let is_replacing = self.state().token.is_some();
        match self.issuer.login().await {
            Ok(grant) => Ok(self.keep(grant, is_replacing)),
            Err(failure) => {
                let mut state = self.state();
                state.ended += 1;
                state.failed = Some((failure.clone(), Instant::now()));
                Err(Failure::Login(Box::new(failure)))
            }
        }
    }

    /// Takes a token into use.
    fn keep(self: &Arc<Self>, grant: Grant, is_replacing: bool) -> Arc<Token> {
        let token = Arc::new(grant.token);
        let mut state = self.state();
        state.token = Some(Arc::clone(&token));
        state.renewal = Some(Instant::now() + renewal_after(grant.life));
        state.ended += 1;
        state.failed = None;
        if is_replacing {
            state.replaced = Some(Instant::now());
        }
        if state.keeper.is_none() {
            let changed = Arc::clone(&self.changed);
            let task = tokio::spawn(keep_alive(Arc::downgrade(self), changed));
            state.keeper = Some(task.abort_handle());
        }
        drop(state);
        self.changed.notify_one();
        token
    }

    /// Renews what is in use, or logs in.
    async fn refresh(self: &Arc<Self>) -> Result<(), Failure> {
        let _turn = self.login.lock().await;
        let (token, is_due) = {
            let state = self.state();
            let is_due = state.renewal.is_none_or(|at| at <= Instant::now());
            (state.token.clone(), is_due)
        };
        if !is_due {
            // Somebody replaced it while we waited for our turn.
            return Ok(());
        }
        if let Some(token) = token {
            match self.issuer.renew(&token).await {
                Ok(grant) => {
                    self.keep(grant, false);
                    return Ok(());
                }
                Err(failure) => {
                    tracing::debug!(%failure, "token of the key store is not renewed; logging in again");
                }
            }
        }
        let grant = self.issuer.login().await?;
        self.keep(grant, false);
        Ok(())
    }
}

/// Half of the life, a little less at random.
fn renewal_after(life: Option<Duration>) -> Duration {
    let half = match life {
        Some(life) if !life.is_zero() => life / 2,
        _ => RENEWAL_OF_UNKNOWN,
    };
    half.saturating_sub(at_random(half.mul_f64(JITTER)))
        .max(RENEWAL_MIN)
}

/// Renews the token whenever it is due, as long as somebody holds the session.
async fn keep_alive<I: Issuer>(session: Weak<Shared<I>>, changed: Arc<Notify>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let Some(due) = session.upgrade().map(|session| session.state().renewal) else {
            return;
        };
        let due = due.unwrap_or_else(|| Instant::now() + RENEWAL_OF_UNKNOWN);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = changed.notified() => continue,
        }
        let Some(session) = session.upgrade() else {
            return;
        };
        match session.refresh().await {
            Ok(()) => backoff = BACKOFF_MIN,
            Err(failure) => {
                let wait = backoff + at_random(backoff.mul_f64(JITTER));
                tracing::warn!(
                    %failure,
                    wait_s = wait.as_secs(),
                    "login to the key store failed; it is tried again"
                );
                session.state().renewal = Some(Instant::now() + wait);
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests;
