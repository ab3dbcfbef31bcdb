//! What clients of 2023 send and were answered: the same status and, where the words are those of today, the same message and
//! plaintext, but for the differences listed here, each with its reason.

use serde_json::Value;

use crate::harness::{Fixture, config_of, fixture, fixtures, new_store};
use crate::replay::{Request, after, take_recorded_key};

/// Age, method, path (`…*`: all below), what the body holds (`-`: it is empty), status then (0: none), status now, reason.
const DIFFERENCES: &str = r#"
v0.23 | GET | /v1/key/list | | 301 | 200 | a list without slash lists everything
v0.23 | POST | /v1/key/import/* | bytes | 406 | 200 | import bodies of every age are understood
v0.23 | * | /v1/key/hmac/app-a | | 404 | 409 | the route came later; keys of that age have no HMAC key
v0.23 | POST | /v1/key/bulk/decrypt/app-a | (1001 | 404 | 400 | v0.23 had dropped bulk decryption; MinIO before 2023-08 calls it
v0.23 | POST | /v1/key/bulk/decrypt/app-a | "eA=="}] | 404 | 400 | v0.23 had dropped bulk decryption; MinIO before 2023-08 calls it
v0.23 | POST | /v1/key/bulk/decrypt/app-a | | 404 | 200 | v0.23 had dropped bulk decryption; MinIO before 2023-08 calls it
v0.23 | GET | /v1/key/list/app- | | 400 | 200 | a prefix may end in a dash
v0.23 | GET | /v1/identity/self/describe | | 404 | 200 | upstream looks up the wrong value
v0.23 | POST | /v1/policy/write/new | | 404 | 501 | 501 says more than 404, and clients take it for a healthy endpoint
v0.23 | POST | /v1/policy/assign/app | | 404 | 501 | 501 says more than 404, and clients take it for a healthy endpoint
v0.23 | DELETE | /v1/policy/delete/none | | 404 | 501 | 501 says more than 404, and clients take it for a healthy endpoint
v0.23 | GET | /v1/log/* | | 0 | 200 | log streams send their headers at once
v0.22 | GET | /v1/log/* | | 0 | 200 | log streams send their headers at once
v0.22 | GET | /v1/ready | | 501 | 200 | the route came later
v0.22 | GET | /nope | | 501 | 404 | newest upstream's answer to an unknown path
v0.22 | GET | /v1/nope | | 501 | 404 | newest upstream's answer to an unknown path
v0.22 | GET | / | | 501 | 404 | newest upstream's answer to an unknown path
v0.22 | PUT | /v1/key/create/app-b | | 405 | 200 | PUT and POST are the same now
v0.22 | POST | /v1/key/create/-x | | 200 | 400 | names that newest upstream refuses are not made any more
v0.22 | POST | /v1/key/create/x- | | 200 | 400 | names that newest upstream refuses are not made any more
v0.22 | POST | /v1/key/create/_ | | 200 | 400 | names that newest upstream refuses are not made any more
v0.22 | GET | /v1/key/list | | 301 | 200 | a list without slash lists everything
v0.22 | POST | /v1/key/import/imp-52 | | 400 | 200 | import bodies of every age are understood
v0.22 | POST | /v1/key/import/imp-53 | | 400 | 200 | import bodies of every age are understood
v0.22 | POST | /v1/key/import/imp-54 | | 400 | 200 | import bodies of every age are understood
v0.22 | POST | /v1/key/import/imp-55 | | 400 | 200 | import bodies of every age are understood
v0.22 | POST | /v1/key/import/imp-56 | | 400 | 406 | today's form wants an algorithm
v0.22 | POST | /v1/key/import/imp-58 | | 400 | 200 | import bodies of every age are understood
v0.22 | POST | /v1/key/import/imp-61 | | 400 | 406 | newest upstream's answer to a wrong size
v0.22 | POST | /v1/key/import/imp-63 | | 400 | 406 | newest upstream's answer to no algorithm
v0.22 | POST | /v1/key/generate/app-a | - | 500 | 200 | the body may be left out
v0.22 | POST | /v1/key/generate/app-a | | 500 | 400 | a bad body is the client's fault, and no reason to try another server
v0.22 | POST | /v1/key/encrypt/app-a | | 500 | 400 | a bad body is the client's fault, and no reason to try another server
v0.22 | POST | /v1/key/decrypt/app-a | | 500 | 400 | a bad body is the client's fault, and no reason to try another server
v0.22 | * | /v1/key/hmac/app-a | | 501 | 409 | the route came later; keys of that age have no HMAC key
v0.22 | GET | /v1/key/list/ | | 400 | 200 | an empty pattern lists everything, one with a star inside was never useful
v0.22 | GET | /v1/key/list/? | | 400 | 200 | an empty pattern lists everything, one with a star inside was never useful
v0.22 | GET | /v1/key/list/a*b | | 200 | 400 | an empty pattern lists everything, one with a star inside was never useful
v0.22 | GET | /v1/key/list/** | | 200 | 400 | an empty pattern lists everything, one with a star inside was never useful
v0.22 | GET | /v1/policy/list/ | | 400 | 200 | an empty pattern lists everything, one with a star inside was never useful
v0.22 | GET | /v1/identity/list/ | | 400 | 200 | an empty pattern lists everything, one with a star inside was never useful
v0.22 | DELETE | /v1/key/delete/none | | 200 | 404 | a store that can tell says so
v0.22 | DELETE | /v1/key/delete/tmp | | 200 | 404 | a store that can tell says so
v0.22 | GET | /v1/ready | | 501 | 403 | the route came later, and a policy has to allow it
"#;

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
struct Difference([&'static str; 6]);

impl Difference {
    fn all() -> Vec<Self> {
        let fields = |line: &'static str| {
            let mut fields = line.split('|').map(str::trim);
            Self(std::array::from_fn(|_| fields.next().unwrap()))
        };
        DIFFERENCES.trim().lines().map(fields).collect()
    }

    fn is_meant(&self, age: &str, request: &Request, then: u16, now: u16) -> bool {
        let [of, method, path, body, status_then, status_now] = self.0;
        let is_path = match path.strip_suffix('*') {
            Some(prefix) if !request.path.ends_with('*') => request.path.starts_with(prefix),
            _ => request.path == path,
        };
        let is_body = match body {
            "-" => request.recorded_body.is_empty(),
            part => request.recorded_body.contains(part),
        };
        of == age
            && (method == "*" || method == request.method)
            && is_path
            && is_body
            && status_then == then.to_string()
            && status_now == now.to_string()
    }
}

#[tokio::test]
async fn recorded_exchanges_of_2023_are_answered_as_recorded_or_as_listed() {
    let differences = Difference::all();
    let mut unused: Vec<&Difference> = differences.iter().collect();
    for (age, count) in [("v0.23", 190), ("v0.22", 189)] {
        let recorded = fixtures().join(age).join("keystore");
        let (folder, keys, store) = new_store();
        let mut config = config_of(age, &keys, |text| text);
        if age == "v0.23" {
            // That version passed the list over.
            config.keys.clear();
        }
        let f = Fixture::run(config, store, folder, keys).await;
        take_recorded_key(&recorded, &f.keys, "app-declared");
        let mut compared = 0;
        for line in fixture(&format!("{age}/exchanges.jsonl")).lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            if !exchange["request"].is_object() || exchange["as"].is_null() {
                continue;
            }
            let request = Request::of(&exchange);
            if request.path.contains("/broken-") {
                std::fs::write(f.keys.join("broken-json"), "{\"bytes\":").unwrap();
                std::fs::write(f.keys.join("broken-empty"), "").unwrap();
            }
            let headers: Vec<_> = request
                .headers
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let answer = f
                .connect(&request.who)
                .await
                .unwrap()
                .request(
                    &request.method,
                    &request.path,
                    &headers,
                    request.body.as_deref(),
                )
                .await
                .unwrap();
            after(&request, &recorded, &f.keys);
            let response = &exchange["response"];
            let then = u16::try_from(response["status"].as_u64().unwrap_or(0)).unwrap();
            let what = format!(
                "{age} {}: {} {}",
                exchange["n"], request.method, request.path
            );
            let listed = differences
                .iter()
                .find(|d| d.is_meant(age, &request, then, answer.status));
            if let Some(difference) = listed {
                unused.retain(|d| *d != difference);
            } else {
                assert_eq!(answer.status, then, "{what}: {answer:?}");
                compare_bodies(&what, age, &request, &answer.body, response);
            }
            compared += 1;
        }
        assert_eq!(compared, count, "{age}");
    }
    assert!(unused.is_empty(), "{unused:?}");
}

fn compare_bodies(what: &str, age: &str, request: &Request, ours: &str, response: &Value) {
    let theirs: Value = match response["body"].as_str().map(serde_json::from_str) {
        Some(Ok(theirs)) => theirs,
        _ => return,
    };
    let ours: Value = serde_json::from_str(ours).unwrap_or_else(|e| panic!("{what}: {e}"));
    if request.path.starts_with("/v1/key/decrypt/") && theirs["plaintext"].is_string() {
        assert_eq!(ours["plaintext"], theirs["plaintext"], "{what}");
    }
    if request.path.starts_with("/v1/key/bulk/") && theirs.is_array() {
        // Clients take null for the empty plaintext, which is what we send.
        let theirs = theirs.to_string().replace("null", "\"\"");
        assert_eq!(ours.to_string(), theirs, "{what}");
    }
    if age == "v0.23" && theirs["message"].is_string() {
        assert_eq!(ours, theirs, "{what}");
    }
    for member in ["name", "created_by"] {
        if theirs[member].is_string() && request.path.starts_with("/v1/key/describe/") {
            assert_eq!(ours[member], theirs[member], "{what}");
        }
    }
}
