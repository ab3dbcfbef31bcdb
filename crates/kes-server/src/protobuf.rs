//! As much of protobuf's wire format as a stored key needs: varints and length-delimited fields
//! (protobuf.dev/programming-guides/encoding).

use zeroize::Zeroizing;

/// Not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
    /// Four or eight bytes of a field that nobody here reads.
    Fixed,
}

impl<'b> Value<'b> {
    pub(crate) fn as_bytes(self) -> Option<&'b [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn as_uint(self) -> Option<u64> {
        match self {
            Self::Varint(value) => Some(value),
            _ => None,
        }
    }

    /// Negative numbers travel as their two's complement of 64 bits.
    pub(crate) fn as_int(self) -> Option<i64> {
        self.as_uint().map(u64::cast_signed)
    }
}

/// Fields in the order they come.
#[derive(Debug)]
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'b>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.skip(4)?,
            _ => return Err(Malformed),
        };
        Ok(Some((number, value)))
    }

    fn skip(&mut self, bytes: usize) -> Result<Value<'b>, Malformed> {
        self.take(bytes).map(|_| Value::Fixed)
    }

    fn take(&mut self, bytes: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for at in 0..10 {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            // The tenth byte holds the last bit of 64.
            if at == 9 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

/// Writes fields in the order of the calls, leaving out the defaults of proto3.
#[derive(Debug)]
pub(crate) struct Writer(Zeroizing<Vec<u8>>);

/// A whole key has some 160 bytes: the buffer never grows, so no copy of a key is left behind.
const CAPACITY: usize = 512;

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(CAPACITY)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn uint(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.varint(u64::from(number) << 3);
            self.varint(value);
        }
    }

    pub(crate) fn int64(&mut self, number: u32, value: i64) {
        self.uint(number, value.cast_unsigned());
    }

    pub(crate) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.delimited(number, bytes);
        }
    }

    /// A message that is there is written, even when it is empty.
    pub(crate) fn message(&mut self, number: u32, message: &Self) {
        self.delimited(number, message.as_bytes());
    }

    fn delimited(&mut self, number: u32, bytes: &[u8]) {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_trip() {
        for value in [1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::new();
            writer.uint(3, value);
            let mut reader = Reader::new(writer.as_bytes());
            let (number, read) = reader.next().unwrap().unwrap();
            assert_eq!((number, read.as_uint()), (3, Some(value)));
            assert!(reader.next().unwrap().is_none());
        }
    }

    #[test]
    fn garbage_is_malformed() {
        for bytes in [
            &[0x08][..],
            &[0x0a, 5, 1],
            &[0x00, 1],
            &[0x0b],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ],
        ] {
            let mut reader = Reader::new(bytes);
            assert!(reader.next().is_err(), "{bytes:?}");
        }
    }
}
