#![forbid(unsafe_code)]
//! Who may do what.
//!
//! [`RootCredentials`] are checked when made. [`Authenticator`] hands the secret to the protocol layer,
//! which verifies signatures; [`Gate`] then admits or denies. What is not admitted in so many words is
//! denied, and an admitted request carries a [`Permit`], which later code asks for instead of asking
//! again. [`Hosts`] decides which `Host` headers name a bucket, and [`protocol_limits`] bounds what the
//! protocol layer reads into memory.

mod credential;
mod gate;
mod host;
mod limits;
mod signed;

pub use crate::credential::{CredentialError, RootCredentials};
pub use crate::gate::{Authenticator, Gate, Permit};
pub use crate::host::{HostError, Hosts};
pub use crate::limits::{
    AWS_CHUNK_BYTES_MAX, XML_BYTES_MAX, is_body_without_length, protocol_limits,
};
