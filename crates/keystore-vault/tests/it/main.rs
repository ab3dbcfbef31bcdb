//! The Vault store against real OpenBao servers, and against answers that no good server gives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bao;
mod certificates;
mod concurrency;
mod contract;
mod doctor;
mod faults;
mod layout;
mod login;
mod scripted;
mod transit;
