//! The transit engine, which encrypts and keeps the keys to itself: <https://openbao.org/api-docs/secret/transit/>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::{Payload, Request, Verb};
use crate::error::VaultError;
use crate::path::{Mount, Path};
use crate::secret::Secret;
use crate::session::Session;

/// Room for what surrounds a text in a request.
const BYTES_SPARE: usize = 256;

/// One key of a transit engine.
#[derive(Debug, Clone)]
pub struct Transit {
    /// Where the engine lies.
    pub mount: Mount,
    /// Name of the key.
    pub key: String,
}

/// A new data key.
#[derive(Debug)]
pub struct DataKey {
    /// The key itself.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The key wrapped, `vault:v1:…`.
    pub ciphertext: String,
}

#[derive(Serialize)]
struct Plaintext<'a> {
    plaintext: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    associated_data: Option<&'a str>,
}

#[derive(Serialize)]
struct Ciphertext<'a> {
    ciphertext: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    associated_data: Option<&'a str>,
}

#[derive(Serialize)]
struct Bits {
    bits: u32,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Secret,
}

#[derive(Deserialize)]
struct NewDataKey {
    plaintext: Secret,
    ciphertext: String,
}

/// Is this a text that transit made, with whatever version of its key?
#[must_use]
pub fn is_wrapped(text: &str) -> bool {
    let version = text
        .strip_prefix("vault:v")
        .and_then(|rest| rest.split_once(':'))
        .map(|(version, _)| version);
    version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()))
}

impl Transit {
    /// Where a call to the key lies, below `/v1/`.
    ///
    /// # Errors
    /// The name of the key cannot be part of a path.
    pub fn path(&self, call: &'static str) -> Result<Path, VaultError> {
        self.mount.path.and(call).with(&self.key)
    }

    /// Encrypts with the newest version of the key. `context` is authenticated and must be given again.
    ///
    /// # Errors
    /// Vault does not answer, or refuses.
    pub async fn encrypt(
        &self,
        session: &Session,
        plaintext: &[u8],
        context: Option<&[u8]>,
    ) -> Result<String, VaultError> {
        let plaintext = Zeroizing::new(BASE64.encode(plaintext));
        let context = context.map(|bytes| BASE64.encode(bytes));
        let body = Plaintext {
            plaintext: &plaintext,
            associated_data: context.as_deref(),
        };
        let size = plaintext.len() + context.as_ref().map_or(0, String::len) + BYTES_SPARE;
        let payload = Payload::json(&body, size)?;
        let path = self.path("encrypt")?;
        let request = Request::new(Verb::Post, &self.mount.namespace, &path).body(&payload);
        let encrypted: Encrypted = session.call(request).await?.found()?;
        if is_wrapped(&encrypted.ciphertext) {
            Ok(encrypted.ciphertext)
        } else {
            Err(strange(
                &path,
                "the ciphertext does not start as Vault's do",
            ))
        }
    }

    /// Decrypts with the version of the key that encrypted.
    ///
    /// # Errors
    /// Vault does not answer, or refuses.
    pub async fn decrypt(
        &self,
        session: &Session,
        ciphertext: &str,
        context: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let context = context.map(|bytes| BASE64.encode(bytes));
        let body = Ciphertext {
            ciphertext,
            associated_data: context.as_deref(),
        };
        let size = ciphertext.len() + context.as_ref().map_or(0, String::len) + BYTES_SPARE;
        let payload = Payload::json(&body, size)?;
        let path = self.path("decrypt")?;
        let request = Request::new(Verb::Post, &self.mount.namespace, &path).body(&payload);
        let decrypted: Decrypted = session.call(request).await?.found()?;
        decoded(&path, &decrypted.plaintext)
    }

    /// Makes a data key of so many bits (128, 256 or 512).
    ///
    /// # Errors
    /// Vault does not answer, or refuses.
    pub async fn data_key(&self, session: &Session, bits: u32) -> Result<DataKey, VaultError> {
        let payload = Payload::json(&Bits { bits }, BYTES_SPARE)?;
        let path = self
            .mount
            .path
            .and("datakey")
            .and("plaintext")
            .with(&self.key)?;
        let request = Request::new(Verb::Post, &self.mount.namespace, &path).body(&payload);
        let made: NewDataKey = session.call(request).await?.found()?;
        Ok(DataKey {
            plaintext: decoded(&path, &made.plaintext)?,
            ciphertext: made.ciphertext,
        })
    }
}

fn decoded(path: &Path, text: &Secret) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    BASE64
        .decode(text.expose())
        .map(Zeroizing::new)
        .map_err(|_| strange(path, "the plaintext is no base64"))
}

fn strange(path: &Path, what: &str) -> VaultError {
    VaultError::Garbage {
        path: path.to_string(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_texts_are_known_whatever_the_version_of_their_key() {
        for text in ["vault:v1:abc", "vault:v23:", "vault:v007:x:y"] {
            assert!(is_wrapped(text), "{text}");
        }
        for text in [
            "",
            "vault:v:abc",
            "vault:v1",
            "vault:vx:abc",
            "vault:1:abc",
            " vault:v1:a",
        ] {
            assert!(!is_wrapped(text), "{text}");
        }
    }
}
