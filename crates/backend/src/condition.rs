//! Conditions on what the client sees: `If-Match` and its kin, for reads, copies, writes and deletes.
//!
//! Conditions compare client-visible ETags, sizes and times. A write's condition becomes a
//! [`Precondition`] on the generation that was looked at, which the backend checks atomically.

use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    CopyObjectInput, DeleteObjectInput, ETag, ETagCondition, GetObjectInput, HeadObjectInput,
    ObjectIdentifier, Timestamp, TimestampFormat, UploadPartCopyInput,
};
use s3s::{S3Error, S3Result, s3_error};

use crate::object::Generation;
use crate::put::Precondition;

/// Conditions of a read.
#[derive(Clone, Debug, Default)]
pub struct ReadConditions {
    /// `If-Match`
    pub if_match: Option<ETagCondition>,
    /// `If-None-Match`
    pub if_none_match: Option<ETagCondition>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`
    pub if_unmodified_since: Option<Timestamp>,
}

macro_rules! read_conditions {
    ($($input:ty { $m:ident, $nm:ident, $ms:ident, $us:ident }),+ $(,)?) => {$(
        impl From<&$input> for ReadConditions {
            fn from(input: &$input) -> Self {
                Self {
                    if_match: input.$m.clone(),
                    if_none_match: input.$nm.clone(),
                    if_modified_since: input.$ms.clone(),
                    if_unmodified_since: input.$us.clone(),
                }
            }
        }
    )+};
}

read_conditions!(
    GetObjectInput {
        if_match,
        if_none_match,
        if_modified_since,
        if_unmodified_since
    },
    HeadObjectInput {
        if_match,
        if_none_match,
        if_modified_since,
        if_unmodified_since
    },
    CopyObjectInput {
        copy_source_if_match,
        copy_source_if_none_match,
        copy_source_if_modified_since,
        copy_source_if_unmodified_since
    },
    UploadPartCopyInput {
        copy_source_if_match,
        copy_source_if_none_match,
        copy_source_if_modified_since,
        copy_source_if_unmodified_since
    },
);

/// Which condition of a read did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// Match, Unmodified-Since
    Precondition,
    /// None-Match, Modified-Since
    Unchanged,
}

impl ReadConditions {
    /// For GET and HEAD, in the order of RFC 9110 §13.2.2. `etag` is without quotes.
    ///
    /// # Errors
    /// `PreconditionFailed`; `NotModified` with the headers that RFC 9110 §15.4.5 asks for.
    pub fn check_read(&self, etag: &str, last_modified: &Timestamp) -> S3Result<()> {
        match self.failed(etag, last_modified) {
            None => Ok(()),
            Some(Failed::Precondition) => Err(failed()),
            Some(Failed::Unchanged) => {
                let mut error = s3_error!(NotModified);
                let mut headers = HeaderMap::new();
                if let Ok(value) = HeaderValue::try_from(format!("\"{etag}\"")) {
                    headers.insert(ETAG, value);
                }
                let mut date = Vec::new();
                if last_modified
                    .format(TimestampFormat::HttpDate, &mut date)
                    .is_ok()
                    && let Ok(value) = HeaderValue::from_bytes(&date)
                {
                    headers.insert(LAST_MODIFIED, value);
                }
                error.set_headers(headers);
                Err(error)
            }
        }
    }

    /// For the source of a copy, where all that fails is 412.
    ///
    /// # Errors
    /// `PreconditionFailed`.
    pub fn check_copy_source(&self, etag: &str, last_modified: &Timestamp) -> S3Result<()> {
        self.failed(etag, last_modified)
            .map_or(Ok(()), |_| Err(failed()))
    }

    fn failed(&self, etag: &str, last_modified: &Timestamp) -> Option<Failed> {
        // HTTP dates have whole seconds: a fraction would make every object modified since itself.
        let modified = seconds(last_modified);
        if let Some(condition) = &self.if_match {
            if !matches(condition, etag) {
                return Some(Failed::Precondition);
            }
        } else if self
            .if_unmodified_since
            .as_ref()
            .is_some_and(|since| modified > seconds(since))
        {
            return Some(Failed::Precondition);
        }
        if let Some(condition) = &self.if_none_match {
            if matches(condition, etag) {
                return Some(Failed::Unchanged);
            }
        } else if self
            .if_modified_since
            .as_ref()
            .is_some_and(|since| modified <= seconds(since))
        {
            return Some(Failed::Unchanged);
        }
        None
    }
}

/// What a client sees of the newest version of an object that it wants to replace or delete.
#[derive(Clone, Debug)]
pub struct Current<'a> {
    /// Visible ETag without quotes.
    pub etag: &'a str,
    /// Visible size.
    pub size: u64,
    /// When it was last modified.
    pub last_modified: &'a Timestamp,
    /// Its generation.
    pub generation: &'a Generation,
}

/// Conditions of a PutObject, CopyObject or CompleteMultipartUpload on its destination.
#[derive(Clone, Debug, Default)]
pub struct WriteConditions {
    /// `If-Match`
    pub if_match: Option<ETagCondition>,
    /// `If-None-Match`
    pub if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// From the two headers.
    ///
    /// # Errors
    /// `NotImplemented` for `If-None-Match` with an ETag, as S3; `InvalidRequest` for both at once.
    pub fn new(
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
    ) -> S3Result<Self> {
        if if_match.is_some() && if_none_match.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "If-Match and If-None-Match exclude each other"
            ));
        }
        if if_none_match
            .as_ref()
            .is_some_and(|condition| !condition.is_any())
        {
            return Err(s3_error!(
                NotImplemented,
                "If-None-Match of a write takes only *; use If-Match to name an ETag"
            ));
        }
        Ok(Self {
            if_match,
            if_none_match,
        })
    }

    /// True when there is a condition at all: then look at the destination before reading the body, so
    /// that a client learns at once that its write cannot succeed.
    #[must_use]
    pub fn any(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// The condition as the backend checks it, given what is there now.
    ///
    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` when `If-Match` finds nothing.
    pub fn precondition(&self, current: Option<&Current<'_>>) -> S3Result<Precondition> {
        if self.if_none_match.is_some() {
            return if current.is_some() {
                Err(failed())
            } else {
                Ok(Precondition::Absent)
            };
        }
        let Some(condition) = &self.if_match else {
            return Ok(Precondition::None);
        };
        let current = current.ok_or_else(|| s3_error!(NoSuchKey))?;
        if matches(condition, current.etag) {
            Ok(Precondition::Generation(current.generation.clone()))
        } else {
            Err(failed())
        }
    }
}

