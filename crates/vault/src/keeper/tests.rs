//! Tokens against an authority that counts, on a clock that tests turn.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex as StdMutex};

use super::*;

/// Vault as far as tokens go. Tokens are numbered; those up to `dead` have died.
#[derive(Debug, Default)]
struct World {
    logins: AtomicU64,
    renewals: AtomicU64,
    lookups: AtomicU64,
    dead: AtomicU64,
    is_sealed: AtomicBool,
    may_not_look_up: AtomicBool,
    is_not_renewable: AtomicBool,
    ttl: AtomicU64,
    renewals_grant_nothing: AtomicBool,
    login_fails: StdMutex<Option<VaultError>>,
    renewal_fails: StdMutex<Option<VaultError>>,
    login_hangs: AtomicBool,
}

#[derive(Debug, Clone)]
struct Fake(Arc<World>);

impl Fake {
    fn grant(&self, number: u64) -> Grant {
        Grant {
            token: Secret::new(number.to_string()),
            ttl: Duration::from_secs(self.0.ttl.load(SeqCst)),
            is_renewable: !self.0.is_not_renewable.load(SeqCst),
        }
    }
}

impl Authority for Fake {
    async fn log_in(&self) -> Result<Grant, VaultError> {
        let number = self.0.logins.fetch_add(1, SeqCst) + 1;
        if self.0.login_hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        match self.0.login_fails.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(self.grant(number)),
        }
    }

    async fn renew(&self, token: &Secret) -> Result<Grant, VaultError> {
        self.0.renewals.fetch_add(1, SeqCst);
        match self.0.renewal_fails.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => {
                let mut grant = self.grant(token.expose().parse().unwrap());
                if self.0.renewals_grant_nothing.load(SeqCst) {
                    grant.ttl = Duration::ZERO;
                }
                Ok(grant)
            }
        }
    }

    async fn is_alive(&self, token: &Secret) -> Result<bool, VaultError> {
        self.0.lookups.fetch_add(1, SeqCst);
        let number: u64 = token.expose().parse().unwrap();
        Ok(number > self.0.dead.load(SeqCst) && !self.0.may_not_look_up.load(SeqCst))
    }

    async fn is_open(&self) -> bool {
        !self.0.is_sealed.load(SeqCst)
    }
}

fn keeper(ttl: u64) -> (Arc<Keeper<Fake>>, Arc<World>) {
    let world = Arc::new(World::default());
    world.ttl.store(ttl, SeqCst);
    let keeper = Keeper::new(Fake(Arc::clone(&world)), Duration::from_secs(10));
    (Arc::new(keeper), world)
}

fn refusal() -> VaultError {
    VaultError::LoginRefused {
        how: "by AppRole".to_owned(),
        status: 400,
        said: crate::error::Said::default(),
    }
}

fn away() -> VaultError {
    VaultError::Unreachable("away".to_owned())
}

