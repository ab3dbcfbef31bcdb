#![forbid(unsafe_code)]
//! Keys in Google Secret Manager.
