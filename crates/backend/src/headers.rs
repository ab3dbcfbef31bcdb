//! The client's headers of an object: read from requests, held to S3's limits.

use std::collections::BTreeMap;

use http::HeaderMap;
use s3s::dto::{
    CopyObjectInput, CreateMultipartUploadInput, Metadata, MetadataDirective, PutObjectInput,
    StorageClass, TaggingDirective,
};
use s3s::{S3Result, s3_error};

use crate::limits::{KEY_BYTES_MAX, USER_METADATA_BYTES_MAX};
use crate::object::ObjectHeaders;
use crate::tags;

/// Request headers that MinIO keeps for itself: a client that sends one means to plant internal
/// metadata (CVE-2026-34204). We keep none in headers, and refuse them all the same, so that nothing
/// planted here can take effect behind a gateway.
const INTERNAL_PREFIXES: [&str; 2] = ["x-minio-internal-", "x-strongroom-internal-"];

/// Storage classes that S3 knows. All are kept as told; where the bytes lie is the same for all.
const STORAGE_CLASSES: [&str; 13] = [
    StorageClass::DEEP_ARCHIVE,
    StorageClass::EXPRESS_ONEZONE,
    StorageClass::FSX_ONTAP,
    StorageClass::FSX_OPENZFS,
    StorageClass::GLACIER,
    StorageClass::GLACIER_IR,
    StorageClass::INTELLIGENT_TIERING,
    StorageClass::ONEZONE_IA,
    StorageClass::OUTPOSTS,
    StorageClass::REDUCED_REDUNDANCY,
    StorageClass::SNOW,
    StorageClass::STANDARD,
    StorageClass::STANDARD_IA,
];

macro_rules! common_headers {
    ($input:expr) => {
        ObjectHeaders {
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: content_encoding($input.content_encoding.as_deref()),
            content_language: $input.content_language.clone(),
            content_type: $input.content_type.clone(),
            expires: $input.expires.clone(),
            storage_class: storage_class($input.storage_class.as_ref())?,
            user_metadata: user_metadata($input.metadata.as_ref())?,
            website_redirect_location: $input.website_redirect_location.clone(),
            tagging: match $input.tagging.as_deref() {
                Some(header) => tags::canonical(header)?,
                None => None,
            },
        }
    };
}

impl ObjectHeaders {
    /// Of a PutObject (a POST form becomes one before it comes here).
    ///
    /// # Errors
    /// `MetadataTooLarge`, `InvalidStorageClass`, `InvalidArgument`, and those of [`tags::canonical`].
    pub fn from_put_input(input: &PutObjectInput) -> S3Result<Self> {
        Ok(common_headers!(input))
    }

    /// Of a CreateMultipartUpload.
    ///
    /// # Errors
    /// As [`from_put_input`](Self::from_put_input).
    pub fn from_create_input(input: &CreateMultipartUploadInput) -> S3Result<Self> {
        Ok(common_headers!(input))
    }

    /// Of a copy: the source's or the request's, as the two directives say. Storage class and redirect
    /// are never the source's.
    ///
    /// # Errors
    /// As [`from_put_input`](Self::from_put_input); `InvalidArgument` for an unknown directive.
    pub fn from_copy_input(input: &CopyObjectInput, source: &Self) -> S3Result<Self> {
        let told = common_headers!(input);
        let metadata_replaced = match input.metadata_directive.as_ref().map(|d| d.as_str()) {
            None | Some(MetadataDirective::COPY) => false,
            Some(MetadataDirective::REPLACE) => true,
            Some(_) => return Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
        };
        let tagging = match input.tagging_directive.as_ref().map(|d| d.as_str()) {
            None | Some(TaggingDirective::COPY) => source.tagging.clone(),
            Some(TaggingDirective::REPLACE) => told.tagging.clone(),
            Some(_) => return Err(s3_error!(InvalidArgument, "Unknown tagging directive.")),
        };
        if metadata_replaced {
            return Ok(Self { tagging, ..told });
        }
        Ok(Self {
            storage_class: told.storage_class,
            website_redirect_location: told.website_redirect_location,
            tagging,
            ..source.clone()
        })
    }
}

