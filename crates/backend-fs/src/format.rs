//! The bytes of every binary file of the store (docs/formats/local-store.md, "Frame").
//!
//! Pure. One frame for all kinds: a fixed beginning, a *head* that can be read and verified alone, a *tail*,
//! and a CRC-64/NVME after each. Whatever is not exactly as written here is an error: a damaged or
//! newer file is never taken for an absent one.

pub(crate) mod field;
pub(crate) mod record;
pub(crate) mod root;
pub(crate) mod upload;

use crc_fast::{CrcAlgorithm, Digest};

use field::Fields;

/// Version of every file written here.
pub(crate) const FORMAT_VERSION: u16 = 1;

/// Bytes before the head.
pub(crate) const BEGIN_BYTES: usize = 24;

/// Bytes of a checksum.
pub(crate) const SUM_BYTES: usize = 8;

/// Most bytes of any framed file: the page of a 10,000-part object has under 1 MiB, a record 1 MiB and
/// its frame. A length beyond it is damage, and is found before memory is given for it.
pub(crate) const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The kinds of framed files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One attempt of a part.
    Attempt,
    /// A bucket.
    Bucket,
    /// Extents and parts that are too many for a root.
    Page,
    /// A record of the wrapper.
    Record,
    /// An object.
    Root,
    /// An upload in progress.
    Upload,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Attempt,
        Self::Bucket,
        Self::Page,
        Self::Record,
        Self::Root,
        Self::Upload,
    ];

    /// First eight bytes. A high byte and both line ends, so that no text tool or transfer in text mode
    /// leaves it whole.
    fn magic(self) -> [u8; 8] {
        let letter = match self {
            Self::Attempt => b'A',
            Self::Bucket => b'B',
            Self::Page => b'P',
            Self::Record => b'R',
            Self::Root => b'O',
            Self::Upload => b'U',
        };
        [0x93, b'S', b'R', b'M', letter, b'\r', b'\n', 0x1a]
    }
}

/// Why bytes are not a file of this store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file ends early, or goes on after its end.
    #[error("it has {have} bytes and says {says}")]
    Length {
        /// Bytes that are there.
        have: usize,
        /// Bytes that should be.
        says: usize,
    },
    /// Not the magic bytes of the kind that belongs here.
    #[error("it does not begin as a {expected} of this store")]
    Magic {
        /// The kind that was looked for.
        expected: &'static str,
    },
    /// Written by a newer release.
    #[error(
        "its format is {version} and this release knows up to {FORMAT_VERSION}; use a newer release"
    )]
    Newer {
        /// The file's version.
        version: u16,
    },
    /// A feature this release does not know.
    #[error("its {what} {value:#x} is not known to this release; use a newer release")]
    Unknown {
        /// What carries the unknown value.
        what: &'static str,
        /// The value.
        value: u64,
    },
    /// Bytes have changed since they were written.
    #[error("the checksum of its {part} is wrong")]
    Checksum {
        /// `head` or `tail`.
        part: &'static str,
    },
    /// The checksum holds and the contents contradict themselves.
    #[error("its {what} is not as this format says")]
    Field {
        /// The field.
        what: &'static str,
    },
    /// It is whole and says that it is another file.
    #[error("it belongs to {owner}")]
    Stranger {
        /// Whose it is, by its own words.
        owner: String,
    },
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Attempt => "part attempt",
            Self::Bucket => "bucket",
            Self::Page => "page",
            Self::Record => "record",
            Self::Root => "object",
            Self::Upload => "upload",
        }
    }
}

/// Frames a head and a tail.
pub(crate) fn seal(kind: Kind, head: &[u8], tail: &[u8]) -> Vec<u8> {
    let whole = BEGIN_BYTES + head.len() + SUM_BYTES + tail.len() + SUM_BYTES;
    let mut file = Vec::with_capacity(whole);
    file.extend(kind.magic());
    file.extend(FORMAT_VERSION.to_le_bytes());
    file.extend(0_u16.to_le_bytes());
    file.extend(field::length(whole).to_le_bytes());
    file.extend(field::length(head.len()).to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    file.extend(head);
    let mut sum = Digest::new(CrcAlgorithm::Crc64Nvme);
    sum.update(&file);
    let head_sum = sum.finalize().to_le_bytes();
    file.extend(head_sum);
    file.extend(tail);
    sum.update(&head_sum);
    sum.update(tail);
    file.extend(sum.finalize().to_le_bytes());
    file
}

/// The verified parts of a whole file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) tail: &'a [u8],
}

