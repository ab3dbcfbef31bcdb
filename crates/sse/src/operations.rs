//! The table of all S3 operations: what becomes of each. An operation that the protocol layer learns and
//! this table does not have stops the build: a default would answer, or forward, without anyone having
//! thought about it.

use async_trait::async_trait;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use strongroom_backend::Backend;

use crate::Sse;

macro_rules! operations {
    (
        ours { $($our:ident($our_in:ident) -> $our_out:ident = $handler:ident;)+ }
        forwarded { $($forwarded:ident($forwarded_in:ident) -> $forwarded_out:ident;)+ }
        refused { $($refused:ident($refused_in:ident) -> $refused_out:ident = $what:literal;)+ }
    ) => {
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl<B: Backend> S3 for Sse<B> {
            $(async fn $our(&self, req: S3Request<$our_in>) -> S3Result<S3Response<$our_out>> {
                self.$handler(req).await
            })+
            $(async fn $forwarded(
                &self,
                req: S3Request<$forwarded_in>,
            ) -> S3Result<S3Response<$forwarded_out>> {
                self.inner.$forwarded(req).await
            })+
            $(async fn $refused(
                &self,
                _req: S3Request<$refused_in>,
            ) -> S3Result<S3Response<$refused_out>> {
                Err(s3_error!(NotImplemented, concat!("This server does not support ", $what, ".")))
            })+
        }
    };
}

