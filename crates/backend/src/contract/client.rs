//! A client that speaks to an implementation without a network.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Extensions, HeaderMap, Method, Uri};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Result};

use super::Subject;

/// A request as it comes from the protocol layer.
pub(super) fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Method::GET,
        uri: Uri::from_static("/"),
        headers: HeaderMap::new(),
        extensions: Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

/// Code of the error that must have come.
#[track_caller]
pub(super) fn code<T>(result: S3Result<T>) -> String {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(error) => error.code().as_str().to_owned(),
    }
}

pub(super) fn blob(bytes: impl Into<Bytes>) -> Option<StreamingBlob> {
    Some(StreamingBlob::from_bytes(bytes.into()))
}

/// A body in pieces, as a network delivers it.
pub(super) fn pieces(bytes: &[u8], piece: usize) -> Option<StreamingBlob> {
    let chunks: Vec<_> = bytes
        .chunks(piece)
        .map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)))
        .collect();
    Some(StreamingBlob::wrap(futures::stream::iter(chunks)))
}

/// A body whose connection breaks after `bytes`.
pub(super) fn broken(bytes: &'static [u8]) -> Option<StreamingBlob> {
    let items = [
        Ok(Bytes::from_static(bytes)),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    Some(StreamingBlob::wrap(futures::stream::iter(items)))
}

/// Bytes without a period that a buffer could have.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

pub(super) async fn read(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let Some(body) = body else {
        return Ok(Vec::new());
    };
    body.try_fold(Vec::new(), |mut all, bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    })
    .await
    .map_err(crate::body::error)
}

impl<S: S3> Subject<S> {
    /// Makes the bucket.
    pub(super) async fn with_bucket(self) -> Self {
        self.make_bucket(&self.bucket).await.unwrap();
        self
    }

    pub(super) async fn make_bucket(&self, name: &str) -> S3Result<CreateBucketOutput> {
        let input = CreateBucketInput::builder()
            .bucket(name.to_owned())
            .build()
            .unwrap();
        Ok(self.store.create_bucket(request(input)).await?.output)
    }

    pub(super) fn put_input(&self, key: &str, bytes: impl Into<Bytes>) -> PutObjectInput {
        let bytes = bytes.into();
        PutObjectInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            content_length: i64::try_from(bytes.len()).ok(),
            body: blob(bytes),
            ..Default::default()
        }
    }

    pub(super) async fn put_with(&self, input: PutObjectInput) -> S3Result<PutObjectOutput> {
        Ok(self.store.put_object(request(input)).await?.output)
    }

    pub(super) async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> PutObjectOutput {
        self.put_with(self.put_input(key, bytes)).await.unwrap()
    }

    pub(super) fn get_input(&self, key: &str) -> GetObjectInput {
        GetObjectInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            ..Default::default()
        }
    }

    pub(super) async fn get_with(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        Ok(self.store.get_object(request(input)).await?.output)
    }

    pub(super) async fn get(&self, key: &str) -> S3Result<Vec<u8>> {
        read(self.get_with(self.get_input(key)).await?.body).await
    }

    pub(super) async fn head(&self, key: &str) -> S3Result<HeadObjectOutput> {
        let input = HeadObjectInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            checksum_mode: Some(ChecksumMode::from_static(ChecksumMode::ENABLED)),
            ..Default::default()
        };
        Ok(self.store.head_object(request(input)).await?.output)
    }

    pub(super) async fn delete(&self, key: &str) -> S3Result<DeleteObjectOutput> {
        let input = DeleteObjectInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            ..Default::default()
        };
        Ok(self.store.delete_object(request(input)).await?.output)
    }

    pub(super) fn list_input(&self) -> ListObjectsV2Input {
        ListObjectsV2Input {
            bucket: self.bucket.clone(),
            ..Default::default()
        }
    }

    pub(super) async fn list(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        Ok(self.store.list_objects_v2(request(input)).await?.output)
    }

    /// All keys, in one page.
    pub(super) async fn keys(&self) -> Vec<String> {
        let page = self.list(self.list_input()).await.unwrap();
        page.contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| object.key)
            .collect()
    }

    pub(super) fn create_input(&self, key: &str) -> CreateMultipartUploadInput {
        CreateMultipartUploadInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            ..Default::default()
        }
    }

    pub(super) async fn begin(&self, input: CreateMultipartUploadInput) -> S3Result<String> {
        let output = self
            .store
            .create_multipart_upload(request(input))
            .await?
            .output;
        Ok(output.upload_id.unwrap())
    }

    pub(super) fn part_input(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        bytes: impl Into<Bytes>,
    ) -> UploadPartInput {
        let bytes = bytes.into();
        UploadPartInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            upload_id: upload_id.to_owned(),
            part_number: number,
            content_length: i64::try_from(bytes.len()).ok(),
            body: blob(bytes),
            ..Default::default()
        }
    }

    /// Uploads a part; gives what a Complete lists of it.
    pub(super) async fn part(&self, input: UploadPartInput) -> S3Result<CompletedPart> {
        let number = input.part_number;
        let output = self.store.upload_part(request(input)).await?.output;
        Ok(CompletedPart {
            part_number: Some(number),
            e_tag: output.e_tag,
            checksum_crc32: output.checksum_crc32,
            checksum_crc32c: output.checksum_crc32c,
            checksum_crc64nvme: output.checksum_crc64nvme,
            checksum_sha1: output.checksum_sha1,
            checksum_sha256: output.checksum_sha256,
            ..Default::default()
        })
    }

    pub(super) fn complete_input(
        &self,
        key: &str,
        upload_id: &str,
        parts: Vec<CompletedPart>,
    ) -> CompleteMultipartUploadInput {
        CompleteMultipartUploadInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            upload_id: upload_id.to_owned(),
            multipart_upload: Some(CompletedMultipartUpload { parts: Some(parts) }),
            ..Default::default()
        }
    }

    pub(super) async fn complete(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        Ok(self
            .store
            .complete_multipart_upload(request(input))
            .await?
            .output)
    }

    pub(super) async fn abort(&self, key: &str, upload_id: &str) -> S3Result<()> {
        let input = AbortMultipartUploadInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            upload_id: upload_id.to_owned(),
            ..Default::default()
        };
        self.store
            .abort_multipart_upload(request(input))
            .await
            .map(drop)
    }

    /// A copy within the bucket.
    pub(super) fn copy_input(&self, from: &str, to: &str) -> CopyObjectInput {
        CopyObjectInput::builder()
            .bucket(self.bucket.clone())
            .key(to.to_owned())
            .copy_source(self.source(from))
            .build()
            .unwrap()
    }

    pub(super) fn source(&self, key: &str) -> CopySource {
        CopySource::Bucket {
            bucket: self.bucket.as_str().into(),
            key: key.into(),
            version_id: None,
        }
    }

    pub(super) async fn copy(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        Ok(self.store.copy_object(request(input)).await?.output)
    }

    pub(super) fn shared(&self) -> Arc<S> {
        Arc::clone(&self.store)
    }
}
