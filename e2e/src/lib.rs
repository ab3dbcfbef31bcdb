#![forbid(unsafe_code)]
//! strongroom-e2e
