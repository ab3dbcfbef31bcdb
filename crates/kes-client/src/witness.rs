//! Why a server ended a connection.
//!
//! Under TLS 1.3 a client is done with its handshake before the server has looked at its certificate (RFC 8446 §2): a refusal
//! comes as an alert afterwards. The HTTP/2 client drops what its connection ended with and says "channel closed", so the
//! alert is noted where it arrives.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Authority;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use crate::error::tls_cause;

/// The last alert of each server. There are as many as endpoints.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alerts(Arc<Mutex<HashMap<Authority, rustls::Error>>>);

impl Alerts {
    /// What the server at `uri` ended a connection with, once.
    pub(crate) fn take(&self, uri: &Uri) -> Option<rustls::Error> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(uri.authority()?)
    }

    fn note(&self, server: Option<&Authority>, error: &io::Error) {
        let Some(server) = server else { return };
        let alert = error.get_ref().and_then(|inner| tls_cause(inner));
        if let Some(alert @ rustls::Error::AlertReceived(_)) = alert {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(server.clone(), alert);
        }
    }
}

/// A connector whose connections are watched.
#[derive(Debug, Clone)]
pub(crate) struct Witness<C> {
    connector: C,
    alerts: Alerts,
}

impl<C> Witness<C> {
    pub(crate) fn new(connector: C, alerts: Alerts) -> Self {
        Self { connector, alerts }
    }
}

impl<C> Service<Uri> for Witness<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = Watched<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let server = uri.authority().cloned();
        let alerts = self.alerts.clone();
        let connecting = self.connector.call(uri);
        Box::pin(async move {
            let stream = connecting.await?;
            Ok(Watched {
                stream,
                server,
                alerts,
            })
        })
    }
}

/// A connection that notes the alert it ends with.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    server: Option<Authority>,
    alerts: Alerts,
}

impl<S> Watched<S> {
    fn noted<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome {
            self.alerts.note(self.server.as_ref(), error);
        }
        outcome
    }
}

impl<S: Connection> Connection for Watched<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl<S: Read + Unpin> Read for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.noted(outcome)
    }
}

impl<S: Write + Unpin> Write for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noted(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.noted(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.noted(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noted(outcome)
    }
}
