//! Policies: does this policy allow this path?
//!
//! Newest upstream reads a pattern as an exact path, or, when it ends in `*`, as a prefix that crosses `/`. Servers
//! before 2023-10 read it as a shell glob. A *deny* pattern here matches when either reading does, so a deny is never
//! weaker than anywhere; an *allow* pattern has the newest reading only, and [`Policy::suspicions`] names those that
//! once meant more. A policy from a file of the older format ([`Policy::of_older_format`]) was written for globs, where no
//! `*` crosses a `/`: there a path has to be allowed under both readings, so that moving a file here never grants more.

use std::fmt;

use crate::path;

mod glob;
mod subset;

/// One line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// Any text is a pattern.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The newest reading: equality, or a prefix before a final `*`. The empty pattern matches nothing.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => !self.0.is_empty() && self.0 == path,
        }
    }

    /// The reading of servers before 2023-10: a shell glob over the whole path.
    #[must_use]
    pub fn matches_as_glob(&self, path: &str) -> bool {
        glob::matches(&self.0, path)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// What the identities of a policy may do. Without patterns: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Patterns of paths that are allowed.
    pub allow: Vec<Pattern>,
    /// Patterns of paths that are denied, whatever is allowed.
    pub deny: Vec<Pattern>,
    is_of_older_format: bool,
}

impl Policy {
    /// A policy of these patterns.
    #[must_use]
    pub fn new<A, D>(allow: A, deny: D) -> Self
    where
        A: IntoIterator,
        A::Item: Into<String>,
        D: IntoIterator,
        D::Item: Into<String>,
    {
        Self {
            allow: allow.into_iter().map(Pattern::new).collect(),
            deny: deny.into_iter().map(Pattern::new).collect(),
            is_of_older_format: false,
        }
    }

    /// The same patterns from a file that was written for servers before 2023-10: a path is allowed only when the old
    /// reading of the pattern allows it too.
    #[must_use]
    pub fn of_older_format(self) -> Self {
        Self {
            is_of_older_format: true,
            ..self
        }
    }

    /// Decides about a clean, decoded path ([`path::decode`]); a list route without its slash goes in with it.
    ///
    /// Some acts have two spellings: `foo*` lists what `foo` lists, and a bulk decryption is a decryption. Such a request
    /// is denied when either spelling is, and allowed when either is.
    #[must_use]
    pub fn allows(&self, decoded: &str) -> bool {
        let second = same_act(decoded);
        let spellings = || std::iter::once(decoded).chain(second.as_deref());
        let is_denied = self.deny.iter().any(|p| {
            spellings()
                .any(|path| p.matches(path) || p.matches_as_glob(path) || grants_bare_list(p, path))
        });
        if is_denied {
            return false;
        }
        self.allow
            .iter()
            .any(|p| spellings().any(|path| self.is_granted_by(p, path)))
    }

    fn is_granted_by(&self, pattern: &Pattern, path: &str) -> bool {
        // The bare list route is no glob: it is taken for what it says in a file of either format.
        let is_matched = if self.is_of_older_format {
            pattern.matches(path) && pattern.matches_as_glob(path)
        } else {
            pattern.matches(path)
        };
        is_matched || grants_bare_list(pattern, path)
    }

    /// Patterns that hardly do what their writer meant, for a warning at load.
    #[must_use]
    pub fn suspicions(&self) -> Vec<Suspicion> {
        let of = |patterns: &[Pattern], is_deny| {
            patterns
                .iter()
                .filter_map(|p| {
                    self.suspect(p, is_deny).map(|why| Suspicion {
                        pattern: p.clone(),
                        why,
                    })
                })
                .collect::<Vec<_>>()
        };
        let mut all = of(&self.allow, false);
        all.extend(of(&self.deny, true));
        all
    }

    fn suspect(&self, pattern: &Pattern, is_deny: bool) -> Option<SuspicionKind> {
        suspect(pattern, is_deny).or_else(|| {
            let stops = self.is_of_older_format && !is_deny && stops_at_a_slash(pattern);
            stops.then_some(SuspicionKind::OldStar)
        })
    }
}

/// The other path under which the same act is judged.
///
/// - A listing with the pattern `foo*`, or page two of it (`foo*next`), shows what `foo` shows.
/// - A bulk decryption under a key is a decryption under that key. The route `/v1/key/bulk/decrypt` as people write it
///   in policies never matched anything, and widening it would open every key.
fn same_act(decoded: &str) -> Option<String> {
    for route in [path::KEY_LIST, path::POLICY_LIST, path::IDENTITY_LIST] {
        if let Some(pattern) = path::argument(route, decoded) {
            return pattern
                .split_once('*')
                .map(|(prefix, _)| format!("{route}{prefix}"));
        }
    }
    path::argument(path::KEY_BULK_DECRYPT, decoded)
        .map(|name| format!("{}{name}", path::KEY_DECRYPT))
}

