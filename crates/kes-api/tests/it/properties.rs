//! Against slow and obvious models, and against nonsense.

use proptest::prelude::*;
use strongroom_kes_api::body::{
    BulkDecryptRequest, DecryptRequest, FromJson as _, NdjsonList, SelfInfo, StatusResponse,
};
use strongroom_kes_api::identity::of_peer;
use strongroom_kes_api::{ApiKey, ListPattern, Pattern, Policy, base64, path};

/// `*`, `?` and literals only: the obvious recursion.
fn slow_glob(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len())
            .take_while(|&n| !text[..n].contains(&'/'))
            .any(|n| slow_glob(rest, &text[n..])),
        ['?', rest @ ..] => matches!(text, [c, ..] if *c != '/') && slow_glob(rest, &text[1..]),
        [literal, rest @ ..] => text.first() == Some(literal) && slow_glob(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn globs_agree_with_the_obvious_recursion(pattern in "[ab/*?]{0,9}", text in "[ab/]{0,9}") {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        prop_assert_eq!(
            Pattern::new(&*pattern).matches_as_glob(&text),
            slow_glob(&chars(&pattern), &chars(&text))
        );
    }

    #[test]
    fn a_deny_is_never_weaker_than_either_reading(pattern in "/v1/[key/*?a]{0,9}", text in "/v1/[key/a]{0,9}") {
        let pattern = Pattern::new(&*pattern);
        let matched = pattern.matches(&text) || pattern.matches_as_glob(&text);
        let policy = Policy::new(["*"], [pattern.as_str()]);
        prop_assert!(!(matched && policy.allows(&text)));
    }

    #[test]
    fn pages_hold_every_name_once_in_order(
        names in prop::collection::btree_set("[a-c_-]{1,4}", 0..60),
        prefix in "[a-c]{0,2}",
        names_max in 1_usize..9,
    ) {
        let mut pattern = ListPattern::parse(&prefix).unwrap();
        let mut seen = Vec::new();
        loop {
            let (page, token) = pattern.page(names.iter().cloned(), names_max);
            prop_assert!(page.len() <= names_max);
            prop_assert!(token.is_none() || !page.is_empty());
            seen.extend(page);
            let Some(token) = token else { break };
            pattern = ListPattern::parse(&token).unwrap();
        }
        let expected: Vec<String> = names.into_iter().filter(|n| n.starts_with(&prefix)).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn clean_paths_stay_clean(text in "[a./]{0,12}") {
        let decoded = format!("/{text}");
        let clean = path::cleaned(&decoded).unwrap_or(decoded);
        prop_assert_eq!(path::cleaned(&clean), None, "{}", clean);
    }

    #[test]
    fn arguments_survive_the_path(argument in "\\PC{0,20}") {
        let raw = path::with_argument(path::KEY_CREATE, &argument);
        let decoded = path::decode(&raw).unwrap();
        prop_assert_eq!(path::argument(path::KEY_CREATE, &decoded), Some(argument.as_str()));
    }

    #[test]
    fn base64_round_trips_with_line_breaks(bytes in prop::collection::vec(any::<u8>(), 0..90), every in 1_usize..9) {
        let text = base64::encode(&bytes);
        let broken: String =
            text.chars().enumerate().flat_map(|(i, c)| (i % every == 0).then_some('\n').into_iter().chain([c])).collect();
        let decoded = base64::decode(&broken).unwrap();
        prop_assert_eq!(decoded.as_slice(), bytes.as_slice());
        let secret = base64::encode_secret(&bytes);
        prop_assert_eq!(secret.as_str(), text.as_str());
    }

    #[test]
    fn nonsense_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
        let _ = DecryptRequest::from_json(&bytes);
        let _ = BulkDecryptRequest::from_json(&bytes);
        let _ = SelfInfo::from_json(text.as_bytes());
        let _ = NdjsonList::parse(text.as_bytes());
        let _ = StatusResponse::from_json(format!("{{\"uptime\":{text}}}").as_bytes());
        let _ = path::decode(&text);
        let _ = ListPattern::parse(&text);
        let _ = base64::decode(&text);
        prop_assert!(of_peer(&[bytes.as_slice()]).is_err());
        prop_assert!(ApiKey::parse(&text).is_err());
        prop_assert!(ApiKey::from_pkcs8_der(&bytes).is_err());
    }
}
