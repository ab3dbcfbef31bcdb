//! One-shot AEAD for small secrets: the only place here that calls the cipher.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;

#[derive(Clone, Copy)]
pub(crate) enum Algorithm {
    Aes256Gcm,
    ChaCha20Poly1305,
}

#[expect(
    clippy::expect_used,
    reason = "both algorithms take every key of 32 bytes"
)]
fn key(algorithm: Algorithm, key: &[u8; 32]) -> LessSafeKey {
    let algorithm = match algorithm {
        Algorithm::Aes256Gcm => &AES_256_GCM,
        Algorithm::ChaCha20Poly1305 => &CHACHA20_POLY1305,
    };
    LessSafeKey::new(UnboundKey::new(algorithm, key).expect("a key of 32 bytes"))
}

/// Seals `buffer` in place and returns the tag.
#[expect(
    clippy::expect_used,
    reason = "fails only above 64 GiB, and all callers have limits far below"
)]
pub(crate) fn seal_in_place(
    algorithm: Algorithm,
    with: &[u8; 32],
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    buffer: &mut [u8],
) -> [u8; TAG_BYTES] {
    let tag = key(algorithm, with)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), buffer)
        .expect("a plaintext within the cipher's limit");
    let mut out = [0; TAG_BYTES];
    out.copy_from_slice(tag.as_ref());
    out
}

/// Opens `ciphertext ‖ tag`; `None` if it is not authentic.
pub(crate) fn open(
    algorithm: Algorithm,
    with: &[u8; 32],
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let plain_bytes = sealed.len().checked_sub(TAG_BYTES)?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    key(algorithm, with)
        .open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut buffer,
        )
        .ok()?;
    buffer.truncate(plain_bytes);
    Some(buffer)
}
