//! Fewer turns of a connection's task: most of what would wake it is known already.
//!
//! A request that is answered within microseconds costs as much as it wakes. Two wakes per request are for nothing:
//!
//! - On HTTP/1.1, taking the body from hyper wakes the connection, so that it reads on, though there is no more to read.
//! - On HTTP/2, handing over the answer wakes the connection, so that it writes, though it is about to.
//!
//! Both come from the connection's own turn, on the thread that it runs on; only such wakes are ever left out.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

thread_local! {
    /// Whose turn it is on this thread: the address of a [`Bell`], only ever compared.
    static TURN_OF: Cell<*const ()> = const { Cell::new(ptr::null()) };
    /// Whose ringing is left out at the moment.
    static HUSHED: Cell<*const ()> = const { Cell::new(ptr::null()) };
    /// Was it left out?
    static WAS_HUSHED: Cell<bool> = const { Cell::new(false) };
}

/// Wakes the task of a connection, except where that is hushed.
struct Bell {
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if ptr::eq(HUSHED.get(), Arc::as_ptr(self).cast()) {
            WAS_HUSHED.set(true);
        } else {
            self.task.wake_by_ref();
        }
    }
}

/// Sets one of the places above, and sets it back when dropped.
struct Setting(&'static std::thread::LocalKey<Cell<*const ()>>, *const ());

impl Setting {
    fn new(place: &'static std::thread::LocalKey<Cell<*const ()>>, value: *const ()) -> Self {
        Self(place, place.replace(value))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Does something during which the connection whose turn it is needs no waking: it goes on afterwards anyway. Returns
/// whether somebody tried to.
pub(crate) fn hushed<T>(doing: impl FnOnce() -> T) -> (T, bool) {
    // Within another hush nothing is left to do: the outer one answers for it.
    if !HUSHED.get().is_null() {
        return (doing(), false);
    }
    WAS_HUSHED.set(false);
    let done = {
        let _hush = Setting::new(&HUSHED, TURN_OF.get());
        doing()
    };
    (done, WAS_HUSHED.get())
}

pin_project_lite::pin_project! {
    /// A connection whose own wakes can be hushed.
    pub(crate) struct Turns<C> {
        #[pin]
        connection: C,
        bell: Option<(Arc<Bell>, Waker)>,
    }
}

impl<C> Turns<C> {
    pub(crate) fn of(connection: C) -> Self {
        Self {
            connection,
            bell: None,
        }
    }

    pub(crate) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().connection
    }
}

impl<C: Future> Future for Turns<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.project();
        let (bell, waker) = match this.bell {
            Some(bell) if bell.0.task.will_wake(cx.waker()) => bell,
            bell => {
                let task = cx.waker().clone();
                let made = Arc::new(Bell { task });
                let waker = Waker::from(Arc::clone(&made));
                bell.insert((made, waker))
            }
        };
        let _turn = Setting::new(&TURN_OF, Arc::as_ptr(bell).cast());
        this.connection.poll(&mut Context::from_waker(waker))
    }
}

/// A request's body, read without waking its connection for what is no more to come.
#[derive(Debug)]
pub struct Received<'b>(pub &'b mut Incoming);

impl Body for Received<'_> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (frame, was_hushed) = hushed(|| Pin::new(&mut *self.0).poll_frame(cx));
        if was_hushed && !self.0.is_end_stream() {
            cx.waker().wake_by_ref();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

struct Alarm {
    task: Waker,
    has_rung: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

pin_project_lite::pin_project! {
    /// Something that is seldom ready, beside something that is polled often: polled only when it asked for it.
    pub(crate) struct Seldom<F> {
        #[pin]
        future: F,
        alarm: Option<Arc<Alarm>>,
    }
}

impl<F> Seldom<F> {
    pub(crate) fn of(future: F) -> Self {
        Self {
            future,
            alarm: None,
        }
    }
}

impl<F: Future> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let alarm = match this.alarm {
            Some(alarm) if alarm.task.will_wake(cx.waker()) => alarm,
            alarm => alarm.insert(Arc::new(Alarm {
                task: cx.waker().clone(),
                has_rung: AtomicBool::new(true),
            })),
        };
        if !alarm.has_rung.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        // Before the look, so that what rings during it is not lost.
        alarm.has_rung.swap(false, Ordering::AcqRel);
        let waker = Waker::from(Arc::clone(alarm));
        this.future.poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests;
