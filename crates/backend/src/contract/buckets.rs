use s3s::S3;
use s3s::dto::*;

use super::Subject;
use super::client::{code, request};

fn named(bucket: &str) -> String {
    bucket.to_owned()
}

pub async fn a_bucket_is_made_listed_and_deleted<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let bucket = subject.bucket.clone();
    assert_eq!(
        code(subject.make_bucket(&bucket).await),
        "BucketAlreadyOwnedByYou"
    );

    let listed = subject
        .store
        .list_buckets(request(ListBucketsInput::default()))
        .await
        .unwrap();
    let names: Vec<_> = listed
        .output
        .buckets
        .unwrap_or_default()
        .into_iter()
        .filter_map(|b| b.name)
        .collect();
    assert!(names.contains(&bucket), "{names:?}");

    let head = HeadBucketInput::builder()
        .bucket(named(&bucket))
        .build()
        .unwrap();
    subject
        .store
        .head_bucket(request(head.clone()))
        .await
        .unwrap();
    let at = GetBucketLocationInput::builder()
        .bucket(named(&bucket))
        .build()
        .unwrap();
    subject
        .store
        .get_bucket_location(request(at))
        .await
        .unwrap();

    let delete = DeleteBucketInput::builder()
        .bucket(named(&bucket))
        .build()
        .unwrap();
    subject
        .store
        .delete_bucket(request(delete.clone()))
        .await
        .unwrap();
    assert_eq!(
        code(subject.store.head_bucket(request(head)).await),
        "NoSuchBucket"
    );
    assert_eq!(
        code(subject.store.delete_bucket(request(delete)).await),
        "NoSuchBucket"
    );
    subject.make_bucket(&bucket).await.unwrap();
    assert!(subject.keys().await.is_empty());
}

pub async fn a_bucket_that_is_not_there_is_said_to_be_missing<S: S3>(subject: Subject<S>) {
    assert_eq!(
        code(subject.put_with(subject.put_input("k", "v")).await),
        "NoSuchBucket"
    );
    assert_eq!(code(subject.get("k").await), "NoSuchBucket");
    assert_eq!(code(subject.head("k").await), "NoSuchBucket");
    assert_eq!(code(subject.delete("k").await), "NoSuchBucket");
    assert_eq!(
        code(subject.list(subject.list_input()).await),
        "NoSuchBucket"
    );
    assert_eq!(
        code(subject.begin(subject.create_input("k")).await),
        "NoSuchBucket"
    );
    let uploads = ListMultipartUploadsInput {
        bucket: subject.bucket.clone(),
        ..Default::default()
    };
    assert_eq!(
        code(subject.store.list_multipart_uploads(request(uploads)).await),
        "NoSuchBucket"
    );
}

pub async fn a_bucket_with_objects_is_not_deleted<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    subject.put("deep/er/key", "v").await;
    let delete = DeleteBucketInput::builder()
        .bucket(subject.bucket.clone())
        .build()
        .unwrap();
    assert_eq!(
        code(subject.store.delete_bucket(request(delete.clone())).await),
        "BucketNotEmpty"
    );
    assert_eq!(subject.get("deep/er/key").await.unwrap(), b"v");
    subject.delete("deep/er/key").await.unwrap();
    subject.store.delete_bucket(request(delete)).await.unwrap();
}

pub async fn what_is_not_configured_is_said_so<S: S3>(subject: Subject<S>) {
    let subject = subject.with_bucket().await;
    let bucket = || subject.bucket.clone();
    let versioning = GetBucketVersioningInput::builder()
        .bucket(bucket())
        .build()
        .unwrap();
    let answer = subject
        .store
        .get_bucket_versioning(request(versioning))
        .await
        .unwrap();
    assert!(answer.output.status.is_none());
    let tags = GetBucketTaggingInput::builder()
        .bucket(bucket())
        .build()
        .unwrap();
    assert_eq!(
        code(subject.store.get_bucket_tagging(request(tags)).await),
        "NoSuchTagSet"
    );
    let policy = GetBucketPolicyInput::builder()
        .bucket(bucket())
        .build()
        .unwrap();
    assert_eq!(
        code(subject.store.get_bucket_policy(request(policy)).await),
        "NoSuchBucketPolicy"
    );
    let lock = GetObjectLockConfigurationInput::builder()
        .bucket(bucket())
        .build()
        .unwrap();
    assert_eq!(
        code(
            subject
                .store
                .get_object_lock_configuration(request(lock))
                .await
        ),
        "ObjectLockConfigurationNotFoundError"
    );
    let acl = GetBucketAclInput::builder()
        .bucket(bucket())
        .build()
        .unwrap();
    let acl = subject
        .store
        .get_bucket_acl(request(acl))
        .await
        .unwrap()
        .output;
    let grants = acl.grants.unwrap();
    assert_eq!(
        grants[0].permission.as_ref().map(Permission::as_str),
        Some("FULL_CONTROL")
    );
}
