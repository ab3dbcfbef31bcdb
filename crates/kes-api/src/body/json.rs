//! The dialect of JSON that KES speaks.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::base64;
use crate::secret::Secret;

/// A body that does not read. Servers answer a fixed sentence and log this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// No JSON, or of another form.
    #[error("body is not of the expected JSON form: {0}")]
    Json(#[source] serde_json::Error),
    /// More entries than a request may have.
    #[error("more than {max} entries")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// Reads a body.
pub trait FromJson: Sized {
    /// Reads the first JSON value of the body and ignores the rest.
    ///
    /// # Errors
    /// [`BodyError`].
    fn from_json(body: &[u8]) -> Result<Self, BodyError>;
}

/// Writes a body.
pub trait ToJson {
    /// The body, newline included, in a buffer that is wiped when dropped: it may hold secrets.
    /// (`bytes::Bytes::from_owner` keeps that promise.)
    fn to_json(&self) -> Zeroizing<Vec<u8>>;
}

/// A struct whose members are read one by one.
pub(crate) trait Members: Default {
    /// Takes the value of the member out of the map; `false` when it has no such member. `name` is in lower case.
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A)
    -> Result<bool, A::Error>;
}

impl<T: Members> FromJson for T {
    fn from_json(body: &[u8]) -> Result<Self, BodyError> {
        // Not `from_slice`, which refuses what follows the value.
        let mut reader = serde_json::Deserializer::from_slice(body);
        Object(PhantomData)
            .deserialize(&mut reader)
            .map_err(BodyError::Json)
    }
}

/// Reads an object of [`Members`]; `null` is the zero object.
pub(crate) struct Object<T>(pub(crate) PhantomData<T>);

impl<'de, T: Members> DeserializeSeed<'de> for Object<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Members> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let lower: Cow<'_, str> = if name.bytes().any(|b| b.is_ascii_uppercase()) {
                name.to_ascii_lowercase().into()
            } else {
                name
            };
            if !object.member(&lower, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// Reads an array of objects; `null` is the empty one. `max` bounds it.
pub(crate) struct Objects<T> {
    pub(crate) max: usize,
    pub(crate) of: PhantomData<T>,
}

/// Said by [`Objects`] when there are too many; found again by its text, since serde errors carry nothing else.
pub(crate) const TOO_MANY: &str = "too many entries";

impl<'de, T: Members> DeserializeSeed<'de> for Objects<T> {
    type Value = Vec<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Members> Visitor<'de> for Objects<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element_seed(Object(PhantomData))? {
            if all.len() == self.max {
                return Err(serde::de::Error::custom(TOO_MANY));
            }
            all.push(one);
        }
        Ok(all)
    }
}

/// Reads a string member; `null` is empty.
pub(crate) fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<String, A::Error> {
    Ok(map.next_value::<Option<String>>()?.unwrap_or_default())
}

/// Reads a string member where empty means absent.
pub(crate) fn optional_text<'de, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<Option<String>, A::Error> {
    Ok(map
        .next_value::<Option<String>>()?
        .filter(|text| !text.is_empty()))
}

/// Reads a boolean or a number; `null` is its zero.
pub(crate) fn plain<'de, T: Deserialize<'de> + Default, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

/// Reads a base64 member that is no secret.
pub(crate) fn bytes<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<u8>, A::Error> {
    Ok(std::mem::take(&mut *secret(map)?.into_exposed()))
}

/// Reads a base64 member that is a secret.
///
/// The text is decoded where it lies in the body; only a text with escapes passes through a buffer of the JSON reader.
pub(crate) fn secret<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Secret, A::Error> {
    struct Base64;

    impl<'de> DeserializeSeed<'de> for Base64 {
        type Value = Secret;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
            deserializer.deserialize_any(self)
        }
    }

    impl Visitor<'_> for Base64 {
        type Value = Secret;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("base64 text")
        }

        fn visit_unit<E>(self) -> Result<Secret, E> {
            Ok(Secret::empty())
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
            base64::decode(text).map(Secret::new).map_err(E::custom)
        }
    }

    map.next_value_seed(Base64)
}

/// Reads a time. The zero of the original, `0001-01-01T00:00:00Z`, is `None`.
pub(crate) fn time<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Timestamp>, A::Error> {
    let Some(text) = optional_text(map)? else {
        return Ok(None);
    };
    let time: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok((time.to_string() != ZERO_TIME).then_some(time))
}

