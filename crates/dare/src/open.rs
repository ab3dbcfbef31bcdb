//! Reading a stream, package by package, from its start or from the middle.

use std::cmp::Ordering;
use std::fmt;

use zeroize::Zeroizing;

use crate::cipher::CipherKey;
use crate::error::OpenError;
use crate::package::{
    HEADER_BYTES, Header, HeaderFault, OVERHEAD_BYTES, PACKAGE_BYTES, StreamNonce, Version,
};

/// Which versions of the format an [`Opener`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Version 1.0 and 2.0; the first package decides which one the stream has.
    Both,
    /// Version 1.0 alone. A cut on a package boundary cannot be seen: compare with a length known otherwise.
    V1Only,
    /// Version 2.0 alone.
    V2Only,
}

/// What became of a package that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Plaintext bytes, at the start of the output.
    pub plain_bytes: usize,
    /// Whether the stream ends here. Never true in version 1.0, which does not mark its end.
    pub is_final: bool,
}

/// Opens one stream.
///
/// A package is released only after it authenticated in its place. After the first error the opener gives that same
/// error for ever, so a reader that overlooks one cannot go on.
pub struct Opener {
    key: Zeroizing<[u8; 32]>,
    accept: Accept,
    expected_nonce: Option<StreamNonce>,
    /// Sequence number of the next package.
    next: u64,
    /// What the first package settled for those that follow.
    stream: Option<Stream>,
    ended: bool,
    failed: Option<OpenError>,
    /// Version 1.0 as the loosest known decoder reads it, for published vectors.
    lenient_v1: bool,
}

struct Stream {
    version: Version,
    constant: StreamNonce,
    key: CipherKey,
}

impl Opener {
    /// Begins at the first package of a stream.
    #[must_use]
    pub fn new(key: &[u8; 32], accept: Accept) -> Self {
        Self {
            key: Zeroizing::new(*key),
            accept,
            expected_nonce: None,
            next: 0,
            stream: None,
            ended: false,
            failed: None,
            lenient_v1: false,
        }
    }

    /// Begins at the package with this sequence number instead, for a range of the stream.
    #[must_use]
    pub const fn starting_at(mut self, package: u64) -> Self {
        self.next = package;
        self
    }

    /// Demands this very stream: another one, even under the same key, is refused.
    ///
    /// Version 1.0 has no stream nonce and is refused too.
    #[must_use]
    pub const fn expecting_nonce(mut self, nonce: StreamNonce) -> Self {
        self.expected_nonce = Some(nonce);
        self
    }

    /// Lets cipher and random value change within a version 1.0 stream.
    #[cfg(test)]
    pub(crate) const fn lenient_v1(mut self) -> Self {
        self.lenient_v1 = true;
        self
    }

    /// Bytes of the next package, header included, so that a streaming reader knows how many to collect.
    ///
    /// The header is checked as far as it can be without the rest; nothing in it is authenticated yet.
    ///
    /// # Errors
    /// The header is one that [`open`](Self::open) would refuse too.
    pub fn declared_sealed_length(&self, header: &[u8; HEADER_BYTES]) -> Result<usize, OpenError> {
        self.expect_more()?;
        Ok(self.check(header)?.0.sealed_bytes())
    }

    /// Opens the next package. `sealed` is exactly one whole package; its payload goes to the start of `plain`, which
    /// may be longer.
    ///
    /// # Errors
    /// Any of [`OpenError`], but [`Truncated`](OpenError::Truncated); `plain` is then all zeros.
    pub fn open(&mut self, sealed: &[u8], plain: &mut [u8]) -> Result<Opened, OpenError> {
        let opened = self.open_between(sealed, plain);
        if let Err(error) = opened {
            plain.fill(0);
            self.failed = Some(error);
        }
        opened
    }

