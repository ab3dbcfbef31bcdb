#![forbid(unsafe_code)]
//! strongroom-transport
