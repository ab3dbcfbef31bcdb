//! Is the certificate of a connection still believed?
//!
//! The handshake verifies it once. Connections live on when the authorities change, and when the certificate expires; so it
//! is verified again after every reload, which happens every 15 minutes at least.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_transport::Peer;

use crate::state::State;

/// Under which state the certificate of one connection was verified last.
#[derive(Debug, Default)]
pub(crate) struct ConnectionTrust(AtomicU64);

impl ConnectionTrust {
    /// Does the state, when it verifies clients at all, believe the certificate?
    pub(crate) fn holds(&self, state: &State, certificate: &[u8], peer: &Peer) -> bool {
        let Some(roots) = &state.client_roots else {
            return true;
        };
        if self.0.load(Ordering::Relaxed) == state.generation {
            return true;
        }
        let holds = roots.verify(certificate, peer.certificates());
        if holds {
            self.0.store(state.generation, Ordering::Relaxed);
        }
        holds
    }
}
