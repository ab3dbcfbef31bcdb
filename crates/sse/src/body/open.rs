//! Stored bytes in, plaintext out.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::Stream;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, StdError};
use strongroom_backend::body;
use strongroom_dare::{Accept, HEADER_BYTES, Opener, SEALED_PACKAGE_BYTES, StreamNonce};
use strongroom_envelope::{BodyKind, ObjectKey, PartRead, footer};

use crate::error;

/// First byte of the stream nonce in a package's header.
const NONCE_AT: usize = 4;

/// The plaintext of `reads`, whose stored bytes `stored` yields one after the other.
///
/// Each part's opener sees that part's bytes alone. With a tail the stored bytes go on behind the last part,
/// and the last package is held back until the tail was found to be right.
pub(crate) struct OpeningStream {
    stored: StreamingBlob,
    key: ObjectKey,
    reads: VecDeque<PartRead>,
    part: Option<OpenPart>,
    tail: Option<TailCheck>,
    /// Stored bytes that came and were not taken yet.
    chunk: BytesMut,
    /// A package of which only the beginning came.
    partial: BytesMut,
    ended: bool,
}

struct OpenPart {
    opener: Opener,
    /// Stored bytes of it that are to come.
    sealed_left: u64,
    /// Plaintext bytes to drop before the range begins.
    skip: usize,
    /// Plaintext bytes to release.
    plain_left: u64,
    ends_stream: bool,
}

/// What follows the last part of an object that is read whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tail {
    /// Padding and manifest of a plain PUT: verified while they pass instead of by a read of their own.
    Footer {
        stored_length: u64,
        plain_length: u64,
        /// Where the padding begins.
        offset: u64,
    },
    /// The padding alone, of so many bytes: the manifest was verified before.
    Padding(u64),
}

struct TailCheck {
    /// Bytes of padding that are to come.
    padding_left: u64,
    manifest: Option<ManifestCheck>,
    /// The last package's plaintext.
    held: Bytes,
}

struct ManifestCheck {
    stored_length: u64,
    plain_length: u64,
    /// Bytes that it has.
    length: usize,
    bytes: Vec<u8>,
    /// Of the stream that was read.
    nonce: Option<StreamNonce>,
}

impl OpeningStream {
    pub(crate) fn new(
        stored: StreamingBlob,
        key: ObjectKey,
        reads: Vec<PartRead>,
        tail: Option<Tail>,
    ) -> Result<Self, S3Error> {
        Ok(Self {
            stored,
            key,
            reads: reads.into(),
            part: None,
            tail: tail.map(TailCheck::new).transpose()?,
            chunk: BytesMut::new(),
            partial: BytesMut::new(),
            ended: false,
        })
    }

    /// Opens what is at hand: the next plaintext, or `None` when more stored bytes are needed.
    fn step(&mut self) -> Result<Step, S3Error> {
        if self.part.is_none()
            && let Some(read) = self.reads.pop_front()
        {
            self.part = Some(OpenPart::new(&self.key, &read));
        }
        let Some(part) = &mut self.part else {
            return self.step_tail();
        };
        let wanted = usize::try_from(part.sealed_left)
            .unwrap_or(usize::MAX)
            .min(SEALED_PACKAGE_BYTES);
        let Some(package) = gather(&mut self.partial, &mut self.chunk, wanted) else {
            return Ok(Step::Need);
        };
        if let Some(manifest) = self.tail.as_mut().and_then(|tail| tail.manifest.as_mut())
            && manifest.nonce.is_none()
        {
            manifest.nonce = package[NONCE_AT..HEADER_BYTES]
                .first_chunk()
                .map(|n| StreamNonce::from_bytes(*n));
        }
        let plain = part.open(package)?;
        if part.sealed_left > 0 {
            return Ok(Step::Release(plain));
        }
        self.part = None;
        match &mut self.tail {
            Some(tail) if self.reads.is_empty() => {
                tail.held = plain;
                Ok(Step::Release(Bytes::new()))
            }
            _ => Ok(Step::Release(plain)),
        }
    }

    fn step_tail(&mut self) -> Result<Step, S3Error> {
        let Some(mut tail) = self.tail.take() else {
            return Ok(Step::End);
        };
        if !tail.take(&mut self.chunk)? {
            self.tail = Some(tail);
            return Ok(Step::Need);
        }
        if let Some(manifest) = &tail.manifest {
            manifest.verify(&self.key)?;
        }
        Ok(Step::Release(tail.held))
    }
}

enum Step {
    Release(Bytes),
    Need,
    End,
}

/// Takes `wanted` bytes in one piece: from one chunk without a copy, or put together from several.
fn gather(partial: &mut BytesMut, chunk: &mut BytesMut, wanted: usize) -> Option<BytesMut> {
    if partial.is_empty() {
        if chunk.len() >= wanted {
            return Some(chunk.split_to(wanted));
        }
        partial.reserve(wanted);
    }
    let taken = (wanted - partial.len()).min(chunk.len());
    partial.extend_from_slice(&chunk[..taken]);
    chunk.advance(taken);
    (partial.len() == wanted).then(|| partial.split())
}

