#![forbid(unsafe_code)]
//! An async client of KES, over one or more servers.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use strongroom_kes_client::{ApiKey, Credentials, Endpoint, KesClient, KeyName, Trust};
//!
//! let client = KesClient::builder()
//!     .endpoints(Endpoint::parse_list("https://kes-{1...3}:7373")?)
//!     .credentials(Credentials::api_key(ApiKey::parse("kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f")?)?)
//!     .trust(Trust::system())
//!     .build()?;
//! let key = client.generate_key(&KeyName::parse("my-key")?, b"context").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Retries and failover
//! - On one endpoint a request is tried up to three times: again after a network error or a 503, with a pause of 200 to
//!   1,000 ms.
//! - With several endpoints, one on this machine (`localhost`, a loopback address) that stands first is asked first;
//!   then all from a random start.
//! - An endpoint that fails (network error, time-out, status of 500 or more except 501) is left alone for 30 s; then one
//!   request probes it. When every endpoint is left alone, all are asked after all.
//! - The body is sent whole to each endpoint. A caller that drops its future says nothing about any endpoint.
//!
//! Proxies named in the environment are not used.

pub mod certificate;

mod balancer;
mod client;
mod config;
mod credentials;
mod endpoint;
mod error;
mod listing;
mod log_stream;
mod metrics;
mod transport;
mod trust;
mod witness;

pub use client::KesClient;
pub use config::{BuildError, KesClientBuilder, Timeouts};
pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ConnectionError, Error};
pub use log_stream::{Log, LogStream};
pub use metrics::{Metrics, MetricsError};
pub use strongroom_kes_api::name::IdentityName;
pub use strongroom_kes_api::{
    ApiKey, Identity, KesError, KeyName, ListPattern, PolicyName, Secret, body,
};
pub use trust::{Trust, TrustError};
