//! The K/V engine: <https://openbao.org/api-docs/secret/kv/kv-v1/> and <https://openbao.org/api-docs/secret/kv/kv-v2/>.
//!
//! An entry here has one field, and its first version is its only one.

use std::collections::HashMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::client::{Payload, Request, Verb};
use crate::error::VaultError;
use crate::path::{Mount, Path};
use crate::secret::Secret;
use crate::session::Session;

/// Entries are written once, so the version that counts is the first.
const FIRST_VERSION: &[(&str, &str)] = &[("version", "1")];
/// How Vault says that a version number did not match.
const CAS_FAILED: &str = "check-and-set";
/// Room for what surrounds a value in a request.
const ENTRY_BYTES_SPARE: usize = 1 << 10;

/// Versions of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvVersion {
    /// Unversioned, without atomic create.
    V1,
    /// Versioned, with check-and-set.
    V2,
}

impl fmt::Display for KvVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "K/V version 1",
            Self::V2 => "K/V version 2",
        })
    }
}

/// A K/V engine.
#[derive(Debug, Clone)]
pub struct Kv {
    /// Where it lies.
    pub mount: Mount,
    /// Which one it is.
    pub version: KvVersion,
}

/// What lies at a path.
#[derive(Debug)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// Nothing that can be read, but its metadata is kept: no entry can be created there.
    Deleted,
    /// An entry without the field, or with something else than a text in it.
    Unusable,
    /// The field.
    Value(Secret),
}

/// What became of a new entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was created.
    Created,
    /// There was one already, which is unchanged.
    Taken,
}

/// Fields of an entry. Foreign ones hold anything.
type Fields = HashMap<String, Field>;

enum Field {
    Other,
    Text(Secret),
}

#[derive(Deserialize)]
struct Versioned {
    data: Option<Fields>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

/// What version 2 tells of an entry that it wrote.
#[derive(Deserialize)]
struct Made {
    #[serde(rename = "version")]
    _version: u64,
}

struct OneField<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct NewEntry<'a> {
    options: Options,
    data: OneField<'a>,
}

#[derive(Serialize)]
struct Options {
    /// The version that the entry must have now; zero: none.
    cas: u32,
}

impl Kv {
    /// Where the value of `path` is read and written, below `/v1/`.
    #[must_use]
    pub fn data_path(&self, path: &Path) -> Path {
        self.below("data", path)
    }

    /// Where `path` is listed and deleted.
    #[must_use]
    pub fn metadata_path(&self, path: &Path) -> Path {
        self.below("metadata", path)
    }

    fn below(&self, half: &'static str, path: &Path) -> Path {
        match self.version {
            KvVersion::V1 => self.mount.path.join(path),
            KvVersion::V2 => self.mount.path.and(half).join(path),
        }
    }

    /// Reads one field of an entry.
    ///
    /// # Errors
    /// Vault does not answer, or refuses.
    pub async fn read(
        &self,
        session: &Session,
        path: &Path,
        field: &str,
    ) -> Result<Entry, VaultError> {
        let at = self.data_path(path);
        let mut request = Request::new(Verb::Read, &self.mount.namespace, &at);
        if self.version == KvVersion::V2 {
            request = request.query(FIRST_VERSION);
        }
        let answer = session.call(request).await?;
        let fields = match self.version {
            KvVersion::V1 if answer.is_missing() => return Ok(Entry::Absent),
            KvVersion::V1 => answer.data::<Option<Fields>>()?.unwrap_or_default(),
            // What was deleted is told with a 404 that has data: about what was there.
            KvVersion::V2 if answer.is_missing() => {
                let is_told = answer.data::<Versioned>().is_ok();
                return Ok(if is_told {
                    Entry::Deleted
                } else {
                    Entry::Absent
                });
            }
            KvVersion::V2 => match answer.data::<Versioned>()?.data {
                Some(fields) => fields,
                None => return Ok(Entry::Deleted),
            },
        };
        Ok(pick(fields, field))
    }

