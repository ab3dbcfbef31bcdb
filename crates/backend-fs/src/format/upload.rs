//! Uploads in progress: what they were begun with, and each attempt of a part
//! (docs/formats/local-store.md, "Uploads").

use bytes::Bytes;
use strongroom_backend::object::{Checksum, ObjectHeaders};

use super::field::{Fields, FieldsOut, PART_NUMBER_MAX, UnixTime};
use super::{FormatError, Kind, open, seal};
use crate::id::Id;

/// An upload as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadFile {
    pub(crate) id: Id,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) initiated: UnixTime,
    pub(crate) checksum: Option<(String, String)>,
    pub(crate) envelope: Option<Bytes>,
    pub(crate) headers: ObjectHeaders,
    pub(crate) record: Bytes,
}

impl UploadFile {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut head = FieldsOut::default();
        head.raw(&self.id.0);
        head.text(&self.bucket);
        head.text(&self.key);
        head.time(self.initiated);
        head.option(self.headers.storage_class.as_deref(), FieldsOut::text);
        let mut tail = FieldsOut::default();
        tail.option(self.checksum.as_ref(), |out, (algorithm, kind)| {
            out.text(algorithm);
            out.text(kind);
        });
        tail.option(self.envelope.as_deref(), FieldsOut::bytes);
        tail.headers(&self.headers);
        tail.bytes(&self.record);
        seal(Kind::Upload, &head.0, &tail.0)
    }

    pub(crate) fn decode(file: &[u8]) -> Result<Self, FormatError> {
        let opened = open(Kind::Upload, file)?;
        let mut head = Fields::new(opened.head);
        let id = Id(head.array("upload id")?);
        let (bucket, key) = (head.text("bucket")?, head.text("key")?);
        let initiated = head.time("time")?;
        let storage_class = head.option("storage class", Fields::text)?;
        head.end("head")?;
        let mut tail = Fields::new(opened.tail);
        let checksum = tail.option("checksum", |fields, what| {
            Ok((fields.text(what)?, fields.text(what)?))
        })?;
        let envelope = tail.option("envelope", Fields::owned)?;
        let headers = ObjectHeaders {
            storage_class,
            ..tail.headers()?
        };
        let record = tail.owned("record")?;
        tail.end("tail")?;
        Ok(Self {
            id,
            bucket,
            key,
            initiated,
            checksum,
            envelope,
            headers,
            record,
        })
    }
}

/// An attempt of a part as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttemptFile {
    pub(crate) upload: Id,
    pub(crate) attempt: Id,
    pub(crate) number: u32,
    pub(crate) finished: UnixTime,
    /// Orders attempts that finished at the same tick of the clock.
    pub(crate) sequence: u64,
    pub(crate) stored_length: u64,
    /// Its bytes; `None` when there are none.
    pub(crate) data: Option<Id>,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) record: Bytes,
}

impl AttemptFile {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut head = FieldsOut::default();
        head.raw(&self.upload.0);
        head.raw(&self.attempt.0);
        head.u32(self.number);
        head.time(self.finished);
        head.u64(self.sequence);
        head.u64(self.stored_length);
        head.option(self.data, |out, id| out.raw(&id.0));
        head.text(&self.etag);
        head.checksum(self.checksum.as_ref());
        seal(Kind::Attempt, &head.0, &self.record)
    }

    pub(crate) fn decode(file: &[u8]) -> Result<Self, FormatError> {
        let opened = open(Kind::Attempt, file)?;
        let mut head = Fields::new(opened.head);
        let decoded = Self {
            upload: Id(head.array("upload id")?),
            attempt: Id(head.array("attempt")?),
            number: head.u32("part number")?,
            finished: head.time("time")?,
            sequence: head.u64("sequence")?,
            stored_length: head.u64("length")?,
            data: head.option("data", |fields, what| fields.array(what).map(Id))?,
            etag: head.text("ETag")?,
            checksum: head.checksum()?,
            record: Bytes::copy_from_slice(opened.tail),
        };
        head.end("head")?;
        if !(1..=PART_NUMBER_MAX).contains(&decoded.number) {
            return Err(FormatError::Field {
                what: "part number",
            });
        }
        if decoded.data.is_some() != (decoded.stored_length > 0) {
            return Err(FormatError::Field { what: "data" });
        }
        Ok(decoded)
    }
}
