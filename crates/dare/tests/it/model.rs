//! The format in its plainest form: whole streams in memory, no state, no speed. What the model and the crate make of
//! the same bytes must agree.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

pub(crate) const FULL: usize = 65_536;

/// Everything that a package's writer can choose.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) is_v1: bool,
    pub(crate) cipher: u8,
    pub(crate) sequence: u32,
    /// The sequence number of version 1.0 and eight random bytes, or the stream nonce of version 2.0.
    pub(crate) nonce: [u8; 12],
    pub(crate) is_final: bool,
    pub(crate) plain: Vec<u8>,
}

fn aead(key: &[u8; 32], cipher: u8) -> LessSafeKey {
    let algorithm = if cipher == 0 {
        &AES_256_GCM
    } else {
        &CHACHA20_POLY1305
    };
    LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())
}

fn with_sequence(mut stored: [u8; 12], sequence: u32) -> [u8; 12] {
    let last = u32::from_le_bytes(stored[8..].try_into().unwrap()) ^ sequence;
    stored[8..].copy_from_slice(&last.to_le_bytes());
    stored
}

/// A writer that keeps no rule but the layout of one package.
pub(crate) fn seal_package(key: &[u8; 32], package: &Package) -> Vec<u8> {
    let length = u16::try_from(package.plain.len() - 1)
        .unwrap()
        .to_le_bytes();
    let version = if package.is_v1 { 0x10 } else { 0x20 };
    let head = [version, package.cipher, length[0], length[1]];
    let mut stored = package.nonce;
    let nonce = if package.is_v1 {
        stored[..4].copy_from_slice(&package.sequence.to_le_bytes());
        stored
    } else {
        stored[0] = (stored[0] & 0x7f) | if package.is_final { 0x80 } else { 0 };
        with_sequence(stored, package.sequence)
    };
    let mut body = package.plain.clone();
    aead(key, package.cipher)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(head),
            &mut body,
        )
        .unwrap();
    [head.as_slice(), &stored, &body].concat()
}

/// The plaintext of a whole stream of either version, or nothing.
pub(crate) fn open_stream(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    if sealed.is_empty() {
        return Some(Vec::new());
    }
    let first = sealed.get(..16)?;
    let (mut plain, mut at, mut sequence, mut is_final) = (Vec::new(), 0, 0_u32, false);
    while at < sealed.len() {
        let header = sealed.get(at..at + 16)?;
        let payload = usize::from(u16::from_le_bytes([header[2], header[3]])) + 1;
        let mut body = sealed.get(at + 16..at + 16 + payload + 16)?.to_vec();
        if is_final || header[..2] != first[..2] || header[1] > 1 {
            return None;
        }
        let stored: [u8; 12] = header[4..].try_into().unwrap();
        let nonce = match header[0] {
            0x10 => {
                if header[4..8] != sequence.to_le_bytes() || header[8..] != first[8..] {
                    return None;
                }
                stored
            }
            0x20 => {
                is_final = header[4] & 0x80 != 0;
                let same_nonce = header[4] & 0x7f == first[4] & 0x7f && header[5..] == first[5..];
                if !same_nonce || (!is_final && payload != FULL) {
                    return None;
                }
                with_sequence(stored, sequence)
            }
            _ => return None,
        };
        let aad = Aad::from(<[u8; 4]>::try_from(&header[..4]).unwrap());
        let opened = aead(key, header[1])
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .ok()?;
        plain.extend_from_slice(opened);
        at += 16 + payload + 16;
        sequence += 1;
    }
    (is_final || first[0] == 0x10).then_some(plain)
}
