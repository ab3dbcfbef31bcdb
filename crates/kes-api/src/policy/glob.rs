//! Shell globs over a path, as servers before 2023-10 read policy patterns: `*` any run without `/`, `?` one character
//! without `/`, `[a-z]` and `[^a-z]` a class, `\` takes the next character literally. A malformed pattern matches
//! nothing.

/// Does the glob match the whole path?
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    is_match(&pattern, &path)
}

/// Greedy with one point of return: since `*` cannot cross `/` and later stars are at least as free, going back to the
/// last star suffices, and the work is bounded by pattern length times path length.
fn is_match(pattern: &[char], path: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p == pattern.len() && t == path.len() {
            return true;
        }
        if pattern.get(p) == Some(&'*') {
            retry = Some((p, t));
            p += 1;
            continue;
        }
        if let (Some(&c), true) = (path.get(t), p < pattern.len())
            && let Some(next) = one(&pattern[p..], c)
        {
            p += next;
            t += 1;
            continue;
        }
        // The last star swallows one more character, unless that is a slash.
        match retry {
            Some((star, from)) if path.get(from).is_some_and(|c| *c != '/') => {
                retry = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
            _ => return false,
        }
    }
}

/// Matches one character; gives the length of the pattern's element.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => (c != '/').then_some(1),
        ['\\', literal, ..] => (*literal == c).then_some(2),
        ['\\'] => None,
        ['[', rest @ ..] => class(rest, c).map(|len| len + 1),
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

/// Matches a class behind its `[`; gives its length including the `]`.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let mut at = 0;
    let is_negated = pattern.first() == Some(&'^');
    if is_negated {
        at += 1;
    }
    let mut is_in = false;
    let mut ranges = 0;
    loop {
        if pattern.get(at) == Some(&']') && ranges > 0 {
            return (is_in != is_negated).then_some(at + 1);
        }
        let low = class_char(pattern, &mut at)?;
        let high = if pattern.get(at) == Some(&'-') {
            at += 1;
            class_char(pattern, &mut at)?
        } else {
            low
        };
        is_in |= (low..=high).contains(&c);
        ranges += 1;
    }
}

fn class_char(pattern: &[char], at: &mut usize) -> Option<char> {
    let c = *pattern.get(*at)?;
    *at += 1;
    match c {
        '-' | ']' => None,
        '\\' => {
            let escaped = pattern.get(*at).copied();
            *at += 1;
            escaped
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_stop_at_slashes() {
        for (pattern, path, expected) in [
            ("/v1/key/*/my-key*", "/v1/key/create/my-key1", true),
            ("/v1/key/*/my-key*", "/v1/key/create/x/my-key1", false),
            ("/v1/*/list/*", "/v1/key/list/", true),
            ("/v1/key/create/*", "/v1/key/create/a/b", false),
            ("/v1/k?y", "/v1/key", true),
            ("/v1?key", "/v1/key", false),
            ("/a[b-d]e", "/ace", true),
            ("/a[^b-d]e", "/ace", false),
            ("/a[^b-d]e", "/aze", true),
            ("/a\\*", "/a*", true),
            ("/a\\*", "/ab", false),
            ("*b*c", "abxbc", true),
            ("a*", "a", true),
            ("**", "", true),
            ("[", "[", false),
            ("[]", "]", false),
            ("a[", "a", false),
            ("\\", "\\", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = "*a".repeat(40) + "b";
        assert!(!matches(&pattern, &"a".repeat(4_000)));
    }
}
