#![forbid(unsafe_code)]
//! strongroom-kes-server
