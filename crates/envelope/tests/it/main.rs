//! The formats against recordings of other programs and against golden files.
#![expect(
    clippy::unwrap_used,
    reason = "allowed in tests, which clippy knows of test functions alone, not of what they call"
)]

mod case;
mod files;
mod fuzz_bodies;
mod golden;
mod kes;
mod lengths;
mod minio;
mod reader;
