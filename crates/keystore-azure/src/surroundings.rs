//! What the environment tells about Azure.

use std::path::PathBuf;
use std::time::SystemTime;

use strongroom_keystore::config::SecretText;

/// The variables that Microsoft's own libraries read, and the clock: both are handed in.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `AZURE_AUTHORITY_HOST`: where tokens are given; `https://login.microsoftonline.com` when not set.
    pub authority: Option<String>,
    /// `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretText>,
    /// `AZURE_FEDERATED_TOKEN_FILE`: set by workload identity on Kubernetes.
    pub federated_token_file: Option<PathBuf>,
    /// `IDENTITY_ENDPOINT`: set on App Service, Functions and Container Apps.
    pub identity_endpoint: Option<String>,
    /// `IDENTITY_HEADER`: what that endpoint wants to see.
    pub identity_header: Option<SecretText>,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`: stands in for the machine's metadata service.
    pub metadata_host: Option<String>,
    /// Tells whether a secret is valid by now.
    pub clock: fn() -> SystemTime,
}

impl Surroundings {
    /// Reads the variables by `variable`; empty ones count as not set.
    pub fn new(variable: impl Fn(&str) -> Option<String>, clock: fn() -> SystemTime) -> Self {
        let text = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        Self {
            authority: text("AZURE_AUTHORITY_HOST"),
            tenant_id: text("AZURE_TENANT_ID"),
            client_id: text("AZURE_CLIENT_ID"),
            client_secret: text("AZURE_CLIENT_SECRET").map(SecretText::new),
            federated_token_file: text("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            identity_endpoint: text("IDENTITY_ENDPOINT"),
            identity_header: text("IDENTITY_HEADER").map(SecretText::new),
            metadata_host: text("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
            clock,
        }
    }
}
