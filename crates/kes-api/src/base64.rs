//! Base64 as KES speaks it: the standard alphabet with padding; CR and LF anywhere are skipped; stray bits in the last
//! character are ignored, as the original decoder does.

use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The text is no padded standard base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("illegal base64 data at input byte {offset}")]
pub struct IllegalBase64 {
    /// Where, in the text as given.
    pub offset: usize,
}

/// Encodes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// Characters that the encoding takes.
#[must_use]
pub fn encoded_len(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(3) * 4
}

/// Encodes behind what is in the buffer already; it has to have room when the bytes are secret.
pub fn encode_onto(bytes: &[u8], text: &mut Vec<u8>) {
    let at = text.len();
    text.resize(at + encoded_len(bytes), 0);
    // There is room for exactly this.
    let written = ENGINE.encode_slice(bytes, &mut text[at..]).unwrap_or(0);
    text.truncate(at + written);
}

/// Encodes a secret into a buffer that is wiped.
#[must_use]
pub fn encode_secret(bytes: &[u8]) -> Zeroizing<String> {
    // Reserved in full: a buffer that grew would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(encoded_len(bytes)));
    ENGINE.encode_string(bytes, &mut text);
    text
}

/// Decodes into a buffer that is wiped.
///
/// # Errors
/// [`IllegalBase64`] with the offending position.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, IllegalBase64> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    if ENGINE.decode_vec(text, &mut bytes).is_ok() {
        return Ok(bytes);
    }
    bytes.clear();
    let is_break = |b: &u8| matches!(b, b'\r' | b'\n');
    let stripped: Zeroizing<Vec<u8>>;
    let packed: &[u8] = if text.as_bytes().iter().any(is_break) {
        let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
        kept.extend(text.bytes().filter(|b| !is_break(b)));
        stripped = kept;
        &stripped
    } else {
        text.as_bytes()
    };

    match ENGINE.decode_vec(packed, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            use ::base64::DecodeError::{
                InvalidByte, InvalidLastSymbol, InvalidLength, InvalidPadding,
            };
            let packed_offset = match error {
                InvalidByte(offset, _) | InvalidLastSymbol(offset, _) => offset,
                // An unfinished last group is reported at its start.
                InvalidLength(_) | InvalidPadding => packed.len() / 4 * 4,
            };
            let offset = text
                .bytes()
                .enumerate()
                .filter(|(_, b)| !is_break(b))
                .nth(packed_offset)
                .map_or(text.len(), |(at, _)| at);
            Err(IllegalBase64 { offset })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_are_skipped_and_padding_is_required() {
        assert_eq!(decode("YW\r\nI=").unwrap().as_slice(), b"ab");
        assert_eq!(decode("").unwrap().as_slice(), b"");
        assert_eq!(decode("YR==").unwrap().as_slice(), b"a");
        assert!(decode("YQ").is_err());
        assert!(decode("a").is_err());
        assert!(decode("-_8=").is_err());
    }

    #[test]
    fn errors_point_at_the_byte() {
        assert_eq!(
            decode("short").unwrap_err().to_string(),
            "illegal base64 data at input byte 4"
        );
        assert_eq!(decode("YQ%=").unwrap_err().offset, 2);
        assert_eq!(decode("Y\nQ%=").unwrap_err().offset, 3);
    }
}