/// What the beginning of a file tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// Bytes of the whole file.
    pub(crate) file_bytes: usize,
    head_bytes: usize,
}

impl Begin {
    /// Reads the first [`BEGIN_BYTES`] of a file, not yet covered by any checksum.
    pub(crate) fn read(kind: Kind, file: &[u8]) -> Result<Self, FormatError> {
        let Some(begin) = file.get(..BEGIN_BYTES) else {
            return Err(FormatError::Length {
                have: file.len(),
                says: BEGIN_BYTES,
            });
        };
        if begin[..8] != kind.magic() {
            return Err(FormatError::Magic {
                expected: kind.name(),
            });
        }
        let mut fields = Fields::new(&begin[8..]);
        let version = fields.u16("version")?;
        if version != FORMAT_VERSION {
            return Err(FormatError::Newer { version });
        }
        let flags = fields.u16("flags")?;
        if flags != 0 {
            return Err(FormatError::Unknown {
                what: "flags field",
                value: flags.into(),
            });
        }
        let file_bytes = fields.u32_usize("file length")?;
        let head_bytes = fields.u32_usize("head length")?;
        if fields.u32("reserved bytes")? != 0 {
            return Err(FormatError::Field {
                what: "reserved bytes",
            });
        }
        let fits = file_bytes <= FILE_BYTES_MAX
            && head_bytes <= file_bytes
            && BEGIN_BYTES + head_bytes + 2 * SUM_BYTES <= file_bytes;
        if !fits {
            return Err(FormatError::Field {
                what: "file length",
            });
        }
        Ok(Self {
            file_bytes,
            head_bytes,
        })
    }

    /// Bytes from the start of the file to the end of the head's checksum.
    pub(crate) fn bytes_to_head_end(self) -> usize {
        BEGIN_BYTES + self.head_bytes + SUM_BYTES
    }

    /// The verified head; `file` holds at least [`bytes_to_head_end`](Self::bytes_to_head_end).
    pub(crate) fn head(self, file: &[u8]) -> Result<&[u8], FormatError> {
        let end = BEGIN_BYTES + self.head_bytes;
        let Some(sum) = file.get(end..end + SUM_BYTES) else {
            return Err(FormatError::Length {
                have: file.len(),
                says: self.bytes_to_head_end(),
            });
        };
        if crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &file[..end]).to_le_bytes() != *sum {
            return Err(FormatError::Checksum { part: "head" });
        }
        Ok(&file[BEGIN_BYTES..end])
    }
}

/// Verifies a whole file.
pub(crate) fn open(kind: Kind, file: &[u8]) -> Result<Opened<'_>, FormatError> {
    let begin = Begin::read(kind, file)?;
    if file.len() != begin.file_bytes {
        return Err(FormatError::Length {
            have: file.len(),
            says: begin.file_bytes,
        });
    }
    let head = begin.head(file)?;
    let end = file.len() - SUM_BYTES;
    if crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &file[..end]).to_le_bytes() != file[end..] {
        return Err(FormatError::Checksum { part: "tail" });
    }
    Ok(Opened {
        head,
        tail: &file[begin.bytes_to_head_end()..end],
    })
}

/// Verifies any binary file of a store, of whatever kind it says it is: for tools and for fuzzing.
///
/// # Errors
/// [`FormatError`] when this release would refuse the file.
pub fn verify(file: &[u8]) -> Result<(), FormatError> {
    let Some(kind) = Kind::ALL
        .into_iter()
        .find(|kind| file.starts_with(&kind.magic()))
    else {
        return Err(FormatError::Magic { expected: "file" });
    };
    match kind {
        Kind::Attempt => upload::AttemptFile::decode(file).map(drop),
        Kind::Bucket => record::BucketFile::decode(file).map(drop),
        Kind::Page => root::Layout::decode_page(file).map(drop),
        Kind::Record => record::RecordFile::decode(file).map(drop),
        Kind::Root => root::Root::decode(file).map(drop),
        Kind::Upload => upload::UploadFile::decode(file).map(drop),
    }
}

/// As [`verify`], of a file of the kind with this index and these parts under good checksums: fuzzing would
/// not get past those.
///
/// # Errors
/// [`FormatError`] when this release would refuse the file.
#[doc(hidden)]
pub fn verify_parts(kind: u8, head: &[u8], tail: &[u8]) -> Result<(), FormatError> {
    let kind = Kind::ALL[usize::from(kind) % Kind::ALL.len()];
    verify(&seal(kind, head, tail))
}

#[cfg(test)]
mod tests;
