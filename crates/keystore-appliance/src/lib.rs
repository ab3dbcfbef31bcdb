#![forbid(unsafe_code)]
//! Keys in appliances with a REST interface: Thales CipherTrust, Entrust KeyControl, Fortanix SDKMS.
//!
//! Each has a module of its own that knows the vendor's calls and nothing else. What they share lies around it:
//! `rest` talks HTTP, `session` keeps a token alive, `retry` tells what may be sent again, `store` turns the
//! calls into a [`KeyStore`](strongroom_keystore::KeyStore).

mod ciphertrust;
mod failure;
mod keycontrol;
mod rest;
mod retry;
mod sdkms;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod trust;

pub use ciphertrust::{CipherTrust, CipherTrustStore};
pub use keycontrol::{KeyControl, KeyControlStore};
pub use sdkms::{Sdkms, SdkmsStore};
pub use store::ApplianceStore;
