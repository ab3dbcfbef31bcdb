//! Names of keys, policies and identities, and the patterns that list them: checked when made.

use std::fmt;

use crate::identity::Identity;

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 80;

/// Names in one page of a listing, as upstream KES cuts them.
pub const PAGE_NAMES_MAX: usize = 1024;

/// What a refused name was meant to name; it decides the wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// An identity.
    Identity,
    /// A key.
    Key,
    /// A list pattern.
    Pattern,
    /// A policy.
    Policy,
}

/// A name or pattern that breaks the rules. Its text is the message that KES clients know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    /// What it was meant to be.
    pub kind: NameKind,
    /// The refused text.
    pub given: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = &self.given;
        match self.kind {
            NameKind::Identity => {
                write!(
                    f,
                    "identity '{given}' is empty, too long or contains invalid characters"
                )
            }
            NameKind::Key => {
                write!(
                    f,
                    "key name '{given}' is empty, too long or contains invalid characters"
                )
            }
            NameKind::Pattern => {
                write!(
                    f,
                    "listing pattern '{given}' is empty, too long or is invalid"
                )
            }
            NameKind::Policy => {
                write!(
                    f,
                    "policy name '{given}' is empty, too long or contains invalid characters"
                )
            }
        }
    }
}

impl std::error::Error for NameError {}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The rule that every server ever accepted at least for reading: 1 to 80 of `0-9 A-Z a-z _ -`.
fn is_readable_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(is_name_byte)
}

/// The rule of today for new names: not the single `_`, and `-` neither first nor last.
fn is_creatable_name(text: &str) -> bool {
    is_readable_name(text) && text != "_" && !text.starts_with('-') && !text.ends_with('-')
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// A name as older servers accepted it too (`-` anywhere, a lone `_`): for all that exists already.
            ///
            /// # Errors
            /// [`NameError`] with the wording that clients know.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if is_readable_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { kind: $kind, given: text.to_owned() })
                }
            }

            /// A name for something new, by today's rule.
            ///
            /// # Errors
            /// [`NameError`] with the wording that clients know.
            pub fn for_create(text: &str) -> Result<Self, NameError> {
                if is_creatable_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { kind: $kind, given: text.to_owned() })
                }
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

name_type!(
    /// Name of a key.
    KeyName,
    NameKind::Key
);
name_type!(
    /// Name of a policy.
    PolicyName,
    NameKind::Policy
);
name_type!(
    /// An identity as a path or a configuration file spells it. It need not be a hash: [`crate::Identity`] is.
    IdentityName,
    NameKind::Identity
);

impl IdentityName {
    /// The hash, when the name is one.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.as_str().parse().ok()
    }
}

impl From<Identity> for IdentityName {
    fn from(identity: Identity) -> Self {
        // 64 hexadecimal digits always are a readable name.
        Self(identity.to_string().into())
    }
}

/// What a listing asks for: a prefix, and perhaps where to go on.
///
/// Upstream's token is the next *name*, which comes back as the pattern and is read as a *prefix*, so its long listings
/// stop early. Ours is `<prefix>*<next-name>`: it starts with the prefix, so policies that grant `…/list/<prefix>*`
/// match, and `*` can be no byte of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPattern {
    prefix: String,
    resume_at: Option<String>,
}

impl ListPattern {
    /// Everything, from the start.
    #[must_use]
    pub fn all() -> Self {
        Self {
            prefix: String::new(),
            resume_at: None,
        }
    }

