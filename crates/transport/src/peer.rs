//! What a request is told about the connection it came by.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

/// The other end of a connection. Every request carries it in its extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    address: SocketAddr,
    tls: Option<Arc<[CertificateDer<'static>]>>,
}

impl Peer {
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    pub(crate) fn tls(address: SocketAddr, certificates: &[CertificateDer<'static>]) -> Self {
        Self {
            address,
            tls: Some(certificates.into()),
        }
    }

    /// The address of the TCP peer. A proxy in between shows its own.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Did the request come by TLS?
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The certificates that the client sent, in its order; it holds the key of the first one.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.as_deref().unwrap_or_default()
    }
}
