//! PEM as operators have it: RFC 7468 text with anything around it, and encrypted keys, after PKCS#8 or RFC 1423.
//!
//! The PKCS crates read no `Proc-Type`/`DEK-Info` headers, but `kes identity new --encrypt` and `openssl` in its
//! traditional format write exactly those.

use aws_lc_rs::cipher::{
    AES_128, AES_256, Algorithm, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

mod pkcs8;

/// Longest PEM file that is read: a chain of dozens of certificates stays far below.
pub const PEM_BYTES_MAX: usize = 1 << 20;

/// One `-----BEGIN …-----` block, still encrypted if it was.
pub struct Block {
    label: String,
    encryption: Option<String>,
    body: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// Why a PEM text cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A block does not end, or its text is no base64.
    #[error("PEM block '{label}' is damaged")]
    Damaged {
        /// What the block says it holds.
        label: String,
    },
    /// The block is encrypted in a way that nobody should use or that is not read here.
    #[error(
        "private key is encrypted with '{scheme}', which is not supported; rewrite it with AES-256-CBC or without a password"
    )]
    UnsupportedEncryption {
        /// The cipher named in the block.
        scheme: String,
    },
    /// The block is encrypted and no password was given.
    #[error("private key is encrypted, and no password is configured")]
    PasswordMissing,
    /// The password does not fit.
    #[error("private key cannot be decrypted: the password is wrong or the file is damaged")]
    PasswordWrong,
    /// The key derivation that the file asks for would take too long.
    #[error(
        "private key is encrypted with a key derivation that costs too much time or memory; rewrite it with fewer rounds"
    )]
    TooCostly,
    /// The text is longer than [`PEM_BYTES_MAX`].
    #[error("PEM text is longer than {PEM_BYTES_MAX} bytes")]
    TooLong,
}

/// The label of a key that is encrypted after PKCS#8 (RFC 7468 §11).
const PKCS8_ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

impl Block {
    /// What it says it holds: `CERTIFICATE`, `PRIVATE KEY`, …
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The content, decrypted if it has to be.
    ///
    /// # Errors
    /// [`PemError`] when it is encrypted and the password does not open it.
    pub fn open(self, password: Option<&str>) -> Result<Zeroizing<Vec<u8>>, PemError> {
        if self.encryption.is_none() && self.label != PKCS8_ENCRYPTED {
            return Ok(self.body);
        }
        let password = password
            .filter(|p| !p.is_empty())
            .ok_or(PemError::PasswordMissing)?;
        match self.encryption {
            Some(dek_info) => decrypt_rfc1423(&dek_info, self.body, password),
            None => pkcs8::decrypt(&self.body, password),
        }
    }
}

/// All blocks of a text, in order. What stands between them is skipped.
///
/// # Errors
/// [`PemError::Damaged`] when a block has no end or is no base64.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, PemError> {
    if text.len() > PEM_BYTES_MAX {
        return Err(PemError::TooLong);
    }
    // Bytes that are no UTF-8 can only stand outside blocks, or damage them.
    let text = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line
            .strip_prefix("-----BEGIN ")
            .and_then(|l| l.strip_suffix("-----"))
        else {
            continue;
        };
        found.push(read_block(label, &mut lines)?);
    }
    Ok(found)
}

fn read_block<'t>(
    label: &str,
    lines: &mut impl Iterator<Item = &'t str>,
) -> Result<Block, PemError> {
    let damaged = || PemError::Damaged {
        label: label.to_owned(),
    };
    let end = format!("-----END {label}-----");
    let mut encryption = None;
    let mut is_encrypted = false;
    let mut base64 = Zeroizing::new(String::with_capacity(PEM_LINE_BYTES * 64));
    for line in lines {
        if line == end {
            if is_encrypted && encryption.is_none() {
                return Err(damaged());
            }
            let body = Zeroizing::new(STANDARD.decode(base64.as_bytes()).map_err(|_| damaged())?);
            return Ok(Block {
                label: label.to_owned(),
                encryption,
                body,
            });
        }
        match line.split_once(':') {
            Some(("Proc-Type", value)) => is_encrypted = value.contains("ENCRYPTED"),
            Some(("DEK-Info", value)) => encryption = Some(value.trim().to_owned()),
            Some(_) => {}
            None => base64.push_str(line),
        }
    }
    Err(damaged())
}

const PEM_LINE_BYTES: usize = 64;

/// RFC 1423 §1.1 with OpenSSL's key derivation, `EVP_BytesToKey(MD5, salt = first 8 bytes of the IV, count 1)`.
fn decrypt_rfc1423(
    dek_info: &str,
    mut body: Zeroizing<Vec<u8>>,
    password: &str,
) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let unsupported = || PemError::UnsupportedEncryption {
        scheme: dek_info.to_owned(),
    };
    let (name, iv) = dek_info.split_once(',').ok_or_else(unsupported)?;
    let (cipher, key_bytes): (&'static Algorithm, usize) = match name.trim() {
        "AES-256-CBC" => (&AES_256, 32),
        "AES-128-CBC" => (&AES_128, 16),
        _ => return Err(unsupported()),
    };
    let mut iv_bytes = [0; 16];
    hex::decode_to_slice(iv.trim(), &mut iv_bytes).map_err(|_| unsupported())?;

    let key = evp_bytes_to_key(password.as_bytes(), &iv_bytes[..8], key_bytes);
    let wrong = |_| PemError::PasswordWrong;
    let key = UnboundCipherKey::new(cipher, &key).map_err(wrong)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(wrong)?;
    let context = DecryptionContext::Iv128(FixedLength::from(iv_bytes));
    let plain_bytes = key.decrypt(&mut body, context).map_err(wrong)?.len();
    body.truncate(plain_bytes);
    // CBC has no tag: one wrong password in 256 leaves a valid padding. Every key format is one DER SEQUENCE.
    if is_one_der_sequence(&body) {
        Ok(body)
    } else {
        Err(PemError::PasswordWrong)
    }
}

