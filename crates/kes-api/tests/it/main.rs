//! The API against recordings of upstream servers (`fixtures/kes`).
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped here has failed the test"
)]

mod exchange;
mod identities;
mod newest;
mod older;
mod properties;