    /// Reads the argument of a list route: empty, `*`, `foo`, `foo*`, or a token of ours. `foo` and `foo*` both mean
    /// the prefix `foo`; a trailing `-` is welcome, though upstream refuses it.
    ///
    /// # Errors
    /// [`NameError`] with the wording that clients know.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = || NameError {
            kind: NameKind::Pattern,
            given: text.to_owned(),
        };
        let (prefix, rest) = match text.split_once('*') {
            Some((prefix, rest)) => (prefix, rest),
            None => (text, ""),
        };
        if prefix.len() > NAME_BYTES_MAX || !prefix.bytes().all(is_name_byte) {
            return Err(refuse());
        }
        if rest.is_empty() {
            return Ok(Self {
                prefix: prefix.to_owned(),
                resume_at: None,
            });
        }
        // A token resumes inside its own prefix: `a*b` is no token, and was never a valid pattern.
        if !is_readable_name(rest)
            || !rest.starts_with(prefix)
            || (prefix.is_empty() && text == "**")
        {
            return Err(refuse());
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            resume_at: Some(rest.to_owned()),
        })
    }

    /// Every listed name starts with it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The first name of this page, when the listing goes on.
    #[must_use]
    pub fn resume_at(&self) -> Option<&str> {
        self.resume_at.as_deref()
    }

    /// Does this page or a later one hold the name?
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        name.starts_with(&self.prefix) && self.resume_at.as_deref().is_none_or(|at| name >= at)
    }

    /// The token that goes on with `next`, a name that matches.
    #[must_use]
    pub fn token(&self, next: &str) -> String {
        format!("{}*{next}", self.prefix)
    }

    /// Cuts one page out of names in any order: the names, ascending bytewise, and the token of the next page.
    #[must_use]
    pub fn page<I>(&self, names: I, names_max: usize) -> (Vec<String>, Option<String>)
    where
        I: IntoIterator,
        I::Item: Into<String> + AsRef<str>,
    {
        let mut page: Vec<String> = names
            .into_iter()
            .filter(|n| self.matches(n.as_ref()))
            .map(Into::into)
            .collect();
        page.sort_unstable();
        page.dedup();
        let token = page.get(names_max.max(1)).map(|next| self.token(next));
        page.truncate(names_max.max(1));
        (page, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule_of_today_when_created_and_the_older_one_when_read() {
        let long = "x".repeat(80);
        for good in ["a", "_a", "a_", "A-b_9", long.as_str()] {
            assert!(KeyName::for_create(good).is_ok(), "{good}");
        }
        for old in ["_", "-x", "x-", "-"] {
            assert!(KeyName::for_create(old).is_err(), "{old}");
            assert!(KeyName::parse(old).is_ok(), "{old}");
        }
        let too_long = "x".repeat(81);
        for bad in ["", "a.b", "a/b", "a b", "é", "a*", "..", too_long.as_str()] {
            assert!(KeyName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refusals_carry_the_known_words() {
        let text = |e: NameError| e.to_string();
        assert_eq!(
            text(KeyName::parse("a.b").unwrap_err()),
            "key name 'a.b' is empty, too long or contains invalid characters"
        );
        assert_eq!(
            text(PolicyName::parse("a.b").unwrap_err()),
            "policy name 'a.b' is empty, too long or contains invalid characters"
        );
        assert_eq!(
            text(IdentityName::parse("").unwrap_err()),
            "identity '' is empty, too long or contains invalid characters"
        );
        assert_eq!(
            text(ListPattern::parse("a*b").unwrap_err()),
            "listing pattern 'a*b' is empty, too long or is invalid"
        );
    }

    #[test]
    fn patterns_mean_prefixes() {
        for (text, prefix) in [
            ("", ""),
            ("*", ""),
            ("foo", "foo"),
            ("foo*", "foo"),
            ("my-", "my-"),
            ("my-*", "my-"),
        ] {
            let pattern = ListPattern::parse(text).unwrap();
            assert_eq!(
                (pattern.prefix(), pattern.resume_at()),
                (prefix, None),
                "{text}"
            );
        }
        for bad in ["a*b", "**", "a**", "?", "a.b", "foo*fo", "*a*"] {
            assert!(ListPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_go_on_where_the_last_one_stopped_and_never_end_in_an_empty_page() {
        let names: Vec<String> = (0..10)
            .map(|i| format!("k{i}"))
            .chain(["other".into()])
            .collect();
        let mut pattern = ListPattern::parse("k").unwrap();
        let mut seen = Vec::new();
        loop {
            let (page, token) = pattern.page(&names, 5);
            assert!(!page.is_empty());
            seen.extend(page);
            match token {
                Some(token) => {
                    assert!(token.starts_with('k'));
                    pattern = ListPattern::parse(&token).unwrap();
                }
                None => break,
            }
        }
        assert_eq!(seen, names[..10]);
    }
}
