#![forbid(unsafe_code)]
//! strongroom-cli
