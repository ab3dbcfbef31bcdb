#![forbid(unsafe_code)]
//! The KES server: routes, identity, policy, keys.
//!
//! A request walks straight through: `routes` → `authenticate` → `handlers`, over one snapshot of the `state`. Keys come
//! through the `cache` from a [`strongroom_keystore::KeyStore`].
//!
//! ```no_run
//! # async fn example(surroundings: strongroom_kes_server::Surroundings) -> Result<(), Box<dyn std::error::Error>> {
//! use strongroom_kes_server::{Config, KesServer};
//!
//! let (config, warnings) = Config::parse(&std::fs::read_to_string("kes.yml")?, &|name| std::env::var(name).ok())?;
//! let listener = strongroom_transport::bind(config.address).await?;
//! let store = std::sync::Arc::new(strongroom_keystore::MemoryStore::new());
//! let server = KesServer::start(config, store, surroundings).await?;
//! let (shutdown, signal) = strongroom_transport::shutdown();
//! server.run(listener, signal).await;
//! # Ok(())
//! # }
//! ```

mod authenticate;
mod banner;
mod bodies;
mod cache;
pub mod config;
mod disk_cache;
pub mod disk_entry;
pub mod duration;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handlers;
pub mod log;
pub mod machine;
mod metrics;
mod protobuf;
mod reply;
mod routes;
mod serve;
mod server;
mod state;
mod stored_key;
mod stream;
pub mod surroundings;
mod trust;

pub use banner::{BannerFacts, banner};
pub use config::{Config, ConfigError, Warning};
pub use disk_cache::DiskCacheError;
pub use log::{AuditRecord, ErrorRecord, Level, LogSink, RequestInfo};
pub use server::{KesServer, StartError};
pub use stored_key::check_stored_key;
pub use surroundings::{Build, Clock, Entropy, Machine, MachineSample, NoEntropy, Surroundings};
