#![forbid(unsafe_code)]
//! KES on the wire, with no wire: the paths, names, identities, policies, bodies and errors that a key server, its
//! clients and its command line agree on.
//!
//! Everything here is a pure function of its arguments. Nothing opens a socket, reads a clock or draws randomness.
//!
//! Read in this order: [`path`], [`name`], [`identity`], [`api_key`], [`policy`], [`body`], [`error`], [`audit`].

pub mod api_key;
pub mod audit;
pub mod base64;
pub mod body;
pub mod error;
pub mod identity;
pub mod name;
pub mod path;
pub mod policy;
pub mod secret;

pub use api_key::{ApiKey, ApiKeyError};
pub use error::{ErrorKind, KesError};
pub use identity::{AdminIdentity, Identity, PeerError};
pub use name::{IdentityName, KeyName, ListPattern, NameError, PolicyName};
pub use policy::{Pattern, Policy};
pub use secret::Secret;
