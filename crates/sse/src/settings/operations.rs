//! PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption.

use http::StatusCode;
use s3s::dto::{
    BlockedEncryptionTypes, DeleteBucketEncryptionInput, DeleteBucketEncryptionOutput,
    GetBucketEncryptionInput, GetBucketEncryptionOutput, HeadBucketInput, PutBucketEncryptionInput,
    PutBucketEncryptionOutput, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend;
use strongroom_backend::error::custom;
use strongroom_envelope::{Context, ObjectPath, Scheme};

use super::{
    Before, BucketEncryption, DefaultAlgorithm, Found, Settings, WHAT, record, record_name,
};
use crate::Sse;
use crate::data_keys::Wanted;
use crate::error;
use crate::intent::{AES256, AWS_KMS, key_name};
use crate::state::Keys;

/// Writers of one bucket's settings that meet: each but one tries again.
const RACES_MAX: usize = 8;
/// S3's name for SSE-C in a list of blocked types.
const SSE_C: &str = "SSE-C";

impl<B: Backend> Sse<B> {
    pub(crate) async fn put_settings(
        &self,
        req: S3Request<PutBucketEncryptionInput>,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        self.expect_bucket(&req, &req.input.bucket).await?;
        let settings = parse(req.input.server_side_encryption_configuration)?;
        let data_keys = self.data_keys.as_ref().ok_or_else(error::no_kms)?;
        let key = match &settings.algorithm {
            DefaultAlgorithm::SseS3 => None,
            DefaultAlgorithm::SseKms { key } => key.as_deref().map(key_name).transpose()?.flatten(),
        };
        // A key that cannot be used is told now, not with the first write.
        let (bucket, none) = (&req.input.bucket, Context::new());
        let wanted = Wanted {
            scheme: Scheme::SseKms,
            key: key.as_deref(),
            context: &none,
            bucket_key: false,
        };
        data_keys
            .issue(wanted, &ObjectPath::new(bucket, ""))
            .await?;
        self.settings
            .write(bucket, Some(&settings), &self.inner, &self.keys, self)
            .await?;
        Ok(S3Response::new(PutBucketEncryptionOutput::default()))
    }

    pub(crate) async fn get_settings(
        &self,
        req: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        self.expect_bucket(&req, &req.input.bucket).await?;
        let found = self
            .settings
            .of(&req.input.bucket, &self.inner, &self.keys)
            .await?;
        let settings = found.ok_or_else(|| {
            custom(
                "ServerSideEncryptionConfigurationNotFoundError",
                StatusCode::NOT_FOUND,
                "The server side encryption configuration was not found",
            )
        })?;
        Ok(S3Response::new(GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(show(&settings)),
        }))
    }

    pub(crate) async fn delete_settings(
        &self,
        req: S3Request<DeleteBucketEncryptionInput>,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        self.expect_bucket(&req, &req.input.bucket).await?;
        let mut response = S3Response::new(DeleteBucketEncryptionOutput::default());
        response.status = Some(StatusCode::NO_CONTENT);
        if self
            .settings
            .of(&req.input.bucket, &self.inner, &self.keys)
            .await?
            .is_some()
        {
            self.settings
                .write(&req.input.bucket, None, &self.inner, &self.keys, self)
                .await?;
        }
        Ok(response)
    }

    async fn expect_bucket<T>(&self, req: &S3Request<T>, bucket: &str) -> S3Result<()> {
        let head = S3Request {
            input: HeadBucketInput {
                bucket: bucket.to_owned(),
                ..Default::default()
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
        self.inner.head_bucket(head).await.map(|_| ())
    }
}

impl Settings {
    async fn write<B: Backend>(
        &self,
        bucket: &str,
        settings: Option<&BucketEncryption>,
        inner: &B,
        keys: &Keys,
        sse: &Sse<B>,
    ) -> S3Result<()> {
        let name = record_name(bucket)?;
        let plain = record::encode(settings).map_err(|e| error::state(WHAT, e))?;
        for _ in 0..RACES_MAX {
            self.outdate(bucket);
            let found = self.read(bucket, inner, keys).await?;
            let generation = found.generation + 1;
            let sealed = keys.seal(name.as_str(), generation, &plain, &sse.entropy)?;
            let written = inner
                .write_record(&name, found.stored.as_ref(), sealed)
                .await;
            self.outdate(bucket);
            match written {
                Ok(_) => {
                    // Other nodes act on what they remember until their lease ends.
                    if let Some(lease) = self.lease {
                        tokio::time::sleep(lease).await;
                    }
                    return Ok(());
                }
                Err(e) if e.code() == &S3ErrorCode::PreconditionFailed => {}
                Err(e) => return Err(e),
            }
        }
        Err(s3_error!(
            OperationAborted,
            "The bucket's encryption settings are being changed by others; try again"
        ))
    }

    /// What [`clear_deleted`](Self::clear_deleted) is to clear.
    pub(crate) async fn before_delete(
        &self,
        bucket: &str,
        inner: &impl Backend,
        keys: &Keys,
    ) -> Before {
        match self.read(bucket, inner, keys).await {
            Ok(Found {
                settings: Some(_),
                stored: Some(stored),
                generation,
            }) => Before::Set { stored, generation },
            Ok(_) => Before::Nothing,
            Err(_) => Before::Unreadable,
        }
    }

    /// The bucket was deleted: clears the settings that it had. The record stays and goes on counting, so
    /// that an older one is refused also in a new bucket of that name.
    pub(crate) async fn clear_deleted<B: Backend>(
        &self,
        bucket: &str,
        before: Before,
        sse: &Sse<B>,
    ) -> S3Result<()> {
        let name = record_name(bucket)?;
        let cleared = match before {
            Before::Nothing => return Ok(()),
            // Nobody could clear it otherwise, and a new bucket would take no write.
            Before::Unreadable => {
                self.forget(bucket);
                sse.inner.delete_record(&name).await
            }
            Before::Set { stored, generation } => {
                let plain = record::encode(None).map_err(|e| error::state(WHAT, e))?;
                let sealed = sse
                    .keys
                    .seal(name.as_str(), generation + 1, &plain, &sse.entropy)?;
                self.outdate(bucket);
                match sse.inner.write_record(&name, Some(&stored), sealed).await {
                    // Somebody changed them since: they are a new bucket's.
                    Err(e) if e.code() == &S3ErrorCode::PreconditionFailed => Ok(()),
                    written => written.map(|_| ()),
                }
            }
        };
        self.outdate(bucket);
        cleared
    }
}

fn parse(configuration: ServerSideEncryptionConfiguration) -> S3Result<BucketEncryption> {
    let malformed = || {
        s3_error!(
            MalformedXML,
            "The encryption configuration must have exactly one rule with AES256, or with aws:kms and perhaps a \
             KMSMasterKeyID"
        )
    };
    let [rule] =
        <[ServerSideEncryptionRule; 1]>::try_from(configuration.rules).map_err(|_| malformed())?;
    let default = rule
        .apply_server_side_encryption_by_default
        .ok_or_else(malformed)?;
    let key = default.kms_master_key_id.filter(|key| !key.is_empty());
    let algorithm = match (default.sse_algorithm.as_str(), key) {
        (AES256, None) => DefaultAlgorithm::SseS3,
        (AWS_KMS, key) => {
            if let Some(key) = &key {
                key_name(key)?;
            }
            DefaultAlgorithm::SseKms { key }
        }
        ("aws:kms:dsse", _) => {
            return Err(s3_error!(
                NotImplemented,
                "Dual-layer encryption (aws:kms:dsse) is not implemented; use aws:kms."
            ));
        }
        _ => return Err(malformed()),
    };
    let mut blocks_customer_keys = false;
    for blocked in rule
        .blocked_encryption_types
        .and_then(|b| b.encryption_type)
        .unwrap_or_default()
    {
        match blocked.as_str() {
            SSE_C => blocks_customer_keys = true,
            "NONE" => {}
            _ => return Err(malformed()),
        }
    }
    Ok(BucketEncryption {
        algorithm,
        bucket_key: rule.bucket_key_enabled,
        blocks_customer_keys,
    })
}

fn show(settings: &BucketEncryption) -> ServerSideEncryptionConfiguration {
    let (algorithm, key) = match &settings.algorithm {
        DefaultAlgorithm::SseS3 => (AES256, None),
        DefaultAlgorithm::SseKms { key } => (AWS_KMS, key.clone()),
    };
    ServerSideEncryptionConfiguration {
        rules: vec![ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                kms_master_key_id: key,
                sse_algorithm: ServerSideEncryption::from_static(algorithm),
            }),
            blocked_encryption_types: settings.blocks_customer_keys.then(|| {
                BlockedEncryptionTypes {
                    encryption_type: Some(vec![SSE_C.to_owned().into()]),
                }
            }),
            bucket_key_enabled: settings.bucket_key,
        }],
    }
}
