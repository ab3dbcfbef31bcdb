//! The real binary: how it starts, how it refuses to, and what stands before the protocol layer.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

mod bad_starts;
mod dev;
mod kes;
mod names;
mod process;
mod server;
