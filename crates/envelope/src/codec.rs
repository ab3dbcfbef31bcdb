//! Reading and writing our binary records: fixed order, little-endian, every length limited, nothing left over.

/// Why bytes are not a record of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field breaks a rule of the format, for example its limit or its order: the record is damaged.
    #[error("{field} is not as the format demands")]
    Invalid {
        /// The field.
        field: &'static str,
    },
    /// The text form is no strict base64.
    #[error("the record is not valid base64")]
    NotBase64,
    /// The record is longer than any of its kind.
    #[error("the record has {bytes} bytes, at most {most} are possible")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// There are bytes after the last field.
    #[error("{bytes} bytes follow the last field")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The record ends early.
    #[error("the record ends within {field}")]
    Truncated {
        /// The field that is not whole.
        field: &'static str,
    },
    /// A value that this version of the program does not know: a newer one wrote it, or the record is damaged.
    #[error("{field} has the value {value}, which this version does not know")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u8,
    },
    /// A version of the format that this version of the program does not know.
    #[error("the record has version {version}, this program reads version 1")]
    UnknownVersion {
        /// Its first byte.
        version: u8,
    },
}

/// Takes fields off the front of a record.
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn bytes(
        &mut self,
        field: &'static str,
        count: usize,
    ) -> Result<&'b [u8], DecodeError> {
        let truncated = DecodeError::Truncated { field };
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let truncated = DecodeError::Truncated { field };
        let (taken, rest) = self.rest.split_first_chunk().ok_or(truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A length of one byte, then that many bytes of text.
    pub(crate) fn short_text(&mut self, field: &'static str) -> Result<&'b str, DecodeError> {
        let length = self.u8(field)?;
        let bytes = self.bytes(field, usize::from(length))?;
        std::str::from_utf8(bytes).map_err(|_| DecodeError::Invalid { field })
    }

    /// A length of two bytes, then that many bytes.
    pub(crate) fn long_bytes(&mut self, field: &'static str) -> Result<&'b [u8], DecodeError> {
        let length = self.u16(field)?;
        self.bytes(field, usize::from(length))
    }

    /// A length of two bytes, then that many bytes of text.
    pub(crate) fn long_text(&mut self, field: &'static str) -> Result<&'b str, DecodeError> {
        std::str::from_utf8(self.long_bytes(field)?).map_err(|_| DecodeError::Invalid { field })
    }

    pub(crate) fn zeros(&mut self, field: &'static str, count: usize) -> Result<(), DecodeError> {
        if self.bytes(field, count)?.iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Invalid { field });
        }
        Ok(())
    }

    pub(crate) const fn end(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Trailing { bytes }),
        }
    }
}

/// Writes the length in one byte, then the text.
#[expect(
    clippy::expect_used,
    reason = "callers have checked the limit; a cut record would be worse"
)]
pub(crate) fn put_short_text(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("at most 255 bytes"));
    out.extend_from_slice(text.as_bytes());
}

/// Writes the length in two bytes, then the bytes.
#[expect(
    clippy::expect_used,
    reason = "callers have checked the limit; a cut record would be worse"
)]
pub(crate) fn put_long_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("at most 65,535 bytes");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}
