//! The root of an object: everything about it, and its bytes when they are few
//! (docs/formats/local-store.md, "Object root").

use bytes::Bytes;
use strongroom_backend::object::{Checksum, ObjectHeaders, PartStat};

use super::field::{Fields, FieldsOut, PART_NUMBER_MAX, UnixTime, length};
use super::{Begin, FormatError, Kind, open, seal};
use crate::id::Id;

/// Most bytes of a root: one write, and one read where a listing needs a long head.
pub(crate) const ROOT_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a body, or of a footer, that lie in the root itself.
pub(crate) const INLINE_BYTES_MAX: usize = 32 * 1024;
/// Most bytes of extents and parts in the root; more go to a page.
pub(crate) const LAYOUT_INLINE_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of the wrapper's envelope.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 8 * 1024;
/// Most bytes of the client's headers together (S3: 2 KiB of user metadata, ten tags of 384 characters,
/// each of which may take three bytes).
pub(crate) const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of an ETag, of each text of a checksum, of a storage class and of an upload id.
pub(crate) const SHORT_TEXT_BYTES_MAX: usize = 256;

// Whatever is within its own limit fits together: bucket and key, three short texts of the checksum and
// four more, and 1 KiB of fixed fields and lengths.
const _: () = assert!(
    INLINE_BYTES_MAX
        + LAYOUT_INLINE_BYTES_MAX
        + ENVELOPE_BYTES_MAX
        + HEADERS_BYTES_MAX
        + 7 * SHORT_TEXT_BYTES_MAX
        + 64
        + 1024
        + 1024
        <= ROOT_BYTES_MAX
);

const KIND_OBJECT: u8 = 1;
const SECTION_HEADERS: u16 = 1;
const SECTION_UPLOAD: u16 = 2;
const SECTION_BODY: u16 = 3;

/// What a listing needs: the head of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) generation: Id,
    pub(crate) modified: UnixTime,
    pub(crate) stored_length: u64,
    pub(crate) etag: String,
    pub(crate) envelope: Option<Bytes>,
    pub(crate) storage_class: Option<String>,
    pub(crate) checksum: Option<Checksum>,
}

/// A run of the body in a data file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) data: Id,
    pub(crate) bytes: u64,
}

/// Where the bytes before the inline ones lie, and the parts they were uploaded in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) extents: Vec<Extent>,
    pub(crate) parts: Vec<PartStat>,
}

/// Where the layout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LayoutPlace {
    /// In the root.
    Here(Layout),
    /// In an immutable page.
    Page {
        data: Id,
        bytes: u32,
        extents: u32,
        parts: u32,
        extent_bytes: u64,
    },
}

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) summary: Summary,
    pub(crate) headers: ObjectHeaders,
    pub(crate) upload_id: Option<String>,
    /// Names the set of data files of this body; stays when only the root is rewritten.
    pub(crate) body: Id,
    pub(crate) layout: LayoutPlace,
    pub(crate) inline: Bytes,
}

impl Summary {
    fn write(&self, out: &mut FieldsOut) {
        out.text(&self.bucket);
        out.text(&self.key);
        out.u8(KIND_OBJECT);
        out.raw(&self.generation.0);
        out.u8(0); // no version id: a bucket without versioning
        out.time(self.modified);
        out.u64(self.stored_length);
        out.text(&self.etag);
        out.option(self.envelope.as_deref(), FieldsOut::bytes);
        out.option(self.storage_class.as_deref(), FieldsOut::text);
        out.checksum(self.checksum.as_ref());
    }

    fn read(head: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(head);
        let (bucket, key) = (fields.text("bucket")?, fields.text("key")?);
        let kind = fields.u8("kind")?;
        if kind != KIND_OBJECT {
            return Err(FormatError::Unknown {
                what: "kind",
                value: kind.into(),
            });
        }
        let generation = Id(fields.array("generation")?);
        let version = fields.u8("version id")?;
        if version != 0 {
            return Err(FormatError::Unknown {
                what: "version id",
                value: version.into(),
            });
        }
        let summary = Self {
            bucket,
            key,
            generation,
            modified: fields.time("time")?,
            stored_length: fields.u64("length")?,
            etag: fields.text("ETag")?,
            envelope: fields.option("envelope", Fields::owned)?,
            storage_class: fields.option("storage class", Fields::text)?,
            checksum: fields.checksum()?,
        };
        fields.end("head")?;
        Ok(summary)
    }

