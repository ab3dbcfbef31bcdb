//! What a request's connection is like, as the layer that accepted it knows.

/// Whether the client's connection is protected by TLS. Put into the request's extensions by whoever
/// accepted it; a request without it counts as not protected.
///
/// It speaks of the connection, not of the server: behind a proxy that ends TLS, only a proxy that is
/// trusted explicitly may have its word passed on here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSecurity {
    /// Keys may travel on it.
    pub tls: bool,
}

impl ConnectionSecurity {
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or_default()
    }
}
