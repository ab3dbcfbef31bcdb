//! S3's additional checksums: which there are, computing them, combining those of parts, and where they
//! stand in requests and answers.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use s3s::dto::{self, ChecksumAlgorithm, ChecksumType};
use s3s::{S3Result, s3_error};

use crate::object::Checksum;

/// A checksum algorithm that we compute and verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC)
    Crc32,
    /// CRC-32C (Castagnoli)
    Crc32c,
    /// CRC-64/NVME
    Crc64Nvme,
    /// SHA-1
    Sha1,
    /// SHA-256
    Sha256,
}

/// Algorithms that S3 has names for and that we do not compute: refused in words, never ignored.
const UNSUPPORTED: [&str; 5] = ["MD5", "SHA512", "XXHASH128", "XXHASH3", "XXHASH64"];

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// S3's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header that carries it.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Reads S3's name, in any case.
    ///
    /// # Errors
    /// `NotImplemented` for an algorithm that we do not compute, `InvalidRequest` for a name that S3
    /// does not know.
    pub fn parse(name: &str) -> S3Result<Self> {
        if let Some(known) = Self::ALL
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(name))
        {
            return Ok(known);
        }
        if UNSUPPORTED.iter().any(|u| u.eq_ignore_ascii_case(name)) {
            return Err(unsupported(name));
        }
        Err(s3_error!(
            InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: \
             [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
        ))
    }

    /// Bytes of a digest.
    #[must_use]
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// True when checksums of parts can be combined into that of the whole.
    #[must_use]
    pub fn is_crc(self) -> bool {
        self.crc().is_some()
    }

    /// The checksum type of a multipart object when the client named none: CRC64NVME is of the full
    /// object, all others are composite.
    #[must_use]
    pub fn default_composite(self) -> bool {
        self != Self::Crc64Nvme
    }

    /// The same for the protocol layer.
    #[must_use]
    pub fn dto(self) -> ChecksumAlgorithm {
        ChecksumAlgorithm::from_static(self.name())
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

fn unsupported(name: &str) -> s3s::S3Error {
    s3_error!(
        NotImplemented,
        "checksum algorithm {name} is not supported; use CRC32, CRC32C, CRC64NVME, SHA1 or SHA256"
    )
}

/// Computes one checksum over bytes that come in pieces.
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc(Box<crc_fast::Digest>),
    Sha(Box<digest::Context>),
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Hasher {
    /// Begins.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match (algorithm.crc(), algorithm) {
            (Some(crc), _) => State::Crc(Box::new(crc_fast::Digest::new(crc))),
            (None, Algorithm::Sha1) => State::Sha(Box::new(digest::Context::new(
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
            ))),
            (None, _) => State::Sha(Box::new(digest::Context::new(&digest::SHA256))),
        };
        Self { algorithm, state }
    }

    /// Goes on.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha(sha) => sha.update(bytes),
        }
    }

    /// Ends; gives the raw digest.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self.state {
            State::Crc(crc) => crc_bytes(self.algorithm, crc.finalize()),
            State::Sha(sha) => sha.finish().as_ref().to_vec(),
        }
    }
}

fn crc_bytes(algorithm: Algorithm, crc: u64) -> Vec<u8> {
    crc.to_be_bytes()[8 - algorithm.digest_bytes()..].to_vec()
}

impl Checksum {
    /// A checksum over all bytes of an object or part.
    #[must_use]
    pub fn full(algorithm: Algorithm, digest: &[u8]) -> Self {
        Self {
            algorithm: algorithm.name().to_owned(),
            value: BASE64_STANDARD.encode(digest),
            composite: false,
        }
    }

    /// S3's word for [`composite`](Self::composite).
    #[must_use]
    pub fn checksum_type(&self) -> ChecksumType {
        ChecksumType::from_static(if self.composite {
            ChecksumType::COMPOSITE
        } else {
            ChecksumType::FULL_OBJECT
        })
    }

