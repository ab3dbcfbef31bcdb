//! Bodies of the fuzz targets, one module per parser of foreign bytes. Each is a plain function of the input, so the
//! parser's own tests run it as well, on a seeded generator and the stable toolchain.

pub mod dare;
pub mod envelope;
pub mod store;
