//! Encryption contexts: what a data key is bound to.
//!
//! The text that the KMS authenticates is a JSON object with sorted members. Ours is the text that MinIO sends today,
//! byte for byte, so that either opens what the other stored.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::path::ObjectPath;

/// Most bytes of a context's canonical text: S3 limits all headers of a request to 8 KiB.
pub const CONTEXT_BYTES_MAX: usize = 8 * 1024;
/// Most members of a context; more would not fit in the bytes with names worth having.
pub const CONTEXT_MEMBERS_MAX: usize = 256;
/// Members that start so are ours: clients may not send them.
pub const RESERVED_PREFIX: &str = "strongroom:";
/// The member that marks a data key of a whole bucket.
const BUCKET_KEY_MEMBER: (&str, &str) = ("strongroom:bucket-key", "v1");
/// The member that marks the key of our own records.
const STATE_KEY_MEMBER: (&str, &str) = ("strongroom:state-key", "v1");

/// What is wrong with a client's context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// The header is no base64.
    #[error("the encryption context is not valid base64")]
    NotBase64,
    /// It is not a JSON object of strings, or has a member twice.
    #[error("the encryption context is not a JSON object of strings with each member once")]
    NotJson,
    /// It has a member of ours.
    #[error(
        "the encryption context has the member {member:?}: names that start with \"strongroom:\" are reserved"
    )]
    Reserved {
        /// Its name.
        member: String,
    },
    /// It is over a limit.
    #[error("the encryption context has {count} {what}, at most {most} are possible")]
    TooLarge {
        /// Bytes or members.
        what: &'static str,
        /// As sent.
        count: usize,
        /// The limit.
        most: usize,
    },
}

/// Names and values, sorted bytewise by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    /// A context without members, `{}`.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads the value of `x-amz-server-side-encryption-context`: base64 of a JSON object of strings.
    ///
    /// # Errors
    /// It is not that, is too large, or has a member that is reserved.
    pub fn parse_client(header: &str) -> Result<Self, ContextError> {
        // Escapes make text longer, so a header this long cannot come from a text within the limit.
        let most = CONTEXT_BYTES_MAX.div_ceil(3) * 4;
        if header.len() > most {
            return Err(ContextError::TooLarge {
                what: "bytes",
                count: header.len(),
                most,
            });
        }
        let json = STANDARD
            .decode(header)
            .map_err(|_| ContextError::NotBase64)?;
        let context = Self::parse_json(&json)?;
        context.check_client()?;
        Ok(context)
    }

    /// Reads a JSON object of strings with each member once.
    ///
    /// # Errors
    /// It is not that.
    pub fn parse_json(json: &[u8]) -> Result<Self, ContextError> {
        serde_json::from_slice(json).map_err(|_| ContextError::NotJson)
    }

    /// Checks a context that a client sent, however it came.
    ///
    /// # Errors
    /// It is too large or has a member that is reserved.
    pub fn check_client(&self) -> Result<(), ContextError> {
        if let Some(member) = self
            .0
            .keys()
            .find(|member| member.starts_with(RESERVED_PREFIX))
        {
            return Err(ContextError::Reserved {
                member: member.clone(),
            });
        }
        self.check_limits()
    }

    pub(crate) fn check_limits(&self) -> Result<(), ContextError> {
        let (members, bytes) = (self.0.len(), self.canonical().len());
        if members > CONTEXT_MEMBERS_MAX {
            let most = CONTEXT_MEMBERS_MAX;
            return Err(ContextError::TooLarge {
                what: "members",
                count: members,
                most,
            });
        }
        if bytes > CONTEXT_BYTES_MAX {
            let most = CONTEXT_BYTES_MAX;
            return Err(ContextError::TooLarge {
                what: "bytes",
                count: bytes,
                most,
            });
        }
        Ok(())
    }

    /// The context of an object's own data key: the client's members, and `bucket` = `bucket/key` (cleaned) unless the
    /// client has a member of that name.
    ///
    /// SSE-S3 has no client's members.
    #[must_use]
    pub fn for_object(client: &Self, path: &ObjectPath<'_>) -> Self {
        let mut members = client.0.clone();
        members
            .entry(path.bucket().to_owned())
            .or_insert_with(|| path.cleaned());
        Self(members)
    }

    /// The context of a data key that serves a bucket for a while: as for an object, but `bucket` = `bucket`, and a
    /// reserved member that no object's context has.
    #[must_use]
    pub fn for_bucket_key(client: &Self, bucket: &str) -> Self {
        let mut members = client.0.clone();
        members
            .entry(bucket.to_owned())
            .or_insert_with(|| bucket.to_owned());
        let (name, value) = BUCKET_KEY_MEMBER;
        members.insert(name.to_owned(), value.to_owned());
        Self(members)
    }

    /// The context of the state key, `{"strongroom:state-key":"v1"}`.
    #[must_use]
    pub fn for_state_key() -> Self {
        let (name, value) = STATE_KEY_MEMBER;
        Self::from_iter([(name, value)])
    }

    /// The text that is authenticated: JSON without spaces, members sorted bytewise, `{}` if there are none.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.render(escape)
    }

    /// The text that MinIO authenticated before 2021: the same without any escaping.
    ///
    /// Worth a second try where opening under [`canonical`](Self::canonical) fails and the two differ.
    #[must_use]
    pub fn unescaped(&self) -> String {
        self.render(|text, raw| text.push_str(raw))
    }

    fn render(&self, mut put: impl FnMut(&mut String, &str)) -> String {
        let mut text = String::from("{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            text.push_str(if index == 0 { "\"" } else { ",\"" });
            put(&mut text, name);
            text.push_str("\":\"");
            put(&mut text, value);
            text.push('"');
        }
        text.push('}');
        text
    }

    /// Members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A member's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As Go's `encoding/json` escaped in 2021, which the sealed data keys are bound to.
fn escape(text: &mut String, raw: &str) {
    for c in raw.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Context {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        Self(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Context;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Context, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    // Two readers could choose differently between two values.
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                }
                Ok(Context(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests;
