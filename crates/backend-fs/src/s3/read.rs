//! GET, HEAD and attributes of plain objects.

use s3s::dto::{
    GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use strongroom_backend::answer::{self, Selection, Visible, VisiblePart};
use strongroom_backend::condition::ReadConditions;
use strongroom_backend::object::{Location, OpenObject};
use strongroom_backend::{Backend, attributes, body};

use super::refuse;

pub(super) async fn get(
    store: &impl Backend,
    req: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = &req.input;
    refuse::encryption(input)?;
    let at = Location::new(&input.bucket, &input.key).with_version(input.version_id.clone());
    let object = open_plain(store, &at).await?;
    let stat = object.stat();
    ReadConditions::from(input).check_read(&stat.etag, &stat.last_modified)?;
    let parts = VisiblePart::plain(stat);
    let visible = Visible::plain(stat, &parts);
    let selection = Selection::find(&visible, input.range.as_ref(), input.part_number)?;
    let bytes = if selection.length() == 0 {
        body::empty()
    } else {
        object.read(selection.bytes.clone()).await?
    };
    let blob = body::sized(bytes, selection.length());
    Ok(S3Response::new(answer::get(
        &visible, &selection, input, blob,
    )))
}

pub(super) async fn head(
    store: &impl Backend,
    req: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = &req.input;
    refuse::encryption(input)?;
    let at = Location::new(&input.bucket, &input.key).with_version(input.version_id.clone());
    let object = open_plain(store, &at).await?;
    let stat = object.stat();
    ReadConditions::from(input).check_read(&stat.etag, &stat.last_modified)?;
    let parts = VisiblePart::plain(stat);
    let visible = Visible::plain(stat, &parts);
    let selection = Selection::find(&visible, input.range.as_ref(), input.part_number)?;
    Ok(answer::head(&visible, &selection, input))
}

pub(super) async fn attributes(
    store: &impl Backend,
    req: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = &req.input;
    refuse::encryption(input)?;
    let at = Location::new(&input.bucket, &input.key).with_version(input.version_id.clone());
    let object = open_plain(store, &at).await?;
    let parts = VisiblePart::plain(object.stat());
    let visible = Visible::plain(object.stat(), &parts);
    Ok(S3Response::new(attributes::answer(&visible, input)?))
}

/// Opens an object whose bytes are what the client put there.
pub(super) async fn open_plain(
    store: &impl Backend,
    at: &Location,
) -> S3Result<Box<dyn OpenObject>> {
    let object = store.open(at).await?;
    refuse::sealed(object.stat())?;
    Ok(object)
}

/// What is at a key now, if anything.
pub(super) async fn newest(
    store: &impl Backend,
    at: &Location,
) -> S3Result<Option<Box<dyn OpenObject>>> {
    match store.open(at).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.code() == &S3ErrorCode::NoSuchKey => Ok(None),
        Err(error) => Err(error),
    }
}
