//! What identifies the material of an external key.

use crate::hmac::hmac;
use crate::master::MasterKey;

/// The text whose HMAC identifies a key. A KES server computes it through its HMAC call.
const FINGERPRINT_LABEL: &[u8] = b"strongroom/v1/fingerprint";

/// Identifies the material of an external key, where that is to be had.
///
/// A fingerprint never decides whether something opens. It words failures ("same name, other material"), keys caches
/// and permits copies of sealed bytes. It is never a bare hash of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fingerprint {
    /// First 16 bytes of `HMAC(EK, "strongroom/v1/fingerprint")`: our keystores and the static key.
    KeyHmac([u8; 16]),
    /// First 16 bytes of the same text's HMAC as a KES server computes it: identifies the HMAC key that lies beside
    /// the external key.
    KesHmac([u8; 16]),
    /// When a KES server says that the key was made, RFC 3339, as it wrote it. At most 64 bytes.
    KesCreatedAt(String),
    /// Version of a Vault transit key.
    VaultVersion(u32),
}

impl Fingerprint {
    /// The text to ask a KES server's HMAC call for; see [`from_kes_hmac`](Self::from_kes_hmac).
    pub const KES_MESSAGE: &'static [u8] = FINGERPRINT_LABEL;

    /// From the 32 bytes that a KES server answered to [`KES_MESSAGE`](Self::KES_MESSAGE).
    #[must_use]
    pub fn from_kes_hmac(mac: &[u8; 32]) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&mac[..16]);
        Self::KesHmac(first)
    }

    /// Whether two keys have the same material as far as can be told. What is not known never matches.
    #[must_use]
    pub fn same_material(a: Option<&Self>, b: Option<&Self>) -> bool {
        matches!((a, b), (Some(a), Some(b)) if a == b)
    }
}

impl MasterKey {
    /// The key's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mac = hmac(self.expose(), &[FINGERPRINT_LABEL]);
        let mut first = [0; 16];
        first.copy_from_slice(&mac[..16]);
        Fingerprint::KeyHmac(first)
    }
}