    /// The raw digest, if this is a well-formed full checksum of `algorithm`.
    #[must_use]
    pub fn digest(&self, algorithm: Algorithm) -> Option<Vec<u8>> {
        if self.composite || self.algorithm != algorithm.name() {
            return None;
        }
        decode(algorithm, &self.value)
    }

    /// The checksum over the parts' digests, as S3 writes composite ones: `base64-N`.
    #[must_use]
    pub fn composite_of(algorithm: Algorithm, parts: &[Vec<u8>]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        parts.iter().for_each(|digest| hasher.update(digest));
        Self {
            algorithm: algorithm.name().to_owned(),
            value: format!(
                "{}-{}",
                BASE64_STANDARD.encode(hasher.finish()),
                parts.len()
            ),
            composite: true,
        }
    }

    /// The checksum of the whole from those of its parts, each with its length. `None` when the
    /// algorithm cannot be combined.
    #[must_use]
    pub fn combined(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> Option<Self> {
        let crc = algorithm.crc()?;
        let number = |digest: &[u8]| {
            digest
                .iter()
                .fold(0_u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let (first, rest) = parts.split_first()?;
        let whole = rest
            .iter()
            .fold(number(&first.0), |whole, (digest, length)| {
                crc_fast::checksum_combine(crc, whole, number(digest), *length)
            });
        Some(Self::full(algorithm, &crc_bytes(algorithm, whole)))
    }
}

/// Decodes the base64 of a digest; `None` when it is not one of `algorithm`.
pub(crate) fn decode(algorithm: Algorithm, value: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD
        .decode(value)
        .ok()
        .filter(|digest| digest.len() == algorithm.digest_bytes())
}

/// A request, or a member of one, that may carry checksum values.
pub trait AnnouncedChecksum {
    /// The one checksum that is told.
    ///
    /// # Errors
    /// `InvalidRequest` for more than one, `NotImplemented` for an algorithm that we do not compute.
    fn announced_checksum(&self) -> S3Result<Option<(Algorithm, &str)>>;
}

macro_rules! announced {
    ($($input:ty),+ $(,)?) => {$(
        impl AnnouncedChecksum for $input {
            fn announced_checksum(&self) -> S3Result<Option<(Algorithm, &str)>> {
                for (name, value) in [
                    ("MD5", &self.checksum_md5),
                    ("SHA512", &self.checksum_sha512),
                    ("XXHASH128", &self.checksum_xxhash128),
                    ("XXHASH3", &self.checksum_xxhash3),
                    ("XXHASH64", &self.checksum_xxhash64),
                ] {
                    if value.is_some() {
                        return Err(unsupported(name));
                    }
                }
                one([
                    (Algorithm::Crc32, &self.checksum_crc32),
                    (Algorithm::Crc32c, &self.checksum_crc32c),
                    (Algorithm::Crc64Nvme, &self.checksum_crc64nvme),
                    (Algorithm::Sha1, &self.checksum_sha1),
                    (Algorithm::Sha256, &self.checksum_sha256),
                ])
            }
        }
    )+};
}

announced!(
    dto::PutObjectInput,
    dto::UploadPartInput,
    dto::CompleteMultipartUploadInput,
    dto::CompletedPart,
);

fn one(values: [(Algorithm, &Option<String>); 5]) -> S3Result<Option<(Algorithm, &str)>> {
    let mut told = values
        .into_iter()
        .filter_map(|(algorithm, v)| v.as_deref().map(|v| (algorithm, v)));
    let first = told.next();
    if told.next().is_some() {
        return Err(more_than_one());
    }
    Ok(first)
}

pub(crate) fn more_than_one() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    )
}

/// An answer, or a member of one, that shows a checksum.
pub trait ShowsChecksum {
    /// Puts the checksum, and its type where the answer has a place for it.
    fn show_checksum(&mut self, checksum: &Checksum);
}

macro_rules! shows {
    ($($output:ty $(: $checksum_type:ident)?),+ $(,)?) => {$(
        impl ShowsChecksum for $output {
            fn show_checksum(&mut self, checksum: &Checksum) {
                let value = Some(checksum.value.clone());
                match Algorithm::parse(&checksum.algorithm) {
                    Ok(Algorithm::Crc32) => self.checksum_crc32 = value,
                    Ok(Algorithm::Crc32c) => self.checksum_crc32c = value,
                    Ok(Algorithm::Crc64Nvme) => self.checksum_crc64nvme = value,
                    Ok(Algorithm::Sha1) => self.checksum_sha1 = value,
                    Ok(Algorithm::Sha256) => self.checksum_sha256 = value,
                    // A remote may keep one that we do not know: shown as none.
                    Err(_) => return,
                }
                $(self.$checksum_type = Some(checksum.checksum_type());)?
            }
        }
    )+};
}

shows!(
    dto::PutObjectOutput: checksum_type,
    dto::GetObjectOutput: checksum_type,
    dto::HeadObjectOutput: checksum_type,
    dto::CopyObjectResult: checksum_type,
    dto::CompleteMultipartUploadOutput: checksum_type,
    dto::Checksum: checksum_type,
    dto::UploadPartOutput,
    dto::CopyPartResult,
    dto::Part,
    dto::ObjectPart,
);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn known_answers() {
        // The catalogue's check values for "123456789" (CRCs) and FIPS 180 for "abc" (SHA).
        assert_eq!(of(Algorithm::Crc32, b"123456789"), [0xcb, 0xf4, 0x39, 0x26]);
        assert_eq!(
            of(Algorithm::Crc32c, b"123456789"),
            [0xe3, 0x06, 0x92, 0x83]
        );
        assert_eq!(
            of(Algorithm::Crc64Nvme, b"123456789"),
            0xae8b_1486_0a79_9888_u64.to_be_bytes()
        );
        assert_eq!(of(Algorithm::Sha1, b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
        assert_eq!(of(Algorithm::Sha256, b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn combined_parts_equal_the_whole() {
        let whole: Vec<u8> = (0..70_000_u32).map(|n| (n % 251) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts: Vec<_> = [&whole[..1], &whole[1..65_000], &whole[65_000..], &[][..]]
                .iter()
                .map(|part| (of(algorithm, part), part.len() as u64))
                .collect();
            let expected = Checksum::full(algorithm, &of(algorithm, &whole));
            assert_eq!(Checksum::combined(algorithm, &parts), Some(expected));
        }
        assert_eq!(
            Checksum::combined(Algorithm::Sha256, &[(vec![0; 32], 1)]),
            None
        );
    }

    #[test]
    fn a_composite_checksum_tells_its_part_count() {
        let parts = [of(Algorithm::Sha256, b"a"), of(Algorithm::Sha256, b"b")];
        let composite = Checksum::composite_of(Algorithm::Sha256, &parts);
        let inner = of(Algorithm::Sha256, &parts.concat());
        assert_eq!(
            composite.value,
            format!("{}-2", BASE64_STANDARD.encode(inner))
        );
        assert!(composite.composite);
        assert_eq!(composite.digest(Algorithm::Sha256), None);
    }

    #[test]
    fn two_checksums_in_one_request_are_refused() {
        let input = dto::CompletedPart {
            checksum_crc32: Some("AAAAAA==".into()),
            checksum_sha1: Some("x".into()),
            ..Default::default()
        };
        let refused = input.announced_checksum().unwrap_err();
        assert_eq!(refused.code().as_str(), "InvalidRequest");
    }

    #[test]
    fn a_checksum_that_we_do_not_compute_is_refused_not_ignored() {
        let input = dto::CompletedPart {
            checksum_xxhash3: Some("AAAAAA==".into()),
            ..Default::default()
        };
        assert_eq!(
            input.announced_checksum().unwrap_err().code().as_str(),
            "NotImplemented"
        );
        assert_eq!(
            Algorithm::parse("sha512").unwrap_err().code().as_str(),
            "NotImplemented"
        );
        assert_eq!(
            Algorithm::parse("crc7").unwrap_err().code().as_str(),
            "InvalidRequest"
        );
        assert_eq!(
            Algorithm::parse("crc64nvme").ok(),
            Some(Algorithm::Crc64Nvme)
        );
    }
}