/// Reads a set of patterns: an object of empty objects today, an array of strings before 2023-02.
pub(crate) fn patterns<'de, A: MapAccess<'de>>(map: &mut A) -> Result<BTreeSet<String>, A::Error> {
    struct Patterns;

    impl<'de> DeserializeSeed<'de> for Patterns {
        type Value = BTreeSet<String>;
        fn deserialize<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }

    impl<'de> Visitor<'de> for Patterns {
        type Value = BTreeSet<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("patterns")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeSet::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeSet::new();
            while let Some(pattern) = seq.next_element()? {
                all.insert(pattern);
            }
            Ok(all)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeSet::new();
            while let Some((pattern, IgnoredAny)) = map.next_entry()? {
                all.insert(pattern);
            }
            Ok(all)
        }
    }

    map.next_value_seed(Patterns)
}

/// The zero time of the original, sent where there is none.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Writes a time: RFC 3339, UTC, up to nanoseconds.
pub(crate) fn write_time<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_str(ZERO_TIME),
    }
}

/// Writes base64.
pub(crate) fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64::encode(bytes))
}

/// Writes base64 of a secret.
pub(crate) fn write_secret<S: Serializer>(
    secret: &Secret,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64::encode_secret(secret.expose()))
}

/// Writes a set of patterns as an object of empty objects.
pub(crate) fn write_patterns<S: Serializer>(
    patterns: &BTreeSet<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Empty {}
    serializer.collect_map(patterns.iter().map(|pattern| (pattern, Empty {})))
}

/// A growing buffer that wipes what it leaves behind.
#[derive(Default)]
struct WipedBuffer(Zeroizing<Vec<u8>>);

impl io::Write for WipedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(
                needed.max(2 * self.0.capacity()).max(256),
            ));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a body that may hold secrets.
pub(crate) fn wiped_json_line<T: Serialize>(body: &T) -> Zeroizing<Vec<u8>> {
    let mut buffer = WipedBuffer::default();
    // Neither our types nor a buffer in memory can fail; a failure would show as an empty body.
    if serde_json::to_writer(&mut buffer, body).is_err() {
        return Zeroizing::new(Vec::new());
    }
    let mut json = match escape_html(&buffer.0) {
        Some(escaped) => escaped,
        None => buffer.0,
    };
    if json.len() == json.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(json.len() + 1));
        larger.extend_from_slice(&json);
        json = larger;
    }
    json.push(b'\n');
    json
}

/// Writes a body whose members are all base64: what goes out most, and has nothing to escape.
pub(crate) fn wiped_base64_line(members: &[(&str, &[u8])]) -> Zeroizing<Vec<u8>> {
    /// `"":"",` around a name and its text.
    const AROUND_MEMBER: usize = 6;
    /// `{}`, and the end of the line.
    const AROUND_ALL: usize = 3;
    let bytes: usize = members
        .iter()
        .map(|(name, value)| AROUND_MEMBER + name.len() + base64::encoded_len(value))
        .sum();
    // Reserved in full: a buffer that grew would leave copies behind.
    let mut json = Zeroizing::new(Vec::with_capacity(AROUND_ALL + bytes));
    json.push(b'{');
    for (at, (name, value)) in members.iter().enumerate() {
        json.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\":\"");
        base64::encode_onto(value, &mut json);
        json.push(b'"');
    }
    json.extend_from_slice(b"}\n");
    json
}

/// Writes a body without secrets.
pub(crate) fn json_line<T: Serialize>(body: &T) -> Vec<u8> {
    std::mem::take(&mut *wiped_json_line(body))
}

/// Escapes what the original encoder escapes; such bytes stand in strings only. `None` when there is none of them.
fn escape_html(json: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let is_odd = |b: &u8| matches!(b, b'<' | b'>' | b'&' | 0xe2);
    if !json.iter().any(is_odd) {
        return None;
    }
    let mut escaped = Zeroizing::new(Vec::with_capacity(json.len() * 6));
    let mut rest = json;
    while let Some((&byte, tail)) = rest.split_first() {
        let (out, taken): (&[u8], usize) = match byte {
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            0xe2 if tail.starts_with(&[0x80, 0xa8]) => (b"\\u2028", 3),
            0xe2 if tail.starts_with(&[0x80, 0xa9]) => (b"\\u2029", 3),
            _ => (&rest[..1], 1),
        };
        escaped.extend_from_slice(out);
        rest = &rest[taken..];
    }
    Some(escaped)
}
