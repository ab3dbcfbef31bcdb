//! An S3 whose every operation answers "admitted", if the gate left its permit.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use s3s::config::StaticConfigProvider;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use strongroom_access::{Authenticator, Gate, Hosts, Permit, RootCredentials, protocol_limits};

pub(crate) const USER: &str = "strongroom";
pub(crate) const PASSWORD: &str = "a password of the root";
/// What an operation that was reached answers.
pub(crate) const ADMITTED: StatusCode = StatusCode::IM_A_TEAPOT;

struct Recorder;

macro_rules! operations {
    ($($name:ident $input:ident $output:ident;)*) => {
        #[async_trait]
        impl S3 for Recorder {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                Err(answer(&request))
            })*
        }
    };
}

operations! {
    get_object GetObjectInput GetObjectOutput;
    head_object HeadObjectInput HeadObjectOutput;
    put_object PutObjectInput PutObjectOutput;
    post_object PostObjectInput PostObjectOutput;
    copy_object CopyObjectInput CopyObjectOutput;
    delete_object DeleteObjectInput DeleteObjectOutput;
    delete_objects DeleteObjectsInput DeleteObjectsOutput;
    create_multipart_upload CreateMultipartUploadInput CreateMultipartUploadOutput;
    upload_part UploadPartInput UploadPartOutput;
    complete_multipart_upload CompleteMultipartUploadInput CompleteMultipartUploadOutput;
    list_buckets ListBucketsInput ListBucketsOutput;
    list_objects_v2 ListObjectsV2Input ListObjectsV2Output;
    create_bucket CreateBucketInput CreateBucketOutput;
    delete_bucket DeleteBucketInput DeleteBucketOutput;
    get_bucket_encryption GetBucketEncryptionInput GetBucketEncryptionOutput;
    delete_bucket_encryption DeleteBucketEncryptionInput DeleteBucketEncryptionOutput;
    get_object_tagging GetObjectTaggingInput GetObjectTaggingOutput;
}

fn answer<T>(request: &S3Request<T>) -> S3Error {
    let permit = request
        .extensions
        .get::<Permit>()
        .expect("an operation without a permit");
    assert_eq!(permit.access_key(), USER);
    let mut error = S3Error::new(S3ErrorCode::Custom("Admitted".into()));
    error.set_status_code(ADMITTED);
    error
}

pub(crate) fn server(accept_signature_v2: bool) -> S3Service {
    let root = Arc::new(RootCredentials::new(USER, PASSWORD).unwrap());
    let mut builder = S3ServiceBuilder::new(Recorder);
    builder.set_auth(Authenticator::new(Arc::clone(&root)));
    builder.set_access(Gate::new(root));
    builder.set_host(Hosts::path_style());
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(
        protocol_limits(accept_signature_v2),
    ))));
    builder.build()
}

/// Status and body of the answer.
pub(crate) async fn call(service: &S3Service, request: Request<Body>) -> (StatusCode, String) {
    let response = service.call(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8_lossy(&body).into_owned())
}
