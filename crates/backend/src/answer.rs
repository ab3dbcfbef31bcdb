//! GET and HEAD answers: which bytes are meant, and the headers that describe them.

use std::ops::Range;

use http::StatusCode;
use s3s::dto::{
    ChecksumMode, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StorageClass,
    StreamingBlob, Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use crate::checksum::ShowsChecksum as _;
use crate::condition::strong;
use crate::error::custom;
use crate::limits::PARTS_MAX;
use crate::object::{Checksum, Stat};
use crate::tags;

/// An object as the client sees it.
#[derive(Clone, Debug)]
pub struct Visible<'a> {
    /// What is stored of it: headers, version, time.
    pub stat: &'a Stat,
    /// Size in bytes.
    pub size: u64,
    /// ETag without quotes.
    pub etag: &'a str,
    /// Checksum, if one is kept and can be shown.
    pub checksum: Option<&'a Checksum>,
    /// Parts in order, with their visible sizes; empty for an object that was put whole.
    pub parts: &'a [VisiblePart],
}

/// A part of an object as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisiblePart {
    /// Its number.
    pub number: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

impl VisiblePart {
    /// The parts of a plain object.
    #[must_use]
    pub fn plain(stat: &Stat) -> Vec<Self> {
        stat.parts
            .iter()
            .map(|part| Self {
                number: part.number,
                size: part.stored_length,
                checksum: part.checksum.clone(),
            })
            .collect()
    }
}

impl<'a> Visible<'a> {
    /// A plain object, which is as it is stored.
    #[must_use]
    pub fn plain(stat: &'a Stat, parts: &'a [VisiblePart]) -> Self {
        Self {
            stat,
            size: stat.stored_length,
            etag: &stat.etag,
            checksum: stat.checksum.as_ref(),
            parts,
        }
    }
}

/// The bytes that a GET or HEAD means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Visible bytes.
    pub bytes: Range<u64>,
    /// The answer is a 206 with `Content-Range`.
    pub partial: bool,
    /// Index into the parts, when a part was asked for by number.
    pub part: Option<usize>,
}

impl Selection {
    /// The whole object.
    #[must_use]
    pub fn whole(size: u64) -> Self {
        Self {
            bytes: 0..size,
            partial: false,
            part: None,
        }
    }

    /// Finds the bytes that `range` or `part_number` name.
    ///
    /// # Errors
    /// `InvalidRange` (416) for a range with no byte of the object in it; `InvalidPartNumber` (416) for a
    /// part that is not there; `InvalidArgument`, `InvalidRequest`.
    pub fn find(
        visible: &Visible<'_>,
        range: Option<&s3s::dto::Range>,
        part_number: Option<i32>,
    ) -> S3Result<Self> {
        match (range, part_number) {
            (None, None) => Ok(Self::whole(visible.size)),
            (Some(_), Some(_)) => Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter"
            )),
            (Some(range), None) => Ok(Self {
                bytes: satisfy(range, visible.size)?,
                partial: true,
                part: None,
            }),
            (None, Some(number)) => Self::part(visible, number),
        }
    }

    fn part(visible: &Visible<'_>, number: i32) -> S3Result<Self> {
        let number = u32::try_from(number)
            .ok()
            .filter(|n| (1..=PARTS_MAX).contains(n))
            .ok_or_else(|| {
                s3_error!(InvalidArgument, "partNumber must be from 1 to {PARTS_MAX}")
            })?;
        if visible.parts.is_empty() {
            // An object that was put whole is its own first part.
            if number != 1 {
                return Err(no_such_part());
            }
            return Ok(Self {
                bytes: 0..visible.size,
                partial: visible.size > 0,
                part: None,
            });
        }
        let mut start = 0;
        for (index, part) in visible.parts.iter().enumerate() {
            let end = start + part.size;
            if part.number == number {
                return Ok(Self {
                    bytes: start..end,
                    partial: part.size > 0,
                    part: Some(index),
                });
            }
            start = end;
        }
        Err(no_such_part())
    }

    /// Bytes of the answer.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    fn content_range(&self, size: u64) -> Option<String> {
        (self.partial && self.length() > 0)
            .then(|| format!("bytes {}-{}/{size}", self.bytes.start, self.bytes.end - 1))
    }

    /// The checksum of exactly these bytes, if there is one.
    fn checksum<'a>(&self, visible: &Visible<'a>) -> Option<&'a Checksum> {
        match self.part {
            Some(index) => visible
                .parts
                .get(index)
                .and_then(|part| part.checksum.as_ref()),
            None if self.bytes == (0..visible.size) => visible.checksum,
            None => None,
        }
    }
}

