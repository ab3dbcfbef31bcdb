use std::future::poll_fn;
use std::sync::atomic::AtomicUsize;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One turn of a connection that does this with its waker; how often its task was woken.
fn wakes_of(turn: impl FnOnce(&Waker)) -> usize {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut turn = Some(turn);
    let turns = Turns::of(poll_fn(|cx| {
        turn.take().unwrap()(cx.waker());
        Poll::Ready(())
    }));
    let polled = std::pin::pin!(turns).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_ready());
    count.wakes()
}

#[test]
fn only_the_connection_whose_turn_it_is_is_hushed() {
    assert_eq!(wakes_of(Waker::wake_by_ref), 1, "not hushed");
    let hush = |own: &Waker| assert!(hushed(|| own.wake_by_ref()).1);
    assert_eq!(wakes_of(hush), 0);

    let other = Arc::new(Count::default());
    let others = Waker::from(Arc::new(Bell {
        task: Waker::from(Arc::clone(&other)),
    }));
    let hush = |_: &Waker| assert!(!hushed(|| others.wake_by_ref()).1);
    assert_eq!(wakes_of(hush), 0);
    assert_eq!(other.wakes(), 1, "another connection is woken all the same");
}

#[test]
fn a_wake_from_another_thread_is_never_left_out() {
    let woken = wakes_of(|own| {
        let own = own.clone();
        let ring = || std::thread::spawn(move || own.wake()).join().unwrap();
        assert!(!hushed(ring).1);
    });
    assert_eq!(woken, 1);
}

#[test]
fn a_hush_ends_with_what_it_was_for() {
    let woken = wakes_of(|own| {
        hushed(|| hushed(|| own.wake_by_ref()));
        own.wake_by_ref();
        let panicking = || hushed(|| panic!("as handlers may"));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking));
        assert!(caught.is_err());
        own.wake_by_ref();
    });
    assert_eq!(woken, 2);
}

#[test]
fn what_is_seldom_ready_is_polled_only_when_it_rang() {
    let task = || Waker::from(Arc::new(Count::default()));
    let (first, second) = (task(), task());
    let mut polls = 0;
    {
        let mut seldom = std::pin::pin!(Seldom::of(poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        })));
        for task in [&first, &first, &second, &second] {
            let looked = seldom.as_mut().poll(&mut Context::from_waker(task));
            assert!(looked.is_pending());
        }
    }
    assert_eq!(polls, 2, "once for each task that looks");

    let count = Arc::new(Count::default());
    let task = Waker::from(Arc::clone(&count));
    let (mut polls, mut rings) = (0, None::<Waker>);
    let mut seldom = std::pin::pin!(Seldom::of(poll_fn(|cx| {
        polls += 1;
        if let Some(earlier) = rings.replace(cx.waker().clone()) {
            earlier.wake();
            return Poll::Ready(polls);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })));
    let mut look = || seldom.as_mut().poll(&mut Context::from_waker(&task));
    assert_eq!(look(), Poll::Pending);
    assert_eq!(count.wakes(), 1, "what rings during the look is not lost");
    assert_eq!(look(), Poll::Ready(2));
}
