//! ListParts: of every part the attempt that was finished last, as S3 shows it.

use std::collections::BTreeMap;

use s3s::dto::{Initiator, ListPartsInput, ListPartsOutput, Part, StorageClass};
use s3s::{S3Result, s3_error};

use crate::checksum::ShowsChecksum as _;
use crate::complete::{Declared, VisibleAttempt};
use crate::condition::strong;
use crate::limits::PAGE_ROWS_MAX;
use crate::listing::owner;
use crate::upload::{PartAttempt, Upload};

/// The answer. `attempts` as [`part_attempts`](crate::Backend::part_attempts) gives them.
///
/// # Errors
/// `InvalidArgument`, and what `visible` fails with.
pub fn answer(
    input: &ListPartsInput,
    upload: &Upload,
    attempts: &[PartAttempt],
    visible: impl Fn(&PartAttempt) -> S3Result<VisibleAttempt>,
) -> S3Result<ListPartsOutput> {
    let max = match input.max_parts {
        None => PAGE_ROWS_MAX,
        Some(n) => usize::try_from(n)
            .map_err(|_| {
                s3_error!(
                    InvalidArgument,
                    "Argument max-parts must be an integer from 0 on"
                )
            })?
            .min(PAGE_ROWS_MAX),
    };
    let marker = input.part_number_marker.unwrap_or(0);
    let after = u32::try_from(marker).map_err(|_| {
        s3_error!(
            InvalidArgument,
            "Argument part-number-marker must be an integer from 0 on"
        )
    })?;
    // Later attempts come later and take the place of earlier ones.
    let newest: BTreeMap<u32, &PartAttempt> = attempts.iter().map(|a| (a.number, a)).collect();
    let mut rest = newest
        .range(after + 1..)
        .map(|(_, attempt)| *attempt)
        .peekable();
    let mut shown = Vec::new();
    for attempt in rest.by_ref().take(max) {
        let seen = visible(attempt)?;
        let mut part = Part {
            e_tag: Some(strong(&seen.etag)),
            last_modified: Some(attempt.last_modified.clone()),
            part_number: i32::try_from(attempt.number).ok(),
            size: i64::try_from(seen.size).ok(),
            ..Default::default()
        };
        if let Some(checksum) = &seen.checksum {
            part.show_checksum(checksum);
        }
        shown.push(part);
    }
    let truncated = max > 0 && rest.peek().is_some();
    let declared = Declared::of_upload(upload.new.checksum.as_ref())?;
    let owner = owner();
    Ok(ListPartsOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(input.upload_id.clone()),
        checksum_algorithm: declared.map(|d| d.algorithm.dto()),
        checksum_type: declared.map(Declared::checksum_type),
        initiator: Some(Initiator {
            display_name: owner.display_name.clone(),
            id: owner.id.clone(),
        }),
        owner: Some(owner),
        is_truncated: Some(truncated),
        max_parts: i32::try_from(max).ok(),
        next_part_number_marker: shown.last().and_then(|part| part.part_number).or(Some(0)),
        part_number_marker: Some(marker),
        parts: Some(shown),
        storage_class: Some(upload.new.headers.storage_class.clone().map_or_else(
            || StorageClass::from_static(StorageClass::STANDARD),
            StorageClass::from,
        )),
        ..Default::default()
    })
}