/// Conditions of a delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteConditions {
    /// `If-Match`, or a key's ETag in a DeleteObjects.
    pub if_match: Option<ETagCondition>,
    /// Size that the object must have.
    pub size: Option<i64>,
    /// Time at which it must have been modified last.
    pub last_modified: Option<Timestamp>,
}

impl From<&DeleteObjectInput> for DeleteConditions {
    fn from(input: &DeleteObjectInput) -> Self {
        Self {
            if_match: input.if_match.clone(),
            size: input.if_match_size,
            last_modified: input.if_match_last_modified_time.clone(),
        }
    }
}

impl From<&ObjectIdentifier> for DeleteConditions {
    fn from(named: &ObjectIdentifier) -> Self {
        // The XML's `*` reaches us as an ETag of one star.
        let if_match = named.e_tag.clone().map(|etag| {
            if etag.value() == "*" {
                ETagCondition::Any
            } else {
                ETagCondition::ETag(etag)
            }
        });
        Self {
            if_match,
            size: named.size,
            last_modified: named.last_modified_time.clone(),
        }
    }
}

impl DeleteConditions {
    /// True when there is a condition at all.
    #[must_use]
    pub fn any(&self) -> bool {
        self.if_match.is_some() || self.size.is_some() || self.last_modified.is_some()
    }