async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    many: usize,
    make: impl Fn() -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..many).map(|_| tokio::spawn(make())).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn all_who_need_the_first_token_share_one_login() {
    let (keeper, world) = keeper(3600);
    let tokens = all(200, || {
        let keeper = Arc::clone(&keeper);
        async move { keeper.token().await.unwrap().token.expose().to_owned() }
    })
    .await;
    assert!(tokens.iter().all(|token| token == "1"));
    assert_eq!(world.logins.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_take_the_login_along() {
    let (keeper, world) = keeper(3600);
    let impatient = timeout(Duration::from_millis(10), keeper.token()).await;
    assert!(impatient.is_err());
    assert!(keeper.token().await.is_ok());
    assert_eq!(world.logins.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_login_is_answered_from_memory_with_growing_pauses() {
    let (keeper, world) = keeper(3600);
    *world.login_fails.lock().unwrap() = Some(refusal());
    for _ in 0..3 {
        let outcomes = all(200, || {
            let keeper = Arc::clone(&keeper);
            async move { keeper.token().await.err() }
        })
        .await;
        assert!(outcomes.iter().all(|error| *error == Some(refusal())));
    }
    assert_eq!(world.logins.load(SeqCst), 1);
    for _ in 0..600 {
        pass(1).await;
        assert!(keeper.token().await.is_err());
    }
    let logins = world.logins.load(SeqCst);
    assert!((10..40).contains(&logins), "{logins} logins in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn the_return_of_vault_is_noticed_within_seconds() {
    let (keeper, world) = keeper(3600);
    *world.login_fails.lock().unwrap() = Some(away());
    for _ in 0..20 {
        assert!(keeper.token().await.is_err());
        pass(3).await;
    }
    *world.login_fails.lock().unwrap() = None;
    pass(4).await;
    assert!(keeper.token().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_hangs_fails_for_all_who_wait_and_once() {
    let (keeper, world) = keeper(3600);
    world.login_hangs.store(true, SeqCst);
    let started = Instant::now();
    let outcomes = all(50, || {
        let keeper = Arc::clone(&keeper);
        async move { keeper.token().await.err() }
    })
    .await;
    assert!(outcomes.iter().all(Option::is_some));
    assert_eq!(world.logins.load(SeqCst), 1);
    assert!(started.elapsed() < LOGIN_MAX + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_died_is_replaced_once_for_all() {
    let (keeper, world) = keeper(3600);
    let live = keeper.token().await.unwrap();
    world.dead.store(1, SeqCst);
    let asked = Instant::now();
    let tokens = all(200, || {
        let (keeper, live) = (Arc::clone(&keeper), Arc::clone(&live));
        async move {
            keeper
                .replaced(live, asked)
                .await
                .unwrap()
                .unwrap()
                .generation
        }
    })
    .await;
    assert!(tokens.iter().all(|generation| *generation == 2));
    assert_eq!(world.logins.load(SeqCst), 2);
    assert_eq!(
        world.lookups.load(SeqCst),
        2,
        "of the dead and of the new one"
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_that_die_one_after_the_other_are_replaced_each_time() {
    let (keeper, world) = keeper(3600);
    for dead in 1..=5 {
        let live = keeper.token().await.unwrap();
        world.dead.store(dead, SeqCst);
        let next = keeper.replaced(live, Instant::now()).await.unwrap();
        assert_eq!(next.unwrap().generation, dead + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_costs_no_login() {
    let (keeper, world) = keeper(3600);
    let live = keeper.token().await.unwrap();
    let asked = Instant::now();
    let replaced = all(200, || {
        let (keeper, live) = (Arc::clone(&keeper), Arc::clone(&live));
        async move { keeper.replaced(live, asked).await.unwrap().is_some() }
    })
    .await;
    assert!(replaced.iter().all(|replaced| !replaced));
    assert_eq!(world.logins.load(SeqCst), 1);
    assert_eq!(
        world.lookups.load(SeqCst),
        1,
        "one proof serves all who asked before it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_death_right_after_a_proof_of_life_is_noticed() {
    let (keeper, world) = keeper(3600);
    let live = keeper.token().await.unwrap();
    assert!(
        keeper
            .replaced(Arc::clone(&live), Instant::now())
            .await
            .unwrap()
            .is_none()
    );
    pass(1).await;
    world.dead.store(1, SeqCst);
    assert!(
        keeper
            .replaced(live, Instant::now())
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn where_tokens_may_not_look_themselves_up_a_missing_permission_is_no_storm() {
    let (keeper, world) = keeper(3600);
    world.may_not_look_up.store(true, SeqCst);
    for _ in 0..100 {
        let live = keeper.token().await.unwrap();
        let _ = keeper.replaced(live, Instant::now()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logins = world.logins.load(SeqCst);
    assert!(logins <= 3, "{logins} logins in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_once_and_early() {
    let (keeper, world) = keeper(3600);
    let first = keeper.token().await.unwrap();
    pass(3600 * 6 / 10).await;
    assert_eq!(world.renewals.load(SeqCst), 0);
    pass(3600 * 2 / 10 + 1).await;
    assert_eq!(world.renewals.load(SeqCst), 1);
    pass(3600 * 4 / 10).await;
    let later = keeper.token().await.unwrap();
    assert_eq!(later.token.expose(), first.token.expose());
    assert_eq!(world.logins.load(SeqCst), 1);
    assert_eq!(world.renewals.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_an_end_is_left_alone() {
    let (keeper, world) = keeper(0);
    keeper.token().await.unwrap();
    pass(10_000_000).await;
    keeper.token().await.unwrap();
    assert_eq!(world.renewals.load(SeqCst) + world.logins.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn brief_and_unrenewable_tokens_are_replaced_before_they_end() {
    for (ttl, is_not_renewable) in [(20, false), (600, true)] {
        let (keeper, world) = keeper(ttl);
        world.is_not_renewable.store(is_not_renewable, SeqCst);
        keeper.token().await.unwrap();
        pass(ttl - 1).await;
        assert_eq!(keeper.token().await.unwrap().token.expose(), "2");
        assert_eq!(world.renewals.load(SeqCst), 0);
        assert_eq!(world.logins.load(SeqCst), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_live_for_a_moment_are_no_storm_of_logins() {
    for ttl in [1, 2, 3, 4] {
        let (keeper, world) = keeper(ttl);
        keeper.token().await.unwrap();
        pass(300).await;
        let logins = world.logins.load(SeqCst);
        assert!((50..=101).contains(&logins), "{ttl} s: {logins} logins");
        assert!(keeper.token().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_grants_no_time_does_not_make_a_token_eternal() {
    let (keeper, world) = keeper(1000);
    world.renewals_grant_nothing.store(true, SeqCst);
    keeper.token().await.unwrap();
    pass(900).await;
    assert_eq!(world.renewals.load(SeqCst), 1);
    assert_eq!(world.logins.load(SeqCst), 2);
    let live = keeper.token().await.unwrap();
    assert_eq!(live.token.expose(), "2");
    assert!(live.until.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_new_token_settles_before_it_is_used() {
    let (keeper, world) = keeper(1000);
    world.is_not_renewable.store(true, SeqCst);
    keeper.token().await.unwrap();
    pass(700).await;
    while world.logins.load(SeqCst) == 1 {
        pass(1).await;
    }
    assert_eq!(keeper.token().await.unwrap().token.expose(), "1");
    pass(31).await;
    assert_eq!(keeper.token().await.unwrap().token.expose(), "2");
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_is_tried_once_and_a_failed_one_thrice_then_a_login_follows() {
    for (error, tries) in [(refusal(), 1), (away(), 3)] {
        let (keeper, world) = keeper(1000);
        *world.renewal_fails.lock().unwrap() = Some(error);
        keeper.token().await.unwrap();
        pass(900).await;
        assert_eq!(world.renewals.load(SeqCst), tries);
        assert_eq!(world.logins.load(SeqCst), 2);
        assert_eq!(keeper.token().await.unwrap().token.expose(), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_while_vault_is_sealed() {
    let (keeper, world) = keeper(1000);
    keeper.token().await.unwrap();
    world.is_sealed.store(true, SeqCst);
    pass(900).await;
    assert_eq!(world.renewals.load(SeqCst), 0);
    world.is_sealed.store(false, SeqCst);
    pass(11).await;
    assert_eq!(world.renewals.load(SeqCst), 1);
    assert_eq!(world.logins.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_background_gives_up_when_the_token_has_expired_and_a_caller_starts_it_again() {
    let (keeper, world) = keeper(100);
    keeper.token().await.unwrap();
    *world.renewal_fails.lock().unwrap() = Some(refusal());
    *world.login_fails.lock().unwrap() = Some(refusal());
    pass(200).await;
    let logins = world.logins.load(SeqCst);
    pass(10_000).await;
    assert_eq!(
        world.logins.load(SeqCst),
        logins,
        "nobody asks, nothing is tried"
    );
    assert!(keeper.token().await.is_err());
    *world.login_fails.lock().unwrap() = None;
    *world.renewal_fails.lock().unwrap() = None;
    pass(60).await;
    let live = keeper.token().await.unwrap();
    pass(90).await;
    assert_eq!(
        keeper.token().await.unwrap().token.expose(),
        live.token.expose()
    );
    assert_eq!(world.renewals.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_on_when_the_keeper_is_gone() {
    for is_sealed in [false, true] {
        let (keeper, world) = keeper(100);
        keeper.token().await.unwrap();
        world.is_sealed.store(is_sealed, SeqCst);
        pass(90).await;
        drop(keeper);
        pass(1).await;
        assert_eq!(Arc::strong_count(&world), 1, "the task is gone");
    }
}

#[test]
fn pauses_grow_and_are_bounded() {
    let seconds = |failures, is_refusal| pause_after(failures, is_refusal, 0.0).as_secs();
    assert_eq!(
        [1, 2, 3, 4, 5, 6, 99].map(|n| seconds(n, true)),
        [1, 2, 4, 8, 16, 30, 30]
    );
    assert_eq!([1, 2, 3, 99].map(|n| seconds(n, false)), [1, 2, 2, 2]);
    assert!(pause_after(1, true, 1.0) > pause_after(1, true, 0.0));
}
