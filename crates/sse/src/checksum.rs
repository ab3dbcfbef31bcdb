//! Checksums between their S3 form and the sealed one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::{S3Result, s3_error};
use strongroom_backend::object::Checksum as Shown;
use strongroom_envelope::{Checksum, ChecksumAlgorithm, ChecksumType, ObjectChecksum};

/// As it is sealed.
pub(crate) fn seal(shown: &Shown) -> S3Result<ObjectChecksum> {
    let unknown = || s3_error!(InternalError, "checksum {} cannot be kept", shown.algorithm);
    let algorithm = ChecksumAlgorithm::from_name(&shown.algorithm).ok_or_else(unknown)?;
    // A composite value ends in its number of parts, which the manifest knows.
    let digest = shown.value.split('-').next().unwrap_or_default();
    let value = STANDARD.decode(digest).map_err(|_| unknown())?;
    Ok(ObjectChecksum {
        checksum: Checksum::new(algorithm, &value).map_err(|_| unknown())?,
        kind: if shown.composite {
            ChecksumType::Composite
        } else {
            ChecksumType::FullObject
        },
    })
}

/// As S3 shows that of an object of `parts` parts.
pub(crate) fn show(sealed: &ObjectChecksum, parts: usize) -> Shown {
    let digest = STANDARD.encode(sealed.checksum.value());
    let composite = sealed.kind == ChecksumType::Composite;
    Shown {
        algorithm: sealed.checksum.algorithm().name().to_owned(),
        value: if composite {
            format!("{digest}-{parts}")
        } else {
            digest
        },
        composite,
    }
}

/// As S3 shows that of a part.
pub(crate) fn show_part(sealed: &Checksum) -> Shown {
    Shown {
        algorithm: sealed.algorithm().name().to_owned(),
        value: STANDARD.encode(sealed.value()),
        composite: false,
    }
}
