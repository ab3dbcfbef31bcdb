//! Audit records as a chain of hashes: who changes, removes or inserts a line of an audit file breaks every line after it.
//!
//! A line is the JSON of the audit stream with three members more, always last (docs/formats/kes-audit.md):
//!
//! ```text
//! {"time":…,"request":{…},"response":{…},"seq":7,"prev":"<hash of line 6>","hash":"<64 hex>"}
//! ```
//!
//! `hash` is SHA-256 over the bytes of the line in front of `,"hash":`, so that it can be checked without any JSON library.
//! Two more kinds of line are linked in the same way: one at each opening of the chain (`chain`), and one that says how many
//! records could not be written (`dropped`).
//!
//! The chain has no key. It shows damage and careless tampering by itself, and a rewrite of everything only to who kept a hash
//! elsewhere; that is also what finds lines missing at the end. So [`Report`] has the last hash of each chain.

use std::fmt;
use std::io::{self, BufRead, Read as _};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::body::json_line;

/// The version that [`Chain::open`] writes.
pub const VERSION: u32 = 1;
/// Longest line: paths in records end after 512 bytes, each of which JSON may write as six.
pub const LINE_BYTES_MAX: usize = 16 << 10;

/// A SHA-256 in a chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first line of a chain has as `prev`.
    pub const ZERO: Self = Self([0; 32]);

    fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }

    /// Reads 64 lowercase hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let is_lower = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        hex::decode_to_slice(text, &mut hash).ok()?;
        is_lower.then_some(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One line, as the next one names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Counts from 0, without a gap.
    pub seq: u64,
    /// Of the line.
    pub hash: Hash,
}

/// How a chain is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opening {
    /// Nothing came before.
    Start,
    /// After a restart, or in a new file: `seq` and `prev` go on.
    Continue,
}

/// The writing end of a chain.
#[derive(Debug, Clone)]
pub struct Chain {
    last: Option<Link>,
}

#[derive(Serialize)]
struct OpeningLine<'l> {
    time: String,
    chain: OpeningMember<'l>,
}

#[derive(Serialize)]
struct OpeningMember<'l> {
    version: u32,
    id: &'l str,
    event: Opening,
    #[serde(skip_serializing_if = "is_zero")]
    torn: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize)]
struct DroppedLine {
    time: String,
    dropped: u64,
}

impl Chain {
    /// Opens a chain: a new one, or the one that `after` ends. Returns its first line too.
    ///
    /// `id` is random, so that two openings are never taken for each other; `torn` is the length of an unfinished line that
    /// the chain was found to end with, and that stays where it is.
    #[must_use]
    pub fn open(id: [u8; 16], time: Timestamp, after: Option<Link>, torn: u64) -> (Self, Vec<u8>) {
        let mut chain = Self { last: after };
        let line = json_line(&OpeningLine {
            time: time.to_string(),
            chain: OpeningMember {
                version: VERSION,
                id: &hex::encode(id),
                event: match after {
                    None => Opening::Start,
                    Some(_) => Opening::Continue,
                },
                torn,
            },
        });
        let line = chain.link(&line);
        (chain, line)
    }

    /// The line that was linked last.
    #[must_use]
    pub fn last(&self) -> Option<Link> {
        self.last
    }

    /// Makes the line of a record: a JSON object, with or without its newline. Returns the line that is to be written next.
    #[must_use]
    pub fn link(&mut self, record: &[u8]) -> Vec<u8> {
        let (seq, prev) = match self.last {
            None => (0, Hash::ZERO),
            Some(last) => (last.seq + 1, last.hash),
        };
        let open = record.trim_ascii_end();
        let open = open.strip_suffix(b"}").unwrap_or(open);
        let mut line = Vec::with_capacity(open.len() + 192);
        line.extend_from_slice(open);
        line.extend_from_slice(format!(",\"seq\":{seq},\"prev\":\"{prev}\"").as_bytes());
        let hash = Hash::of(&line);
        line.extend_from_slice(format!(",\"hash\":\"{hash}\"}}\n").as_bytes());
        self.last = Some(Link { seq, hash });
        line
    }

    /// The line that stands for records which could not be written.
    #[must_use]
    pub fn link_dropped(&mut self, time: Timestamp, dropped: u64) -> Vec<u8> {
        let time = time.to_string();
        let line = json_line(&DroppedLine { time, dropped });
        self.link(&line)
    }
}

/// Where the chain that a file ends with goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The last whole line; none when there is none that is sound.
    pub last: Option<Link>,
    /// Bytes of an unfinished line after it.
    pub torn: u64,
}