    /// Creates an entry of one field. With version 2 an existing one is never overwritten; with version 1 the caller has
    /// to look first.
    ///
    /// # Errors
    /// Vault does not answer, or refuses. A login that may create but not update is *denied* where an entry exists.
    pub async fn write_new(
        &self,
        session: &Session,
        path: &Path,
        field: &str,
        value: &str,
    ) -> Result<Written, VaultError> {
        let at = self.data_path(path);
        let data = OneField { name: field, value };
        let size = json_size(field) + json_size(value) + ENTRY_BYTES_SPARE;
        let payload = match self.version {
            KvVersion::V1 => Payload::json(&data, size)?,
            KvVersion::V2 => {
                let options = Options { cas: 0 };
                Payload::json(&NewEntry { options, data }, size)?
            }
        };
        let request = Request::new(Verb::Put, &self.mount.namespace, &at).body(&payload);
        match session.call(request).await {
            // "Not there" in answer to a write: no engine of this version lies there.
            Ok(answer) if answer.is_missing() => Err(self.wrong_engine()),
            // Version 2 answers with the version it made; version 1 has nothing to say.
            Ok(answer) if self.version == KvVersion::V2 && answer.status == 204 => {
                Err(self.wrong_engine())
            }
            Ok(answer) => {
                match self.version {
                    KvVersion::V1 => answer.done()?,
                    KvVersion::V2 => answer.data::<Made>().map(|_| ())?,
                }
                Ok(Written::Created)
            }
            Err(VaultError::Refused {
                status: 400, said, ..
            }) if said.contains(CAS_FAILED) => Ok(Written::Taken),
            Err(error) => Err(error),
        }
    }

    /// Removes an entry with all its versions. Vault does not tell whether there was one.
    ///
    /// # Errors
    /// Vault does not answer, or refuses.
    pub async fn remove(&self, session: &Session, path: &Path) -> Result<(), VaultError> {
        let at = self.metadata_path(path);
        let request = Request::new(Verb::Delete, &self.mount.namespace, &at);
        let answer = session.call(request).await?;
        if answer.is_missing() {
            return Ok(());
        }
        answer.done()
    }

    /// The names of all entries right below a folder, in any order. Folders in it are not among them.
    ///
    /// # Errors
    /// Vault does not answer, or refuses.
    pub async fn list(&self, session: &Session, folder: &Path) -> Result<Vec<String>, VaultError> {
        let at = self.metadata_path(folder);
        let request = Request::new(Verb::List, &self.mount.namespace, &at);
        let answer = session.call(request).await?;
        if answer.is_missing() {
            return Ok(Vec::new());
        }
        let mut names = answer.data::<Keys>()?.keys;
        names.retain(|name| !name.ends_with('/'));
        Ok(names)
    }

    /// Is the engine there the one that the settings name? What Vault does not tell is believed.
    ///
    /// # Errors
    /// It is another, or Vault does not answer.
    pub async fn check(&self, session: &Session) -> Result<(), VaultError> {
        match session.kv_version(&self.mount).await? {
            Some(version) if version != self.version => Err(VaultError::Config(format!(
                "the engine at '{}' of Vault is {version}, and the configuration says {}: set the version of the key store to the engine's",
                self.mount.path, self.version
            ))),
            _ => Ok(()),
        }
    }

    fn wrong_engine(&self) -> VaultError {
        VaultError::Config(format!(
            "the engine at '{}' of Vault is not {}: check engine and version of the key store",
            self.mount.path, self.version
        ))
    }
}

fn pick(mut fields: Fields, field: &str) -> Entry {
    match fields.remove(field) {
        Some(Field::Text(text)) => Entry::Value(text),
        Some(Field::Other) => Entry::Unusable,
        // An entry that was emptied holds no key; one with other fields is somebody else's.
        None if fields.is_empty() => Entry::Absent,
        None => Entry::Unusable,
    }
}

/// An upper bound of a text's size in JSON: control characters are written as six bytes.
fn json_size(text: &str) -> usize {
    let size = |byte: u8| {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            6
        } else {
            1
        }
    };
    text.bytes().map(size).sum()
}

impl Serialize for OneField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name, self.value)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

/// Takes texts and passes over everything else, so that a foreign entry is no broken answer.
struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(Secret::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Field, E> {
        Ok(Field::Text(Secret::new(Zeroizing::new(text))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_entries_are_unusable_and_not_broken() {
        let picked = |json| pick(serde_json::from_str(json).unwrap(), "k");
        assert!(matches!(picked(r#"{"k":"v","n":1}"#), Entry::Value(v) if v.expose() == "v"));
        assert!(matches!(picked("{}"), Entry::Absent));
        for json in [
            r#"{"other":"v"}"#,
            r#"{"k":1}"#,
            r#"{"k":-1.5}"#,
            r#"{"k":null}"#,
            r#"{"k":[1,[2]]}"#,
            r#"{"k":{"a":{}}}"#,
            r#"{"k":true}"#,
        ] {
            assert!(matches!(picked(json), Entry::Unusable), "{json}");
        }
    }

    #[test]
    fn the_size_of_a_json_text_is_never_too_small() {
        for text in ["", "plain", "\u{0}\u{1f}\"\\/é\n", "\u{7f}\u{2028}😀"] {
            assert!(serde_json::to_string(text).unwrap().len() <= json_size(text) + 2);
        }
    }
}
