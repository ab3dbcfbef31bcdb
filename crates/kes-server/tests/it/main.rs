#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
//! The key server over real TLS, with recorded keys, requests and client certificates.

mod api;
mod differences;
mod disk;
mod harness;
mod identity;
mod replay;
mod replay_older;
mod resilience;
mod sdk;
mod takeover;
