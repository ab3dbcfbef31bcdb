//! GetObjectAttributes.

use s3s::dto::{
    self, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    ObjectAttributes, ObjectPart, StorageClass,
};
use s3s::{S3Result, s3_error};

use crate::answer::{Visible, VisiblePart};
use crate::checksum::ShowsChecksum as _;
use crate::condition::strong;
use crate::listing::max_rows;

/// The answer: the attributes that were asked for, and no others.
///
/// # Errors
/// `InvalidArgument` for an attribute that S3 does not know or none at all.
pub fn answer(
    visible: &Visible<'_>,
    input: &GetObjectAttributesInput,
) -> S3Result<GetObjectAttributesOutput> {
    if input.object_attributes.is_empty() {
        return Err(s3_error!(
            InvalidArgument,
            "x-amz-object-attributes names no attribute"
        ));
    }
    let stat = visible.stat;
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(stat.last_modified.clone()),
        version_id: stat.version_id.clone(),
        ..Default::default()
    };
    // Clients send one header with commas as well as one header for each attribute.
    let attributes = input
        .object_attributes
        .iter()
        .flat_map(|told| told.as_str().split(','));
    for attribute in attributes.map(str::trim) {
        match attribute {
            ObjectAttributes::ETAG => output.e_tag = Some(strong(visible.etag)),
            ObjectAttributes::OBJECT_SIZE => output.object_size = i64::try_from(visible.size).ok(),
            ObjectAttributes::STORAGE_CLASS => {
                let class = stat.headers.storage_class.clone();
                output.storage_class = Some(class.map_or_else(
                    || StorageClass::from_static(StorageClass::STANDARD),
                    StorageClass::from,
                ));
            }
            ObjectAttributes::CHECKSUM => {
                output.checksum = visible.checksum.map(|checksum| {
                    let mut shown = dto::Checksum::default();
                    shown.show_checksum(checksum);
                    shown
                });
            }
            ObjectAttributes::OBJECT_PARTS => {
                if !visible.parts.is_empty() {
                    output.object_parts = Some(parts(visible.parts, input)?);
                }
            }
            other => {
                return Err(s3_error!(
                    InvalidArgument,
                    "Invalid attribute name specified: {other}"
                ));
            }
        }
    }
    Ok(output)
}

fn parts(
    all: &[VisiblePart],
    input: &GetObjectAttributesInput,
) -> S3Result<GetObjectAttributesParts> {
    let max = max_rows(input.max_parts)?;
    let marker = input.part_number_marker.unwrap_or(0);
    let mut rest = all
        .iter()
        .filter(|part| i32::try_from(part.number).is_ok_and(|n| n > marker))
        .peekable();
    let shown: Vec<_> = rest
        .by_ref()
        .take(max)
        .map(|part| {
            let mut shown = ObjectPart {
                part_number: i32::try_from(part.number).ok(),
                size: i64::try_from(part.size).ok(),
                ..Default::default()
            };
            if let Some(checksum) = &part.checksum {
                shown.show_checksum(checksum);
            }
            shown
        })
        .collect();
    let truncated = rest.peek().is_some();
    Ok(GetObjectAttributesParts {
        is_truncated: Some(truncated),
        max_parts: i32::try_from(max).ok(),
        next_part_number_marker: shown.last().and_then(|part| part.part_number).or(Some(0)),
        part_number_marker: Some(marker),
        parts: Some(shown),
        total_parts_count: i32::try_from(all.len()).ok(),
    })
}
