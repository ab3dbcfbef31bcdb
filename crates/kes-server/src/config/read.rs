//! Taking members out of the YAML tree: text with variables expanded, durations, truth values; and what nobody took.

use std::time::Duration;

use super::yaml::{Node, Place, Value};
use super::{ConfigError, Warning};
use crate::duration;

/// Looks a variable of the environment up.
pub(super) type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

pub(super) struct Reader<'e> {
    environment: &'e Environment<'e>,
    pub(super) warnings: Vec<Warning>,
}

/// A map in the file, and which of its members have been taken.
pub(super) struct Section<'n> {
    path: String,
    pub(super) place: Option<Place>,
    members: Vec<(&'n str, Place, &'n Node)>,
}

/// A scalar and where it stood.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) place: Place,
}

impl<'e> Reader<'e> {
    pub(super) fn new(environment: &'e Environment<'e>) -> Self {
        Self {
            environment,
            warnings: Vec::new(),
        }
    }

    pub(super) fn warn(&mut self, place: Place, message: impl Into<String>) {
        self.warnings.push(Warning {
            place,
            message: message.into(),
        });
    }

    /// The section that a node is; `null` is the empty one.
    pub(super) fn section<'n>(
        &self,
        path: &str,
        node: &'n Node,
    ) -> Result<Section<'n>, ConfigError> {
        let members = match &node.value {
            Value::Null => Vec::new(),
            Value::Map(map) => map.iter().map(|(n, p, v)| (n.as_str(), *p, v)).collect(),
            _ => {
                return Err(ConfigError::at(
                    node.place,
                    format!("kesconf: '{path}' has to be a section of settings"),
                ));
            }
        };
        Ok(Section {
            path: path.to_owned(),
            place: Some(node.place),
            members,
        })
    }

    /// The section of that name; a missing one is empty.
    pub(super) fn subsection<'n>(
        &self,
        section: &mut Section<'n>,
        name: &str,
    ) -> Result<Section<'n>, ConfigError> {
        let path = section.path_of(name);
        match section.take(name) {
            Some((_, node)) => self.section(&path, node),
            None => Ok(Section {
                path,
                place: None,
                members: Vec::new(),
            }),
        }
    }

    /// A scalar with its variable expanded; nothing for `null`.
    pub(super) fn text(
        &self,
        section: &mut Section<'_>,
        name: &str,
    ) -> Result<Option<Text>, ConfigError> {
        let path = section.path_of(name);
        match section.take(name) {
            Some((_, node)) => self.scalar(&path, node),
            None => Ok(None),
        }
    }

    /// A scalar that is more than blanks, under the first of its names that has one: the newest name stands first.
    pub(super) fn filled(
        &self,
        section: &mut Section<'_>,
        names: &[&str],
    ) -> Result<Option<Text>, ConfigError> {
        let mut found = None;
        for name in names {
            let text = self.text(section, name)?;
            found = found.or(text.filter(|t| !t.text.trim().is_empty()));
        }
        Ok(found)
    }

    pub(super) fn scalar(&self, path: &str, node: &Node) -> Result<Option<Text>, ConfigError> {
        let place = node.place;
        match &node.value {
            Value::Null => Ok(None),
            Value::Scalar(text) => Ok(Some(Text {
                text: self.expanded(text, place)?,
                place,
            })),
            _ => Err(ConfigError::at(
                place,
                format!("kesconf: '{path}' has to be a single value"),
            )),
        }
    }

    /// Only a scalar that is wholly `${NAME}` is a variable: passwords may hold dollars.
    fn expanded(&self, text: &str, place: Place) -> Result<String, ConfigError> {
        let name = text
            .trim()
            .strip_prefix("${")
            .and_then(|t| t.strip_suffix('}'));
        match name {
            None => Ok(text.to_owned()),
            Some(name) => (self.environment)(name.trim()).ok_or_else(|| {
                ConfigError::at(
                    place,
                    format!("kesconf: environment variable '{name}' is not set"),
                )
            }),
        }
    }

    /// Scalars of a list, or one alone.
    pub(super) fn texts(
        &self,
        section: &mut Section<'_>,
        name: &str,
        expand: bool,
    ) -> Result<Vec<Text>, ConfigError> {
        let path = section.path_of(name);
        let Some((_, node)) = section.take(name) else {
            return Ok(Vec::new());
        };
        let nodes = match &node.value {
            Value::List(list) => list.as_slice(),
            Value::Null => &[],
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::with_capacity(nodes.len());
        for node in nodes {
            let text = match &node.value {
                Value::Scalar(text) if !expand => Text {
                    text: text.to_string(),
                    place: node.place,
                },
                // An empty entry is kept: whoever takes the list says what is wrong with it.
                _ => self.scalar(&path, node)?.unwrap_or(Text {
                    text: String::new(),
                    place: node.place,
                }),
            };
            texts.push(text);
        }
        Ok(texts)
    }

    pub(super) fn duration(
        &self,
        section: &mut Section<'_>,
        name: &str,
    ) -> Result<Option<Duration>, ConfigError> {
        let path = section.path_of(name);
        let Some(text) = self.text(section, name)? else {
            return Ok(None);
        };
        if text.text.trim().is_empty() {
            return Ok(None);
        }
        match duration::parse(text.text.trim()) {
            Ok((false, duration)) => Ok(Some(duration)),
            Ok((true, _)) => Err(ConfigError::at(
                text.place,
                format!("kesconf: '{path}' must not be negative"),
            )),
            Err(error) => Err(ConfigError::at(
                text.place,
                format!("kesconf: '{path}': {error}"),
            )),
        }
    }

    pub(super) fn flag(&self, section: &mut Section<'_>, name: &str) -> Result<bool, ConfigError> {
        let path = section.path_of(name);
        let Some(text) = self.text(section, name)? else {
            return Ok(false);
        };
        match text.text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "" | "false" | "no" | "off" => Ok(false),
            other => {
                let message = format!("kesconf: '{path}' is '{other}'; write true or false");
                Err(ConfigError::at(text.place, message))
            }
        }
    }

    /// Warns of every member that nobody took.
    pub(super) fn finish(&mut self, section: Section<'_>) {
        for (name, place, _) in &section.members {
            let path = section.path_of(name);
            self.warn(
                *place,
                format!("'{path}' is no known setting and has no effect"),
            );
        }
    }
}

impl<'n> Section<'n> {
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<(Place, &'n Node)> {
        let at = self.members.iter().position(|(n, ..)| *n == name)?;
        let (_, place, node) = self.members.remove(at);
        Some((place, node))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|(n, _, node)| *n == name && !matches!(node.value, Value::Null))
    }

    pub(super) fn peek(&self, name: &str) -> Option<&'n Node> {
        self.members
            .iter()
            .find(|(n, ..)| *n == name)
            .map(|(.., node)| *node)
    }

    /// A section of its own with those of these members that are there.
    pub(super) fn split_off(&mut self, names: &[&str]) -> Self {
        let (taken, kept) = std::mem::take(&mut self.members)
            .into_iter()
            .partition(|(n, ..)| names.contains(n));
        self.members = kept;
        Self {
            path: "keystore".to_owned(),
            place: None,
            members: taken,
        }
    }

    pub(super) fn take_all(&mut self) -> Vec<(&'n str, Place, &'n Node)> {
        std::mem::take(&mut self.members)
    }
}
