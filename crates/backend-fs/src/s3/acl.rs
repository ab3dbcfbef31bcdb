//! Access control lists: everything belongs to one owner, and nothing to anybody else. Setting exactly that is a
//! success that changes nothing; any other list would be a promise that is not kept.

use s3s::dto::{
    AccessControlPolicy, Grant, PutBucketAclInput, PutBucketAclOutput, PutObjectAclInput,
    PutObjectAclOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend as _;
use strongroom_backend::object::Location;

use super::buckets;
use crate::LocalStore;

/// Canned lists that give nobody but the owner anything, the owner of bucket and object being the same.
const OWNER_ONLY: [&str; 3] = ["private", "bucket-owner-read", "bucket-owner-full-control"];

macro_rules! must_be_private {
    ($input:expr) => {{
        let granted = $input.grant_full_control.is_some()
            || $input.grant_read.is_some()
            || $input.grant_read_acp.is_some()
            || $input.grant_write.is_some()
            || $input.grant_write_acp.is_some();
        let canned = $input.acl.as_ref().map(|acl| acl.as_str());
        must_be_private(canned, $input.access_control_policy.as_ref(), granted)
    }};
}

pub(super) async fn put_bucket(
    store: &LocalStore,
    req: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    buckets::must_exist(store, &req.input.bucket).await?;
    must_be_private!(req.input)?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

pub(super) async fn put_object(
    store: &LocalStore,
    req: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let input = req.input;
    let at = Location::new(&input.bucket, &input.key).with_version(input.version_id.clone());
    store.open(&at).await?;
    must_be_private!(input)?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

fn must_be_private(
    canned: Option<&str>,
    list: Option<&AccessControlPolicy>,
    granted: bool,
) -> S3Result<()> {
    let is_owners = |grant: &Grant| buckets::grants().contains(grant);
    let private = match (canned, list) {
        _ if granted => false,
        (Some(canned), None) => OWNER_ONLY.contains(&canned),
        (None, Some(list)) => list.grants.iter().flatten().all(is_owners),
        _ => false,
    };
    if private {
        return Ok(());
    }
    Err(s3_error!(
        NotImplemented,
        "access control lists other than private are not supported; everything belongs to the owner"
    ))
}
