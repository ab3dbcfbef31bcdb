//! What can go wrong, by what the caller can do about it.

use thiserror::Error;

/// Why a package was not sealed. Each one is a mistake of the caller; none depends on the bytes to be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The output slice must have exactly the length of the sealed package.
    #[error("output for the sealed package has {found} bytes, needs exactly {expected}")]
    OutputLength {
        /// Bytes that the sealed package takes.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The final package holds 1 to 65,536 bytes. An empty stream is sealed as no bytes at all.
    #[error("final package with a payload of {found} bytes, needs 1 to 65536")]
    PayloadLength {
        /// Bytes given.
        found: usize,
    },
    /// The stream has used up its 2^32 sequence numbers.
    #[error("stream is longer than 2^32 packages")]
    StreamTooLong,
    /// The cipher itself failed. The output has been zeroed and the stream must be abandoned.
    #[error("cipher failed to seal package {index}")]
    Cipher {
        /// Place of the package in its stream, from 0.
        index: u64,
    },
}

/// Why a package or a stream was not opened.
///
/// All but [`OutputTooSmall`](Self::OutputTooSmall) say that the stored bytes are not what was written, or that the key
/// is not theirs: trying again cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another cipher than that of the first package.
    #[error("package {index} uses another cipher than the packages before it")]
    CipherChanged {
        /// Place of the package in its stream, from 0.
        index: u64,
    },
    /// The stream ended inside a package.
    #[error("package {index} is cut short: {found} bytes where at least {expected} are needed")]
    CutPackage {
        /// Place of the package in its stream, from 0.
        index: u64,
        /// Bytes that the package needs, as far as they are known.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// There are bytes after the final package.
    #[error("there are bytes after the final package, where package {index} would be")]
    DataAfterFinal {
        /// Place where the stream should have ended.
        index: u64,
    },
    /// Another stream nonce (in version 1.0: random value) than that of the first package.
    #[error("package {index} belongs to another stream than the packages before it")]
    NonceChanged {
        /// Place of the package in its stream, from 0.
        index: u64,
    },
    /// The tag does not fit: wrong key, wrong place in the stream, or changed bytes.
    #[error("package {index} is not authentic")]
    NotAuthentic {
        /// Place of the package in its stream, from 0.
        index: u64,
    },
    /// The output slice cannot hold the payload. A mistake of the caller, not of the stream.
    #[error("output for package {index} has {found} bytes, needs {expected}")]
    OutputTooSmall {
        /// Place of the package in its stream, from 0.
        index: u64,
        /// Bytes that the payload takes.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A package that is not the final one must be full.
    #[error("package {index} has a payload of {payload} bytes and is not the final one")]
    ShortPackage {
        /// Place of the package in its stream, from 0.
        index: u64,
        /// Payload bytes that its header declares.
        payload: usize,
    },
    /// More bytes than the header declares.
    #[error("package {index} has {found} bytes, its header declares {expected}")]
    SurplusBytes {
        /// Place of the package in its stream, from 0.
        index: u64,
        /// Bytes of the whole package as its header declares them.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The stream has more packages than there are sequence numbers.
    #[error("stream is longer than 2^32 packages")]
    TooManyPackages {
        /// Place of the package in its stream, from 0.
        index: u64,
    },
    /// The stream ended on a package boundary, but before its final package.
    #[error("stream ends before package {index} without a final package")]
    Truncated {
        /// Place of the first missing package.
        index: u64,
    },
    /// The cipher byte is unknown.
    #[error("package {index} has the unknown cipher {cipher:#04x}")]
    UnknownCipher {
        /// Place of the package in its stream, from 0.
        index: u64,
        /// The byte found.
        cipher: u8,
    },
    /// A sound header, but not the stream that the caller expects.
    #[error("package {index} does not carry the stream nonce that is recorded for it")]
    UnexpectedStream {
        /// Place of the package in its stream, from 0.
        index: u64,
    },
    /// The version byte is unknown, or the caller does not accept this version.
    #[error("package {index} has the version {version:#04x}, which is not accepted here")]
    UnsupportedVersion {
        /// Place of the package in its stream, from 0.
        index: u64,
        /// The byte found.
        version: u8,
    },
    /// Another format version than that of the first package.
    #[error("package {index} has another format version than the packages before it")]
    VersionChanged {
        /// Place of the package in its stream, from 0.
        index: u64,
    },
    /// A version 1.0 package says that its place in the stream is another one.
    #[error("package {index} carries the sequence number {found}")]
    WrongSequence {
        /// Place of the package in its stream, from 0.
        index: u64,
        /// The sequence number in its header.
        found: u32,
    },
}

impl OpenError {
    /// Place in the stream, from 0, of the package that is bad or missing.
    #[must_use]
    pub const fn index(&self) -> u64 {
        match *self {
            Self::CipherChanged { index }
            | Self::CutPackage { index, .. }
            | Self::DataAfterFinal { index }
            | Self::NonceChanged { index }
            | Self::NotAuthentic { index }
            | Self::OutputTooSmall { index, .. }
            | Self::ShortPackage { index, .. }
            | Self::SurplusBytes { index, .. }
            | Self::TooManyPackages { index }
            | Self::Truncated { index }
            | Self::UnknownCipher { index, .. }
            | Self::UnexpectedStream { index }
            | Self::UnsupportedVersion { index, .. }
            | Self::VersionChanged { index }
            | Self::WrongSequence { index, .. } => index,
        }
    }
}

/// Why a length or a range cannot be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// The range does not lie within the stream.
    #[error("range of {length} bytes at {offset} exceeds the {plain_bytes} bytes of the stream")]
    OutOfRange {
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        length: u64,
        /// Plaintext bytes of the stream.
        plain_bytes: u64,
    },
    /// Longer than a stream can be (2^48 bytes of plaintext).
    #[error("{bytes} bytes are more than one stream can hold")]
    TooLong {
        /// The length that was given.
        bytes: u64,
    },
    /// No stream has this length: its last package would have no payload. The stream has been cut or extended.
    #[error("no sealed stream has a length of {sealed_bytes} bytes")]
    ImpossibleLength {
        /// The sealed length that was given.
        sealed_bytes: u64,
    },
}
