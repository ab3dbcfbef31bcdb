//! ListMultipartUploads.

use s3s::dto::{
    CommonPrefix, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    MultipartUpload, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};
use strongroom_backend::complete::Declared;
use strongroom_backend::listing::{Spelling, check_encoding, max_rows, owner};
use strongroom_backend::upload::{Upload, UploadId};

use crate::{ListUploadsQuery, LocalStore, UploadItem};

pub(super) async fn list(
    store: &LocalStore,
    req: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = req.input;
    check_encoding(input.encoding_type.as_ref())?;
    let text = Spelling::of(input.encoding_type.as_ref());
    let told = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let max = max_rows(input.max_uploads)?;
    let query = ListUploadsQuery {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: told(&input.delimiter),
        // As S3: an upload id says nothing without a key.
        after: told(&input.key_marker).map(|key| (key, told(&input.upload_id_marker))),
        max,
    };
    let page = store.list_uploads(&query).await?;
    let (next_key_marker, next_upload_id_marker) =
        match page.items.last().filter(|_| page.truncated) {
            None => (None, None),
            Some(UploadItem::Prefix(prefix)) => (Some(text.spell(prefix)), None),
            Some(UploadItem::Upload(id, upload)) => {
                (Some(text.spell(&upload.new.at.key)), Some(id.0.clone()))
            }
        };
    let mut uploads = Vec::new();
    let mut prefixes = Vec::new();
    for item in page.items {
        match item {
            UploadItem::Prefix(prefix) => {
                prefixes.push(CommonPrefix {
                    prefix: Some(text.spell(&prefix)),
                });
            }
            UploadItem::Upload(id, upload) => uploads.push(row(id, &upload, &text)?),
        }
    }
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(prefixes),
        delimiter: query.delimiter.as_deref().map(|d| text.spell(d)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.truncated),
        key_marker: Some(text.spell(input.key_marker.as_deref().unwrap_or_default())),
        max_uploads: i32::try_from(max).ok(),
        next_key_marker,
        next_upload_id_marker,
        prefix: Some(text.spell(&query.prefix)),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        uploads: Some(uploads),
        ..Default::default()
    }))
}

fn row(id: UploadId, upload: &Upload, text: &Spelling) -> S3Result<MultipartUpload> {
    let declared = Declared::of_upload(upload.new.checksum.as_ref())?;
    let owner = owner();
    Ok(MultipartUpload {
        checksum_algorithm: declared.map(|d| d.algorithm.dto()),
        checksum_type: declared.map(Declared::checksum_type),
        initiated: Some(upload.initiated.clone()),
        initiator: Some(Initiator {
            display_name: owner.display_name.clone(),
            id: owner.id.clone(),
        }),
        key: Some(text.spell(&upload.new.at.key)),
        owner: Some(owner),
        storage_class: Some(upload.new.headers.storage_class.clone().map_or_else(
            || StorageClass::from_static(StorageClass::STANDARD),
            StorageClass::from,
        )),
        upload_id: Some(id.0),
    })
}
