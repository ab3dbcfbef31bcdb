#![forbid(unsafe_code)]
//! strongroom-backend-fs