/// `/v1/key/list`, as many policies have it, never matched `/v1/key/list/…`. It is taken for the listing of all keys,
/// which is spelt with an empty argument or a star.
fn grants_bare_list(pattern: &Pattern, decoded: &str) -> bool {
    [path::KEY_LIST, path::POLICY_LIST, path::IDENTITY_LIST]
        .into_iter()
        .any(|route| {
            route.strip_suffix('/') == Some(pattern.as_str())
                && path::argument(route, decoded)
                    .is_some_and(|a| a.is_empty() || a.starts_with('*'))
        })
}

/// A pattern that deserves a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// The pattern.
    pub pattern: Pattern,
    /// What is odd.
    pub why: SuspicionKind,
}

/// What is odd about a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SuspicionKind {
    /// Servers before 2023-10 read `*`, `?` or `[` before the end as a wildcard; now they are literal in an allow.
    OldGlob,
    /// The file is of the older format, where a final `*` does not cross a `/`, and the routes go on after one.
    OldStar,
    /// The route takes an argument, but the pattern stops before the slash.
    MissingSlash,
    /// The bulk route without a key.
    BulkDecryptWithoutKey,
    /// The pattern is empty and matches nothing.
    Empty,
    /// Paths start with `/`.
    NotAPath,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = &self.pattern;
        match self.why {
            SuspicionKind::OldGlob => write!(
                f,
                "pattern '{pattern}' has a wildcard before its end, which is read literally; only a final '*' is a wildcard"
            ),
            SuspicionKind::OldStar => write!(
                f,
                "pattern '{pattern}' allows hardly anything: in a file of the older format a '*' does not cross '/'; write a \
                 pattern for every route, as in '/v1/key/create/*'"
            ),
            SuspicionKind::MissingSlash => write!(
                f,
                "pattern '{pattern}' lacks the final '/' or '/*' of its route; write '{pattern}/*' to match every name"
            ),
            SuspicionKind::BulkDecryptWithoutKey => write!(
                f,
                "pattern '{pattern}' matches no request; bulk decryption follows the patterns of '/v1/key/decrypt/'"
            ),
            SuspicionKind::Empty => write!(f, "an empty pattern matches nothing"),
            SuspicionKind::NotAPath => {
                write!(
                    f,
                    "pattern '{pattern}' does not start with '/' and matches nothing"
                )
            }
        }
    }
}

/// Routes with an argument; a pattern that equals one of them without its slash matches nothing.
const ARGUMENT_ROUTES: [&str; 14] = [
    path::KEY_CREATE,
    path::KEY_IMPORT,
    path::KEY_DESCRIBE,
    path::KEY_DELETE,
    path::KEY_LIST,
    path::KEY_GENERATE,
    path::KEY_ENCRYPT,
    path::KEY_DECRYPT,
    path::KEY_HMAC,
    path::POLICY_DESCRIBE,
    path::POLICY_READ,
    path::POLICY_LIST,
    path::IDENTITY_LIST,
    path::IDENTITY_DESCRIBE,
];

/// Does a route go on after a slash that the star of an older file does not cross?
fn stops_at_a_slash(pattern: &Pattern) -> bool {
    pattern.as_str().strip_suffix('*').is_some_and(|prefix| {
        ARGUMENT_ROUTES.iter().any(|route| {
            route
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.contains('/'))
        })
    })
}

fn suspect(pattern: &Pattern, is_deny: bool) -> Option<SuspicionKind> {
    let text = pattern.as_str();
    if text.is_empty() {
        return Some(SuspicionKind::Empty);
    }
    if !text.starts_with('/') && text != "*" {
        return Some(SuspicionKind::NotAPath);
    }
    if text == path::KEY_BULK_DECRYPT || Some(text) == path::KEY_BULK_DECRYPT.strip_suffix('/') {
        return Some(SuspicionKind::BulkDecryptWithoutKey);
    }
    if ARGUMENT_ROUTES
        .iter()
        .any(|route| route.strip_suffix('/') == Some(text))
    {
        return Some(SuspicionKind::MissingSlash);
    }
    let before_end = text.strip_suffix('*').unwrap_or(text);
    // A deny keeps its old reading, so nothing is lost there.
    (!is_deny && before_end.contains(['*', '?', '['])).then_some(SuspicionKind::OldGlob)
}

#[cfg(test)]
mod tests;
