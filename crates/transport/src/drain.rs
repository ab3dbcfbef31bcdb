//! Ending a server in good order: stop accepting, let requests finish, then close.

use tokio::sync::watch;

/// Asks everything that holds a [`ShutdownSignal`] to end. Dropping it asks too.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<bool>);

/// Learns that it is time to end.
#[derive(Debug, Clone)]
pub struct ShutdownSignal(watch::Receiver<bool>);

/// A pair of the two.
#[must_use]
pub fn shutdown() -> (Shutdown, ShutdownSignal) {
    let (sender, receiver) = watch::channel(false);
    (Shutdown(sender), ShutdownSignal(receiver))
}

impl Shutdown {
    /// Asks. Asking twice is the same as once.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl ShutdownSignal {
    /// Waits until it is time to end.
    pub async fn wait(&mut self) {
        // An error means that the sender is gone, which asks too.
        let _ = self.0.wait_for(|asked| *asked).await;
    }

    /// Is it time?
    #[must_use]
    pub fn is_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
