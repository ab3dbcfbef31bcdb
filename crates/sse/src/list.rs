//! Listings: exact plaintext sizes and visible ETags, with no call to the KMS and none per object.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3s::dto::{
    BucketVersioningStatus, GetBucketVersioningInput, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ObjectVersion,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use strongroom_backend::condition::strong;
use strongroom_backend::object::{ListedObject, Location};
use strongroom_backend::{Backend, listing};

use crate::Sse;

/// Versions of a page that are looked at at once.
const LOOKS_AT_ONCE: usize = 16;

impl<B: Backend> Sse<B> {
    pub(crate) async fn list_v1(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let page = self.inner.list(&listing::query_v1(&req.input)?).await?;
        let row = |object: &ListedObject| self.row(&req.input.bucket, object);
        Ok(S3Response::new(listing::answer_v1(&req.input, page, row)))
    }

    pub(crate) async fn list_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let page = self.inner.list(&listing::query_v2(&req.input)?).await?;
        let row = |object: &ListedObject| self.row(&req.input.bucket, object);
        Ok(S3Response::new(listing::answer_v2(&req.input, page, row)))
    }

    pub(crate) async fn list_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        if self.has_versions(&req).await? {
            return self.list_real_versions(req).await;
        }
        let page = self
            .inner
            .list(&listing::query_versions(&req.input)?)
            .await?;
        let row = |object: &ListedObject| self.row(&req.input.bucket, object);
        Ok(S3Response::new(listing::answer_versions(
            &req.input, page, row,
        )))
    }

    async fn has_versions(&self, req: &S3Request<ListObjectVersionsInput>) -> S3Result<bool> {
        let asked = S3Request {
            input: GetBucketVersioningInput {
                bucket: req.input.bucket.clone(),
                expected_bucket_owner: None,
            },
            method: req.method.clone(),
            uri: req.uri.clone(),
            headers: http::HeaderMap::new(),
            extensions: http::Extensions::new(),
            credentials: req.credentials.clone(),
            region: req.region.clone(),
            service: req.service.clone(),
            trailing_headers: None,
        };
        match self.inner.get_bucket_versioning(asked).await {
            Ok(told) => Ok(told.output.status.is_some_and(|status| {
                [
                    BucketVersioningStatus::ENABLED,
                    BucketVersioningStatus::SUSPENDED,
                ]
                .contains(&status.as_str())
            })),
            Err(error) if error.code() == &S3ErrorCode::NotImplemented => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A listing of versions carries no envelopes, so each one is looked at.
    async fn list_real_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let bucket = req.input.bucket.clone();
        let spelled = req.input.encoding_type.is_some();
        let mut response = self.inner.list_object_versions(req).await?;
        let versions = response.output.versions.take().unwrap_or_default();
        let looked = stream::iter(versions)
            .map(|version| self.version(&bucket, version, spelled))
            .buffered(LOOKS_AT_ONCE);
        response.output.versions = Some(looked.try_collect().await?);
        Ok(response)
    }

    async fn version(
        &self,
        bucket: &str,
        mut version: ObjectVersion,
        spelled: bool,
    ) -> S3Result<ObjectVersion> {
        let key = version.key.clone().unwrap_or_default();
        let key = if spelled {
            percent_encoding::percent_decode_str(&key)
                .decode_utf8_lossy()
                .into_owned()
        } else {
            key
        };
        let at = Location::new(bucket, key).with_version(version.version_id.clone());
        match self.look(&at).await {
            Ok(seen) => {
                version.size = i64::try_from(seen.size).ok();
                version.e_tag = Some(strong(&seen.etag));
            }
            // One unreadable object never makes a listing fail.
            Err(error) => tracing::error!(bucket, %error, "a version is listed as it is stored"),
        }
        Ok(version)
    }
}
