//! What a request is told about the connection it came by.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use hyper::service::Service;
use rustls_pki_types::CertificateDer;

/// The other end of a connection.
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

/// A service whose requests carry their [`Peer`] in the extensions.
#[derive(Debug, Clone)]
pub struct TellPeer<S> {
    inner: S,
    peer: Peer,
}

impl<S> TellPeer<S> {
    /// Tells `inner` of `peer`.
    pub fn new(inner: S, peer: &Peer) -> Self {
        Self {
            inner,
            peer: peer.clone(),
        }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for TellPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.inner.call(request)
    }
}
