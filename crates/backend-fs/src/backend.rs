//! The seam: [`Backend`] on a local directory.

use async_trait::async_trait;
use bytes::Bytes;
use s3s::S3Result;
use strongroom_backend::object::{
    Deleted, EnvelopeChange, Generation, ListPage, ListQuery, Location, OpenObject, Stored,
};
use strongroom_backend::put::{Precondition, Put};
use strongroom_backend::record::{Record, RecordName};
use strongroom_backend::upload::{
    CompleteUpload, NewPart, NewUpload, PartAttempt, Upload, UploadId,
};
use strongroom_backend::{Backend, Capabilities};

use crate::LocalStore;

#[async_trait]
impl Backend for LocalStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            conditional_put: true,
            conditional_complete: true,
            conditional_delete: true,
            any_key: true,
            folder_marker_metadata: true,
            chosen_etags: true,
            metadata_bytes_max: None,
        }
    }

    async fn open(&self, at: &Location) -> S3Result<Box<dyn OpenObject>> {
        Ok(Box::new(self.store.open_object(at).await?))
    }

    async fn put(&self, put: Put) -> S3Result<Stored> {
        Ok(self.store.put(put).await?)
    }

    async fn replace_envelope(
        &self,
        at: &Location,
        expected: &Generation,
        change: EnvelopeChange,
    ) -> S3Result<Stored> {
        Ok(self.store.replace_envelope(at, expected, change).await?)
    }

    async fn delete(&self, at: &Location, precondition: Precondition) -> S3Result<Deleted> {
        Ok(self.store.delete(at, precondition).await?)
    }

    async fn list(&self, query: &ListQuery) -> S3Result<ListPage> {
        Ok(self.store.list(query).await?)
    }

    async fn create_upload(&self, new: NewUpload) -> S3Result<UploadId> {
        Ok(self.store.create_upload(new).await?)
    }

    async fn upload(&self, at: &Location, id: &UploadId) -> S3Result<Upload> {
        Ok(self.store.upload(at, id).await?)
    }

    async fn put_part(&self, part: NewPart) -> S3Result<PartAttempt> {
        Ok(self.store.put_part(part).await?)
    }

    async fn part_attempts(&self, at: &Location, id: &UploadId) -> S3Result<Vec<PartAttempt>> {
        Ok(self.store.part_attempts(at, id).await?)
    }

    async fn complete_upload(&self, complete: CompleteUpload) -> S3Result<Stored> {
        Ok(self.store.complete_upload(complete).await?)
    }

    async fn abort_upload(&self, at: &Location, id: &UploadId) -> S3Result<()> {
        Ok(self.store.abort_upload(at, id).await?)
    }

    async fn read_record(&self, name: &RecordName) -> S3Result<Option<Record>> {
        Ok(self.store.read_record(name).await?)
    }

    async fn write_record(
        &self,
        name: &RecordName,
        expected: Option<&Generation>,
        bytes: Bytes,
    ) -> S3Result<Generation> {
        Ok(self.store.write_record(name, expected, bytes).await?)
    }

    async fn delete_record(&self, name: &RecordName) -> S3Result<()> {
        Ok(self.store.delete_record(name).await?)
    }

    async fn list_records(&self, prefix: &str) -> S3Result<Vec<RecordName>> {
        Ok(self.store.list_records(prefix).await?)
    }
}