impl OpenPart {
    fn new(key: &ObjectKey, read: &PartRead) -> Self {
        let part_key = key.part_key(read.part.number);
        let mut opener =
            Opener::new(part_key.expose(), Accept::V2Only).starting_at(read.packages.first_package);
        if let Some(nonce) = read.part.nonce {
            opener = opener.expecting_nonce(nonce);
        }
        Self {
            opener,
            sealed_left: read.stored_end - read.stored_start,
            skip: read.packages.skip,
            plain_left: read.packages.length,
            ends_stream: read.packages.ends_stream,
        }
    }

    fn open(&mut self, mut package: BytesMut) -> Result<Bytes, S3Error> {
        self.sealed_left -= package.len() as u64;
        let plain_bytes = self
            .opener
            .open_in_place(&mut package)
            .map_err(error::not_authentic)?
            .len();
        let is_last = self.sealed_left == 0;
        // The end of the stream is where the part ends, and nowhere else.
        if self.opener.has_ended() != (is_last && self.ends_stream) {
            return Err(error::not_authentic(
                "a part ends where it should not, or does not end",
            ));
        }
        package.advance(HEADER_BYTES);
        package.truncate(plain_bytes);
        package.advance(std::mem::take(&mut self.skip).min(plain_bytes));
        if package.len() as u64 > self.plain_left {
            package.truncate(usize::try_from(self.plain_left).unwrap_or(usize::MAX));
        }
        self.plain_left -= package.len() as u64;
        Ok(package.freeze())
    }
}

impl TailCheck {
    fn new(tail: Tail) -> Result<Self, S3Error> {
        let (padding_left, manifest) = match tail {
            Tail::Padding(bytes) => (bytes, None),
            Tail::Footer {
                stored_length,
                plain_length,
                offset,
            } => {
                let place = footer::place(stored_length).map_err(|e| error::footer(&e))?;
                let cut = || error::not_authentic("its footer is cut");
                let padding = place.offset.checked_sub(offset).ok_or_else(cut)?;
                let manifest = ManifestCheck {
                    stored_length,
                    plain_length,
                    length: usize::try_from(place.length).unwrap_or(usize::MAX),
                    bytes: Vec::new(),
                    nonce: None,
                };
                (padding, Some(manifest))
            }
        };
        Ok(Self {
            padding_left,
            manifest,
            held: Bytes::new(),
        })
    }

    /// Takes what is its own from the stored bytes at hand; true when it has all. The padding means nothing,
    /// but nobody wrote anything else than zeros there.
    fn take(&mut self, chunk: &mut BytesMut) -> Result<bool, S3Error> {
        let padding = usize::try_from(self.padding_left)
            .unwrap_or(usize::MAX)
            .min(chunk.len());
        if chunk[..padding].iter().any(|byte| *byte != 0) {
            return Err(error::not_authentic(
                "the padding of its footer was changed",
            ));
        }
        chunk.advance(padding);
        self.padding_left -= padding as u64;
        let Some(manifest) = &mut self.manifest else {
            return Ok(self.padding_left == 0);
        };
        let taken = (manifest.length - manifest.bytes.len()).min(chunk.len());
        manifest.bytes.extend_from_slice(&chunk[..taken]);
        chunk.advance(taken);
        Ok(manifest.bytes.len() == manifest.length)
    }
}

impl ManifestCheck {
    fn verify(&self, key: &ObjectKey) -> Result<(), S3Error> {
        let manifest = key
            .footer_key()
            .open(self.stored_length, &self.bytes)
            .map_err(|e| error::footer(&e))?;
        let agrees = manifest.kind() == BodyKind::Single
            && manifest.plain_length() == self.plain_length
            && manifest.parts().first().map(|part| part.nonce) == self.nonce;
        if agrees {
            Ok(())
        } else {
            Err(error::not_authentic("its footer belongs to another body"))
        }
    }
}

impl Stream for OpeningStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.ended {
            match this.step() {
                Ok(Step::Release(plain)) if plain.is_empty() => {}
                Ok(Step::Release(plain)) => return Poll::Ready(Some(Ok(plain))),
                Ok(Step::End) => break,
                Ok(Step::Need) => match ready!(Pin::new(&mut this.stored).poll_next(cx)) {
                    Some(Ok(bytes)) => this.chunk = BytesMut::from(bytes),
                    Some(Err(error)) => {
                        this.ended = true;
                        return Poll::Ready(Some(Err(error)));
                    }
                    None => {
                        this.ended = true;
                        let cut = error::not_authentic("its stored bytes end early");
                        return Poll::Ready(Some(Err(body::carry(cut))));
                    }
                },
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(body::carry(error))));
                }
            }
        }
        this.ended = true;
        Poll::Ready(None)
    }
}

impl fmt::Debug for OpeningStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningStream")
            .field("parts_left", &self.reads.len())
            .finish_non_exhaustive()
    }
}
