//! Listings of objects.

use s3s::dto::{
    ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output,
};
use s3s::{S3Request, S3Response, S3Result};
use strongroom_backend::{Backend, listing};

pub(super) async fn v1(
    store: &impl Backend,
    req: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let page = store.list(&listing::query_v1(&req.input)?).await?;
    Ok(S3Response::new(listing::answer_v1(
        &req.input,
        page,
        listing::plain,
    )))
}

pub(super) async fn v2(
    store: &impl Backend,
    req: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let page = store.list(&listing::query_v2(&req.input)?).await?;
    Ok(S3Response::new(listing::answer_v2(
        &req.input,
        page,
        listing::plain,
    )))
}

pub(super) async fn versions(
    store: &impl Backend,
    req: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let page = store.list(&listing::query_versions(&req.input)?).await?;
    Ok(S3Response::new(listing::answer_versions(
        &req.input,
        page,
        listing::plain,
    )))
}
