//! The token in use: got once, renewed early by one caller, replaced when the vault refuses it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use strongroom_keystore::StoreError;
use strongroom_keystore::config::SecretText;
use tokio::time::Instant;

use crate::login::Source;
use crate::web::Web;

/// A token is renewed after this part of its life, less up to a tenth at random: servers that started together part.
const RENEW_AT_PERCENT: u32 = 80;
const RENEW_RANDOM_PERCENT: u32 = 10;
/// A renewal that takes longer is given up: the token is still good, and somebody waits for a key.
const RENEW_MAX: Duration = Duration::from_secs(2);
/// After a failed renewal.
const RENEW_PAUSE: Duration = Duration::from_secs(30);

/// A refused login is believed for so long, and a token that the vault refuses is replaced once in that time: otherwise
/// every call would be a login, and Entra ID throttles and locks applications out that keep trying.
const REFUSAL_HOLDS: Duration = Duration::from_secs(5);

/// A token that was good when it was given.
pub(crate) struct Token {
    pub(crate) text: SecretText,
    number: u64,
    expires: Instant,
}

/// Gives tokens of one source for one resource.
pub(crate) struct Tokens {
    source: Source,
    clock: fn() -> SystemTime,
    state: Mutex<State>,
    /// Held by the one who logs in.
    login: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    logins: u64,
    token: Option<Arc<Token>>,
    renew: Option<Instant>,
    failed: Option<Failed>,
    /// When a token was last dropped because the vault refused it.
    dropped: Option<Instant>,
}

/// A login that failed: whoever waited for it meanwhile gets the same answer, and does not try by himself.
struct Failed {
    at: Instant,
    is_unreachable: bool,
    /// The source answered, and said no.
    is_refusal: bool,
    reason: String,
}

impl Failed {
    fn of(error: &StoreError, is_refusal: bool) -> Self {
        let is_unreachable = matches!(error, StoreError::Unreachable { .. });
        let reason = match error {
            StoreError::Unreachable { reason, .. } => reason.clone(),
            error => error.to_string(),
        };
        Self {
            at: Instant::now(),
            is_unreachable,
            is_refusal,
            reason,
        }
    }

    /// Is it the answer for somebody who arrived then?
    fn is_for(&self, arrived: Instant) -> bool {
        self.at >= arrived || (self.is_refusal && self.at.elapsed() < REFUSAL_HOLDS)
    }

    fn again(&self) -> StoreError {
        if self.is_unreachable {
            StoreError::Unreachable {
                reason: self.reason.clone(),
                source: None,
            }
        } else {
            StoreError::other(self.reason.clone())
        }
    }
}

impl Tokens {
    pub(crate) fn new(source: Source, clock: fn() -> SystemTime) -> Self {
        Self {
            source,
            clock,
            state: Mutex::default(),
            login: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and each field stands for itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is good by the clock.
    pub(crate) async fn get(&self, web: &Web, resource: &str) -> Result<Arc<Token>, StoreError> {
        let arrived = Instant::now();
        if let Some((token, is_due)) = self.current(arrived) {
            if is_due {
                return Ok(self.renewed(web, resource, token).await);
            }
            return Ok(token);
        }
        let _login = self.login.lock().await;
        if let Some((token, _)) = self.current(Instant::now()) {
            return Ok(token);
        }
        if let Some(failed) = &self.state().failed
            && failed.is_for(arrived)
        {
            return Err(failed.again());
        }
        self.log_in(web, resource).await
    }

    /// The token, and whether it should be renewed.
    fn current(&self, now: Instant) -> Option<(Arc<Token>, bool)> {
        let state = self.state();
        let token = state.token.clone().filter(|t| now < t.expires)?;
        Some((token, state.renew.is_some_and(|renew| now >= renew)))
    }

    /// One caller renews; the others, and all when that fails, go on with what they have.
    async fn renewed(&self, web: &Web, resource: &str, old: Arc<Token>) -> Arc<Token> {
        let Ok(_login) = self.login.try_lock() else {
            return old;
        };
        let renewal = tokio::time::timeout(RENEW_MAX, self.log_in(web, resource)).await;
        let why = match renewal {
            Ok(Ok(token)) => return token,
            Ok(Err(error)) => error.in_full(),
            Err(_) => format!("{} did not answer in time", self.source.whom()),
        };
        tracing::warn!(
            "the token for Azure Key Vault could not be renewed and is used further: {why}"
        );
        self.state().renew = Some(Instant::now() + RENEW_PAUSE);
        old
    }

    async fn log_in(&self, web: &Web, resource: &str) -> Result<Arc<Token>, StoreError> {
        let mut is_refusal = false;
        let outcome = async {
            let call = self.source.call(resource).await?;
            let answer = web.exchange(&self.source.whom(), &call).await?;
            is_refusal = (400..500).contains(&answer.status);
            self.source.read(&answer, (self.clock)())
        }
        .await;
        let mut state = self.state();
        match outcome {
            Ok(given) => {
                let now = Instant::now();
                state.logins += 1;
                state.failed = None;
                state.renew = Some(now + given.life * renew_at_percent() / 100);
                let token = Arc::new(Token {
                    text: given.text,
                    number: state.logins,
                    expires: now + given.life,
                });
                state.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(error) => {
                state.failed = Some(Failed::of(&error, is_refusal));
                Err(error)
            }
        }
    }

    /// The vault does not take it. Only that one goes: there may be a newer. False where it stays, since it came for another
    /// that the vault did not take just before: then it is not the token.
    pub(crate) fn refuse(&self, token: &Token) -> bool {
        let mut state = self.state();
        if state
            .token
            .as_ref()
            .is_none_or(|t| t.number != token.number)
        {
            return true;
        }
        if state
            .dropped
            .is_some_and(|when| when.elapsed() < REFUSAL_HOLDS)
        {
            return false;
        }
        state.dropped = Some(Instant::now());
        state.token = None;
        true
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
}

fn renew_at_percent() -> u32 {
    let mut random = [0];
    // Without randomness all renew at the same part.
    let _ = getrandom::fill(&mut random);
    RENEW_AT_PERCENT - u32::from(random[0]) % RENEW_RANDOM_PERCENT
}

#[cfg(test)]
mod tests;
