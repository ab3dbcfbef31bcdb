//! One key as the disk cache keeps it: sealed, with the moment it was last read from the key store.
//!
//! docs/formats/kes-disk-cache.md describes it byte by byte. All of this is pure: the caller brings bytes, nonce and time.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use strongroom_kes_api::KeyName;
use strongroom_keystore::StoredValue;
use zeroize::Zeroizing;

/// What entries and the salt begin with.
pub const MAGIC: &[u8; 8] = b"KESCACHE";
/// The version that is written.
pub const VERSION: u8 = 1;
/// Bytes of the salt, which is made once for a folder.
pub const SALT_BYTES: usize = 32;
/// Longest value that is kept: real ones have some 300 bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// Longest entry: head, the longest name, value and tag.
pub const ENTRY_BYTES_MAX: usize = HEAD_BYTES + 80 + TIME_BYTES + NONCE_LEN + VALUE_BYTES_MAX + 16;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = NONCE_LEN;
/// Magic, version, length of the name.
const HEAD_BYTES: usize = MAGIC.len() + 2;
const TIME_BYTES: usize = 8;
/// Binds the derived key to this one use of the private key.
const INFO: &[u8] = b"strongroom kes disk cache v1";

/// The key under which the entries of a folder are sealed.
pub struct Sealing(LessSafeKey);

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(…)")
    }
}

/// Why bytes are no usable entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Cut off, or something else entirely.
    #[error("entry is damaged")]
    Form,
    /// Of a version that this program does not know.
    #[error("entry is of version {0}, which this program does not know")]
    Version(u8),
    /// An entry of another key, under this name.
    #[error("entry belongs to another key")]
    OtherName,
    /// Damaged, or sealed under another private key of the server.
    #[error("entry is damaged, or was sealed under another TLS private key")]
    NotAuthentic,
    /// Too long to be kept.
    #[error("stored value has more than {VALUE_BYTES_MAX} bytes")]
    TooLong,
}

/// An opened entry.
#[derive(Debug)]
pub struct Entry {
    /// When the value was last read from the store: milliseconds since 1970.
    pub fetched_at_ms: u64,
    /// What the store holds.
    pub value: StoredValue,
}

impl Sealing {
    /// Derives the key: HKDF-SHA256 (RFC 5869) of the server's TLS private key (the DER of its PEM block).
    #[must_use]
    pub fn derive(private_key: &[u8], salt: &[u8; SALT_BYTES]) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, salt).extract(private_key);
        let expanded = extracted.expand(&[INFO], &AES_256_GCM).ok()?;
        Some(Self(LessSafeKey::new(UnboundKey::from(expanded))))
    }

    /// Seals a value. The nonce has to be random: entries are few, and each write takes a new one.
    ///
    /// # Errors
    /// [`BadEntry::TooLong`].
    pub fn seal(
        &self,
        name: &KeyName,
        fetched_at_ms: u64,
        value: &StoredValue,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Vec<u8>, BadEntry> {
        let text = value.expose().as_bytes();
        if text.len() > VALUE_BYTES_MAX {
            return Err(BadEntry::TooLong);
        }
        let mut entry = head(name, fetched_at_ms)?;
        let aad = Aad::from(entry.clone());
        entry.extend_from_slice(&nonce);
        let mut sealed = Zeroizing::new(Vec::with_capacity(text.len() + 16));
        sealed.extend_from_slice(text);
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *sealed)
            .map_err(|_| BadEntry::TooLong)?;
        entry.extend_from_slice(&sealed);
        Ok(entry)
    }

    /// Opens the entry of a name.
    ///
    /// # Errors
    /// [`BadEntry`].
    pub fn open(&self, name: &KeyName, entry: &[u8]) -> Result<Entry, BadEntry> {
        let parts = Parts::read(entry)?;
        if parts.name != name.as_str().as_bytes() {
            return Err(BadEntry::OtherName);
        }
        let mut text = Zeroizing::new(parts.sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(parts.nonce);
        let length = self
            .0
            .open_in_place(nonce, Aad::from(parts.head), &mut text)
            .map_err(|_| BadEntry::NotAuthentic)?
            .len();
        text.truncate(length);
        let text = str::from_utf8(&text).map_err(|_| BadEntry::Form)?;
        let value = StoredValue::new(Zeroizing::new(text.to_owned()));
        Ok(Entry {
            fetched_at_ms: parts.fetched_at_ms,
            value: value.map_err(|_| BadEntry::TooLong)?,
        })
    }
}

