//! `Sse` over a local store, tested from outside.
#![expect(
    clippy::cast_possible_truncation,
    reason = "test data is made of the low bytes of counters"
)]

mod contract;
mod copies;
mod faults;
mod harness;
mod keys;
mod kms;
mod multipart;
mod schemes;
mod settings;
