//! `Sse` over a local store, tested from outside.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "helpers of tests: they fail by panicking, make data of the low bytes of counters, and hold tables"
)]

mod contract;
mod copies;
mod faults;
mod flips;
mod harness;
mod keys;
mod kms;
mod multipart;
mod races;
mod schemes;
mod settings;
mod wire;