/// Reads the end of a file, given its last bytes ([`LINE_BYTES_MAX`] times two are enough).
#[must_use]
pub fn tail(end: &[u8]) -> Tail {
    let whole = end.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let torn = (end.len() - whole) as u64;
    let lines = end[..whole].split(|b| *b == b'\n').rev();
    // What does not begin an object is no line of a chain.
    let last = lines
        .filter(|line| line.starts_with(b"{"))
        .find_map(|line| Line::parse(line).ok());
    let last = last.map(|line| line.link);
    Tail { last, torn }
}

/// What [`verify`] found in a sound file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every chain of the file, in order. There are several where the output of several starts was collected.
    pub chains: Vec<ChainReport>,
    /// Lines of all chains.
    pub lines: u64,
    /// Lines that belong to no chain: those that do not begin with `{`, such as the banner.
    pub foreign: u64,
}

/// One chain of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Number of its first line, from 1.
    pub line: u64,
    /// Of its first opening.
    pub id: String,
    /// [`Opening::Continue`]: lines came before, in another file. Its last line must have the hash [`Self::after`].
    pub opening: Opening,
    /// Time of the first opening.
    pub time: Timestamp,
    /// What the first line links to; [`Hash::ZERO`] at a start.
    pub after: Hash,
    /// `seq` of the first line.
    pub first_seq: u64,
    /// The last line. Lines missing *behind* it show only to who kept a later hash.
    pub last: Link,
    /// Requests.
    pub records: u64,
    /// Openings after the first: restarts and new files.
    pub continued: u64,
    /// Requests whose records were lost, as the chain itself says.
    pub dropped: u64,
    /// Lines that were cut off in the middle when the server ended, as the chain itself says.
    pub torn: u64,
}

/// Why a file is no sound chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It could not be read.
    #[error("audit file cannot be read")]
    Read(#[from] io::Error),
    /// It has no line of a chain.
    #[error("no audit record in the file: it is empty, or holds logs of another form")]
    Empty,
    /// The first line that does not fit.
    #[error("line {line} is broken: {what}")]
    Broken {
        /// From 1.
        line: u64,
        /// In which way.
        what: Break,
    },
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Break {
    /// Not of the form.
    #[error("it is no audit record with 'seq', 'prev' and 'hash'")]
    Form,
    /// Its hash is another.
    #[error("its content was changed, since its hash is another")]
    Changed,
    /// Lines before it are not there, though the chain does not begin here.
    #[error("it is record {seq} of a chain whose beginning is missing")]
    HeadMissing {
        /// Its number.
        seq: u64,
    },
    /// Not the number that has to follow.
    #[error(
        "it is record {found}, but {expected} has to follow: records were removed, added or moved"
    )]
    Gap {
        /// What should be here.
        expected: u64,
        /// What is.
        found: u64,
    },
    /// The right number, linked to another line.
    #[error("it does not follow the line before it, which was exchanged")]
    Unlinked,
    /// A version that this program does not know.
    #[error("it is of version {version}, which this program does not know")]
    Version {
        /// Which.
        version: u32,
    },
}

/// Reads a file of audit lines and proves that it is whole from its first line to its last.
///
/// # Errors
/// [`VerifyError`], with the first line that is broken.
pub fn verify(mut reader: impl BufRead) -> Result<Report, VerifyError> {
    let mut check = Check::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .by_ref()
            .take(LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        check.number += 1;
        if !line.starts_with(b"{") {
            check.foreign += 1;
            // Foreign lines may have any length.
            let mut is_whole = line.ends_with(b"\n");
            while !is_whole {
                line.clear();
                let more = reader
                    .by_ref()
                    .take(LINE_BYTES_MAX as u64)
                    .read_until(b'\n', &mut line)?;
                is_whole = more == 0 || line.ends_with(b"\n");
            }
            continue;
        }
        check.line(&line)?;
    }
    check.end()
}

#[derive(Default)]
struct Check {
    number: u64,
    lines: u64,
    foreign: u64,
    chains: Vec<ChainReport>,
    /// An unfinished line, which the next one has to own up to.
    torn: Option<(u64, u64, Break)>,
}

