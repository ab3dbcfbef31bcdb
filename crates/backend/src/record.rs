//! The wrapper's own small records: bucket settings, sealed keys. A backend keeps them where no client
//! request reaches them.

use bytes::Bytes;

use crate::object::Generation;

/// Most bytes of one record: settings are small, and a record is read whole.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Name of a record: 1 to 200 bytes of `a-z 0-9 - _ . /`, segments neither empty, `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordName(String);

/// Why a text is no record name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record name {0:?} is empty, too long or has characters outside a-z 0-9 - _ . /")]
pub struct BadRecordName(pub String);

impl RecordName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`BadRecordName`] when it breaks the rules above.
    pub fn new(name: impl Into<String>) -> Result<Self, BadRecordName> {
        let name = name.into();
        let fits = (1..=200).contains(&name.len())
            && name
                .split('/')
                .all(|segment| !matches!(segment, "" | "." | ".."))
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/'));
        if fits {
            Ok(Self(name))
        } else {
            Err(BadRecordName(name))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record as stored.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its bytes, at most [`RECORD_BYTES_MAX`].
    pub bytes: Bytes,
    /// Changes with every write.
    pub generation: Generation,
}
