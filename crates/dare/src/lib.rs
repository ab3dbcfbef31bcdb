//! DARE: data at rest, sealed in packages of 64 KiB.
//!
//! A stream is a plain concatenation of packages, each a 16-byte header, up to 65,536 bytes of ciphertext and a 16-byte
//! tag. Every package is authenticated on its own, so a reader can start in the middle; the packages are tied together
//! by one stream nonce, an implicit sequence number and a flag on the last one, so that they cannot be dropped,
//! repeated, reordered or mixed. `docs/formats/dare.md` has the format byte by byte.
//!
//! Version 2.0 is read and written, version 1.0 only read. The crate does no I/O and draws no random bytes: the stream
//! nonce is an argument.
//!
//! ```
//! use strongroom_dare::{Accept, Cipher, StreamNonce, open_to_vec, seal_to_vec};
//!
//! let key = [7; 32];
//! let nonce = StreamNonce::from_bytes([9; 12]); // from the system's random source, never twice under one key
//! let sealed = seal_to_vec(&key, Cipher::Aes256Gcm, nonce, b"a secret");
//! assert_eq!(sealed.len(), 8 + strongroom_dare::OVERHEAD_BYTES);
//! assert_eq!(*open_to_vec(&key, Accept::V2Only, &sealed)?, b"a secret");
//! # Ok::<(), strongroom_dare::OpenError>(())
//! ```
#![forbid(unsafe_code)]
// Every number of the format is little-endian.
#![deny(clippy::big_endian_bytes, clippy::host_endian_bytes)]

mod cipher;
mod error;
pub mod geometry;
mod open;
mod package;
mod seal;

pub use cipher::Cipher;
pub use error::{GeometryError, OpenError, SealError};
pub use open::{Accept, Opened, Opener, open_to_vec};
pub use package::{
    HEADER_BYTES, OVERHEAD_BYTES, PACKAGE_BYTES, PACKAGES_MAX, SEALED_PACKAGE_BYTES, StreamNonce,
    TAG_BYTES,
};
pub use seal::{Sealer, seal_to_vec};
