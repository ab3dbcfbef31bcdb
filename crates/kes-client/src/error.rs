//! What can go wrong with a request.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use strongroom_kes_api::body::BodyError;
use strongroom_kes_api::{ErrorKind, KesError};

use crate::endpoint::Endpoint;

/// A request that did not succeed, by what the caller can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answer is no answer of a KES server.
    #[error("kes: server {endpoint} sent an unexpected answer: {reason}")]
    BadAnswer {
        /// Who sent it.
        endpoint: Endpoint,
        /// What is odd.
        reason: String,
    },
    /// No answer came. Another try may succeed.
    #[error("kes: connection error: {method} \"{endpoint}{path}\": {source}")]
    Connection {
        /// The endpoint that was asked last.
        endpoint: Endpoint,
        /// The method, as in `Get`.
        method: &'static str,
        /// The decoded path.
        path: String,
        /// Why.
        source: Box<ConnectionError>,
    },
    /// No such identity.
    #[error("{}", KesError::IDENTITY_NOT_FOUND)]
    IdentityNotFound,
    /// The key exists already.
    #[error("{}", KesError::KEY_EXISTS)]
    KeyExists,
    /// No such key.
    #[error("{}", KesError::KEY_NOT_FOUND)]
    KeyNotFound,
    /// The key is too old to have an HMAC key.
    #[error("{}", KesError::NO_HMAC_KEY)]
    NoHmacKey,
    /// The policy forbids it, or the server does not know the caller.
    #[error("{}", KesError::NOT_ALLOWED)]
    NotAllowed,
    /// The ciphertext was not made by this key under this context.
    #[error("{}", KesError::NOT_AUTHENTIC)]
    NotAuthentic,
    /// No such policy.
    #[error("{}", KesError::POLICY_NOT_FOUND)]
    PolicyNotFound,
    /// The server answered with any other error.
    #[error("{message}")]
    Server {
        /// HTTP status, 400 or more.
        status: u16,
        /// The server's sentence.
        message: String,
    },
}

impl Error {
    /// Might the same request succeed later, with nothing changed by anybody?
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { source, .. } => !matches!(**source, ConnectionError::Tls { .. }),
            Self::Server { status, .. } => matches!(status, 429 | 500..=599) && *status != 501,
            _ => false,
        }
    }
}

impl From<KesError> for Error {
    fn from(error: KesError) -> Self {
        match error.kind() {
            ErrorKind::IdentityNotFound => Self::IdentityNotFound,
            ErrorKind::KeyExists => Self::KeyExists,
            ErrorKind::KeyNotFound => Self::KeyNotFound,
            ErrorKind::NoHmacKey => Self::NoHmacKey,
            ErrorKind::NotAllowed => Self::NotAllowed,
            ErrorKind::NotAuthentic => Self::NotAuthentic,
            ErrorKind::PolicyNotFound => Self::PolicyNotFound,
            _ => {
                let message = match error.message().trim_end() {
                    "" => format!("server answered with status {}", error.status()),
                    text => text.to_owned(),
                };
                Self::Server {
                    status: error.status(),
                    message,
                }
            }
        }
    }
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The connection failed or broke.
    #[error("{}", Causes(&**source))]
    Broken {
        /// What the network said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The request cannot be expressed in HTTP.
    #[error("invalid request: {source}")]
    Request {
        /// What is odd.
        source: http::Error,
    },
    /// The time for one try ran out.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// The time for one try.
        after: Duration,
    },
    /// The TLS handshake failed: one side does not trust the other.
    #[error("tls: {}", TlsWords(source))]
    Tls {
        /// What the TLS library said.
        source: rustls::Error,
    },
}

impl ConnectionError {
    pub(crate) fn new(source: Box<dyn StdError + Send + Sync>) -> Self {
        match tls_cause(&*source) {
            Some(source) => Self::Tls { source },
            None => Self::Broken { source },
        }
    }
}

/// A TLS error hides inside an I/O error inside HTTP errors.
pub(crate) fn tls_cause(error: &(dyn StdError + 'static)) -> Option<rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
            && let Some(found) = tls_cause(inner)
        {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The commonest failure in the words that people search for.
struct TlsWords<'e>(&'e rustls::Error);

impl fmt::Display for TlsWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                f.write_str("failed to verify certificate: certificate signed by unknown authority")
            }
            // An authority of that name is trusted, and has another key: one that was made anew, or none of ours.
            rustls::Error::InvalidCertificate(
                CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
            ) => f.write_str(
                "failed to verify certificate: certificate signed by unknown authority, which has the name of a trusted one but \
                 another key",
            ),
            rustls::Error::InvalidCertificate(cause) => {
                write!(f, "failed to verify certificate: {cause}")
            }
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                f.write_str("the server demands a client certificate")
            }
            rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
                f.write_str("the server refused the client certificate: it has expired")
            }
            rustls::Error::AlertReceived(AlertDescription::UnknownCA) => f.write_str(
                "the server refused the client certificate: it knows none of the authorities that signed it",
            ),
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied),
            ) => write!(f, "the server refused the client certificate ({alert:?})"),
            other => other.fmt(f),
        }
    }
}

/// The innermost words of a chain of errors: the outer ones only say "client error".
struct Causes<'e>(&'e (dyn StdError + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts = Vec::new();
        let mut cause = Some(self.0);
        while let Some(error) = cause {
            let text = error.to_string();
            if texts.last() != Some(&text) {
                texts.push(text);
            }
            cause = error.source();
        }
        let from = texts
            .len()
            .saturating_sub(2)
            .max(usize::from(texts.len() > 1));
        f.write_str(&texts[from..].join(": "))
    }
}

/// The bytes of a success that do not read.
pub(crate) fn bad_body(endpoint: &Endpoint, error: &BodyError) -> Error {
    Error::BadAnswer {
        endpoint: endpoint.clone(),
        reason: error.to_string(),
    }
}
