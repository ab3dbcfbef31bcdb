//! Policies: who may do what is decided by text that people write.

use strongroom_kes_api::{Pattern, Policy, path};

/// Longest pattern and path that the slow model of globs is asked about.
const MODEL_CHARS_MAX: usize = 24;

/// Lines: a path, then patterns; `-` before a pattern denies. Every other line of a kind is of a second policy.
pub fn decide(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let Some(asked) = lines.next() else {
        return;
    };
    let (mut allow, mut deny) = (Vec::new(), Vec::new());
    for line in lines.take(16) {
        match line.strip_prefix('-') {
            Some(pattern) => deny.push(pattern),
            None => allow.push(line),
        }
    }
    for pattern in allow.iter().chain(&deny) {
        check_pattern(pattern, asked);
    }
    let policy = Policy::new(allow.iter().copied(), deny.iter().copied());
    let is_allowed = policy.allows(asked);
    let _ = policy.suspicions();

    // Nothing is allowed but by an allow pattern, and a deny pattern beats them all.
    assert!(!Policy::new([""; 0], deny.iter().copied()).allows(asked));
    let is_granted = Policy::new(allow.iter().copied(), [""; 0]).allows(asked);
    let is_denied = deny.iter().any(|pattern| {
        let pattern = Pattern::new(*pattern);
        pattern.matches(asked) || pattern.matches_as_glob(asked)
    });
    assert!(!is_allowed || (is_granted && !is_denied));
    for beaten in ["*", asked] {
        if Pattern::new(beaten).matches(asked) {
            let denied = deny.iter().copied().chain([beaten]);
            assert!(!Policy::new(allow.iter().copied(), denied).allows(asked));
        }
    }
    // Where no act has a second spelling, a grant is a prefix or an equal path, and nothing else.
    let has_spellings = [
        path::KEY_LIST,
        path::POLICY_LIST,
        path::IDENTITY_LIST,
        path::KEY_BULK_DECRYPT,
    ]
    .iter()
    .any(|route| asked.starts_with(route));
    if !has_spellings {
        let by_model = allow.iter().any(|pattern| grants(pattern, asked));
        assert_eq!(is_granted, by_model);
        assert_eq!(is_allowed, by_model && !is_denied);
    }
    // Each pattern more to allow allows no less, each more to deny no more.
    for n in 0..allow.len() {
        let fewer = Policy::new(allow[..n].iter().copied(), deny.iter().copied());
        assert!(!fewer.allows(asked) || is_allowed);
    }
    for n in 0..deny.len() {
        let fewer = Policy::new(allow.iter().copied(), deny[..n].iter().copied());
        assert!(!is_allowed || fewer.allows(asked));
    }
    // A file of the older format never grants more than its patterns do today.
    let older = policy.clone().of_older_format();
    assert!(!older.allows(asked) || is_allowed);

    compare(&allow, &deny, asked);
}

/// What is said to be a subset is one.
fn compare(allow: &[&str], deny: &[&str], asked: &str) {
    let half = |all: &[&str], which: usize| -> Vec<String> {
        all.iter()
            .skip(which)
            .step_by(2)
            .map(|p| (*p).to_owned())
            .collect()
    };
    let one = Policy::new(half(allow, 0), half(deny, 0));
    let two = Policy::new(half(allow, 1), half(deny, 1));
    let older = |policy: &Policy| policy.clone().of_older_format();
    for (small, large) in [
        (one.clone(), two.clone()),
        (two.clone(), one.clone()),
        (older(&one), two.clone()),
        (one.clone(), older(&two)),
        (older(&two), older(&one)),
    ] {
        if small.is_subset_of(&large) {
            for path in [asked].into_iter().chain(allow.iter().copied()) {
                assert!(
                    !small.allows(path) || large.allows(path),
                    "{small:?} is no subset of {large:?}: {path:?}"
                );
            }
        }
    }
}

fn grants(pattern: &str, asked: &str) -> bool {
    if pattern.ends_with('*') {
        asked
            .as_bytes()
            .starts_with(&pattern.as_bytes()[..pattern.len() - 1])
    } else {
        !pattern.is_empty() && pattern == asked
    }
}

fn check_pattern(text: &str, asked: &str) {
    let pattern = Pattern::new(text);
    assert_eq!(pattern.matches(asked), grants(text, asked));
    let as_glob = pattern.matches_as_glob(asked);
    let glob: Vec<char> = text.chars().collect();
    let path: Vec<char> = asked.chars().collect();
    if glob.len() <= MODEL_CHARS_MAX && path.len() <= MODEL_CHARS_MAX && !text.contains('[') {
        assert_eq!(as_glob, model(&glob, &path), "{text:?} {asked:?}");
    }
}

/// Globs without classes, as one would explain them.
fn model(glob: &[char], path: &[char]) -> bool {
    match (glob, path) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            model(rest, path) || matches!(path, [c, tail @ ..] if *c != '/' && model(glob, tail))
        }
        (['?', rest @ ..], [c, tail @ ..]) => *c != '/' && model(rest, tail),
        (['\\', literal, rest @ ..], [c, tail @ ..]) => literal == c && model(rest, tail),
        (['\\'], _) => false,
        ([literal, rest @ ..], [c, tail @ ..]) => literal == c && model(rest, tail),
        _ => false,
    }
}
