//! Errors on the wire. Clients compare status *and* message exactly, so both are part of the interface.

use std::borrow::Cow;

use serde::de::MapAccess;

use crate::body::{self, FromJson, Members};
use crate::name::NameError;

/// Most bytes of an error body that a client reads.
pub const ERROR_BODY_BYTES_MAX: usize = 1 << 20;

/// A status of 400 or more and a plain sentence for the client. It never names hosts, paths or key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KesError {
    status: u16,
    message: Cow<'static, str>,
}

/// The conditions that programs tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The identity exists already.
    IdentityExists,
    /// No such identity.
    IdentityNotFound,
    /// The key exists already.
    KeyExists,
    /// No such key.
    KeyNotFound,
    /// The key is too old to have an HMAC key.
    NoHmacKey,
    /// The policy forbids it, or the caller is unknown.
    NotAllowed,
    /// The ciphertext was not made by this key under this context.
    NotAuthentic,
    /// Anything else: status and message say more.
    Other,
    /// The change was made but is not on all servers yet.
    PartialWrite,
    /// The policy exists already.
    PolicyExists,
    /// No such policy.
    PolicyNotFound,
}

macro_rules! known_errors {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $message:literal;)*) => {
        impl KesError {
            $($(#[$doc])* pub const $name: Self = Self::known($status, $message);)*
        }
    };
}

known_errors! {
    /// The policy denies, or nobody knows the caller.
    NOT_ALLOWED = 403, "not authorized: insufficient permissions";
    /// No such key.
    KEY_NOT_FOUND = 404, "key does not exist";
    /// 400, not 409: clients compare.
    KEY_EXISTS = 400, "key already exists";
    /// No such policy.
    POLICY_NOT_FOUND = 404, "policy does not exist";
    /// The policy exists already.
    POLICY_EXISTS = 400, "policy already exists";
    /// No such identity.
    IDENTITY_NOT_FOUND = 404, "identity does not exist";
    /// The identity exists already.
    IDENTITY_EXISTS = 400, "identity already exists";
    /// Must stay distinct from every other failure to decrypt.
    NOT_AUTHENTIC = 400, "decryption failed: ciphertext is not authentic";
    /// Written on some servers only.
    PARTIAL_WRITE = 503, "change committed but not replicated";
    /// The key was stored before keys had HMAC keys.
    NO_HMAC_KEY = 409, "key does not support HMAC";
    /// The body is no JSON of the expected form, or too long.
    INVALID_BODY = 400, "invalid request body";
    /// The same for an import.
    INVALID_IMPORT_BODY = 400, "invalid import key request body";
    /// More than [`crate::body::BULK_DECRYPT_MAX`] ciphertexts.
    TOO_MANY_CIPHERTEXTS = 400, "too many ciphertexts";
    /// Plain HTTP.
    NO_TLS = 400, "insecure connection: TLS is required";
    /// The key store failed, or what it holds does not parse.
    READ_KEY_FAILED = 502, "failed to read key";
    /// The key store failed.
    CREATE_KEY_FAILED = 502, "failed to create key";
    /// The key store failed.
    DELETE_KEY_FAILED = 502, "failed to delete key";
    /// The key store failed.
    LIST_KEYS_FAILED = 502, "failed to list keys";
    /// No randomness.
    GENERATE_FAILED = 500, "failed to generate encryption key";
    /// The cryptography failed.
    ENCRYPT_FAILED = 500, "failed to encrypt plaintext";
    /// Anything but an unauthentic ciphertext.
    DECRYPT_FAILED = 500, "failed to decrypt ciphertext";
    /// The server does not know its version.
    VERSION_FAILED = 500, "failed to read server version";
    /// The readiness check found nobody.
    STORE_UNREACHABLE = 504, "key store is not reachable";
    /// The readiness check found trouble.
    STORE_UNAVAILABLE = 502, "key store is unavailable";
    /// A route that a server with a configuration file does not serve. 501 leaves the endpoint in the client's rotation.
    NOT_IMPLEMENTED = 501, "not implemented";
}

impl KesError {
    const fn known(status: u16, message: &'static str) -> Self {
        Self {
            status,
            message: Cow::Borrowed(message),
        }
    }

    /// Any other error.
    #[must_use]
    pub fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// 405. Send the expected method in the headers `Accept` (as upstream does) and `Allow`.
    #[must_use]
    pub fn wrong_method(received: &str, expected: &str) -> Self {
        Self::new(
            405,
            format!("received method '{received}' expected '{expected}'"),
        )
    }

    /// 406: an import names an algorithm that nobody knows, or none.
    #[must_use]
    pub fn unsupported_algorithm(given: &str) -> Self {
        Self::new(406, format!("algorithm '{given}' is not supported"))
    }

    /// 406: an imported key is not 32 bytes long.
    #[must_use]
    pub fn invalid_key_size(algorithm: &str) -> Self {
        Self::new(406, format!("invalid key size for '{algorithm}'"))
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body to send, with `Content-Type: application/json`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        body::json_line(&serde_json::json!({ "message": self.message }))
    }

    /// What a client makes of an answer of 400 or more.
    #[must_use]
    pub fn from_response(status: u16, content_type: Option<&str>, body: &[u8]) -> Self {
        let is_json = content_type.is_some_and(|t| t.trim_start().starts_with("application/json"));
        let text = if is_json {
            let sent = SentError::from_json(body).unwrap_or_default();
            if sent.error.is_empty() {
                sent.message
            } else {
                sent.error
            }
        } else {
            String::from_utf8_lossy(body).into_owned()
        };
        Self::from_status_and_text(status, text)
    }

    /// An error known by its text alone: the last line of a listing in NDJSON.
    #[must_use]
    pub fn from_status_and_text(status: u16, text: String) -> Self {
        match (status, text.as_str()) {
            (403, "prohibited by policy") => Self::NOT_ALLOWED,
            (400, "key does already exist") => Self::KEY_EXISTS,
            _ => Self {
                status,
                message: Cow::Owned(text),
            },
        }
    }

    /// Which of the known conditions it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        const KINDS: [(KesError, ErrorKind); 10] = [
            (KesError::NOT_ALLOWED, ErrorKind::NotAllowed),
            (KesError::KEY_NOT_FOUND, ErrorKind::KeyNotFound),
            (KesError::KEY_EXISTS, ErrorKind::KeyExists),
            (KesError::POLICY_NOT_FOUND, ErrorKind::PolicyNotFound),
            (KesError::POLICY_EXISTS, ErrorKind::PolicyExists),
            (KesError::IDENTITY_NOT_FOUND, ErrorKind::IdentityNotFound),
            (KesError::IDENTITY_EXISTS, ErrorKind::IdentityExists),
            (KesError::NOT_AUTHENTIC, ErrorKind::NotAuthentic),
            (KesError::PARTIAL_WRITE, ErrorKind::PartialWrite),
            (KesError::NO_HMAC_KEY, ErrorKind::NoHmacKey),
        ];
        KINDS
            .iter()
            .find(|(known, _)| known == self)
            .map_or(ErrorKind::Other, |(_, kind)| *kind)
    }
}

