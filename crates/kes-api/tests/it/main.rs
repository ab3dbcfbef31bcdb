//! The API against recordings of upstream servers (`fixtures/kes`).
#![forbid(unsafe_code)]

mod exchange;
mod identities;
mod newest;
mod older;