/// Refuses a copy of an object onto itself that changes nothing. `re_encrypts`: the request asks for
/// other encryption than the object has. A copy of an old version is always a change.
///
/// # Errors
/// `InvalidRequest`.
pub fn check_copy_onto_itself(input: &CopyObjectInput, re_encrypts: bool) -> S3Result<()> {
    let replaces = |directive: Option<&str>| directive == Some("REPLACE");
    let changes = re_encrypts
        || replaces(input.metadata_directive.as_ref().map(|d| d.as_str()))
        || replaces(input.tagging_directive.as_ref().map(|d| d.as_str()))
        || input.storage_class.is_some()
        || input.website_redirect_location.is_some();
    if changes {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "This copy request is illegal because it is trying to copy an object to itself without changing \
         the object's metadata, storage class, website redirect location or encryption attributes."
    ))
}

/// Refuses request headers that try to reach internal metadata.
///
/// # Errors
/// `InvalidArgument`.
pub fn refuse_internal(headers: &HeaderMap) -> S3Result<()> {
    for name in headers.keys() {
        let name = name.as_str();
        let bare = name.strip_prefix("x-amz-meta-").unwrap_or(name);
        if INTERNAL_PREFIXES
            .iter()
            .any(|prefix| bare.starts_with(prefix))
        {
            return Err(s3_error!(
                InvalidArgument,
                "request header {name} is reserved for the server"
            ));
        }
    }
    Ok(())
}

/// Checks a key's length. The protocol layer does so for keys in paths; forms and lists come here.
///
/// # Errors
/// `KeyTooLongError`, `InvalidArgument` for an empty one.
pub fn check_key(key: &str) -> S3Result<()> {
    if key.is_empty() {
        return Err(s3_error!(InvalidArgument, "the object key is empty"));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(s3_error!(KeyTooLongError));
    }
    Ok(())
}

/// `Content-Encoding` of the object itself: `aws-chunked` belongs to the transfer. Kept, it would come
/// back with every download and break those that decode by it.
#[must_use]
pub fn content_encoding(told: Option<&str>) -> Option<String> {
    let kept: Vec<_> = told?
        .split(',')
        .filter(|coding| {
            let coding = coding.trim();
            !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked")
        })
        .collect();
    // With the spaces that the client put: what it told comes back.
    (!kept.is_empty()).then(|| kept.join(",").trim().to_owned())
}

fn storage_class(told: Option<&StorageClass>) -> S3Result<Option<String>> {
    match told.map(StorageClass::as_str) {
        None | Some("" | StorageClass::STANDARD) => Ok(None),
        Some(class) if STORAGE_CLASSES.contains(&class) => Ok(Some(class.to_owned())),
        Some(_) => Err(s3_error!(InvalidStorageClass)),
    }
}

