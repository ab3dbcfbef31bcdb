//! The KES implementation against a real key server in this process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod kes;
mod server;
