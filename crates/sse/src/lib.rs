#![forbid(unsafe_code)]
//! strongroom-sse
