//! ETags that keep S3's promise while no MD5 lies on disk.
//!
//! The MD5 of an SSE-S3 object is stored through a keyed permutation: one AES-256 block under a key of its own for
//! each object, so equal plaintexts have unrelated stored ETags and a listing needs no KMS to show the real ones.
//! `docs/formats/sealed-object.md` §5 and `docs/decisions/0003-etag-permutation.md`.

use std::fmt;

use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use zeroize::Zeroizing;

use crate::codec::{DecodeError, Reader};
use crate::envelope::GenerationId;
use crate::hmac::hmac_prefixed;
use crate::object_key::PART_NUMBER_MAX;
use crate::path::ObjectPath;

const LABEL: &[u8] = b"strongroom/v1/etag";
const KEYS_VERSION: u8 = 1;
/// Most keys that are kept: they are replaced once in years, if ever.
pub const ETAG_KEYS_MAX: usize = 256;

/// Names an ETag key; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EtagKeyId(u32);

impl EtagKeyId {
    /// `None` for 0, which means "no key" in the envelope.
    #[must_use]
    pub const fn new(id: u32) -> Option<Self> {
        if id == 0 { None } else { Some(Self(id)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// An ETag of 16 bytes, of an object in parts with their number: `32 hex digits[-n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Etag {
    /// MD5 of the plaintext, or of the parts' MD5s, or what stands for it.
    pub digest: [u8; 16],
    /// Parts, 1 to 10,000, if it came in parts.
    pub parts: Option<u32>,
}

impl Etag {
    /// The ETag of an object whose MD5 is not promised: always ends in `-1`, since clients take 32 bare hex digits
    /// for an MD5.
    #[must_use]
    pub const fn opaque(random: [u8; 16]) -> Self {
        Self {
            digest: random,
            parts: Some(1),
        }
    }

    /// Reads the text without quotes; `None` if it is not of this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, parts) = match text.split_once('-') {
            None => (text, None),
            Some((digits, parts)) => {
                let number = parts
                    .parse()
                    .ok()
                    .filter(|n| (1..=PART_NUMBER_MAX).contains(n))?;
                // One text for each number: no sign, no leading zeros.
                if parts != number.to_string() {
                    return None;
                }
                (digits, Some(number))
            }
        };
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let mut digest = [0; 16];
        hex::decode_to_slice(digits, &mut digest).ok()?;
        Some(Self { digest, parts })
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.digest))?;
        self.parts.map_or(Ok(()), |parts| write!(f, "-{parts}"))
    }
}

/// A key that ETags are permuted with.
pub struct EtagKey {
    id: EtagKeyId,
    key: Zeroizing<[u8; 32]>,
}

impl EtagKey {
    /// Names a key of 32 random bytes.
    #[must_use]
    pub fn new(id: EtagKeyId, key: [u8; 32]) -> Self {
        Self {
            id,
            key: Zeroizing::new(key),
        }
    }

    /// Its id, which the envelope keeps.
    #[must_use]
    pub const fn id(&self) -> EtagKeyId {
        self.id
    }

    /// The bytes of the key. Every call is worth a look in review.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.key
    }

    /// The ETag to store for one that clients see.
    #[must_use]
    pub fn hide(&self, etag: Etag, path: &ObjectPath<'_>, generation: GenerationId) -> Etag {
        let mut block = etag.digest.into();
        self.cipher(path, generation).encrypt_block(&mut block);
        Etag {
            digest: block.into(),
            parts: etag.parts,
        }
    }

    /// The ETag that clients see for one that is stored.
    #[must_use]
    pub fn reveal(&self, stored: Etag, path: &ObjectPath<'_>, generation: GenerationId) -> Etag {
        let mut block = stored.digest.into();
        self.cipher(path, generation).decrypt_block(&mut block);
        Etag {
            digest: block.into(),
            parts: stored.parts,
        }
    }

    fn cipher(&self, path: &ObjectPath<'_>, generation: GenerationId) -> aes::Aes256 {
        let tweak = [
            path.bucket().as_bytes(),
            path.key().as_bytes(),
            &generation.0,
        ];
        let subkey = hmac_prefixed(self.expose(), LABEL, &tweak);
        aes::Aes256::new(&(*subkey).into())
    }
}

impl fmt::Debug for EtagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EtagKey({}, secret)", self.id.0)
    }
}

/// All ETag keys of a store: the first one writes, all of them read.
#[derive(Debug)]
pub struct EtagKeys(Vec<EtagKey>);

impl EtagKeys {
    /// A store's first key.
    #[must_use]
    pub fn new(first: EtagKey) -> Self {
        Self(vec![first])
    }

    /// The key that new ETags are permuted with.
    #[must_use]
    pub fn current(&self) -> &EtagKey {
        // Never empty: `new` and `decode` see to it.
        &self.0[0]
    }

    /// The key of that id.
    #[must_use]
    pub fn get(&self, id: EtagKeyId) -> Option<&EtagKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The same keys behind a new one, which new ETags are permuted with from now on. `None` if there is no number or no
    /// place left for it.
    #[must_use]
    pub fn renewed(mut self, key: [u8; 32]) -> Option<Self> {
        let highest = self.0.iter().map(|key| key.id.0).max().unwrap_or(0);
        let id = EtagKeyId::new(highest.checked_add(1)?)?;
        self.0.insert(0, EtagKey::new(id, key));
        (self.0.len() <= ETAG_KEYS_MAX).then_some(self)
    }

    /// The record's plaintext, to be sealed under the state key.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(3 + self.0.len() * 36));
        out.push(KEYS_VERSION);
        out.extend_from_slice(
            &u16::try_from(self.0.len())
                .unwrap_or(u16::MAX)
                .to_le_bytes(),
        );
        for key in &self.0 {
            out.extend_from_slice(&key.id.get().to_le_bytes());
            out.extend_from_slice(key.expose());
        }
        out
    }

    /// Reads the record's plaintext.
    ///
    /// # Errors
    /// It is no such record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8("the version")? {
            KEYS_VERSION => {}
            version => return Err(DecodeError::UnknownVersion { version }),
        }
        let (field, count) = (
            "the ETag keys",
            usize::from(reader.u16("the number of keys")?),
        );
        if !(1..=ETAG_KEYS_MAX).contains(&count) {
            return Err(DecodeError::Invalid { field });
        }
        let mut keys: Vec<EtagKey> = Vec::with_capacity(count);
        for _ in 0..count {
            let id = EtagKeyId::new(reader.u32(field)?).ok_or(DecodeError::Invalid { field })?;
            if keys.iter().any(|key| key.id == id) {
                return Err(DecodeError::Invalid { field });
            }
            keys.push(EtagKey::new(id, reader.array(field)?));
        }
        reader.end()?;
        Ok(Self(keys))
    }
}

#[cfg(test)]
mod tests;
