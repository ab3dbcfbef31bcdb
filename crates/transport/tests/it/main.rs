//! Listeners, TLS and limits, over real sockets.

mod connection;
mod harness;
mod identity;
