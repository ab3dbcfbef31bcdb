//! Names on disk: a key becomes a path and a path a key again (docs/formats/local-store.md, "Names").
//!
//! Pure. A key is cut at `/`. Every segment but the last names a *folder*, the last one the *object*, and
//! the suffix says which: `a` and `a/b` live side by side as `a+o` and `a+d/b+o`. Bytes other than
//! `a-z 0-9 - _ . + , = @ ~ ( )` are escaped, so that no two names differ only in case or Unicode
//! normalisation, none is `.` or `..`, none begins with a dot, and none holds a separator. A long segment
//! goes on in nested *continuation* folders, `…+c`, cut where its own first bytes say: the place of a cut
//! does not depend on what follows it, so a prefix of a key leads to a folder without listing any.

use std::path::{Path, PathBuf};

/// Most bytes of a key: S3's own limit.
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// A segment is cut as soon as its escaped form has this many bytes. With the longest escape begun one
/// byte before, and a suffix, a name has at most 142 bytes: stacked encrypting file systems
/// (eCryptfs, encrypted shares of NAS boxes) take 143.
pub(crate) const CUT_BYTES: usize = 138;

/// Longest name that [`components`] gives.
#[cfg(test)]
pub(crate) const COMPONENT_BYTES_MAX: usize = CUT_BYTES + 2 + SUFFIX_BYTES;

const SUFFIX_BYTES: usize = 2;
const OBJECT: &str = "+o";
const FOLDER: &str = "+d";
const CONTINUED: &str = "+c";

/// What a name on disk stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NameKind {
    /// A file: the root of an object.
    Object,
    /// A folder: a key segment and its `/`.
    Folder,
    /// A folder: the beginning of a long segment.
    Continued,
}

/// The path components of `key`, outermost first. Any text gives a path; limits are the caller's.
pub(crate) fn components(key: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut segments = key.split('/').peekable();
    while let Some(segment) = segments.next() {
        let (cut, rest) = cut(segment);
        names.extend(cut.into_iter().map(|piece| piece + CONTINUED));
        names.push(
            rest + if segments.peek().is_some() {
                FOLDER
            } else {
                OBJECT
            },
        );
    }
    names
}

/// The path of the object `key` below `base`.
pub(crate) fn path(base: &Path, key: &str) -> PathBuf {
    let mut path = base.to_path_buf();
    path.extend(components(key));
    path
}

/// The folder below `base` under which all keys that begin with `prefix` lie, and the bytes of `prefix`
/// that this folder stands for.
pub(crate) fn folder_of_prefix(base: &Path, prefix: &str) -> (PathBuf, usize) {
    let mut path = base.to_path_buf();
    let mut told = 0;
    let mut segments = prefix.split('/').peekable();
    while let Some(segment) = segments.next() {
        let (cut, rest) = cut(segment);
        let rest_bytes = escaped_source_bytes(&rest);
        path.extend(cut.iter().map(|piece| format!("{piece}{CONTINUED}")));
        if segments.peek().is_some() {
            path.push(rest + FOLDER);
            told += segment.len() + 1;
        } else {
            told += segment.len() - rest_bytes;
        }
    }
    (path, told)
}

/// What the bytes of one name on disk say: the piece of key and its kind. `None`: not a name of ours, or
/// not the one form in which we write it.
pub(crate) fn parse_name(name: &str) -> Option<(Vec<u8>, NameKind)> {
    let (body, suffix) = name.split_at_checked(name.len().checked_sub(SUFFIX_BYTES)?)?;
    let kind = match suffix {
        OBJECT => NameKind::Object,
        FOLDER => NameKind::Folder,
        CONTINUED => NameKind::Continued,
        _ => return None,
    };
    let fits = match kind {
        NameKind::Continued => body.len() >= CUT_BYTES && last_unit_start(body) < CUT_BYTES,
        NameKind::Object | NameKind::Folder => body.len() < CUT_BYTES,
    };
    if !fits {
        return None;
    }
    unescape(body).map(|piece| (piece, kind))
}

/// The escaped pieces of a segment that are full, and the rest (maybe empty), escaped.
fn cut(segment: &str) -> (Vec<String>, String) {
    let mut full = Vec::new();
    let mut piece = String::new();
    for byte in segment.bytes() {
        // A name never begins with a dot: hidden files are what tools skip.
        escape(byte, piece.is_empty(), &mut piece);
        if piece.len() >= CUT_BYTES {
            full.push(std::mem::take(&mut piece));
        }
    }
    (full, piece)
}

fn escape(byte: u8, first: bool, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'.' if first => into.push_str("%2e"),
        _ if is_plain(byte) => into.push(char::from(byte)),
        b'A'..=b'Z' => {
            into.push('^');
            into.push(char::from(byte.to_ascii_lowercase()));
        }
        _ => {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9')
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'+' | b',' | b'=' | b'@' | b'~' | b'(' | b')'
        )
}

/// Reverses [`escape`], and accepts only what it writes.
fn unescape(body: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => (hex_digit(rest.next()?)? << 4) | hex_digit(rest.next()?)?,
            b'^' => rest.next()?.to_ascii_uppercase(),
            _ => byte,
        });
    }
    let mut again = String::with_capacity(body.len());
    for byte in &bytes {
        escape(*byte, again.is_empty(), &mut again);
    }
    (again == body && !bytes.contains(&b'/')).then_some(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Key bytes that an escaped text written by [`cut`] stands for.
fn escaped_source_bytes(escaped: &str) -> usize {
    let escapes = |mark| escaped.bytes().filter(|byte| *byte == mark).count();
    escaped.len() - 2 * escapes(b'%') - escapes(b'^')
}

/// Where the last escape or plain byte of an escaped text begins.
fn last_unit_start(escaped: &str) -> usize {
    let bytes = escaped.as_bytes();
    let mut at = 0;
    loop {
        let unit = match bytes.get(at) {
            Some(b'%') => 3,
            Some(b'^') => 2,
            _ => 1,
        };
        if at + unit >= bytes.len() {
            return at;
        }
        at += unit;
    }
}

#[cfg(test)]
mod tests;
