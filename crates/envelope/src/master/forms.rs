//! Older packings of a ciphertext, which name their algorithm.

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::R20;
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use crate::aead::Algorithm;
use crate::hmac::hmac;

/// How the key of the AEAD comes from the master key and the IV.
#[derive(Clone, Copy)]
pub(super) enum Kdf {
    /// XORs of AES blocks: upstream KES up to v0.6.
    AesBlocks,
    HChaCha20,
    Hmac,
}

impl Kdf {
    pub(super) fn subkey(self, key: &[u8; 32], iv: &[u8; 16]) -> Zeroizing<[u8; 32]> {
        match self {
            Self::AesBlocks => aes_blocks(key, iv),
            Self::HChaCha20 => {
                let mut derived = chacha20::hchacha::<R20>(&(*key).into(), &(*iv).into());
                let subkey = Zeroizing::new(derived.into());
                derived.as_mut_slice().zeroize();
                subkey
            }
            Self::Hmac => hmac(key, &[iv]),
        }
    }
}

/// `t_i = E(LE32(i) ‖ (i even ? iv[0..12] : iv[4..16]))`, then `(t0 ^ t1) ‖ (t2 ^ t3)`.
fn aes_blocks(key: &[u8; 32], iv: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    let cipher = aes::Aes256::new(&(*key).into());
    let mut subkey = Zeroizing::new([0; 32]);
    for (i, half) in (0_u32..).zip([0, 0, 16, 16]) {
        let mut block = [0; 16];
        block[..4].copy_from_slice(&i.to_le_bytes());
        block[4..].copy_from_slice(if i % 2 == 0 { &iv[..12] } else { &iv[4..] });
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        for (out, byte) in subkey[half..half + 16].iter_mut().zip(block.iter()) {
            *out ^= byte;
        }
        block.as_mut_slice().zeroize();
    }
    subkey
}

/// A ciphertext that was taken out of its packing.
pub(super) struct Form {
    pub(super) algorithm: Algorithm,
    pub(super) kdf: Kdf,
    pub(super) iv: [u8; 16],
    pub(super) nonce: [u8; 12],
    /// Ciphertext and tag.
    pub(super) sealed: Vec<u8>,
}

impl Form {
    /// Reads a packed ciphertext; `None` if it is not one, and so may be a bare one.
    ///
    /// A bare ciphertext starts with one of the two marks in one of 128 cases, so whatever does not parse to the end,
    /// with right lengths and a known algorithm, is taken for bare.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? {
            0x95 => Self::message_pack(bytes),
            b'{' => Self::json(bytes),
            _ => None,
        }
    }

    /// An array of five: algorithm, key id, IV, nonce, ciphertext ‖ tag.
    fn message_pack(bytes: &[u8]) -> Option<Self> {
        let (_, mut rest) = bytes.split_first()?;
        let name = message_pack_str(&mut rest)?;
        // Authentication decides, not the id.
        let _id = message_pack_str(&mut rest)?;
        let iv = message_pack_bin(&mut rest)?;
        let nonce = message_pack_bin(&mut rest)?;
        let sealed = message_pack_bin(&mut rest)?;
        if !rest.is_empty() {
            return None;
        }
        let (algorithm, kdf) = match name {
            b"AES256-GCM_SHA256" | b"AES256" => (Algorithm::Aes256Gcm, Kdf::Hmac),
            b"XCHACHA20-POLY1305" | b"ChaCha20" => (Algorithm::ChaCha20Poly1305, Kdf::HChaCha20),
            _ => return None,
        };
        Some(Self {
            algorithm,
            kdf,
            iv: iv.try_into().ok()?,
            nonce: nonce.try_into().ok()?,
            sealed: sealed.to_vec(),
        })
    }

    fn json(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Packed {
            aead: String,
            iv: String,
            nonce: String,
            bytes: String,
        }
        let packed: Packed = serde_json::from_slice(bytes).ok()?;
        let (algorithm, kdf) = match packed.aead.as_str() {
            "AES-256-GCM-HMAC-SHA-256" => (Algorithm::Aes256Gcm, Kdf::Hmac),
            "ChaCha20Poly1305" => (Algorithm::ChaCha20Poly1305, Kdf::HChaCha20),
            "AES-256-GCM" => (Algorithm::Aes256Gcm, Kdf::AesBlocks),
            _ => return None,
        };
        Some(Self {
            algorithm,
            kdf,
            iv: STANDARD.decode(packed.iv).ok()?.try_into().ok()?,
            nonce: STANDARD.decode(packed.nonce).ok()?.try_into().ok()?,
            sealed: STANDARD.decode(packed.bytes).ok()?,
        })
    }
}

fn take<'b>(rest: &mut &'b [u8], bytes: usize) -> Option<&'b [u8]> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}

/// A length of `bytes` big-endian bytes, as MessagePack writes them.
fn take_length(rest: &mut &[u8], bytes: usize) -> Option<usize> {
    Some(
        take(rest, bytes)?
            .iter()
            .fold(0, |length, byte| (length << 8) | usize::from(*byte)),
    )
}

fn message_pack_str<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = match take(rest, 1)?[0] {
        mark @ 0xa0..=0xbf => usize::from(mark & 0x1f),
        0xd9 => take_length(rest, 1)?,
        0xda => take_length(rest, 2)?,
        _ => return None,
    };
    take(rest, length)
}

fn message_pack_bin<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = match take(rest, 1)?[0] {
        0xc4 => take_length(rest, 1)?,
        0xc5 => take_length(rest, 2)?,
        0xc6 => take_length(rest, 4)?,
        _ => return None,
    };
    take(rest, length)
}
