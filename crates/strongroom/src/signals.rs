//! What the operator says while the process runs.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A signal, by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Signals as they come.
#[derive(Debug)]
pub(crate) struct Signals(mpsc::Receiver<Signal>);

impl Signals {
    /// The next signal; `None` where signals cannot be heard.
    pub(crate) async fn recv(&mut self) -> Option<Signal> {
        self.0.recv().await
    }

    /// Waits for the next signal to stop; for ever where none can come.
    pub(crate) async fn stop(&mut self) {
        loop {
            match self.recv().await {
                Some(Signal::Stop) => return,
                Some(Signal::Reload) => {}
                None => std::future::pending().await,
            }
        }
    }
}

/// Begins to listen. From here on these signals do not end the process by themselves.
pub(crate) fn listen() -> Signals {
    const WAITING_MAX: usize = 8;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let kinds = [
        (SignalKind::interrupt(), Signal::Stop),
        (SignalKind::terminate(), Signal::Stop),
        (SignalKind::hangup(), Signal::Reload),
    ];
    for (kind, meaning) in kinds {
        match signal(kind) {
            Ok(mut stream) => {
                let sender = sender.clone();
                tokio::spawn(async move {
                    while stream.recv().await.is_some() {
                        // Whoever has eight signals waiting will not miss a ninth.
                        let _ = sender.try_send(meaning);
                    }
                });
            }
            Err(error) => tracing::warn!(%error, ?meaning, "a signal cannot be heard"),
        }
    }
    Signals(receiver)
}
