#![forbid(unsafe_code)]
//! strongroom-access
