#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]
//! Listeners, TLS and limits, over real sockets.

mod connection;
mod harness;
mod identity;
mod streams;