impl Check {
    fn line(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        let number = self.number;
        let broken = |what| VerifyError::Broken { line: number, what };
        if bytes.len() > LINE_BYTES_MAX {
            return Err(broken(Break::Form));
        }
        let line = match Line::parse(bytes.strip_suffix(b"\n").unwrap_or(bytes)) {
            Ok(line) => line,
            Err(what) => {
                self.pay_for_torn(None)?;
                let length = bytes.strip_suffix(b"\n").unwrap_or(bytes).len() as u64;
                self.torn = Some((number, length, what));
                return Ok(());
            }
        };
        self.pay_for_torn(line.opening.as_ref())?;
        self.lines += 1;
        let starts = line
            .opening
            .as_ref()
            .is_some_and(|o| o.event == Opening::Start);
        match self.chains.last_mut().filter(|_| !starts) {
            Some(chain) => {
                let expected = chain.last.seq + 1;
                if line.link.seq != expected {
                    let found = line.link.seq;
                    return Err(broken(Break::Gap { expected, found }));
                }
                if line.prev != chain.last.hash {
                    return Err(broken(Break::Unlinked));
                }
                chain.last = line.link;
                chain.records += u64::from(line.is_record);
                chain.continued += u64::from(line.opening.is_some());
                chain.dropped = chain.dropped.saturating_add(line.dropped);
                chain.torn += u64::from(line.opening.is_some_and(|o| o.torn > 0));
            }
            None => {
                let seq = line.link.seq;
                let Some(opening) = line.opening else {
                    return Err(broken(Break::HeadMissing { seq }));
                };
                let is_first = seq == 0 && line.prev == Hash::ZERO;
                if is_first != (opening.event == Opening::Start) {
                    return Err(broken(Break::HeadMissing { seq }));
                }
                self.chains.push(ChainReport {
                    line: number,
                    id: opening.id,
                    opening: opening.event,
                    time: line.time,
                    after: line.prev,
                    first_seq: seq,
                    last: line.link,
                    records: 0,
                    continued: 0,
                    dropped: 0,
                    torn: u64::from(opening.torn > 0),
                });
            }
        }
        Ok(())
    }

    /// A line that does not read is forgiven when the chain goes on with an opening that tells of it.
    fn pay_for_torn(&mut self, opening: Option<&OpeningRead>) -> Result<(), VerifyError> {
        let Some((line, length, what)) = self.torn.take() else {
            return Ok(());
        };
        if opening.is_some_and(|o| o.torn == length) {
            return Ok(());
        }
        Err(VerifyError::Broken { line, what })
    }

    fn end(mut self) -> Result<Report, VerifyError> {
        self.pay_for_torn(None)?;
        if self.chains.is_empty() {
            return Err(VerifyError::Empty);
        }
        Ok(Report {
            chains: self.chains,
            lines: self.lines,
            foreign: self.foreign,
        })
    }
}

/// A line whose hash is right.
struct Line {
    link: Link,
    prev: Hash,
    time: Timestamp,
    opening: Option<OpeningRead>,
    dropped: u64,
    is_record: bool,
}

#[derive(Deserialize)]
struct LineRead {
    time: String,
    seq: u64,
    prev: String,
    chain: Option<OpeningRead>,
    dropped: Option<u64>,
    request: Option<serde::de::IgnoredAny>,
    response: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct OpeningRead {
    version: u32,
    id: String,
    event: Opening,
    #[serde(default)]
    torn: u64,
}

/// `,"hash":"`, 64 digits, `"}`.
const HASH_MEMBER: &[u8] = b",\"hash\":\"";
const HASH_BYTES: usize = HASH_MEMBER.len() + 64 + 2;

impl Line {
    fn parse(line: &[u8]) -> Result<Self, Break> {
        let at = line.len().checked_sub(HASH_BYTES).ok_or(Break::Form)?;
        let (hashed, member) = line.split_at(at);
        let hash = member
            .strip_prefix(HASH_MEMBER)
            .and_then(|rest| rest.strip_suffix(b"\"}"))
            .and_then(|digits| Hash::parse(str::from_utf8(digits).ok()?))
            .ok_or(Break::Form)?;
        if Hash::of(hashed) != hash {
            return Err(Break::Changed);
        }
        let read: LineRead = serde_json::from_slice(line).map_err(|_| Break::Form)?;
        let prev = Hash::parse(&read.prev).ok_or(Break::Form)?;
        // Each line is of exactly one kind.
        let is_record = read.request.is_some() && read.response.is_some();
        let kinds = [is_record, read.chain.is_some(), read.dropped.is_some()];
        if kinds.into_iter().filter(|is| *is).count() != 1 {
            return Err(Break::Form);
        }
        if let Some(OpeningRead { version, .. }) = read.chain
            && version != VERSION
        {
            return Err(Break::Version { version });
        }
        Ok(Self {
            link: Link {
                seq: read.seq,
                hash,
            },
            prev,
            time: read.time.parse().map_err(|_| Break::Form)?,
            opening: read.chain,
            dropped: read.dropped.unwrap_or(0),
            is_record,
        })
    }
}

#[cfg(test)]
mod tests;
