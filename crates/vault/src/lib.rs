#![forbid(unsafe_code)]
//! The HTTP API of HashiCorp Vault and OpenBao, as far as Strongroom needs it: login, token renewal, K/V, transit.
//!
//! A [`Client`] holds the connections. A [`Session`] is a client with a token that it gets, renews and replaces by
//! itself. A [`Mount`] is where an engine lies; [`Kv`] and [`Transit`] speak to the engine there, through a session.
//!
//! Everything here is taken from the public API documentation of Vault (<https://developer.hashicorp.com/vault/api-docs>)
//! and OpenBao (<https://openbao.org/api-docs/>).

mod answer;
mod client;
mod error;
mod keeper;
mod kv;
mod login;
mod path;
mod renewal;
mod secret;
mod session;
mod sys;
mod tls;
mod transit;

pub use client::{Client, REQUEST_MAX};
pub use error::{Said, VaultError};
pub use kv::{Entry, Kv, KvVersion, Written};
pub use login::{Jwt, Login};
pub use path::{Mount, Namespace, Path};
pub use secret::Secret;
pub use session::{Session, SessionOptions};
pub use sys::{Capabilities, Health};
pub use tls::TlsFiles;
pub use transit::{DataKey, Transit, is_wrapped};
