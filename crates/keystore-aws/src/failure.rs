//! What went wrong, from the SDK's many words to one sentence.
//!
//! The codes are those of the API reference of Secrets Manager ("Common Error Types", and the errors of each action). The
//! SDK's own errors end here: they hold raw answers, and an answer may hold a key.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use strongroom_kes_api::KeyName;
use strongroom_keystore::StoreError;

use crate::line::CALL_MAX;

#[cfg(test)]
mod tests;

/// Longest text of somebody else that we repeat.
const SAID_CHARS_MAX: usize = 400;

/// What was asked of AWS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// `GetSecretValue`; also the name of the right.
    pub(crate) action: &'static str,
    /// The key that it was about.
    pub(crate) key: Option<&'a KeyName>,
    /// The KMS key of the configuration.
    pub(crate) kms_key: Option<&'a str>,
    /// Where.
    pub(crate) url: &'a str,
}

/// Layers of the SDK that say nothing.
const NOISE: [&str; 5] = [
    "dispatch failure",
    "io error",
    "service error",
    "unhandled error",
    "client error (Connect)",
];
/// Said by each place of the default chain that has no credentials, before why.
const NOT_ENABLED: &str = "the credential provider was not enabled: ";

/// The texts of an error and all below it, without the error itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Cause(String);

impl Cause {
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut text = String::new();
        let mut next = Some(error);
        while let Some(error) = next {
            let words = error.to_string();
            if !NOISE.contains(&words.as_str()) && !text.contains(&words) {
                if !text.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&words);
            }
            next = error.source();
        }
        // Lists become a sentence.
        let text = text.replace("\n  ", "; ").replace(NOT_ENABLED, "");
        Self(one_line(&text))
    }
}

/// Variants by what can be done about it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The name is taken by a secret that is there.
    Taken,
    /// The name is taken by a secret that is scheduled for deletion, or just being deleted.
    Held { said: String },
    /// There is no such secret, or KMS key.
    Missing { said: String },
    /// Known to AWS, and not allowed to.
    Denied { code: String, said: String },
    /// Not known to AWS.
    Stranger { code: String, said: String },
    /// There are no credentials anywhere.
    NoCredentials { cause: Cause },
    /// There should be credentials, and there are none to be had.
    BadCredentials { cause: Cause },
    /// Whoever gives credentials gives no answer.
    SilentCredentials { cause: Cause },
    /// AWS cannot use the KMS key.
    Kms { code: String, said: String },
    /// Too many requests, or too many secrets.
    Limited { code: String, said: String },
    /// Nobody answered, or something on the way was out of order.
    Silent { cause: Cause },
    /// Something answered that is not Secrets Manager.
    Strange { status: u16, cause: Cause },
    /// Anything else that AWS said.
    Refused { code: String, said: String },
}

impl Failure {
    pub(crate) fn too_slow() -> Self {
        let limit = CALL_MAX.as_secs();
        Self::Silent {
            cause: Cause(format!("no answer within {limit} s")),
        }
    }

