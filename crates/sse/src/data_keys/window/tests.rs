use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use strongroom_kms::KmsError;

use super::Window;
use crate::config::Clock;

struct Hands(Arc<AtomicU64>);

impl Hands {
    fn new() -> (Self, Clock) {
        let now = Arc::new(AtomicU64::new(1_000));
        let clock = Arc::clone(&now);
        (
            Self(now),
            Arc::new(move || Duration::from_secs(clock.load(Ordering::SeqCst))),
        )
    }

    fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

fn window(lifetime: u64, uses: u64, clock: &Clock) -> Window<&'static str, u64> {
    Window::new(Duration::from_secs(lifetime), uses, 2, Arc::clone(clock))
}

async fn take(window: &Window<&'static str, u64>, key: &'static str, made: &AtomicU64) -> u64 {
    window
        .get(key, || async { Ok(made.fetch_add(1, Ordering::SeqCst)) })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_value_serves_its_lifetime_and_no_longer_however_often_it_is_used() {
    let (hands, clock) = Hands::new();
    let (window, made) = (window(300, u64::MAX, &clock), AtomicU64::new(0));
    for _ in 0..299 {
        assert_eq!(take(&window, "a", &made).await, 0);
        hands.forward(1);
    }
    assert_eq!(take(&window, "a", &made).await, 0);
    hands.forward(1);
    assert_eq!(take(&window, "a", &made).await, 1);
}

#[tokio::test]
async fn the_lifetime_counts_from_the_start_of_the_call() {
    let (hands, clock) = Hands::new();
    let window = window(300, u64::MAX, &clock);
    let slow = || async {
        hands.forward(299);
        Ok(7)
    };
    assert_eq!(window.get("a", slow).await.unwrap(), 7);
    hands.forward(1);
    assert_eq!(window.get("a", || async { Ok(8) }).await.unwrap(), 8);
}

#[tokio::test]
async fn a_value_serves_so_many_uses() {
    let (_hands, clock) = Hands::new();
    let (window, made) = (window(300, 3, &clock), AtomicU64::new(0));
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(take(&window, "a", &made).await);
    }
    assert_eq!(seen, [0, 0, 0, 1, 1, 1, 2]);
}

#[tokio::test]
async fn entries_are_bounded() {
    let (_hands, clock) = Hands::new();
    let (window, made) = (window(300, u64::MAX, &clock), AtomicU64::new(0));
    for key in ["a", "b", "c", "d"] {
        take(&window, key, &made).await;
    }
    assert_eq!(window.slots.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn who_asks_at_the_same_time_waits_for_one_call() {
    let (_hands, clock) = Hands::new();
    let (window, calls) = (window(300, u64::MAX, &clock), AtomicU64::new(0));
    let asked = futures::future::join_all((0..50).map(|_| {
        window.get("a", || async {
            calls.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(5)
        })
    }));
    assert!(asked.await.into_iter().all(|value| value.unwrap() == 5));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_waited_for_a_call_that_failed_shares_its_failure_and_later_ones_ask_again() {
    let (hands, clock) = Hands::new();
    let (window, calls) = (window(300, u64::MAX, &clock), AtomicU64::new(0));
    let down = || async {
        calls.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        hands.forward(30);
        Err(KmsError::Unavailable {
            key: None,
            message: "down".into(),
            source: None,
        })
    };
    let asked = futures::future::join_all((0..50).map(|_| window.get("a", down))).await;
    assert!(
        asked
            .iter()
            .all(|answer| matches!(answer, Err(KmsError::Unavailable { .. })))
    );
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(window.get("a", || async { Ok(1) }).await.unwrap(), 1);
}
