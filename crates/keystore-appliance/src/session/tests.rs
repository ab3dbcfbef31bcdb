//! Sessions with an issuer that does as it is told, on a clock that stands until all wait.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::join_all;
use zeroize::Zeroizing;

use super::{Grant, Issuer, Session, Token};
use crate::failure::{Failure, Refusal};

#[derive(Debug, Default)]
struct Counting {
    logins: AtomicU32,
    renewals: AtomicU32,
    is_broken: AtomicBool,
    refuses: AtomicBool,
    hangs: AtomicBool,
}

const LIFE: Duration = Duration::from_secs(100);

impl Counting {
    fn grant(&self) -> Result<Grant, Failure> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Failure::Refused(Refusal::new(401, None, None)));
        }
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(Failure::TooSlow(1));
        }
        Ok(Grant {
            token: Token::new(Zeroizing::new("t".to_owned())),
            life: Some(LIFE),
        })
    }

    fn counts(&self) -> (u32, u32) {
        (
            self.logins.load(Ordering::Relaxed),
            self.renewals.load(Ordering::Relaxed),
        )
    }
}

impl Issuer for Counting {
    async fn login(&self) -> Result<Grant, Failure> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.logins.fetch_add(1, Ordering::Relaxed);
        self.grant()
    }

    async fn renew(&self, _: &Token) -> Result<Grant, Failure> {
        self.renewals.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.grant()
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_together_share_one_login() {
    let session = Session::new(Counting::default());
    let tokens = join_all((0..200).map(|_| session.token())).await;
    assert!(tokens.iter().all(Result::is_ok));
    assert_eq!(session.issuer().counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_together_share_one_failure() {
    let session = Session::new(Counting::default());
    session.issuer().is_broken.store(true, Ordering::Relaxed);
    let tokens = join_all((0..200).map(|_| session.token())).await;
    assert!(tokens.iter().all(|t| matches!(t, Err(Failure::Login(_)))));
    assert_eq!(session.issuer().counts(), (1, 0));
    // The next one tries again.
    session.issuer().is_broken.store(false, Ordering::Relaxed);
    assert!(session.token().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_believed_for_a_while() {
    let session = Session::new(Counting::default());
    session.issuer().refuses.store(true, Ordering::Relaxed);
    for _ in 0..50 {
        assert!(session.token().await.is_err());
    }
    assert_eq!(session.issuer().counts(), (1, 0));
    tokio::time::sleep(super::REFUSAL_HOLDS).await;
    assert!(session.token().await.is_err());
    assert_eq!(session.issuer().counts(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_login_to_the_next() {
    let session = Session::new(Counting::default());
    let hasty = tokio::time::timeout(Duration::from_millis(10), session.token());
    assert!(hasty.await.is_err());
    assert!(session.token().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_at_half_its_life_again_and_again() {
    let session = Session::new(Counting::default());
    session.token().await.unwrap();
    tokio::time::sleep(LIFE.mul_f64(0.44)).await;
    assert_eq!(session.issuer().counts(), (1, 0), "not before");
    tokio::time::sleep(LIFE.mul_f64(0.07)).await;
    assert_eq!(session.issuer().counts(), (1, 1), "by half of the life");
    tokio::time::sleep(LIFE * 10).await;
    let (logins, renewals) = session.issuer().counts();
    assert_eq!(logins, 1);
    assert!((20..=24).contains(&renewals), "{renewals}");
}

#[tokio::test(start_paused = true)]
async fn the_timer_outlives_any_number_of_failures() {
    let session = Session::new(Counting::default());
    session.token().await.unwrap();
    session.issuer().is_broken.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let (logins, _) = session.issuer().counts();
    // Each minute, at most.
    assert!((40..=80).contains(&logins), "{logins}");
    session.issuer().is_broken.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(70)).await;
    let before = session.issuer().counts();
    tokio::time::sleep(LIFE).await;
    let after = session.issuer().counts();
    assert_eq!(after.0, before.0, "no further login is needed");
    assert!(after.1 > before.1, "renewals go on");
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_session() {
    let session = Session::new(Counting::default());
    session.token().await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&session), 1, "the task holds none");
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 1);
    let gone = Arc::downgrade(&session);
    drop(session);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(Weak::upgrade(&gone).is_none());
    assert_eq!(metrics.num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_is_replaced_once_for_all_its_users() {
    let session = Session::new(Counting::default());
    let dead = session.token().await.unwrap();
    let replaced = join_all((0..200).map(|_| session.replace(&dead))).await;
    let first = replaced[0].as_ref().unwrap().as_ref().unwrap();
    assert!(!Arc::ptr_eq(first, &dead));
    for token in &replaced {
        assert!(Arc::ptr_eq(
            token.as_ref().unwrap().as_ref().unwrap(),
            first
        ));
    }
    assert_eq!(session.issuer().counts(), (2, 0));
    // A right that is missing is still missing with the next token.
    let forbidden = session.replace(first).await.unwrap();
    assert!(forbidden.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_appliance_that_refuses_every_token_costs_no_login_a_call() {
    let session = Session::new(Counting::default());
    let calls = AtomicU32::new(0);
    let refused = |_| async {
        calls.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(Failure::Refused(Refusal::new(401, None, None)))
    };
    for _ in 0..100 {
        let failure = session.with_token(refused).await.unwrap_err();
        assert_eq!(failure.unauthorized(), Some(401), "{failure}");
    }
    assert_eq!(session.issuer().counts().0, 2);
    assert_eq!(calls.load(Ordering::Relaxed), 101);
    tokio::time::sleep(super::REFUSAL_HOLDS).await;
    assert!(session.with_token(refused).await.is_err());
    assert_eq!(session.issuer().counts().0, 3, "it may be the token again");
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_session_amid_a_renewal_that_hangs() {
    let session = Session::new(Counting::default());
    session.token().await.unwrap();
    session.issuer().hangs.store(true, Ordering::Relaxed);
    tokio::time::sleep(LIFE).await;
    assert_eq!(session.issuer().counts(), (1, 1), "it is under way");
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 1);
    drop(session);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(metrics.num_alive_tasks(), 0);
}