    /// The condition as the backend checks it, given what is there now.
    ///
    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` when there is nothing to hold against the condition.
    pub fn precondition(&self, current: Option<&Current<'_>>) -> S3Result<Precondition> {
        if !self.any() {
            return Ok(Precondition::None);
        }
        let current = current.ok_or_else(|| s3_error!(NoSuchKey))?;
        let holds = self
            .if_match
            .as_ref()
            .is_none_or(|c| matches(c, current.etag))
            && self
                .size
                .is_none_or(|size| u64::try_from(size) == Ok(current.size))
            && self
                .last_modified
                .as_ref()
                .is_none_or(|at| seconds(at) == seconds(current.last_modified));
        if holds {
            Ok(Precondition::Generation(current.generation.clone()))
        } else {
            Err(failed())
        }
    }
}

/// RFC 9110 §8.8.3.2, and S3's indifference to quotes and weakness.
fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(told) => told.value() == etag,
    }
}

fn seconds(at: &Timestamp) -> i64 {
    // Through the text form: the type's own clock library is none of our dependencies.
    let mut text = Vec::new();
    if at.format(TimestampFormat::EpochSeconds, &mut text).is_err() {
        return i64::MIN;
    }
    let text = String::from_utf8_lossy(&text);
    text.split('.')
        .next()
        .and_then(|whole| whole.parse().ok())
        .unwrap_or(i64::MIN)
}

fn failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

/// An ETag as answers show it.
#[must_use]
pub fn strong(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: &str) -> Timestamp {
        Timestamp::parse(TimestampFormat::EpochSeconds, seconds).unwrap()
    }

    fn tag(etag: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(strong(etag)))
    }

    fn read(conditions: &ReadConditions) -> u16 {
        match conditions.check_read("e", &at("1000.5")) {
            Ok(()) => 200,
            Err(error) => error.status_code().unwrap().as_u16(),
        }
    }

    #[test]
    fn reads_follow_rfc_9110_order() {
        let none = ReadConditions::default();
        assert_eq!(read(&none), 200);
        let cases: [(ReadConditions, u16); 9] = [
            (
                ReadConditions {
                    if_match: tag("e"),
                    ..none.clone()
                },
                200,
            ),
            (
                ReadConditions {
                    if_match: tag("x"),
                    ..none.clone()
                },
                412,
            ),
            (
                ReadConditions {
                    if_match: Some(ETagCondition::Any),
                    ..none.clone()
                },
                200,
            ),
            (
                ReadConditions {
                    if_none_match: tag("e"),
                    ..none.clone()
                },
                304,
            ),
            (
                ReadConditions {
                    if_none_match: tag("x"),
                    ..none.clone()
                },
                200,
            ),
            // If-Match true hides If-Unmodified-Since false.
            (
                ReadConditions {
                    if_match: tag("e"),
                    if_unmodified_since: Some(at("1")),
                    ..none.clone()
                },
                200,
            ),
            // If-None-Match true hides If-Modified-Since false.
            (
                ReadConditions {
                    if_none_match: tag("x"),
                    if_modified_since: Some(at("2000")),
                    ..none.clone()
                },
                200,
            ),
            (
                ReadConditions {
                    if_unmodified_since: Some(at("999")),
                    ..none.clone()
                },
                412,
            ),
            // The second of the object itself: not modified since, despite its fraction.
            (
                ReadConditions {
                    if_modified_since: Some(at("1000")),
                    ..none
                },
                304,
            ),
        ];
        for (conditions, expected) in cases {
            assert_eq!(read(&conditions), expected, "{conditions:?}");
        }
    }

    #[test]
    fn not_modified_tells_etag_and_time() {
        let conditions = ReadConditions {
            if_none_match: tag("e"),
            ..Default::default()
        };
        let error = conditions.check_read("e", &at("1000")).unwrap_err();
        let headers = error.headers().unwrap();
        assert_eq!(headers[ETAG], "\"e\"");
        assert_eq!(headers[LAST_MODIFIED], "Thu, 01 Jan 1970 00:16:40 GMT");
        let copy = conditions.check_copy_source("e", &at("1000")).unwrap_err();
        assert_eq!(copy.code().as_str(), "PreconditionFailed");
    }

    #[test]
    fn a_write_condition_becomes_one_on_the_generation() {
        let generation = Generation("g1".into());
        let now = at("1000");
        let current = Current {
            etag: "e",
            size: 3,
            last_modified: &now,
            generation: &generation,
        };
        let code = |r: S3Result<Precondition>| r.unwrap_err().code().as_str().to_owned();

        let create = WriteConditions::new(None, Some(ETagCondition::Any)).unwrap();
        assert_eq!(create.precondition(None).unwrap(), Precondition::Absent);
        assert_eq!(
            code(create.precondition(Some(&current))),
            "PreconditionFailed"
        );

        let replace = WriteConditions::new(tag("e"), None).unwrap();
        let expected = Precondition::Generation(generation.clone());
        assert_eq!(replace.precondition(Some(&current)).unwrap(), expected);
        assert_eq!(code(replace.precondition(None)), "NoSuchKey");
        let other = WriteConditions::new(tag("x"), None).unwrap();
        assert_eq!(
            code(other.precondition(Some(&current))),
            "PreconditionFailed"
        );
        assert!(WriteConditions::new(None, tag("e")).is_err());

        let delete = DeleteConditions {
            size: Some(3),
            ..Default::default()
        };
        assert_eq!(delete.precondition(Some(&current)).unwrap(), expected);
        let delete = DeleteConditions {
            size: Some(4),
            ..Default::default()
        };
        assert_eq!(
            code(delete.precondition(Some(&current))),
            "PreconditionFailed"
        );
        let delete = DeleteConditions {
            last_modified: Some(at("1001")),
            ..Default::default()
        };
        assert_eq!(
            code(delete.precondition(Some(&current))),
            "PreconditionFailed"
        );
        assert_eq!(
            DeleteConditions::default().precondition(None).unwrap(),
            Precondition::None
        );
    }
}
