//! The client against a small TLS server in the same process.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped here has failed the test"
)]

mod calls;
mod failover;
mod listing;
mod server;
mod trust;
