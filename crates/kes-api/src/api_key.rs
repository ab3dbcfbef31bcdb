//! API keys: an Ed25519 seed in one line of text.
//!
//! ```text
//! "kes:v1:" || base64( 0x00 || seed[32] )
//! ```

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::base64::{self, IllegalBase64};
use crate::identity::Identity;

const PREFIX: &str = "kes:v1:";
/// The only type there is.
const TYPE_ED25519: u8 = 0;
const SEED_BYTES: usize = 32;

/// RFC 8410 §4: SubjectPublicKeyInfo of an Ed25519 key, up to the key.
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// RFC 8410 §7: PKCS#8 (version 1) of an Ed25519 key, up to the seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A client's secret. Its identity is public.
pub struct ApiKey {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    public_key: [u8; 32],
}

/// The text or key is no API key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The part after the prefix is no base64.
    #[error(transparent)]
    Base64(#[from] IllegalBase64),
    /// Not 33 bytes.
    #[error("kes: invalid API key: invalid length")]
    Length,
    /// The first byte names a type that nobody knows, or the key is not Ed25519.
    #[error("kes: invalid API key: unsupported type")]
    UnsupportedType,
}

impl ApiKey {
    /// Reads the text; the prefix `kes:v1:` may be missing.
    ///
    /// # Errors
    /// [`ApiKeyError`].
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let bytes = base64::decode(text.strip_prefix(PREFIX).unwrap_or(text))?;
        match bytes.split_first() {
            Some((_, seed)) if seed.len() != SEED_BYTES => Err(ApiKeyError::Length),
            None => Err(ApiKeyError::Length),
            Some((&TYPE_ED25519, seed)) => {
                let mut owned = Zeroizing::new([0; SEED_BYTES]);
                owned.copy_from_slice(seed);
                Self::from_seed(owned)
            }
            Some(_) => Err(ApiKeyError::UnsupportedType),
        }
    }

    /// The key that grows from 32 bytes, which must be random.
    ///
    /// # Errors
    /// [`ApiKeyError::UnsupportedType`] should the cryptographic library refuse the seed; it accepts all.
    pub fn from_seed(seed: Zeroizing<[u8; SEED_BYTES]>) -> Result<Self, ApiKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_| ApiKeyError::UnsupportedType)?;
        let public_key = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| ApiKeyError::UnsupportedType)?;
        Ok(Self { seed, public_key })
    }

    /// Reads an Ed25519 private key in PKCS#8 (DER), with or without its public half behind it (RFC 5958).
    ///
    /// # Errors
    /// [`ApiKeyError::UnsupportedType`] when it is anything else.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, ApiKeyError> {
        // The version byte and the outer length differ between RFC 5208 and RFC 5958; the rest is the same.
        let seed = der
            .get(5..PKCS8_PREFIX.len())
            .filter(|head| *head == &PKCS8_PREFIX[5..])
            .filter(|_| der[0] == 0x30)
            .and_then(|_| der.get(PKCS8_PREFIX.len()..PKCS8_PREFIX.len() + SEED_BYTES))
            .ok_or(ApiKeyError::UnsupportedType)?;
        let mut owned = Zeroizing::new([0; SEED_BYTES]);
        owned.copy_from_slice(seed);
        Self::from_seed(owned)
    }

    /// The text form: a secret.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([TYPE_ED25519; 1 + SEED_BYTES]);
        bytes[1..].copy_from_slice(self.seed.as_slice());
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 44));
        text.push_str(PREFIX);
        text.push_str(&base64::encode_secret(bytes.as_slice()));
        text
    }

    /// The private key in PKCS#8 (DER): a secret.
    #[must_use]
    pub fn expose_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + SEED_BYTES));
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(self.seed.as_slice());
        der
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Who the holder of this key is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let mut spki = [0; SPKI_PREFIX.len() + 32];
        spki[..SPKI_PREFIX.len()].copy_from_slice(&SPKI_PREFIX);
        spki[SPKI_PREFIX.len()..].copy_from_slice(&self.public_key);
        Identity::of_public_key_info(&spki)
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.seed.as_slice().ct_eq(other.seed.as_slice()).into()
    }
}

impl Eq for ApiKey {}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED_00_TO_1F: &str = "kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn documented_keys_have_the_documented_identities() {
        for (key, identity) in [
            (
                "kes:v1:AGaV6VXHasF0FnaB60WdCOeTZ8eTIDikL4zlN16c8NAs",
                "ea9826089311fe44d7590408ede9150f7c637b6cab0a91ee6fe1aa5d9fb366f6",
            ),
            (
                "kes:v1:ACQpoGqx3rHHjT938Hfu5hVVQJHZWSqVI2Xp1KlYxFVw",
                "0426fa9a04bc2756b92fbe8a97e1a1e07b53ecf04ed33da22c33e5c9faeb8cbb",
            ),
            (
                SEED_00_TO_1F,
                "a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5",
            ),
        ] {
            assert_eq!(ApiKey::parse(key).unwrap().identity().to_string(), identity);
        }
    }

    #[test]
    fn text_and_pkcs8_round_trip_and_the_prefix_is_optional() {
        let key = ApiKey::parse(SEED_00_TO_1F.strip_prefix(PREFIX).unwrap()).unwrap();
        assert_eq!(key.expose().as_str(), SEED_00_TO_1F);
        assert_eq!(
            ApiKey::from_pkcs8_der(&key.expose_pkcs8_der()).unwrap(),
            key
        );
    }

    #[test]
    fn other_texts_are_refused_with_the_known_words() {
        let refusal = |text: &str| ApiKey::parse(text).unwrap_err().to_string();
        assert_eq!(
            refusal("kes:v1:AAAA"),
            "kes: invalid API key: invalid length"
        );
        assert_eq!(refusal(""), "kes: invalid API key: invalid length");
        assert_eq!(
            refusal("kes:v1:AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"),
            "kes: invalid API key: unsupported type"
        );
        assert!(refusal("kes:v1:%").starts_with("illegal base64"));
        assert!(ApiKey::from_pkcs8_der(&[0x30, 0x2e]).is_err());
    }

    #[test]
    fn debug_shows_the_identity_only() {
        let shown = format!("{:?}", ApiKey::parse(SEED_00_TO_1F).unwrap());
        assert_eq!(
            shown,
            "ApiKey(a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5)"
        );
    }
}
