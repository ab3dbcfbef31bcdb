use super::*;

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    Policy::new(allow.iter().copied(), deny.iter().copied())
}

#[test]
fn a_final_star_is_a_prefix_across_slashes_and_the_rest_is_literal() {
    let p = policy(&["/v1/key/*", "/v1/status", "/v1/*/list/x", ""], &[]);
    assert!(p.allows("/v1/key/create/a"));
    assert!(p.allows("/v1/status"));
    assert!(!p.allows("/v1/status/"));
    assert!(!p.allows("/v1/metrics"));
    assert!(!p.allows("/v1/policy/list/x"));
    assert!(!p.allows(""));
}

#[test]
fn nothing_is_allowed_by_nothing() {
    assert!(!Policy::default().allows("/version"));
}

#[test]
fn deny_wins_in_either_reading() {
    let p = policy(&["/v1/*"], &["/v1/key/*/locked*", "/v1/policy/*"]);
    assert!(p.allows("/v1/key/create/open"));
    assert!(!p.allows("/v1/key/create/locked"));
    assert!(!p.allows("/v1/key/decrypt/locked-2"));
    assert!(!p.allows("/v1/policy/read/x"));
}

#[test]
fn the_bare_list_route_lists_everything_and_nothing_less() {
    let p = policy(&["/v1/key/list"], &[]);
    for path in ["/v1/key/list/", "/v1/key/list/*", "/v1/key/list/*next"] {
        assert!(p.allows(path), "{path}");
    }
    assert!(!p.allows("/v1/key/list/a"));
    assert!(!p.allows("/v1/policy/list/"));
    assert!(!policy(&["/v1/*"], &["/v1/key/list"]).allows("/v1/key/list/*"));
}

#[test]
fn a_listing_is_judged_by_its_prefix_however_it_is_spelt() {
    let p = policy(&["/v1/key/list/*"], &["/v1/key/list/secret"]);
    for path in [
        "/v1/key/list/secret",
        "/v1/key/list/secret*",
        "/v1/key/list/secret*secret-9",
    ] {
        assert!(!p.allows(path), "{path}");
    }
    let p = policy(&["/v1/key/list/my-*", "/v1/key/list/one"], &[]);
    for path in [
        "/v1/key/list/my-",
        "/v1/key/list/my-*",
        "/v1/key/list/my-*my-7",
        "/v1/key/list/one*one-2",
    ] {
        assert!(p.allows(path), "{path}");
    }
    assert!(!p.allows("/v1/key/list/*my-7"));
    assert!(!p.allows("/v1/key/list/*"));
}

#[test]
fn bulk_decryption_follows_decryption() {
    let p = policy(
        &["/v1/key/decrypt/app-*", "/v1/key/bulk/decrypt"],
        &["/v1/key/decrypt/app-locked*"],
    );
    assert!(p.allows("/v1/key/bulk/decrypt/app-a"));
    assert!(!p.allows("/v1/key/bulk/decrypt/other"));
    assert!(!p.allows("/v1/key/bulk/decrypt/app-locked"));
    let p = policy(&["/v1/*"], &["/v1/key/decrypt/secret"]);
    assert!(!p.allows("/v1/key/bulk/decrypt/secret"));
    // A grant of the bulk route is no grant of the plain one.
    let p = policy(&["/v1/key/bulk/decrypt/*"], &[]);
    assert!(p.allows("/v1/key/bulk/decrypt/a"));
    assert!(!p.allows("/v1/key/decrypt/a"));
}

#[test]
fn odd_patterns_are_reported() {
    let p = policy(
        &[
            "/v1/key/*/x",
            "/v1/key/list",
            "/v1/policy/read",
            "/v1/policy/describe",
            "/v1/key/bulk/decrypt",
            "",
            "v1/status",
            "/v1/key/create/*",
            "*",
        ],
        &["/v1/key/*/x"],
    );
    let kinds: Vec<_> = p.suspicions().into_iter().map(|s| s.why).collect();
    assert_eq!(
        kinds,
        [
            SuspicionKind::OldGlob,
            SuspicionKind::MissingSlash,
            SuspicionKind::MissingSlash,
            SuspicionKind::MissingSlash,
            SuspicionKind::BulkDecryptWithoutKey,
            SuspicionKind::Empty,
            SuspicionKind::NotAPath,
        ]
    );
}

#[test]
fn a_star_that_crosses_no_slash_in_an_older_file_is_reported() {
    let wide = ["*", "/v1/*", "/v1/key/*", "/v1/key/create*"];
    let fine = ["/v1/key/create/*", "/v1/key/create/app-*", "/v1/log/*"];
    let p = policy(&[&wide[..], &fine[..]].concat(), &wide);
    assert_eq!(p.suspicions(), [], "newer files mean what they say");
    let suspicions = p.of_older_format().suspicions();
    let patterns: Vec<_> = suspicions.iter().map(|s| s.pattern.as_str()).collect();
    assert_eq!(patterns, wide);
    assert!(suspicions.iter().all(|s| s.why == SuspicionKind::OldStar));
}

