//! What Secret Manager says when it does not do what it was asked, in words.

use std::error::Error as _;
use std::sync::Arc;

use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::error::{CredentialsError, Error};
use strongroom_keystore::StoreError;

/// Longest part of a message of Google's that is passed on.
const MESSAGE_CHARS_MAX: usize = 400;

/// An answer that is not the wanted one.
#[derive(Debug)]
pub(crate) enum Refusal {
    Exists,
    NotFound,
    /// The version is disabled or destroyed.
    Precondition {
        message: String,
    },
    Denied {
        message: String,
    },
    /// The token is not, or no longer, good.
    Unauthenticated {
        message: String,
    },
    Throttled {
        message: String,
    },
    /// No credentials, or Google's token service refuses them.
    Credentials {
        source: Arc<Error>,
    },
    Unreachable {
        source: Error,
    },
    Failed {
        reason: String,
        source: Option<Error>,
    },
    /// Failed before anything was sent.
    Store(StoreError),
}

impl Refusal {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed {
            reason: reason.into(),
            source: None,
        }
    }

    pub(crate) fn of(error: Error) -> Self {
        if error.is_authentication() {
            let cause = error
                .source()
                .and_then(|e| e.downcast_ref::<CredentialsError>());
            return if cause.is_some_and(CredentialsError::is_transient) {
                Self::Unreachable { source: error }
            } else {
                Self::Credentials {
                    source: Arc::new(error),
                }
            };
        }
        if let Some(status) = error.status() {
            let message = short(&status.message);
            match status.code {
                Code::AlreadyExists => return Self::Exists,
                Code::NotFound => return Self::NotFound,
                Code::FailedPrecondition => return Self::Precondition { message },
                Code::PermissionDenied => return Self::Denied { message },
                Code::Unauthenticated => return Self::Unauthenticated { message },
                Code::ResourceExhausted => return Self::Throttled { message },
                Code::Unavailable | Code::DeadlineExceeded => {
                    return Self::Unreachable { source: error };
                }
                code => {
                    return Self::Failed {
                        reason: format!(
                            "Google Secret Manager answered {}: {message}",
                            code.name()
                        ),
                        source: None,
                    };
                }
            }
        }
        match error.http_status_code() {
            Some(401) => Self::Unauthenticated {
                message: "HTTP 401".to_owned(),
            },
            Some(403) => Self::Denied {
                message: "HTTP 403".to_owned(),
            },
            Some(429) => Self::Throttled {
                message: "HTTP 429".to_owned(),
            },
            // What stands in front of a service answers so when it cannot reach it.
            Some(502..=504) => Self::Unreachable { source: error },
            Some(code) => Self::Failed {
                reason: format!(
                    "HTTP {code} came back that is no answer of Google Secret Manager: check \
                     gcp.secretmanager.endpoint, and any proxy in between"
                ),
                source: Some(error),
            },
            None if error.is_deserialization() => Self::Failed {
                reason: "something came back that is no answer of Google Secret Manager: check \
                         gcp.secretmanager.endpoint, and any proxy in between"
                    .to_owned(),
                source: Some(error),
            },
            None if error.is_connect()
                || error.is_timeout()
                || error.is_io()
                || error.is_exhausted() =>
            {
                Self::Unreachable { source: error }
            }
            None => Self::Failed {
                reason: "the request to Google Secret Manager could not be made".to_owned(),
                source: Some(error),
            },
        }
    }

    /// The same again, where it is about who we are.
    pub(crate) fn of_identity(&self) -> Option<Self> {
        match self {
            Self::Unauthenticated { message } => Some(Self::Unauthenticated {
                message: message.clone(),
            }),
            Self::Credentials { source } => Some(Self::Credentials {
                source: Arc::clone(source),
            }),
            _ => None,
        }
    }

    /// The sentence for an operator. `what` was being done: `reading key 'k'`.
    pub(crate) fn on(self, what: &str) -> StoreError {
        match self {
            Self::Exists => StoreError::Exists,
            Self::NotFound => StoreError::NotFound,
            Self::Precondition { message } => StoreError::other(format!(
                "Google Secret Manager refused {what} (FAILED_PRECONDITION: {message}): version 1 of the secret is \
                 disabled or destroyed; enable it, a destroyed one is lost"
            )),
            Self::Denied { message } => StoreError::other(format!(
                "Google Secret Manager refused {what} (PERMISSION_DENIED: {message}): give the service account \
                 secretmanager.secrets.create, .delete, .list and secretmanager.versions.add, .access in the project"
            )),
            Self::Unauthenticated { message } => StoreError::other(format!(
                "Google Secret Manager refused {what} (UNAUTHENTICATED: {message}): check that the service account \
                 and its key still exist, the scopes, and this machine's clock"
            )),
            Self::Throttled { message } => StoreError::other(format!(
                "Google Secret Manager refused {what} (RESOURCE_EXHAUSTED: {message}): the project's quota of \
                 requests is used up; raise it or wait a minute"
            )),
            Self::Credentials { source } => StoreError::failed(
                format!(
                    "no Google credentials for {what}: check gcp.secretmanager.credentials, or the ambient ones \
                     (GOOGLE_APPLICATION_CREDENTIALS, or the service account of the machine)"
                ),
                source,
            ),
            Self::Unreachable { source } => StoreError::unreachable(
                format!("Google Secret Manager did not answer on {what}"),
                source,
            ),
            Self::Failed {
                reason,
                source: Some(source),
            } => StoreError::failed(format!("{what} failed: {reason}"), source),
            Self::Failed {
                reason,
                source: None,
            } => StoreError::other(format!("{what} failed: {reason}")),
            Self::Store(error) => error,
        }
    }
}

fn short(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.chars().take(MESSAGE_CHARS_MAX).collect()
}
