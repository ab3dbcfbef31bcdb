//! Buckets, and what is asked of them that this store has not got.

use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketLocationOutput, Grant, Grantee, Grants, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Permission, Type,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::listing::owner;

use crate::LocalStore;
use crate::error::StoreError;

/// S3's name of the region that a bucket without a location lies in. Clients compare it with what they were
/// configured with, and most are configured with this.
const DEFAULT_REGION: &str = "us-east-1";

pub(super) async fn create(
    store: &LocalStore,
    req: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = req.input;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(s3_error!(
            NotImplemented,
            "object lock is not there yet; make the bucket without it"
        ));
    }
    // Any location is taken: there is one place only, and clients send the region they are configured with.
    store.create_bucket(&input.bucket).await?;
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(format!("/{}", input.bucket)),
        ..Default::default()
    }))
}

pub(super) async fn delete(
    store: &LocalStore,
    req: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    store.delete_bucket(&req.input.bucket).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

pub(super) async fn head(
    store: &LocalStore,
    req: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    must_exist(store, &req.input.bucket).await?;
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(DEFAULT_REGION.to_owned()),
        ..Default::default()
    }))
}

pub(super) async fn list(
    store: &LocalStore,
    req: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let input = req.input;
    let max = match input.max_buckets {
        None => usize::MAX,
        Some(n) => usize::try_from(n)
            .ok()
            .filter(|n| (1..=10_000).contains(n))
            .ok_or_else(|| s3_error!(InvalidArgument, "max-buckets must be from 1 to 10000"))?,
    };
    let prefix = input.prefix.as_deref().unwrap_or_default();
    // Bucket names are no secret from those who may list them: the token is the last name itself.
    let after = input.continuation_token.as_deref().unwrap_or_default();
    let all = store.buckets().await?;
    let mut rest = all
        .into_iter()
        .filter(|b| b.name.starts_with(prefix) && b.name.as_str() > after)
        .peekable();
    let buckets: Vec<_> = rest
        .by_ref()
        .take(max)
        .map(|bucket| Bucket {
            creation_date: Some(bucket.created),
            name: Some(bucket.name),
            ..Default::default()
        })
        .collect();
    let more = rest.peek().is_some();
    Ok(S3Response::new(ListBucketsOutput {
        continuation_token: more
            .then(|| buckets.last().and_then(|b| b.name.clone()))
            .flatten(),
        buckets: Some(buckets),
        owner: Some(owner()),
        prefix: input.prefix,
    }))
}

pub(super) fn location() -> GetBucketLocationOutput {
    // S3 gives an empty constraint for its oldest region.
    GetBucketLocationOutput {
        location_constraint: Some(BucketLocationConstraint::from(String::new())),
    }
}

/// The one grant there is: everything to the owner. Who may do what is decided by policies, before a request
/// comes here.
pub(super) fn grants() -> Grants {
    let owner = owner();
    vec![Grant {
        grantee: Some(Grantee {
            display_name: owner.display_name,
            email_address: None,
            id: owner.id,
            type_: Type::from_static(Type::CANONICAL_USER),
            uri: None,
        }),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }]
}

pub(super) async fn must_exist(store: &LocalStore, bucket: &str) -> S3Result<()> {
    match store.bucket(bucket).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::NoSuchBucket.into()),
    }
}
