#![forbid(unsafe_code)]
//! strongroom-envelope
