//! The hooks that the protocol layer calls: one for secrets, one for admission.

use std::sync::Arc;

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::credential::RootCredentials;
use crate::signed;

/// Proof that a request's signature was verified and that its signer may do what it asks.
///
/// Only [`Gate`] makes one; it lies in the extensions of every request that reaches an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    access_key: String,
    _made_by_the_gate: (),
}

impl Permit {
    /// Whose permit it is.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }
}

/// Gives the protocol layer the secret that belongs to an access key.
#[derive(Clone, Debug)]
pub struct Authenticator {
    root: Arc<RootCredentials>,
}

impl Authenticator {
    /// Knows the root user alone.
    #[must_use]
    pub const fn new(root: Arc<RootCredentials>) -> Self {
        Self { root }
    }
}

#[async_trait]
impl S3Auth for Authenticator {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if self.root.is_root(access_key) {
            return Ok(SecretKey::from(self.root.expose_password()));
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "The access key id that you provided does not exist in our records."
        ))
    }
}

/// Admits or denies each request, after its signature was verified and before anything of it is done.
#[derive(Clone, Debug)]
pub struct Gate {
    root: Arc<RootCredentials>,
}

impl Gate {
    /// Admits the root user alone.
    #[must_use]
    pub const fn new(root: Arc<RootCredentials>) -> Self {
        Self { root }
    }
}

#[async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let signer = cx
            .credentials()
            .map(|credentials| credentials.access_key.clone());
        let Some(access_key) = signer else {
            return Err(s3_error!(
                AccessDenied,
                "Access Denied: the request is not signed."
            ));
        };
        signed::check(cx.method(), cx.uri(), cx.headers())?;
        if !self.root.is_root(&access_key) {
            return Err(s3_error!(AccessDenied, "Access Denied."));
        }
        cx.extensions_mut().insert(Permit {
            access_key,
            _made_by_the_gate: (),
        });
        Ok(())
    }
}