    /// Reads the head of a root from the beginning of its file.
    pub(crate) fn decode(begin: Begin, file: &[u8]) -> Result<Self, FormatError> {
        if begin.file_bytes > ROOT_BYTES_MAX {
            return Err(FormatError::Field {
                what: "file length",
            });
        }
        Self::read(begin.head(file)?)
    }

    /// Refuses a root that lies where another key's should.
    pub(crate) fn must_be(&self, bucket: &str, key: &str) -> Result<(), FormatError> {
        if self.bucket == bucket && self.key == key {
            return Ok(());
        }
        Err(FormatError::Stranger {
            owner: format!("{:?} in bucket {:?}", self.key, self.bucket),
        })
    }
}

impl Layout {
    /// Sum of the extents; `None` beyond 2^64.
    pub(crate) fn extent_bytes(&self) -> Option<u64> {
        self.extents
            .iter()
            .try_fold(0_u64, |sum, extent| sum.checked_add(extent.bytes))
    }

    fn write(&self, out: &mut FieldsOut) {
        out.u32(length(self.extents.len()));
        for extent in &self.extents {
            out.raw(&extent.data.0);
            out.u64(extent.bytes);
        }
        out.u32(length(self.parts.len()));
        for part in &self.parts {
            out.u32(part.number);
            out.u64(part.stored_length);
            out.checksum(part.checksum.as_ref());
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes);
        let mut layout = Self::default();
        for _ in 0..fields.count(24, "extents")? {
            let extent = Extent {
                data: Id(fields.array("extent")?),
                bytes: fields.u64("extent")?,
            };
            if extent.bytes == 0 {
                return Err(FormatError::Field { what: "extent" });
            }
            layout.extents.push(extent);
        }
        for _ in 0..fields.count(13, "parts")? {
            let part = PartStat {
                number: fields.u32("part")?,
                stored_length: fields.u64("part")?,
                checksum: fields.checksum()?,
            };
            if !(1..=PART_NUMBER_MAX).contains(&part.number) {
                return Err(FormatError::Field {
                    what: "part number",
                });
            }
            layout.parts.push(part);
        }
        fields.end("layout")?;
        Ok(layout)
    }

    /// The layout's own bytes, as they lie in a root.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldsOut::default();
        self.write(&mut out);
        out.0
    }

    /// A page that holds the layout of `bucket`/`key`.
    pub(crate) fn encode_page(&self, bucket: &str, key: &str) -> Vec<u8> {
        let mut head = FieldsOut::default();
        head.text(bucket);
        head.text(key);
        seal(Kind::Page, &head.0, &self.encode())
    }

    /// Reads a page.
    pub(crate) fn decode_page(file: &[u8]) -> Result<((String, String), Self), FormatError> {
        let opened = open(Kind::Page, file)?;
        let mut head = Fields::new(opened.head);
        let owner = (head.text("bucket")?, head.text("key")?);
        head.end("head")?;
        Ok((owner, Self::read(opened.tail)?))
    }

    /// Refuses a layout that contradicts the lengths of its object.
    fn check(&self, stored_length: u64, inline: usize) -> Result<(), FormatError> {
        let wrong = FormatError::Field {
            what: "sum of lengths",
        };
        let parts = self
            .parts
            .iter()
            .try_fold(0_u64, |sum, part| sum.checked_add(part.stored_length));
        let body = self
            .extent_bytes()
            .and_then(|sum| sum.checked_add(inline as u64));
        match (body, parts) {
            (Some(body), Some(parts)) if body == stored_length && parts <= body => Ok(()),
            _ => Err(wrong),
        }
    }
}

impl Root {
    /// Whether all of the body lies in the root.
    pub(crate) fn has_no_files(&self) -> bool {
        matches!(&self.layout, LayoutPlace::Here(layout) if layout.extents.is_empty())
    }