    /// Opens the next package where it lies, and gives the part of it that now holds the plaintext.
    /// [`has_ended`](Self::has_ended) tells whether it was the final one.
    ///
    /// # Errors
    /// As [`open`](Self::open); `package` is then all zeros.
    pub fn open_in_place<'p>(&mut self, package: &'p mut [u8]) -> Result<&'p mut [u8], OpenError> {
        match self.open_within(package) {
            Ok(plain_bytes) => Ok(&mut package[HEADER_BYTES..HEADER_BYTES + plain_bytes]),
            Err(error) => {
                package.fill(0);
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// Sequence number of the next package: how many have been opened, for an opener that began at the first.
    #[must_use]
    pub const fn next_package(&self) -> u64 {
        self.next
    }

    /// Whether the final package has been opened.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended && self.failed.is_none()
    }

    /// To be called when there are no more bytes. A reader of a range that stops before the end of the stream drops the
    /// opener instead.
    ///
    /// In version 1.0 any package can be the last: compare the length with one known otherwise. The sealed form of an
    /// empty plaintext has no package, which this calls truncated: whoever knows that a stream is empty makes no opener.
    ///
    /// # Errors
    /// [`Truncated`](OpenError::Truncated) unless the final package was opened, or the error that was given before.
    pub fn finish(self) -> Result<(), OpenError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let is_v1 = matches!(
            self.stream,
            Some(Stream {
                version: Version::V1,
                ..
            })
        );
        if self.ended || is_v1 {
            Ok(())
        } else {
            Err(OpenError::Truncated { index: self.next })
        }
    }

    fn open_between(&mut self, sealed: &[u8], plain: &mut [u8]) -> Result<Opened, OpenError> {
        let (header, sequence) = self.admit(sealed)?;
        let (index, expected, found) = (self.next, header.payload_bytes, plain.len());
        let Some((plain, _)) = plain.split_at_mut_checked(expected) else {
            return Err(OpenError::OutputTooSmall {
                index,
                expected,
                found,
            });
        };
        let (body, tag) = sealed[HEADER_BYTES..].split_at(expected);
        self.key_for(&header)
            .open(
                header.cipher_nonce(sequence),
                header.aad(),
                body,
                tag,
                plain,
            )
            .map_err(|_| OpenError::NotAuthentic { index })?;
        Ok(self.advance(&header))
    }

    fn open_within(&mut self, package: &mut [u8]) -> Result<usize, OpenError> {
        let (header, sequence) = self.admit(package)?;
        let index = self.next;
        let (body, tag) = package[HEADER_BYTES..].split_at_mut(header.payload_bytes);
        self.key_for(&header)
            .open_in_place(header.cipher_nonce(sequence), header.aad(), body, tag)
            .map_err(|_| OpenError::NotAuthentic { index })?;
        Ok(self.advance(&header).plain_bytes)
    }

    fn expect_more(&self) -> Result<(), OpenError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.ended => Err(OpenError::DataAfterFinal { index: self.next }),
            None => Ok(()),
        }
    }

    /// Everything that can be said against a package before its tag is looked at. What passes has exactly the length
    /// that its header declares.
    fn admit(&self, sealed: &[u8]) -> Result<(Header, u32), OpenError> {
        self.expect_more()?;
        let (index, found) = (self.next, sealed.len());
        let Some(header) = sealed.first_chunk() else {
            return Err(OpenError::CutPackage {
                index,
                expected: OVERHEAD_BYTES + 1,
                found,
            });
        };
        let (header, sequence) = self.check(header)?;
        let expected = header.sealed_bytes();
        match found.cmp(&expected) {
            Ordering::Less => Err(OpenError::CutPackage {
                index,
                expected,
                found,
            }),
            Ordering::Greater => Err(OpenError::SurplusBytes {
                index,
                expected,
                found,
            }),
            Ordering::Equal => Ok((header, sequence)),
        }
    }

    /// The header by itself and against the packages before it; also gives the sequence number.
    fn check(&self, header: &[u8; HEADER_BYTES]) -> Result<(Header, u32), OpenError> {
        let index = self.next;
        let sequence = u32::try_from(index).map_err(|_| OpenError::TooManyPackages { index })?;
        let header = Header::parse(header).map_err(|fault| match fault {
            HeaderFault::UnknownCipher(cipher) => OpenError::UnknownCipher { index, cipher },
            HeaderFault::UnknownVersion(version) => {
                OpenError::UnsupportedVersion { index, version }
            }
        })?;
        let is_accepted = match header.version {
            Version::V1 => self.accept != Accept::V2Only && self.expected_nonce.is_none(),
            Version::V2 => self.accept != Accept::V1Only,
        };
        if !is_accepted {
            let version = header.version.byte();
            return Err(OpenError::UnsupportedVersion { index, version });
        }
        if let Some(found) = header.written_sequence().filter(|&found| found != sequence) {
            return Err(OpenError::WrongSequence { index, found });
        }
        if let Some(stream) = &self.stream {
            self.check_against(stream, &header)?;
        }
        // After the check against its own stream, so that the two faults are told apart.
        if self
            .expected_nonce
            .is_some_and(|expected| expected != header.stream())
        {
            return Err(OpenError::UnexpectedStream { index });
        }
        let payload = header.payload_bytes;
        if header.version == Version::V2 && !header.is_final() && payload != PACKAGE_BYTES {
            return Err(OpenError::ShortPackage { index, payload });
        }
        Ok((header, sequence))
    }

    fn check_against(&self, stream: &Stream, header: &Header) -> Result<(), OpenError> {
        let index = self.next;
        if header.version != stream.version {
            return Err(OpenError::VersionChanged { index });
        }
        if header.version == Version::V1 && self.lenient_v1 {
            return Ok(());
        }
        if header.cipher != stream.key.cipher() {
            return Err(OpenError::CipherChanged { index });
        }
        if header.stream() != stream.constant {
            return Err(OpenError::NonceChanged { index });
        }
        Ok(())
    }

    /// The expanded key. The first package settles the stream even if it turns out forged: the opener is then of no
    /// more use.
    fn key_for(&mut self, header: &Header) -> &CipherKey {
        // Another cipher gets here in the lenient reading alone.
        if self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.key.cipher() != header.cipher)
        {
            self.stream = None;
        }
        let stream = self.stream.get_or_insert_with(|| Stream {
            version: header.version,
            constant: header.stream(),
            key: CipherKey::new(header.cipher, &self.key),
        });
        &stream.key
    }

    fn advance(&mut self, header: &Header) -> Opened {
        self.next += 1;
        self.ended = header.is_final();
        Opened {
            plain_bytes: header.payload_bytes,
            is_final: self.ended,
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("accept", &self.accept)
            .field("expected_nonce", &self.expected_nonce)
            .field("next", &self.next)
            .field("ended", &self.ended)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Opens a stream that is at hand whole. Nothing is released if any of it is bad.
///
/// An empty stream is the sealed form of an empty plaintext, which nothing authenticates: compare the length with one
/// known otherwise.
///
/// # Errors
/// Any of [`OpenError`].
pub fn open_to_vec(
    key: &[u8; 32],
    accept: Accept,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    open_all(Opener::new(key, accept), sealed)
}

fn open_all(mut opener: Opener, mut sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    // As long as it can get: growing would leave plaintext behind in freed memory.
    let mut plain = Zeroizing::new(vec![0; sealed.len()]);
    let mut plain_bytes = 0;
    if sealed.is_empty() {
        return Ok(plain);
    }
    while !sealed.is_empty() {
        let declared = match sealed.first_chunk() {
            Some(header) => opener.declared_sealed_length(header)?,
            None => sealed.len(),
        };
        let (package, rest) = sealed.split_at(declared.min(sealed.len()));
        plain_bytes += opener.open(package, &mut plain[plain_bytes..])?.plain_bytes;
        sealed = rest;
    }
    opener.finish()?;
    plain.truncate(plain_bytes);
    Ok(plain)
}

#[cfg(test)]
mod tests;