/// A range held against a size.
///
/// # Errors
/// `InvalidRange`, also for every range of an empty object.
pub fn satisfy(range: &s3s::dto::Range, size: u64) -> S3Result<Range<u64>> {
    let bytes = range.check(size).map_err(|_| unsatisfiable(size))?;
    // A suffix of an empty object passes the check and has no bytes (RFC 9110 §14.1.2 calls it satisfiable;
    // S3 answers 416).
    if bytes.is_empty() {
        Err(unsatisfiable(size))
    } else {
        Ok(bytes)
    }
}

/// `x-amz-copy-source-range`, which must be `bytes=first-last` within the source.
///
/// # Errors
/// `InvalidArgument` for another form, `InvalidRange` past the end.
pub fn copy_source_range(told: &str, size: u64) -> S3Result<Range<u64>> {
    let malformed = || {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last \
             are the zero-based offsets of the first and last bytes to copy"
        )
    };
    match s3s::dto::Range::parse(told).map_err(|_| malformed())? {
        s3s::dto::Range::Int {
            first,
            last: Some(last),
        } if last < size => Ok(first..last + 1),
        s3s::dto::Range::Int { last: Some(_), .. } => Err(s3_error!(
            InvalidRange,
            "Range specified is not valid for source object of size: {size}"
        )),
        _ => Err(malformed()),
    }
}

fn unsatisfiable(size: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange);
    if let Ok(value) = http::HeaderValue::try_from(format!("bytes */{size}")) {
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_RANGE, value);
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/xml"),
        );
        error.set_headers(headers);
    }
    error
}

fn no_such_part() -> S3Error {
    custom(
        "InvalidPartNumber",
        StatusCode::RANGE_NOT_SATISFIABLE,
        "The requested partnumber is not satisfiable",
    )
}

macro_rules! describe {
    ($output:ident, $visible:expr, $selection:expr, $input:expr) => {{
        let (visible, selection, input) = ($visible, $selection, $input);
        let stat = visible.stat;
        let headers = &stat.headers;
        let mut output = $output::default();
        output.accept_ranges = Some("bytes".to_owned());
        output.cache_control = input
            .response_cache_control
            .clone()
            .or_else(|| headers.cache_control.clone());
        output.content_disposition = input
            .response_content_disposition
            .clone()
            .or_else(|| headers.content_disposition.clone());
        output.content_encoding = input
            .response_content_encoding
            .clone()
            .or_else(|| headers.content_encoding.clone());
        output.content_language = input
            .response_content_language
            .clone()
            .or_else(|| headers.content_language.clone());
        output.content_type = input
            .response_content_type
            .clone()
            .or_else(|| headers.content_type.clone())
            .or_else(|| Some(DEFAULT_CONTENT_TYPE.to_owned()));
        output.expires = input
            .response_expires
            .as_ref()
            .and_then(http_date)
            .or_else(|| headers.expires.clone());
        output.content_length = i64::try_from(selection.length()).ok();
        output.content_range = selection.content_range(visible.size);
        output.e_tag = Some(strong(visible.etag));
        output.last_modified = Some(stat.last_modified.clone());
        output.metadata = Some(headers.user_metadata.clone().into_iter().collect());
        // AWS tells the count only when a part was asked for.
        output.parts_count = (input.part_number.is_some() && !visible.parts.is_empty())
            .then(|| i32::try_from(visible.parts.len()).ok())
            .flatten();
        output.storage_class = headers.storage_class.clone().map(StorageClass::from);
        output.tag_count = Some(tags::count(headers.tagging.as_deref()))
            .filter(|count| *count > 0)
            .and_then(|count| i32::try_from(count).ok());
        output.version_id = stat.version_id.clone();
        output.website_redirect_location = headers.website_redirect_location.clone();
        let wanted =
            input.checksum_mode.as_ref().map(ChecksumMode::as_str) == Some(ChecksumMode::ENABLED);
        if let Some(checksum) = selection.checksum(visible).filter(|_| wanted) {
            output.show_checksum(checksum);
        }
        output
    }};
}

/// S3's type for an object that was stored without one.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The answer to a GET whose bytes come from `body`.
#[must_use]
pub fn get(
    visible: &Visible<'_>,
    selection: &Selection,
    input: &GetObjectInput,
    body: StreamingBlob,
) -> GetObjectOutput {
    let mut output = describe!(GetObjectOutput, visible, selection, input);
    output.body = Some(body);
    output
}

/// The answer to a HEAD.
#[must_use]
pub fn head(
    visible: &Visible<'_>,
    selection: &Selection,
    input: &HeadObjectInput,
) -> S3Response<HeadObjectOutput> {
    let output = describe!(HeadObjectOutput, visible, selection, input);
    let partial = output.content_range.is_some();
    let mut response = S3Response::new(output);
    if partial {
        response.status = Some(StatusCode::PARTIAL_CONTENT);
    }
    response
}

fn http_date(at: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    at.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests;