fn head(name: &KeyName, fetched_at_ms: u64) -> Result<Vec<u8>, BadEntry> {
    let name = name.as_str().as_bytes();
    let mut head = Vec::with_capacity(ENTRY_BYTES_MAX.min(1024));
    head.extend_from_slice(MAGIC);
    head.push(VERSION);
    head.push(u8::try_from(name.len()).map_err(|_| BadEntry::TooLong)?);
    head.extend_from_slice(name);
    head.extend_from_slice(&fetched_at_ms.to_be_bytes());
    Ok(head)
}

struct Parts<'e> {
    /// Authenticated together with the value.
    head: &'e [u8],
    name: &'e [u8],
    fetched_at_ms: u64,
    nonce: [u8; NONCE_BYTES],
    sealed: &'e [u8],
}

impl<'e> Parts<'e> {
    fn read(entry: &'e [u8]) -> Result<Self, BadEntry> {
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(BadEntry::TooLong);
        }
        let rest = entry.strip_prefix(MAGIC).ok_or(BadEntry::Form)?;
        let (&version, rest) = rest.split_first().ok_or(BadEntry::Form)?;
        if version != VERSION {
            return Err(BadEntry::Version(version));
        }
        let (&length, rest) = rest.split_first().ok_or(BadEntry::Form)?;
        let (name, rest) = rest
            .split_at_checked(usize::from(length))
            .ok_or(BadEntry::Form)?;
        let (time, rest) = rest.split_first_chunk().ok_or(BadEntry::Form)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(BadEntry::Form)?;
        Ok(Self {
            head: &entry[..HEAD_BYTES + name.len() + TIME_BYTES],
            name,
            fetched_at_ms: u64::from_be_bytes(*time),
            nonce: *nonce,
            sealed,
        })
    }
}

/// Reads the file with the salt of a folder.
#[must_use]
pub fn read_salt(file: &[u8]) -> Option<[u8; SALT_BYTES]> {
    let rest = file.strip_prefix(MAGIC)?;
    rest.strip_prefix(&[VERSION])?.try_into().ok()
}

/// The file for a salt.
#[must_use]
pub fn write_salt(salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    [MAGIC.as_slice(), &[VERSION], salt].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> KeyName {
        KeyName::parse(text).unwrap()
    }

    fn value(text: &str) -> StoredValue {
        StoredValue::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn sealing(private_key: u8) -> Sealing {
        Sealing::derive(&[private_key; 48], &[7; SALT_BYTES]).unwrap()
    }

    #[test]
    fn an_entry_opens_under_its_name_and_key_alone() {
        let entry = sealing(1)
            .seal(&name("a"), 5, &value("text"), [9; 12])
            .unwrap();
        let opened = sealing(1).open(&name("a"), &entry).unwrap();
        assert_eq!((opened.fetched_at_ms, opened.value.expose()), (5, "text"));
        let refused = |s: &Sealing, n: &str| s.open(&name(n), &entry).unwrap_err();
        assert_eq!(refused(&sealing(1), "b"), BadEntry::OtherName);
        assert_eq!(refused(&sealing(2), "a"), BadEntry::NotAuthentic);
    }

    #[test]
    fn a_changed_or_cut_entry_does_not_open() {
        let entry = sealing(1)
            .seal(&name("a"), 5, &value("text"), [9; 12])
            .unwrap();
        for at in 0..entry.len() {
            let mut changed = entry.clone();
            changed[at] ^= 0x40;
            assert!(sealing(1).open(&name("a"), &changed).is_err(), "byte {at}");
            assert!(
                sealing(1).open(&name("a"), &entry[..at]).is_err(),
                "{at} bytes"
            );
        }
        let longer = [entry.as_slice(), b"x"].concat();
        assert!(sealing(1).open(&name("a"), &longer).is_err());
    }

    #[test]
    fn the_form_is_for_ever() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/kes-disk-cache");
        let read = |file: &str| std::fs::read(format!("{folder}/{file}")).unwrap();
        let salt = read_salt(&read("salt")).unwrap();
        assert_eq!(salt, [0x5a; SALT_BYTES]);
        assert_eq!(write_salt(&salt), read("salt"));
        let sealing = Sealing::derive(&read("private-key.der"), &salt).unwrap();
        let golden = read("app-a.entry");
        let opened = sealing.open(&name("app-a"), &golden).unwrap();
        assert_eq!(opened.fetched_at_ms, 1_767_323_045_000);
        assert_eq!(
            opened.value.expose(),
            "{\"bytes\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}"
        );
        let again = sealing.seal(
            &name("app-a"),
            opened.fetched_at_ms,
            &opened.value,
            [0x11; 12],
        );
        assert_eq!(again.unwrap(), golden);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let long = value(&"x".repeat(VALUE_BYTES_MAX + 1));
        let outcome = sealing(1).seal(&name("a"), 5, &long, [9; 12]);
        assert_eq!(outcome.unwrap_err(), BadEntry::TooLong);
    }
}