#[test]
fn a_glob_of_an_older_file_never_allows_more_than_there() {
    let p = policy(
        &["/v1/*", "/v1/key/create/*", "/v1/*/list/x"],
        &["/v1/key/create/locked*"],
    )
    .of_older_format();
    assert!(p.allows("/v1/status"));
    assert!(p.allows("/v1/key/create/a"));
    assert!(!p.allows("/v1/key/create/locked"));
    // `*` did not cross a slash, and the middle of a pattern is literal now.
    assert!(!p.allows("/v1/key/delete/a"));
    assert!(!p.allows("/v1/key/list/x"));
    assert!(!p.allows("/v1/key/list/"));
    // No glob, and in the documentation of those years: the listing of all keys.
    let p = policy(&["/v1/key/list"], &[]).of_older_format();
    assert!(p.allows("/v1/key/list/") && p.allows("/v1/key/list/*"));
    assert!(!p.allows("/v1/key/list/x") && !p.allows("/v1/policy/list/"));
    // A bulk decryption is many decryptions.
    let p = policy(&["/v1/key/decrypt/*"], &[]).of_older_format();
    assert!(p.allows("/v1/key/bulk/decrypt/a"));
}

#[test]
fn a_policy_is_a_subset_when_it_allows_nothing_that_the_other_does_not() {
    for (a, a_deny, b, b_deny) in [
        (&["/v1/status"][..], &[][..], &["/v1/*"][..], &[][..]),
        (&["/v1/key/create/my-*"], &[], &["/v1/key/create/*"], &[]),
        (&["/v1/key/create/a"], &[], &["/v1/key/create/a"], &[]),
        (&[], &[], &[], &["*"]),
        (
            &["/v1/key/*"],
            &["/v1/key/delete/*"],
            &["/v1/*"],
            &["/v1/key/delete/locked*"],
        ),
        (
            &["/v1/key/create/a"],
            &[],
            &["/v1/*"],
            &["/v1/key/*/locked*"],
        ),
        (
            &["/v1/key/create/a", "/v1/key/create/b"],
            &["/v1/key/create/b"],
            &["/v1/key/create/a"],
            &[],
        ),
        (&["/v1/key/list"], &[], &["/v1/key/list/*"], &[]),
        (
            &["/v1/key/bulk/decrypt/a"],
            &[],
            &["/v1/key/decrypt/*"],
            &[],
        ),
        (&["*"], &["/v1/key/*/x"], &["*"], &["/v1/key/*/x"]),
    ] {
        let (small, large) = (policy(a, a_deny), policy(b, b_deny));
        assert!(small.is_subset_of(&large), "{small:?}\n{large:?}");
        assert!(small.is_subset_of(&small));
    }
}

#[test]
fn a_policy_that_allows_anything_more_is_no_subset() {
    for (a, a_deny, b, b_deny) in [
        (&["/v1/*"][..], &[][..], &["/v1/key/*"][..], &[][..]),
        (&["/v1/key/create/*"], &[], &["/v1/key/create/my-*"], &[]),
        (&["/v1/status"], &[], &[], &[]),
        (&["/v1/key/*"], &[], &["/v1/*"], &["/v1/key/delete/a"]),
        (
            &["/v1/key/*"],
            &["/v1/key/delete/a"],
            &["/v1/*"],
            &["/v1/key/delete/*"],
        ),
        (
            &["/v1/key/create/locked"],
            &[],
            &["/v1/*"],
            &["/v1/key/*/locked"],
        ),
        (
            &["/v1/key/decrypt/*"],
            &[],
            &["/v1/key/*"],
            &["/v1/key/bulk/decrypt/a"],
        ),
        (
            &["/v1/key/bulk/*"],
            &[],
            &["/v1/key/*"],
            &["/v1/key/decrypt/a"],
        ),
        (
            &["/v1/key/list/*"],
            &[],
            &["/v1/key/list/*"],
            &["/v1/key/list"],
        ),
        (&["/v1/key/list"], &[], &["/v1/key/list/"], &[]),
        (&["/v1/key/list/a*b*"], &[], &["/v1/*"], &["/v1/key/list/a"]),
    ] {
        let (small, large) = (policy(a, a_deny), policy(b, b_deny));
        assert!(!small.is_subset_of(&large), "{small:?}\n{large:?}");
    }
    let newest = policy(&["/v1/key/create/*"], &[]);
    let older = newest.clone().of_older_format();
    assert!(older.is_subset_of(&newest) && older.is_subset_of(&older));
    assert!(!newest.is_subset_of(&older));
}