    pub(crate) fn of_credentials(error: &CredentialsError) -> Self {
        let cause = Cause::of(error);
        match error {
            CredentialsError::CredentialsNotLoaded(_) => Self::NoCredentials { cause },
            CredentialsError::ProviderTimedOut(_) => Self::SilentCredentials { cause },
            _ => Self::BadCredentials { cause },
        }
    }

    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        if let Some(credentials) = credentials_error(error) {
            return Self::of_credentials(credentials);
        }
        let status = error.raw_response().map(|r| r.status().as_u16());
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        match (meta.and_then(|m| m.code()), status) {
            (Some(code), status) => {
                let said = meta.and_then(|m| m.message()).unwrap_or_default();
                Self::from_code(code, said, status.unwrap_or_default())
            }
            (None, Some(status)) if status >= 500 => Self::Silent {
                cause: Cause(format!("HTTP {status}")),
            },
            (None, Some(status)) => Self::Strange {
                status,
                cause: Cause::of(error),
            },
            (None, None) => Self::Silent {
                cause: Cause::of(error),
            },
        }
    }

    fn from_code(code: &str, said: &str, status: u16) -> Self {
        let is_of_deletion = [
            "scheduled for deletion",
            "marked for deletion",
            "marked deleted",
        ]
        .iter()
        .any(|words| said.contains(words));
        let is_of_kms = said.contains("KMS");
        let (code, said) = (one_line(code), one_line(said));
        match code.as_str() {
            "ResourceExistsException" => Self::Taken,
            "ResourceNotFoundException" => Self::Missing { said },
            "InvalidRequestException" if is_of_deletion => Self::Held { said },
            "DecryptionFailure" | "EncryptionFailure" => Self::Kms { code, said },
            "AccessDeniedException" | "AccessDenied" if is_of_kms => Self::Kms { code, said },
            "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => {
                Self::Denied { code, said }
            }
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "OptInRequired" => Self::Stranger { code, said },
            "ThrottlingException"
            | "Throttling"
            | "TooManyRequestsException"
            | "LimitExceededException" => Self::Limited { code, said },
            _ if status >= 500 => Self::Silent {
                cause: Cause(format!("HTTP {status}, {code}: {said}")),
            },
            _ => Self::Refused { code, said },
        }
    }

    /// For what is about no key.
    pub(crate) fn into_words(self, url: &str) -> StoreError {
        self.in_words(Call {
            action: "GET",
            key: None,
            kms_key: None,
            url,
        })
    }

    /// What the caller is told.
    pub(crate) fn in_words(self, call: Call<'_>) -> StoreError {
        let Call { action, url, .. } = call;
        let subject = match call.key {
            Some(key) => format!("{action} of key '{key}'"),
            None => action.to_owned(),
        };
        match self {
            Self::Taken => StoreError::Exists,
            Self::Missing { .. } if action != "CreateSecret" => StoreError::NotFound,
            Self::Missing { said } => StoreError::other(format!(
                "AWS refuses {subject}: {said}; check the KMS key {} of the configuration",
                quoted(call.kms_key)
            )),
            Self::Held { said } => StoreError::other(format!(
                "a secret named '{}' is scheduled for deletion and cannot be used ({said}); restore it with 'aws \
                 secretsmanager restore-secret', or free its name with 'aws secretsmanager delete-secret \
                 --force-delete-without-recovery'",
                call.key.map_or("?", KeyName::as_str)
            )),
            Self::Denied { code, said } => StoreError::other(format!(
                "AWS denies {subject} ({code}: {said}); grant secretsmanager:{action} to this identity"
            )),
            Self::Stranger { code, said } => StoreError::other(format!(
                "AWS does not accept the credentials ({code}: {said}); {}",
                advice_to_strangers(&code)
            )),
            Self::NoCredentials { cause } => StoreError::failed(
                "no AWS credentials were found: neither in the configuration (credentials) nor in the environment, a \
                 profile file, a web identity token, a container or the role of an instance",
                cause,
            ),
            Self::BadCredentials { cause } => {
                StoreError::failed("AWS credentials could not be loaded", cause)
            }
            Self::SilentCredentials { cause } => {
                StoreError::unreachable("AWS credentials could not be loaded", cause)
            }
            Self::Kms { code, said } => StoreError::other(format!(
                "AWS cannot use the KMS key {} for {subject} ({code}: {said}); check that it is enabled and that \
                 kms:Decrypt and kms:GenerateDataKey are granted on it",
                quoted(call.kms_key)
            )),
            Self::Limited { code, said } => StoreError::other(format!(
                "AWS limits {subject} ({code}: {said}); try again later, or ask for a higher quota of Secrets Manager"
            )),
            Self::Silent { cause } => StoreError::unreachable(
                format!("AWS Secrets Manager at {url} gives no answer"),
                cause,
            ),
            Self::Strange { status, cause } => StoreError::failed(
                format!(
                    "what answers {subject} at {url} with HTTP {status} is not AWS Secrets Manager; check the endpoint, the \
                     credentials, and proxies on the way"
                ),
                cause,
            ),
            Self::Refused { code, said } => {
                StoreError::other(format!("AWS refuses {subject} ({code}: {said})"))
            }
        }
    }
}

fn advice_to_strangers(code: &str) -> &'static str {
    match code {
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "check the access key and, with temporary credentials, the session token"
        }
        "ExpiredToken" | "ExpiredTokenException" => "get new temporary credentials",
        "RequestExpired" => "set the clock of this machine",
        "OptInRequired" => "enable the region for this account",
        _ => "check the secret key, the region, and the clock of this machine",
    }
}

fn quoted(kms_key: Option<&str>) -> String {
    kms_key.map_or_else(
        || "aws/secretsmanager, or the one that encrypted the secret,".to_owned(),
        |key| format!("'{key}'"),
    )
}

/// The SDK buries it below a failure to dispatch.
fn credentials_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a CredentialsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<CredentialsError>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Somebody else's text, fit for a line of a log.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    let text = words.join(" ");
    let text = text.trim_end_matches('.');
    match text.char_indices().nth(SAID_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