impl From<NameError> for KesError {
    fn from(error: NameError) -> Self {
        Self::new(400, error.to_string())
    }
}

#[derive(Default)]
struct SentError {
    error: String,
    message: String,
}

impl Members for SentError {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "error" => self.error = body::text(map)?,
            "message" => self.message = body::text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_words_for_known_conditions_are_understood() {
        let json = Some("application/json; charset=utf-8");
        let read =
            |status, body: &str| KesError::from_response(status, json, body.as_bytes()).kind();
        assert_eq!(
            read(403, r#"{"message":"prohibited by policy"}"#),
            ErrorKind::NotAllowed
        );
        assert_eq!(
            read(400, r#"{"message":"key does already exist"}"#),
            ErrorKind::KeyExists
        );
        assert_eq!(
            read(400, "{\"message\":\"key already exists\"\n}"),
            ErrorKind::KeyExists
        );
        assert_eq!(
            read(409, r#"{"message":"key already exists"}"#),
            ErrorKind::Other
        );
        assert_eq!(
            read(404, r#"{"error":"key does not exist","message":"x"}"#),
            ErrorKind::KeyNotFound
        );
    }

    #[test]
    fn other_content_types_are_read_as_text() {
        let error = KesError::from_response(404, Some("text/plain"), b"404 page not found\n");
        assert_eq!(
            (error.status(), error.message()),
            (404, "404 page not found\n")
        );
    }

    #[test]
    fn bodies_escape_what_html_would_read() {
        let error = KesError::new(400, "key name '<&>' …");
        assert_eq!(
            String::from_utf8(error.to_json()).unwrap(),
            "{\"message\":\"key name '\\u003c\\u0026\\u003e' …\"}\n"
        );
    }
}
