//! Is everything that one policy allows allowed by another?
//!
//! Answered on the safe side: a "yes" holds for every path; a few odd pairs of policies for which it would hold too get a
//! "no".

use super::{Pattern, Policy, grants_bare_list};
use crate::path;

/// A set of paths: one, or all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Paths {
    One(String),
    Under(String),
}

impl Policy {
    /// Does `other` allow every path that this policy allows?
    ///
    /// `true` is a proof; `false` may also mean that the patterns are too odd to compare.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.allow.iter().all(|pattern| {
            granted(pattern).iter().all(|paths| match paths {
                Paths::One(path) => !self.allows(path) || other.allows(path),
                Paths::Under(prefix) => {
                    other.covers(self, pattern, prefix)
                        && other.deny.iter().all(|deny| {
                            !may_meet(prefix, deny)
                                || self.deny.iter().any(|own| denies_all_of(own, deny))
                        })
                }
            })
        })
    }

    /// Is every path that begins so granted by one pattern, as far as nothing denies it?
    fn covers(&self, smaller: &Self, pattern: &Pattern, prefix: &str) -> bool {
        if self.is_of_older_format {
            // A glob stops at slashes, so that only the same glob reaches as far.
            return smaller.is_of_older_format && self.allow.contains(pattern);
        }
        self.allow.iter().any(|p| {
            p.as_str()
                .strip_suffix('*')
                .is_some_and(|larger| prefix.starts_with(larger))
                || (prefix.ends_with("/*") && grants_bare_list(p, prefix))
        })
    }
}

/// The paths that an allow pattern names.
fn granted(pattern: &Pattern) -> Vec<Paths> {
    let text = pattern.as_str();
    if let Some(prefix) = text.strip_suffix('*') {
        return vec![Paths::Under(prefix.to_owned())];
    }
    let route = format!("{text}/");
    if grants_bare_list(pattern, &route) {
        // No request is judged without the slash.
        let every = format!("{route}*");
        return vec![Paths::One(route), Paths::Under(every)];
    }
    vec![Paths::One(text.to_owned())]
}

/// Could the deny pattern refuse anything that begins so, under any spelling of the same act?
fn may_meet(prefix: &str, deny: &Pattern) -> bool {
    let literal = literal_start(deny.as_str());
    let overlap = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
    spellings(prefix).iter().any(|p| overlap(p, literal))
}

/// What a pattern surely begins with, whichever way it is read.
fn literal_start(pattern: &str) -> &str {
    let end = pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len());
    &pattern[..end]
}

/// The prefixes under which acts of this prefix are judged, itself among them.
fn spellings(prefix: &str) -> Vec<String> {
    let mut all = vec![prefix.to_owned()];
    let (bulk, single) = (path::KEY_BULK_DECRYPT, path::KEY_DECRYPT);
    for (from, to) in [(bulk, single), (single, bulk)] {
        if let Some(rest) = prefix.strip_prefix(from) {
            all.push(format!("{to}{rest}"));
        } else if from.starts_with(prefix) {
            all.push(to.to_owned());
        }
    }
    // A listing `foo*next` is judged as `foo`.
    if let Some((before, _)) = prefix.split_once('*') {
        all.push(before.to_owned());
    }
    all
}

/// Does the first pattern deny all that the second denies?
fn denies_all_of(own: &Pattern, other: &Pattern) -> bool {
    own == other
        || own
            .as_str()
            .strip_suffix('*')
            .is_some_and(|prefix| literal_start(other.as_str()).starts_with(prefix))
}