operations! {
    // Sealed, opened or rewritten here. Where nothing is encrypted they hand the request on themselves.
    ours {
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = complete;
        copy_object(CopyObjectInput) -> CopyObjectOutput = copy;
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = create_upload;
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = delete_bucket_and_settings;
        delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = delete_settings;
        delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete;
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete_many;
        get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = get_settings;
        get_object(GetObjectInput) -> GetObjectOutput = get;
        get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = attributes;
        head_object(HeadObjectInput) -> HeadObjectOutput = head;
        list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = list_versions;
        list_objects(ListObjectsInput) -> ListObjectsOutput = list_v1;
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list_v2;
        list_parts(ListPartsInput) -> ListPartsOutput = list_parts_visible;
        post_object(PostObjectInput) -> PostObjectOutput = post;
        put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = put_settings;
        put_object(PutObjectInput) -> PutObjectOutput = put;
        upload_part(UploadPartInput) -> UploadPartOutput = put_part;
        upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy_part;
    }
    // Handed on as they come: they neither carry nor describe the bytes of objects.
    forwarded {
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
        create_bucket(CreateBucketInput) -> CreateBucketOutput;
        delete_bucket_analytics_configuration(DeleteBucketAnalyticsConfigurationInput) -> DeleteBucketAnalyticsConfigurationOutput;
        delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput;
        delete_bucket_intelligent_tiering_configuration(DeleteBucketIntelligentTieringConfigurationInput) -> DeleteBucketIntelligentTieringConfigurationOutput;
        delete_bucket_inventory_configuration(DeleteBucketInventoryConfigurationInput) -> DeleteBucketInventoryConfigurationOutput;
        delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput;
        delete_bucket_metrics_configuration(DeleteBucketMetricsConfigurationInput) -> DeleteBucketMetricsConfigurationOutput;
        delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput;
        delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput;
        delete_bucket_replication(DeleteBucketReplicationInput) -> DeleteBucketReplicationOutput;
        delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput;
        delete_bucket_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput;
        delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput;
        delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput;
        get_bucket_abac(GetBucketAbacInput) -> GetBucketAbacOutput;
        get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput;
        get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput;
        get_bucket_analytics_configuration(GetBucketAnalyticsConfigurationInput) -> GetBucketAnalyticsConfigurationOutput;
        get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput;
        get_bucket_intelligent_tiering_configuration(GetBucketIntelligentTieringConfigurationInput) -> GetBucketIntelligentTieringConfigurationOutput;
        get_bucket_inventory_configuration(GetBucketInventoryConfigurationInput) -> GetBucketInventoryConfigurationOutput;
        get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput;
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
        get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput;
        get_bucket_metrics_configuration(GetBucketMetricsConfigurationInput) -> GetBucketMetricsConfigurationOutput;
        get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput;
        get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput;
        get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput;
        get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput;
        get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput;
        get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput;
        get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput;
        get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
        get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput;
        get_object_acl(GetObjectAclInput) -> GetObjectAclOutput;
        get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput;
        get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput;
        get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput;
        get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput;
        get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput;
        head_bucket(HeadBucketInput) -> HeadBucketOutput;
        list_bucket_analytics_configurations(ListBucketAnalyticsConfigurationsInput) -> ListBucketAnalyticsConfigurationsOutput;
        list_bucket_intelligent_tiering_configurations(ListBucketIntelligentTieringConfigurationsInput) -> ListBucketIntelligentTieringConfigurationsOutput;
        list_bucket_inventory_configurations(ListBucketInventoryConfigurationsInput) -> ListBucketInventoryConfigurationsOutput;
        list_bucket_metrics_configurations(ListBucketMetricsConfigurationsInput) -> ListBucketMetricsConfigurationsOutput;
        list_buckets(ListBucketsInput) -> ListBucketsOutput;
        list_directory_buckets(ListDirectoryBucketsInput) -> ListDirectoryBucketsOutput;
        list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
        put_bucket_abac(PutBucketAbacInput) -> PutBucketAbacOutput;
        put_bucket_accelerate_configuration(PutBucketAccelerateConfigurationInput) -> PutBucketAccelerateConfigurationOutput;
        put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput;
        put_bucket_analytics_configuration(PutBucketAnalyticsConfigurationInput) -> PutBucketAnalyticsConfigurationOutput;
        put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput;
        put_bucket_intelligent_tiering_configuration(PutBucketIntelligentTieringConfigurationInput) -> PutBucketIntelligentTieringConfigurationOutput;
        put_bucket_inventory_configuration(PutBucketInventoryConfigurationInput) -> PutBucketInventoryConfigurationOutput;
        put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput;
        put_bucket_logging(PutBucketLoggingInput) -> PutBucketLoggingOutput;
        put_bucket_metrics_configuration(PutBucketMetricsConfigurationInput) -> PutBucketMetricsConfigurationOutput;
        put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput;
        put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput;
        put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput;
        put_bucket_replication(PutBucketReplicationInput) -> PutBucketReplicationOutput;
        put_bucket_request_payment(PutBucketRequestPaymentInput) -> PutBucketRequestPaymentOutput;
        put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput;
        put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput;
        put_bucket_website(PutBucketWebsiteInput) -> PutBucketWebsiteOutput;
        put_object_acl(PutObjectAclInput) -> PutObjectAclOutput;
        put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput;
        put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput;
        put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput;
        put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput;
        put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput;
        restore_object(RestoreObjectInput) -> RestoreObjectOutput;
    }
    // They would give away sealed bytes, describe them wrongly, or write what nobody sealed.
    refused {
        create_bucket_metadata_configuration(CreateBucketMetadataConfigurationInput) -> CreateBucketMetadataConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        create_bucket_metadata_table_configuration(CreateBucketMetadataTableConfigurationInput) -> CreateBucketMetadataTableConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        create_session(CreateSessionInput) -> CreateSessionOutput = "directory buckets";
        delete_bucket_metadata_configuration(DeleteBucketMetadataConfigurationInput) -> DeleteBucketMetadataConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        delete_bucket_metadata_table_configuration(DeleteBucketMetadataTableConfigurationInput) -> DeleteBucketMetadataTableConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        delete_object_annotation(DeleteObjectAnnotationInput) -> DeleteObjectAnnotationOutput = "annotations of objects";
        get_bucket_metadata_configuration(GetBucketMetadataConfigurationInput) -> GetBucketMetadataConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        get_bucket_metadata_table_configuration(GetBucketMetadataTableConfigurationInput) -> GetBucketMetadataTableConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        get_object_annotation(GetObjectAnnotationInput) -> GetObjectAnnotationOutput = "annotations of objects";
        get_object_torrent(GetObjectTorrentInput) -> GetObjectTorrentOutput = "torrents";
        list_object_annotations(ListObjectAnnotationsInput) -> ListObjectAnnotationsOutput = "annotations of objects";
        put_object_annotation(PutObjectAnnotationInput) -> PutObjectAnnotationOutput = "annotations of objects";
        rename_object(RenameObjectInput) -> RenameObjectOutput = "renaming: keys are bound to the object's name";
        select_object_content(SelectObjectContentInput) -> SelectObjectContentOutput = "queries over objects";
        update_bucket_metadata_annotation_table_configuration(UpdateBucketMetadataAnnotationTableConfigurationInput) -> UpdateBucketMetadataAnnotationTableConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        update_bucket_metadata_inventory_table_configuration(UpdateBucketMetadataInventoryTableConfigurationInput) -> UpdateBucketMetadataInventoryTableConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        update_bucket_metadata_journal_table_configuration(UpdateBucketMetadataJournalTableConfigurationInput) -> UpdateBucketMetadataJournalTableConfigurationOutput = "metadata tables, which would tell of sealed bytes";
        update_object_encryption(UpdateObjectEncryptionInput) -> UpdateObjectEncryptionOutput = "changing encryption in place: copy the object onto itself";
        write_get_object_response(WriteGetObjectResponseInput) -> WriteGetObjectResponseOutput = "Object Lambda";
    }
}
