//! Plaintext in, stored bytes out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::Stream;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Result, StdError, s3_error};
use strongroom_backend::body;
use strongroom_backend::integrity::{Digests, VerifiedBody};
use strongroom_backend::put::{Finish, FinishSlot};
use strongroom_dare::{
    Cipher, HEADER_BYTES, PACKAGE_BYTES, SEALED_PACKAGE_BYTES, Sealer, StreamNonce, TAG_BYTES,
    geometry,
};
use strongroom_envelope::PartKey;

/// Sealed bytes that are handed on at once: few enough that many streams fit in memory, enough that the
/// costs per piece (allocation, write call) do not show.
const BATCH_BYTES: usize = 4 * SEALED_PACKAGE_BYTES;
/// Room for the footer of a small object beside its only package, so that both go out as one piece.
const FOOTER_ROOM: usize = 512;

/// What follows the last package, and what the store is told.
pub(crate) struct Ending {
    pub(crate) footer: Vec<u8>,
    pub(crate) finish: Finish,
}

/// Makes the stored body of one part, or of a whole object that is its own only part.
///
/// The last package, and all that `on_end` adds, leave only after the plaintext was found to be what the
/// client announced; a body that is not ends in an error, and the store commits nothing.
pub(crate) fn sealed_body<F>(
    plain: VerifiedBody,
    plain_length: Option<u64>,
    key: &PartKey,
    nonce: StreamNonce,
    finish: FinishSlot,
    on_end: F,
) -> StreamingBlob
where
    F: FnOnce(&Digests) -> S3Result<Ending> + Send + Sync + Unpin + 'static,
{
    StreamingBlob::new(SealingStream {
        plain,
        left: plain_length,
        sealer: Some(Sealer::new(key.expose(), Cipher::Aes256Gcm, nonce)),
        chunk: Bytes::new(),
        out: BytesMut::new(),
        filling: None,
        finish,
        on_end: Some(on_end),
    })
}

struct SealingStream<F> {
    plain: VerifiedBody,
    /// Plaintext bytes that are to come, if that is known; only sizes buffers.
    left: Option<u64>,
    /// `None` after the end, good or bad.
    sealer: Option<Sealer>,
    /// Plaintext that came and was not taken yet.
    chunk: Bytes,
    /// Sealed packages, then perhaps one in the making.
    out: BytesMut,
    /// Where the package in the making begins in `out`.
    filling: Option<usize>,
    finish: FinishSlot,
    on_end: Option<F>,
}

impl<F> SealingStream<F>
where
    F: FnOnce(&Digests) -> S3Result<Ending> + Send + Sync + Unpin + 'static,
{
    /// Moves plaintext to where its ciphertext will be. Copying and sealing in place costs what zeroing the
    /// buffer and sealing into it would.
    fn take(&mut self) -> Result<(), StdError> {
        if self
            .filling
            .is_some_and(|start| self.out.len() - start == HEADER_BYTES + PACKAGE_BYTES)
        {
            // More follows, so this one is not the last.
            self.seal_full()?;
            return Ok(());
        }
        let start = match self.filling {
            Some(start) => start,
            None => self.begin(),
        };
        let room = HEADER_BYTES + PACKAGE_BYTES - (self.out.len() - start);
        let taken = room.min(self.chunk.len());
        self.out.extend_from_slice(&self.chunk[..taken]);
        self.chunk.advance(taken);
        self.left = self.left.map(|left| left.saturating_sub(taken as u64));
        Ok(())
    }

    fn begin(&mut self) -> usize {
        let start = self.out.len();
        if start == 0 {
            let sealed = self
                .left
                .and_then(|left| geometry::sealed_length(left).ok());
            let sealed = sealed
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(BATCH_BYTES);
            self.out
                .reserve(BATCH_BYTES.min(sealed.saturating_add(FOOTER_ROOM)));
        }
        self.out.extend_from_slice(&[0; HEADER_BYTES]);
        self.filling = Some(start);
        start
    }

    fn seal_full(&mut self) -> Result<(), StdError> {
        let (Some(start), Some(sealer)) = (self.filling.take(), &mut self.sealer) else {
            return Err(ended());
        };
        self.out.extend_from_slice(&[0; TAG_BYTES]);
        let package = self.out[start..]
            .first_chunk_mut::<SEALED_PACKAGE_BYTES>()
            .ok_or_else(ended)?;
        sealer
            .seal_in_place(package)
            .map_err(|e| body::carry(s3_error!(InternalError, "{e}")))
    }

    fn end(&mut self) -> Result<(), StdError> {
        let sealer = self.sealer.take().ok_or_else(ended)?;
        if let Some(start) = self.filling.take() {
            self.out.extend_from_slice(&[0; TAG_BYTES]);
            sealer
                .seal_final_in_place(&mut self.out[start..])
                .map_err(|e| body::carry(s3_error!(InternalError, "{e}")))?;
        }
        let (Some(digests), Some(on_end)) = (self.plain.digests(), self.on_end.take()) else {
            return Err(ended());
        };
        let ending = on_end(digests).map_err(body::carry)?;
        self.out.extend_from_slice(&ending.footer);
        self.finish.set(ending.finish);
        Ok(())
    }
}

fn ended() -> StdError {
    body::carry(s3_error!(
        InternalError,
        "a sealed body was read past its end"
    ))
}

impl<F> Stream for SealingStream<F>
where
    F: FnOnce(&Digests) -> S3Result<Ending> + Send + Sync + Unpin + 'static,
{
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while this.sealer.is_some() {
            // Between packages the buffer holds nothing but sealed ones.
            if this.filling.is_none() && this.out.len() >= BATCH_BYTES {
                return Poll::Ready(Some(Ok(this.out.split().freeze())));
            }
            let step = if !this.chunk.is_empty() {
                this.take()
            } else {
                match ready!(Pin::new(&mut this.plain).poll_next(cx)) {
                    Some(Ok(bytes)) => {
                        this.chunk = bytes;
                        Ok(())
                    }
                    Some(Err(error)) => Err(error),
                    None => this.end(),
                }
            };
            if let Err(error) = step {
                this.sealer = None;
                this.out = BytesMut::new();
                return Poll::Ready(Some(Err(error)));
            }
        }
        if this.out.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(this.out.split().freeze())))
    }
}

impl<F> ByteStream for SealingStream<F>
where
    F: FnOnce(&Digests) -> S3Result<Ending> + Send + Sync + Unpin + 'static,
{
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::unknown()
    }
}
