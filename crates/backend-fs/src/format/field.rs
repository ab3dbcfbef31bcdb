//! Fields inside a frame: little-endian integers, counted texts and bytes, options as one byte 0 or 1.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use s3s::dto::Timestamp;
use strongroom_backend::object::{Checksum, ObjectHeaders};

use super::FormatError;

/// Most parts of an object: S3's own limit.
pub(crate) const PART_NUMBER_MAX: u32 = 10_000;

/// A length as it is stored. What is written is far below 4 GiB (see the limits in [`super`]); the
/// saturated value would be refused by every reader.
pub(crate) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A point in time: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnixTime {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanos: since.subsec_nanos(),
            },
            // A clock before 1970 is not set; the epoch says so as well as any earlier time.
            Err(_) => Self {
                seconds: 0,
                nanos: 0,
            },
        }
    }
}

impl From<UnixTime> for Timestamp {
    fn from(time: UnixTime) -> Self {
        let since = Duration::new(u64::try_from(time.seconds).unwrap_or(0), time.nanos);
        Self::from(SystemTime::UNIX_EPOCH + since)
    }
}

/// Latest second that a file may hold: the end of year 9999, the last that S3's time texts can show.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Writes fields.
#[derive(Debug, Default)]
pub(crate) struct FieldsOut(pub(crate) Vec<u8>);

impl FieldsOut {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }
    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }
    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(length(bytes.len()));
        self.raw(bytes);
    }
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
    pub(crate) fn time(&mut self, time: UnixTime) {
        self.0
            .extend(time.seconds.clamp(0, SECONDS_MAX).to_le_bytes());
        self.u32(time.nanos);
    }
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.u8(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }
    pub(crate) fn checksum(&mut self, checksum: Option<&Checksum>) {
        self.option(checksum, |out, checksum| {
            out.text(&checksum.algorithm);
            out.text(&checksum.value);
            out.u8(checksum.composite.into());
        });
    }
    /// All headers but the storage class, which is part of a listing's summary.
    pub(crate) fn headers(&mut self, headers: &ObjectHeaders) {
        for text in [
            &headers.cache_control,
            &headers.content_disposition,
            &headers.content_encoding,
            &headers.content_language,
            &headers.content_type,
            &headers.expires,
            &headers.website_redirect_location,
            &headers.tagging,
        ] {
            self.option(text.as_deref(), Self::text);
        }
        self.u32(length(headers.user_metadata.len()));
        for (name, value) in &headers.user_metadata {
            self.text(name);
            self.text(value);
        }
    }
}

/// Reads fields. Every method fails when the bytes run out.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The end: nothing may follow.
    pub(crate) fn end(self, what: &'static str) -> Result<(), FormatError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(FormatError::Field { what })
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn raw(
        &mut self,
        count: usize,
        what: &'static str,
    ) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(FormatError::Field { what })?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], FormatError> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(FormatError::Field { what })?;
        self.0 = rest;
        Ok(*taken)
    }
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, FormatError> {
        self.array::<1>(what).map(|[byte]| byte)
    }
    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, FormatError> {
        self.array(what).map(u16::from_le_bytes)
    }
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        self.array(what).map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        self.array(what).map(u64::from_le_bytes)
    }
    pub(crate) fn u32_usize(&mut self, what: &'static str) -> Result<usize, FormatError> {
        usize::try_from(self.u32(what)?).map_err(|_| FormatError::Field { what })
    }
    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, FormatError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(FormatError::Unknown {
                what,
                value: value.into(),
            }),
        }
    }
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], FormatError> {
        let count = self.u32_usize(what)?;
        self.raw(count, what)
    }
    pub(crate) fn owned(&mut self, what: &'static str) -> Result<Bytes, FormatError> {
        self.bytes(what).map(Bytes::copy_from_slice)
    }
    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, FormatError> {
        let bytes = self.bytes(what)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| FormatError::Field { what })
    }
    pub(crate) fn time(&mut self, what: &'static str) -> Result<UnixTime, FormatError> {
        let seconds = i64::from_le_bytes(self.array(what)?);
        let nanos = self.u32(what)?;
        if (0..=SECONDS_MAX).contains(&seconds) && nanos < 1_000_000_000 {
            Ok(UnixTime { seconds, nanos })
        } else {
            Err(FormatError::Field { what })
        }
    }
    pub(crate) fn option<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T, FormatError>,
    ) -> Result<Option<T>, FormatError> {
        if self.flag(what)? {
            read(self, what).map(Some)
        } else {
            Ok(None)
        }
    }
    /// How many items follow, each of at least `item_bytes_min`: a count that the bytes cannot hold is
    /// refused before memory is given for it.
    pub(crate) fn count(
        &mut self,
        item_bytes_min: usize,
        what: &'static str,
    ) -> Result<usize, FormatError> {
        let count = self.u32_usize(what)?;
        if count.saturating_mul(item_bytes_min) > self.0.len() {
            return Err(FormatError::Field { what });
        }
        Ok(count)
    }
    pub(crate) fn checksum(&mut self) -> Result<Option<Checksum>, FormatError> {
        self.option("checksum", |fields, what| {
            Ok(Checksum {
                algorithm: fields.text(what)?,
                value: fields.text(what)?,
                composite: fields.flag(what)?,
            })
        })
    }
    pub(crate) fn headers(&mut self) -> Result<ObjectHeaders, FormatError> {
        let mut texts = [const { None }; 8];
        for text in &mut texts {
            *text = self.option("header", Self::text)?;
        }
        let mut user_metadata = BTreeMap::new();
        for _ in 0..self.count(8, "user metadata")? {
            let (name, value) = (self.text("user metadata")?, self.text("user metadata")?);
            if user_metadata
                .last_key_value()
                .is_some_and(|(last, _)| *last >= name)
            {
                return Err(FormatError::Field {
                    what: "order of user metadata",
                });
            }
            user_metadata.insert(name, value);
        }
        let [
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            content_type,
            expires,
            website_redirect_location,
            tagging,
        ] = texts;
        Ok(ObjectHeaders {
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            content_type,
            expires,
            storage_class: None,
            user_metadata,
            website_redirect_location,
            tagging,
        })
    }
}
