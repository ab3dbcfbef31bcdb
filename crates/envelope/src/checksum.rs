//! Checksums of plaintext as S3 knows them, kept sealed.

/// An algorithm that S3 takes checksums by. The numbers are part of the stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChecksumAlgorithm {
    /// CRC-32, 4 bytes.
    Crc32 = 1,
    /// CRC-32C, 4 bytes.
    Crc32c = 2,
    /// CRC-64/NVME, 8 bytes.
    Crc64Nvme = 3,
    /// SHA-1, 20 bytes.
    Sha1 = 4,
    /// SHA-256, 32 bytes.
    Sha256 = 5,
    /// SHA-512, 64 bytes: the longest there is, and what the table of parts has room for.
    Sha512 = 6,
    /// MD5, 16 bytes.
    Md5 = 7,
    /// XXH64, 8 bytes.
    XxHash64 = 8,
    /// XXH3 of 64 bits, 8 bytes.
    XxHash3 = 9,
    /// XXH3 of 128 bits, 16 bytes.
    XxHash128 = 10,
}

/// Longest value of a checksum in bytes.
pub(crate) const CHECKSUM_BYTES_MAX: usize = 64;

impl ChecksumAlgorithm {
    const ALL: [Self; 10] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Md5,
        Self::XxHash64,
        Self::XxHash3,
        Self::XxHash128,
    ];

    /// Bytes of a value.
    #[must_use]
    pub const fn value_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::XxHash64 | Self::XxHash3 => 8,
            Self::Md5 | Self::XxHash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => CHECKSUM_BYTES_MAX,
        }
    }

    /// S3's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Md5 => "MD5",
            Self::XxHash64 => "XXHASH64",
            Self::XxHash3 => "XXHASH3",
            Self::XxHash128 => "XXHASH128",
        }
    }

    /// The algorithm of that name in S3.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    pub(crate) fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.id() == id)
    }

    pub(crate) const fn id(self) -> u8 {
        self as u8
    }
}

/// What a whole object's checksum was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumType {
    /// The parts' checksums.
    Composite = 2,
    /// All bytes of the object.
    FullObject = 1,
}

/// A value that has not the length its algorithm gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {} checksum has {} bytes, not {bytes}", algorithm.name(), algorithm.value_bytes())]
pub struct BadChecksum {
    /// The algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// Length of the value that was given.
    pub bytes: usize,
}

/// An algorithm and its value, of the right length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    value: Vec<u8>,
}

impl Checksum {
    /// Pairs an algorithm with the raw bytes of its value.
    ///
    /// # Errors
    /// The value has another length than the algorithm gives.
    pub fn new(algorithm: ChecksumAlgorithm, value: &[u8]) -> Result<Self, BadChecksum> {
        if value.len() == algorithm.value_bytes() {
            Ok(Self {
                algorithm,
                value: value.to_vec(),
            })
        } else {
            Err(BadChecksum {
                algorithm,
                bytes: value.len(),
            })
        }
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The raw bytes.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }
}

/// The checksum of a whole object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectChecksum {
    /// Algorithm and value; of a composite one without the `-n` that S3 shows, which is the number of parts.
    pub checksum: Checksum,
    /// What it was taken over.
    pub kind: ChecksumType,
}

impl ChecksumType {
    pub(crate) const fn id(self) -> u8 {
        self as u8
    }

    pub(crate) const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::FullObject),
            2 => Some(Self::Composite),
            _ => None,
        }
    }
}
