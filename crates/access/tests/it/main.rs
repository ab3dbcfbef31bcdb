//! Requests through the real protocol layer, with our hooks in it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

mod form;
mod matrix;
mod server;
mod sign;
