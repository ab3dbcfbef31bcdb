//! A client that is logged in whenever that is needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::answer::Answer;
use crate::client::{Client, Request};
use crate::error::VaultError;
use crate::keeper::{Authority, Keeper};
use crate::login::{Grant, Login};
use crate::path::Namespace;
use crate::secret::Secret;

/// Calls to one Vault by one identity. The token is got with the first call, renewed in the background, and replaced when
/// it dies; all calls share it. Dropping the session ends what runs in the background.
#[derive(Debug)]
pub struct Session {
    client: Arc<Client>,
    keeper: Keeper<Entrance>,
}

/// How a session logs in.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Who one is.
    pub login: Login,
    /// Where the login lies.
    pub namespace: Namespace,
    /// How often a sealed Vault is asked whether it is open again, while a token wants to be renewed.
    pub ping: Duration,
}

/// Where tokens come from.
#[derive(Debug)]
struct Entrance {
    client: Arc<Client>,
    namespace: Namespace,
    login: Login,
}

impl Authority for Entrance {
    async fn log_in(&self) -> Result<Grant, VaultError> {
        self.client.log_in(&self.namespace, &self.login).await
    }

    async fn renew(&self, token: &Secret) -> Result<Grant, VaultError> {
        self.client.renew(&self.namespace, token).await
    }

    async fn is_alive(&self, token: &Secret) -> Result<bool, VaultError> {
        self.client.is_alive(&self.namespace, token).await
    }

    async fn is_open(&self) -> bool {
        self.client
            .health()
            .await
            .is_ok_and(|health| health.is_usable())
    }
}

impl Session {
    /// Makes no connection.
    #[must_use]
    pub fn new(client: Client, options: SessionOptions) -> Self {
        let client = Arc::new(client);
        let entrance = Entrance {
            client: Arc::clone(&client),
            namespace: options.namespace,
            login: options.login,
        };
        Self {
            client,
            keeper: Keeper::new(entrance, options.ping),
        }
    }

    /// For calls that need no token.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Logs in, unless there is a token already.
    ///
    /// # Errors
    /// The login fails, or did so a moment ago.
    pub async fn log_in(&self) -> Result<(), VaultError> {
        self.keeper.token().await.map(|_| ())
    }

    /// Sends a request with the token. Where that has died, with the next one, once.
    pub(crate) async fn call(&self, request: Request<'_>) -> Result<Answer, VaultError> {
        let live = self.keeper.token().await?;
        let asked = Instant::now();
        let denied = match self.client.send(request, Some(&live.token)).await {
            Err(error @ VaultError::Denied { .. }) => error,
            outcome => return outcome,
        };
        match self.keeper.replaced(live, asked).await? {
            Some(next) => self.client.send(request, Some(&next.token)).await,
            None => Err(denied),
        }
    }
}
