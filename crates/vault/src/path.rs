//! Where things lie in Vault.

use std::fmt;

use crate::error::VaultError;

/// A path below `/v1/`: parts without slashes, none empty, none `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path(Vec<String>);

impl Path {
    /// Parses `a/b/c`; empty parts are dropped, as Vault's own tools do.
    ///
    /// # Errors
    /// A part is `.` or `..`, or has a control character.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let parts: Vec<String> = text
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        let is_bad = |part: &String| part == "." || part == ".." || part.contains(char::is_control);
        if parts.iter().any(is_bad) {
            return Err(VaultError::Config(format!(
                "path {text:?} has a part that Vault cannot hold: use names without '.', '..' and control characters"
            )));
        }
        Ok(Self(parts))
    }

    /// A path that is known at compile time.
    pub(crate) fn of(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// This path and another below it.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// This path and one part below it.
    ///
    /// # Errors
    /// As [`Self::parse`]; a slash in it makes several parts.
    pub fn with(&self, part: &str) -> Result<Self, VaultError> {
        Ok(self.join(&Self::parse(part)?))
    }

    pub(crate) fn and(&self, part: &'static str) -> Self {
        self.join(&Self::of(&[part]))
    }

    /// Has it no parts?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// A namespace; none is the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespace(Option<String>);

impl Namespace {
    /// The root.
    pub const ROOT: Self = Self(None);

    /// Parses `team/a`; empty and `/` are the root.
    ///
    /// # Errors
    /// It cannot be sent in a header.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let path = Path::parse(text)?.to_string();
        if path.is_empty() {
            return Ok(Self::ROOT);
        }
        if http::HeaderValue::from_str(&path).is_err() {
            return Err(VaultError::Config(format!(
                "namespace {text:?} cannot be sent to Vault: use ASCII letters, digits, '-', '_' and '/'"
            )));
        }
        Ok(Self(Some(path)))
    }

    /// Its text, where it is not the root.
    #[must_use]
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Where an engine is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// In which namespace.
    pub namespace: Namespace,
    /// At which path.
    pub path: Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parts_of_a_path_are_dropped() {
        assert_eq!(
            Path::parse("/a//b/").map(|p| p.to_string()),
            Ok("a/b".to_owned())
        );
        assert!(Path::parse("").is_ok_and(|p| p.is_empty()));
    }

    #[test]
    fn a_path_cannot_climb() {
        for text in ["..", "a/../b", "./a", "a\nb"] {
            assert!(
                matches!(Path::parse(text), Err(VaultError::Config(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_slash_is_the_root_namespace() {
        assert_eq!(Namespace::parse("/"), Ok(Namespace::ROOT));
        assert_eq!(
            Namespace::parse("/team/a/").map(|n| n.as_deref().map(str::to_owned)),
            Ok(Some("team/a".to_owned()))
        );
        assert!(Namespace::parse("tëam\u{7f}").is_err());
    }
}
