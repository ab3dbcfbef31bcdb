#![forbid(unsafe_code)]
//! From a socket to an HTTP request with a known peer: listeners, TLS, connection limits and graceful drain.
//!
//! Both servers stand on it. It knows rustls and hyper, and nothing of KES or S3.
//!
//! - [`certificate`] reads certificates and keys, in every PEM form that operators have; [`pem`] is the reader.
//! - [`tls`] makes the server side of TLS and lets a running listener change it.
//! - [`listen`] binds, accepts and serves; [`peer`] is what a request is told about its connection.
//! - [`drain`] ends it all in good order.
//! - [`workers`] are the threads of a server whose requests are short.
//! - [`issue`] makes certificates for development.

pub mod certificate;
mod connection;
pub mod drain;
pub mod issue;
pub mod listen;
pub mod peer;
pub mod pem;
mod places;
mod socket;
mod streams;
pub mod tls;
mod waking;
pub mod workers;

pub use certificate::{CertificateError, Identity};
pub use drain::{Shutdown, ShutdownSignal, shutdown};
pub use listen::{BindError, Limits, bind, serve, serve_on};
pub use peer::{Peer, TellPeer};
pub use tls::{ClientAuth, Tls, TlsError};
pub use waking::Received;
pub use workers::Workers;