fn user_metadata(told: Option<&Metadata>) -> S3Result<BTreeMap<String, String>> {
    let metadata: BTreeMap<String, String> = told
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let bytes: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > USER_METADATA_BYTES_MAX {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers have {bytes} bytes and exceed the maximum allowed metadata size of \
             {USER_METADATA_BYTES_MAX}."
        ));
    }
    if let Some(name) = metadata
        .keys()
        .find(|n| INTERNAL_PREFIXES.iter().any(|prefix| n.starts_with(prefix)))
    {
        return Err(s3_error!(
            InvalidArgument,
            "user metadata {name} is reserved for the server"
        ));
    }
    // MinIO unpacks such an upload into many objects; kept as one it would silently be something else.
    if metadata
        .get("snowball-auto-extract")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    {
        return Err(s3_error!(
            NotImplemented,
            "archives are not unpacked; leave out x-amz-meta-snowball-auto-extract and upload the files"
        ));
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesson_41_aws_chunked_is_not_stored() {
        assert_eq!(content_encoding(Some("aws-chunked")), None);
        assert_eq!(
            content_encoding(Some("gzip, AWS-Chunked")).as_deref(),
            Some("gzip")
        );
        assert_eq!(
            content_encoding(Some("deflate, gzip,aws-chunked")).as_deref(),
            Some("deflate, gzip")
        );
        assert_eq!(content_encoding(None), None);
    }

    #[test]
    fn lesson_21_internal_metadata_cannot_be_planted() {
        for name in [
            "X-Minio-Internal-Server-Side-Encryption-Iv",
            "x-amz-meta-X-Minio-Internal-a",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                http::HeaderName::try_from(name).unwrap(),
                http::HeaderValue::from_static("x"),
            );
            assert_eq!(
                refuse_internal(&headers).unwrap_err().code().as_str(),
                "InvalidArgument"
            );
        }
        let planted = PutObjectInput {
            metadata: Some([("x-minio-internal-a".to_owned(), "b".to_owned())].into()),
            ..Default::default()
        };
        assert!(ObjectHeaders::from_put_input(&planted).is_err());
        let mut plain = HeaderMap::new();
        plain.insert("x-amz-meta-colour", http::HeaderValue::from_static("red"));
        assert!(refuse_internal(&plain).is_ok());
    }

    #[test]
    fn user_metadata_is_held_to_two_kibibytes() {
        let of = |bytes: usize| {
            ObjectHeaders::from_put_input(&PutObjectInput {
                metadata: Some([("k".to_owned(), "v".repeat(bytes - 1))].into()),
                ..Default::default()
            })
        };
        assert!(of(USER_METADATA_BYTES_MAX).is_ok());
        assert_eq!(
            of(USER_METADATA_BYTES_MAX + 1).unwrap_err().code().as_str(),
            "MetadataTooLarge"
        );
    }

    fn copy() -> CopyObjectInput {
        CopyObjectInput::builder()
            .bucket("b".to_owned())
            .key("k".to_owned())
            .copy_source(s3s::dto::CopySource::parse("bucket/k").unwrap())
            .build()
            .unwrap()
    }

    #[test]
    fn a_copy_takes_metadata_and_tags_as_its_directives_say() {
        let source = ObjectHeaders {
            content_type: Some("text/plain".into()),
            storage_class: Some("GLACIER".into()),
            tagging: Some("a=1".into()),
            ..Default::default()
        };
        let kept = ObjectHeaders::from_copy_input(&copy(), &source).unwrap();
        assert_eq!(
            kept,
            ObjectHeaders {
                storage_class: None,
                ..source.clone()
            }
        );

        let mut input = copy();
        input.content_type = Some("image/png".into());
        input.tagging = Some("b=2".into());
        input.metadata_directive = Some(MetadataDirective::from_static("REPLACE"));
        let replaced = ObjectHeaders::from_copy_input(&input, &source).unwrap();
        assert_eq!(replaced.content_type.as_deref(), Some("image/png"));
        assert_eq!(replaced.tagging.as_deref(), Some("a=1"));
        input.tagging_directive = Some(TaggingDirective::from_static("REPLACE"));
        let replaced = ObjectHeaders::from_copy_input(&input, &source).unwrap();
        assert_eq!(replaced.tagging.as_deref(), Some("b=2"));
    }

    #[test]
    fn a_copy_onto_itself_must_change_something() {
        assert!(check_copy_onto_itself(&copy(), false).is_err());
        assert!(check_copy_onto_itself(&copy(), true).is_ok());
        let mut input = copy();
        input.metadata_directive = Some(MetadataDirective::from_static("REPLACE"));
        assert!(check_copy_onto_itself(&input, false).is_ok());
    }
}
