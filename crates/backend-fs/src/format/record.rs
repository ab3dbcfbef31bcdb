//! Small files: a bucket's own, the wrapper's records, and `strongroom.json`
//! (docs/formats/local-store.md, "Buckets", "Records", "Store").

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::field::{Fields, FieldsOut, UnixTime};
use super::{FormatError, Kind, open, seal};
use crate::id::Id;

/// A bucket as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketFile {
    pub(crate) name: String,
    pub(crate) created: UnixTime,
}

impl BucketFile {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut head = FieldsOut::default();
        head.text(&self.name);
        head.time(self.created);
        seal(Kind::Bucket, &head.0, &[])
    }

    pub(crate) fn decode(file: &[u8]) -> Result<Self, FormatError> {
        let opened = open(Kind::Bucket, file)?;
        let mut head = Fields::new(opened.head);
        let decoded = Self {
            name: head.text("bucket")?,
            created: head.time("time")?,
        };
        head.end("head")?;
        // Bucket settings of a later release are sections here: unknown ones must not be overlooked.
        Fields::new(opened.tail).end("tail")?;
        Ok(decoded)
    }
}

/// A record of the wrapper as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordFile {
    pub(crate) name: String,
    pub(crate) generation: Id,
    pub(crate) bytes: Bytes,
}

impl RecordFile {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut head = FieldsOut::default();
        head.text(&self.name);
        head.raw(&self.generation.0);
        seal(Kind::Record, &head.0, &self.bytes)
    }

    pub(crate) fn decode(file: &[u8]) -> Result<Self, FormatError> {
        let opened = open(Kind::Record, file)?;
        let mut head = Fields::new(opened.head);
        let decoded = Self {
            name: head.text("name")?,
            generation: Id(head.array("generation")?),
            bytes: Bytes::copy_from_slice(opened.tail),
        };
        head.end("head")?;
        Ok(decoded)
    }
}

/// `strongroom.json`: says what the directory is. Text, so that whoever finds it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreFile {
    /// Always [`StoreFile::WHAT`].
    pub(crate) what: String,
    /// Version of the store's format.
    pub(crate) format: u32,
    /// Random name of this store.
    pub(crate) store: String,
    /// Grows when whatever was derived from the files before (an index) must not be believed any more.
    pub(crate) epoch: u64,
    /// Additions to the format that a reader must know.
    pub(crate) features: Vec<String>,
}

impl StoreFile {
    pub(crate) const WHAT: &str = "strongroom local store";
    pub(crate) const FORMAT: u32 = 1;
}

/// The two members that every version of `strongroom.json` has.
#[derive(Debug, Deserialize)]
pub(crate) struct StoreFileOfAnyFormat {
    pub(crate) what: String,
    pub(crate) format: u32,
}
