//! YAML as a tree that remembers where everything stood and how scalars were spelt.
//!
//! KES reads `on`, `7373` and `true` as text where text is wanted, so a scalar keeps its source. Unknown members are
//! told with line and column, which a derived reader cannot do for all of them at once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use zeroize::Zeroizing;

/// Where something stands in the file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    /// Any of them may be a password.
    Scalar(Zeroizing<String>),
    List(Vec<Node>),
    Map(Vec<(String, Place, Node)>),
}

/// Reads one document; an empty one is an empty map.
pub(super) fn parse(text: &str) -> Result<Node, serde_saphyr::Error> {
    // An error would quote the lines around it, and with them passwords and tokens.
    let options = serde_saphyr::options! { with_snippet: false };
    let raw: Option<Spanned<Raw>> = serde_saphyr::from_str_with_options(text, options)?;
    Ok(match raw {
        Some(raw) => resolve(raw, text),
        None => Node {
            place: Place { line: 1, column: 1 },
            value: Value::Null,
        },
    })
}

enum Raw {
    Null,
    Text(String),
    /// A scalar that YAML takes for a number or a truth value; its source is looked up.
    Typed(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(Raw::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = map.next_entry()? {
            all.push(entry);
        }
        Ok(Raw::Map(all))
    }
}

fn resolve(raw: Spanned<Raw>, text: &str) -> Node {
    let place = Place {
        line: raw.referenced.line(),
        column: raw.referenced.column(),
    };
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(scalar) => Value::Scalar(scalar.into()),
        Raw::Typed(value) => Value::Scalar(source(&raw.defined, text).unwrap_or(value).into()),
        Raw::List(list) => Value::List(list.into_iter().map(|n| resolve(n, text)).collect()),
        Raw::Map(map) => Value::Map(
            map.into_iter()
                .map(|(name, node)| {
                    let at = &name.referenced;
                    let at = Place {
                        line: at.line(),
                        column: at.column(),
                    };
                    (name.value, at, resolve(node, text))
                })
                .collect(),
        ),
    };
    Node { place, value }
}

fn source(location: &Location, text: &str) -> Option<String> {
    let span = location.span();
    let from = usize::try_from(span.byte_offset()?).ok()?;
    let bytes = usize::try_from(span.byte_len()?).ok()?;
    Some(text.get(from..from + bytes)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member<'n>(node: &'n Node, name: &str) -> &'n Node {
        let Value::Map(map) = &node.value else {
            panic!("{node:?} is no map")
        };
        &map.iter().find(|(n, ..)| n == name).unwrap().2
    }

    #[test]
    fn scalars_keep_their_spelling_and_everything_its_place() {
        let text =
            "a: on\nb: 7373\nc: true\nd: \"x\"\ne:\nf: 0x1F\ng: 1.50\nh: [1, é]\n7: seven\ni: ~\n";
        let root = parse(text).unwrap();
        for (name, spelt) in [
            ("a", "on"),
            ("b", "7373"),
            ("c", "true"),
            ("d", "x"),
            ("f", "0x1F"),
            ("g", "1.50"),
            ("7", "seven"),
        ] {
            let Value::Scalar(found) = &member(&root, name).value else {
                panic!("{name}")
            };
            assert_eq!(found.as_str(), spelt, "{name}");
        }
        assert!(matches!(member(&root, "e").value, Value::Null));
        assert!(matches!(member(&root, "i").value, Value::Null));
        assert_eq!(member(&root, "b").place, Place { line: 2, column: 4 });
        let Value::List(list) = &member(&root, "h").value else {
            panic!()
        };
        assert!(matches!(&list[1].value, Value::Scalar(s) if s.as_str() == "é"));
    }

    #[test]
    fn an_error_tells_the_place_and_quotes_nothing() {
        for broken in [
            "tls:\n  password: geheim\n  key: [\n",
            "tls:\n  password: \"geheim\n",
            "tls:\n  password: geheim: x\n",
            "tls:\n  password: geheim\n  password: geheim\n",
        ] {
            let error = parse(broken).unwrap_err();
            let (shown, debug) = (error.to_string(), format!("{error:?}"));
            assert!(shown.contains("line "), "{shown}");
            assert!(!shown.contains("geheim"), "{shown}");
            assert!(!debug.contains("geheim"), "{debug}");
        }
    }

    #[test]
    fn an_empty_document_is_empty_and_a_broken_one_an_error() {
        assert!(matches!(parse("").unwrap().value, Value::Null));
        assert!(matches!(
            parse("# only a comment\n").unwrap().value,
            Value::Null
        ));
        assert!(parse("a: [").is_err());
        assert!(parse("a: 1\na: 2\n").is_err(), "a key that is given twice");
    }
}
