use strongroom_kes_api::body::{
    BulkDecryptRequest, FromJson as _, NdjsonList, SelfInfo, is_ndjson,
};
use strongroom_kes_api::{ErrorKind, KesError, path};

use crate::exchange::recorded;

#[test]
fn listings_in_lines_are_read() {
    let mut seen = 0;
    for age in ["v0.22", "v0.17"] {
        for e in recorded(age)
            .iter()
            .filter(|e| is_ndjson(e.content_type.as_deref()))
        {
            let list = NdjsonList::parse(e.body.as_bytes()).unwrap();
            assert_eq!(list.failure, None);
            assert_eq!(list.names.len(), e.body.lines().count(), "{}", e.path);
            if e.path == "/v1/key/list/app-a" {
                assert_eq!(list.names, ["app-a"]);
            }
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn a_listing_that_failed_midway_says_so() {
    let list = NdjsonList::parse(b"{\"name\":\"a\"}\n{\"error\":\"key store is down\"}\n").unwrap();
    assert_eq!(list.names, ["a"]);
    assert_eq!(list.failure.unwrap().message(), "key store is down");
}

#[test]
fn self_descriptions_of_2022_are_read() {
    let exchanges = recorded("v0.22");
    let of = |caller: &str| {
        let e = exchanges
            .iter()
            .find(|e| e.path == path::IDENTITY_SELF_DESCRIBE && e.caller.as_deref() == Some(caller))
            .unwrap();
        SelfInfo::from_json(e.body.as_bytes()).unwrap()
    };
    let app = of("app");
    assert_eq!(app.policy.as_deref(), Some("app"));
    assert!(app.allow.contains("/v1/key/create/app-*"));
    assert!(app.deny.contains("/v1/key/generate/app-locked*"));
    let root = of("root");
    assert!(root.admin && root.policy.is_none() && root.allow.is_empty());
}

#[test]
fn bulk_requests_are_read() {
    let mut seen = 0;
    for e in recorded("v0.22")
        .iter()
        .filter(|e| e.path.starts_with(path::KEY_BULK_DECRYPT))
    {
        let Some(request) = &e.request else { continue };
        assert!(
            BulkDecryptRequest::from_json(request.as_bytes()).is_ok(),
            "{request}"
        );
        seen += 1;
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn errors_of_every_age_are_understood() {
    for age in ["v0.23", "v0.22", "v0.17", "v0.10"] {
        let mut seen = [0; 3];
        for e in recorded(age).iter().filter(|e| e.status >= 400) {
            let error =
                KesError::from_response(e.status, e.content_type.as_deref(), e.body.as_bytes());
            match (e.name.as_str(), error.kind()) {
                ("create again", ErrorKind::KeyExists) => seen[0] += 1,
                ("generate missing key", ErrorKind::KeyNotFound) => seen[1] += 1,
                ("create denied", ErrorKind::NotAllowed) => seen[2] += 1,
                ("create again" | "generate missing key" | "create denied", other) => {
                    panic!("{age} {}: {other:?} {}", e.name, e.body)
                }
                _ => {}
            }
        }
        assert_eq!(seen, [1, 1, 1], "{age}");
    }
}
