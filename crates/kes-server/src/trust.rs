//! What a connection says of its client: who it is, and whether its certificate is still believed.
//!
//! The handshake verifies the certificate once. Connections live on when the authorities change, and when the certificate
//! expires; so it is verified again after every reload, which happens every 15 minutes at least. Who the client is never
//! changes: it is worked out with the first request.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_kes_api::Identity;
use strongroom_kes_api::identity::{PeerError, of_peer};
use strongroom_transport::Peer;

use crate::state::State;

/// The client of one connection.
#[derive(Debug)]
pub(crate) struct Client {
    peer: Peer,
    identity: OnceLock<Result<Identity, PeerError>>,
    /// Under which state the certificate was verified last.
    verified_under: AtomicU64,
}

impl Client {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            identity: OnceLock::new(),
            verified_under: AtomicU64::new(0),
        }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whom the certificate names.
    pub(crate) fn identity(&self) -> Result<Identity, &PeerError> {
        self.identity
            .get_or_init(|| of_peer(self.peer.certificates()).map(|named| named.identity))
            .as_ref()
            .copied()
    }

    /// Does the state, when it verifies clients at all, believe the certificate?
    pub(crate) fn is_believed(&self, state: &State) -> bool {
        let Some(roots) = &state.client_roots else {
            return true;
        };
        if self.verified_under.load(Ordering::Relaxed) == state.generation {
            return true;
        }
        // The one that names the client is the first, or it names nobody.
        let certificates = self.peer.certificates();
        let is_believed = certificates
            .first()
            .is_some_and(|certificate| roots.verify(certificate, certificates));
        if is_believed {
            self.verified_under
                .store(state.generation, Ordering::Relaxed);
        }
        is_believed
    }
}
