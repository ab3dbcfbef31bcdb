//! Bodies of the fuzz targets, one module per parser of foreign bytes. Each is a plain function of the input, so the
//! parser's own tests run it as well, on a seeded generator and the stable toolchain.

pub mod audit;
pub mod body;
pub mod certificate;
pub mod config;
pub mod dare;
pub mod disk_entry;
pub mod envelope;
pub mod name;
pub mod path;
pub mod policy;
#[cfg(feature = "store")]
pub mod store;
pub mod stored_key;