    /// The root as bytes. Its parts were held to their limits when they came in.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut head = FieldsOut::default();
        self.summary.write(&mut head);
        let mut tail = FieldsOut::default();
        section(&mut tail, SECTION_HEADERS, |out| out.headers(&self.headers));
        if let Some(id) = &self.upload_id {
            section(&mut tail, SECTION_UPLOAD, |out| out.text(id));
        }
        section(&mut tail, SECTION_BODY, |out| {
            out.raw(&self.body.0);
            match &self.layout {
                LayoutPlace::Here(layout) => {
                    out.u8(0);
                    out.bytes(&layout.encode());
                }
                LayoutPlace::Page {
                    data,
                    bytes,
                    extents,
                    parts,
                    extent_bytes,
                } => {
                    out.u8(1);
                    out.raw(&data.0);
                    out.u32(*bytes);
                    out.u32(*extents);
                    out.u32(*parts);
                    out.u64(*extent_bytes);
                }
            }
            out.bytes(&self.inline);
        });
        seal(Kind::Root, &head.0, &tail.0)
    }

    /// Reads a whole root.
    pub(crate) fn decode(file: &[u8]) -> Result<Self, FormatError> {
        if file.len() > ROOT_BYTES_MAX {
            return Err(FormatError::Field {
                what: "file length",
            });
        }
        let opened = open(Kind::Root, file)?;
        let summary = Summary::read(opened.head)?;
        let (mut headers, mut upload_id, mut body) = (None, None, None);
        let mut fields = Fields::new(opened.tail);
        let mut last = 0;
        while !fields.is_empty() {
            let tag = fields.u16("section")?;
            let mut content = Fields::new(fields.bytes("section")?);
            if tag <= last {
                return Err(FormatError::Field {
                    what: "order of sections",
                });
            }
            last = tag;
            match tag {
                SECTION_HEADERS => headers = Some(content.headers()?),
                SECTION_UPLOAD => upload_id = Some(content.text("upload id")?),
                SECTION_BODY => body = Some(Body::read(&mut content)?),
                _ => {
                    return Err(FormatError::Unknown {
                        what: "section",
                        value: tag.into(),
                    });
                }
            }
            content.end("section")?;
        }
        let mut headers = headers.ok_or(FormatError::Field { what: "headers" })?;
        let Body { id, layout, inline } = body.ok_or(FormatError::Field { what: "body" })?;
        match &layout {
            LayoutPlace::Here(layout) => layout.check(summary.stored_length, inline.len())?,
            LayoutPlace::Page { extent_bytes, .. } => {
                if extent_bytes.checked_add(inline.len() as u64) != Some(summary.stored_length) {
                    return Err(FormatError::Field {
                        what: "sum of lengths",
                    });
                }
            }
        }
        headers.storage_class.clone_from(&summary.storage_class);
        Ok(Self {
            summary,
            headers,
            upload_id,
            body: id,
            layout,
            inline,
        })
    }

    /// Reads the page that this root names, and holds it to what the root says of it.
    pub(crate) fn read_page(&self, file: &[u8]) -> Result<Layout, FormatError> {
        let ((bucket, key), layout) = Layout::decode_page(file)?;
        self.summary.must_be(&bucket, &key)?;
        layout.check(self.summary.stored_length, self.inline.len())?;
        match self.layout {
            LayoutPlace::Page {
                bytes,
                extents,
                parts,
                ..
            } if length(file.len()) == bytes
                && length(layout.extents.len()) == extents
                && length(layout.parts.len()) == parts =>
            {
                Ok(layout)
            }
            _ => Err(FormatError::Field { what: "page" }),
        }
    }
}

struct Body {
    id: Id,
    layout: LayoutPlace,
    inline: Bytes,
}

impl Body {
    fn read(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let id = Id(fields.array("body")?);
        let layout = match fields.u8("layout")? {
            0 => LayoutPlace::Here(Layout::read(fields.bytes("layout")?)?),
            1 => LayoutPlace::Page {
                data: Id(fields.array("page")?),
                bytes: fields.u32("page")?,
                extents: fields.u32("page")?,
                parts: fields.u32("page")?,
                extent_bytes: fields.u64("page")?,
            },
            value => {
                return Err(FormatError::Unknown {
                    what: "layout",
                    value: value.into(),
                });
            }
        };
        Ok(Self {
            id,
            layout,
            inline: fields.owned("inline bytes")?,
        })
    }
}

fn section(out: &mut FieldsOut, tag: u16, write: impl FnOnce(&mut FieldsOut)) {
    let mut content = FieldsOut::default();
    write(&mut content);
    out.u16(tag);
    out.bytes(&content.0);
}
