#![forbid(unsafe_code)]
//! strongroom-kes-client
