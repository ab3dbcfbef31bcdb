//! HMAC-SHA-256 over several pieces, and the length prefix that every new input carries.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// `HMAC(key, a ‖ b ‖ …)`. The result is a key more often than not, so it is zeroed when dropped.
pub(crate) fn hmac(key: &[u8], pieces: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for piece in pieces {
        context.update(piece);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// The length of `bytes` as it stands before them in `LP(bytes)`.
///
/// Everything that is prefixed so has a limit far below 4 GiB.
pub(crate) fn length_prefix(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// `HMAC(key, label ‖ LP(a) ‖ LP(b) ‖ …)`.
pub(crate) fn hmac_prefixed(key: &[u8], label: &[u8], inputs: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(label);
    for input in inputs {
        context.update(&length_prefix(input));
        context.update(input);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