/// A PEM block of a private key encrypted with AES-256-CBC after RFC 1423, as `kes identity new --encrypt` writes it.
///
/// `iv` must be random. The key derivation is one round of MD5 and the result carries no tag: the format is for files
/// that older programs read, and a poor guard for a weak password.
///
/// # Errors
/// [`PemError::PasswordMissing`] for an empty password; [`PemError::UnsupportedEncryption`] should the cryptographic
/// library refuse AES-256-CBC.
pub fn encrypted_private_key(
    der: &[u8],
    password: &str,
    iv: [u8; 16],
) -> Result<Zeroizing<String>, PemError> {
    if password.is_empty() {
        return Err(PemError::PasswordMissing);
    }
    let unsupported = |_| PemError::UnsupportedEncryption {
        scheme: "AES-256-CBC".to_owned(),
    };
    let key = evp_bytes_to_key(password.as_bytes(), &iv[..8], 32);
    let key = UnboundCipherKey::new(&AES_256, &key).map_err(unsupported)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(unsupported)?;
    // Room for the padding: a buffer that grew would leave a copy of the key behind.
    let mut body = Zeroizing::new(Vec::with_capacity(der.len() + 16));
    body.extend_from_slice(der);
    key.less_safe_encrypt(&mut *body, EncryptionContext::Iv128(FixedLength::from(iv)))
        .map_err(unsupported)?;

    let mut text = format!(
        "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{}\n\n",
        hex::encode_upper(iv)
    );
    let base64 = STANDARD.encode(&*body);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(PEM_LINE_BYTES));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Ok(Zeroizing::new(text))
}

fn evp_bytes_to_key(password: &[u8], salt: &[u8], key_bytes: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(key_bytes + 16));
    let mut block: Zeroizing<[u8; 16]> = Zeroizing::new([0; 16]);
    while key.len() < key_bytes {
        let mut hash = Md5::new();
        if !key.is_empty() {
            hash.update(block.as_slice());
        }
        hash.update(password);
        hash.update(salt);
        block = Zeroizing::new(hash.finalize().into());
        key.extend_from_slice(block.as_slice());
    }
    key.truncate(key_bytes);
    key
}

fn is_one_der_sequence(der: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = der else {
        return false;
    };
    let length = usize::from(*length);
    if length < 0x80 {
        return rest.len() == length;
    }
    let octets = length & 0x7f;
    if !(1..=4).contains(&octets) || rest.len() < octets {
        return false;
    }
    let (length, rest) = rest.split_at(octets);
    let length = length
        .iter()
        .fold(0_usize, |sum, octet| sum << 8 | usize::from(*octet));
    rest.len() == length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_derivation_is_openssl_s() {
        // openssl enc -aes-256-cbc -md md5 -k password -S 0102030405060708 -P
        let key = evp_bytes_to_key(b"password", &[1, 2, 3, 4, 5, 6, 7, 8], 32);
        assert_eq!(hex::encode(&*key), KEY_OF_PASSWORD);
    }
    const KEY_OF_PASSWORD: &str =
        "e7b0971e52ca5cc8d0539fb3412f6316f7ba2e6ee293d9f3457b99436b51ce02";

    #[test]
    fn an_encrypted_key_opens_with_its_password_only() {
        let der = [0x30, 3, 2, 1, 7];
        let text = encrypted_private_key(&der, "correct horse", [9; 16]).unwrap();
        let open = |password| blocks(text.as_bytes()).unwrap().remove(0).open(password);
        assert_eq!(open(Some("correct horse")).unwrap().as_slice(), der);
        assert_eq!(open(Some("wrong")).unwrap_err(), PemError::PasswordWrong);
        assert_eq!(open(None).unwrap_err(), PemError::PasswordMissing);
        assert_eq!(open(Some("")).unwrap_err(), PemError::PasswordMissing);
    }

    #[test]
    fn text_around_blocks_is_skipped_and_damage_is_named() {
        let text = "bag attributes\n-----BEGIN A-----\r\nYWI=\r\n-----END A-----\nmore\n";
        let found = blocks(text.as_bytes()).unwrap();
        assert_eq!((found.len(), found[0].label()), (1, "A"));
        for bad in [
            "-----BEGIN A-----\nYWI=\n",
            "-----BEGIN A-----\n%%\n-----END A-----\n",
        ] {
            let error = blocks(bad.as_bytes()).unwrap_err();
            assert_eq!(error, PemError::Damaged { label: "A".into() });
        }
    }

    #[test]
    fn other_ciphers_are_named() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0011223344556677\n\nYWI=\n-----END RSA PRIVATE KEY-----\n";
        let error = blocks(text.as_bytes())
            .unwrap()
            .remove(0)
            .open(Some("x"))
            .unwrap_err();
        assert!(error.to_string().contains("DES-EDE3-CBC"), "{error}");
    }
}
