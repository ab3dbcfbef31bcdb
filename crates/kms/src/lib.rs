#![forbid(unsafe_code)]
//! strongroom-kms
