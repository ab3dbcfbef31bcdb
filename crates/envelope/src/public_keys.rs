//! Keys that everybody knows.

use crate::hmac::equal;

/// No key at all: what a zeroed buffer or an unset value gives.
const ALL_ZERO: [u8; 32] = [0; 32];
/// The sample of MinIO's first encryption guides, `6368616e6765…`: it says "change this password to a secret".
const GUIDE_HEX: [u8; 32] = *b"change this password to a secret";
/// The sample value of `MINIO_KMS_SECRET_KEY` in MinIO's documentation,
/// `OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=`.
const GUIDE_BASE64: [u8; 32] = [
    0x39, 0x23, 0x0c, 0xfa, 0xf9, 0x0a, 0x51, 0x30, 0xaf, 0x42, 0xcf, 0x58, 0x2f, 0xf0, 0x95, 0x30,
    0x83, 0x2d, 0xe3, 0x71, 0xc5, 0x86, 0x45, 0x29, 0xa8, 0x9c, 0x53, 0x98, 0x69, 0x7a, 0xad, 0x8c,
];

/// Whether a key is one that is printed in public documents: it protects nothing.
#[must_use]
pub fn is_publicly_known(key: &[u8; 32]) -> bool {
    [&ALL_ZERO, &GUIDE_HEX, &GUIDE_BASE64]
        .into_iter()
        .any(|known| equal(known, key))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn sample_keys_of_the_guides_are_known() {
        let hex = hex::decode("6368616e676520746869732070617373776f726420746f206120736563726574")
            .unwrap();
        let base64 = STANDARD
            .decode("OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=")
            .unwrap();
        for key in [vec![0; 32], hex, base64] {
            assert!(is_publicly_known(&key.try_into().unwrap()));
        }
        assert!(!is_publicly_known(&[1; 32]));
    }
}
