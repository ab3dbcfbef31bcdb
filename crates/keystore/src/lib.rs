#![forbid(unsafe_code)]
//! strongroom-keystore
