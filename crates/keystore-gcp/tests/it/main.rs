//! The store against an emulator, and against a server that misbehaves.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod emulator;
mod faults;
mod script;

use std::sync::Arc;

use strongroom_keystore::config::Gcp;
use strongroom_keystore_gcp::GcpStore;

/// A store in `project` of a server without TLS.
async fn store(endpoint: &str, project: &str) -> Arc<GcpStore> {
    let config = Gcp {
        project_id: project.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        scopes: Vec::new(),
        credentials: None,
    };
    Arc::new(GcpStore::open(config).await.unwrap())
}
