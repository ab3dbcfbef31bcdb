#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
//! The store against moto's AWS, and against answers as Amazon documents them.

mod canned;
mod contract;
mod credentials;
mod faults;
mod moto;
mod words;
