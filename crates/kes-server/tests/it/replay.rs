//! Every request that was recorded against newest upstream, sent again: status, message, members, content type and
//! values are the same, but for the differences that docs/decisions/0006-kes-differences.md lists, each with its reason.

use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::differences::{Difference, Sent};
use crate::harness::{Answer, Fixture, Who, fixture, fixtures};

const APP_NAMES: [&str; 4] = ["app-a", "app-b", "app-declared", "app-locked"];

/// Values that differ on every run; that the member is there is compared.
const VARYING: [&str; 12] = [
    "ciphertext",
    "commit",
    "continue_at",
    "created_at",
    "keystore_latency",
    "mem_heap_used",
    "mem_stack_used",
    "num_cpu",
    "num_cpu_used",
    "plaintext",
    "uptime",
    "version",
];

#[tokio::test]
async fn every_recorded_exchange_is_answered_as_recorded_or_as_listed() {
    let recorded = fixtures().join("newest/keystore");
    let f = Fixture::start().await;
    take_recorded_key(&recorded, &f.keys, "app-declared");
    let mut differences = Difference::all();
    differences.retain(|difference| difference.is_of("newest"));
    let mut unused: Vec<&Difference> = differences.iter().collect();
    let mut compared = 0;
    for line in fixture("newest/exchanges.jsonl").lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        if exchange["name"] == "plain HTTP on the TLS port" {
            plain_http_is_refused(&f, &exchange).await;
            compared += 1;
            continue;
        }
        let request = Request::of(&exchange);
        if request.path.contains("/broken-") {
            std::fs::write(f.keys.join("broken-json"), "{\"bytes\":").unwrap();
            std::fs::write(f.keys.join("broken-empty"), "").unwrap();
        }
        let n = &exchange["n"];
        let response = &exchange["response"];
        let Ok(mut connection) = f.connect(&request.who).await else {
            panic!("{n}: no connection for {}", request.path)
        };
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let answer = connection
            .request(
                &request.method,
                &request.path,
                &headers,
                request.body.as_deref(),
            )
            .await;
        match answer {
            Err(_) if request.is_anonymous => {
                // TLS 1.3 tells the client of a missing certificate with its first read.
                assert!(
                    response["error"].is_string(),
                    "{n}: refused, but recorded {response}"
                );
            }
            Err(error) => panic!("{n}: {} {}: {error}", request.method, request.path),
            Ok(answer) => {
                assert!(!request.is_anonymous, "{n}: answered without a certificate");
                let sent = request.sent("newest", response, &answer);
                match differences.iter().find(|d| d.is_meant(&sent)) {
                    Some(difference) => {
                        unused.retain(|d| *d != difference);
                        compare_with_ours(&request, &answer, response, &difference.rule);
                    }
                    None => compare(&request, &answer, response),
                }
            }
        }
        after(&request, &recorded, &f.keys);
        compared += 1;
    }
    assert_eq!(compared, 197);
    assert!(unused.is_empty(), "{unused:?}");
}

pub(crate) struct Request {
    pub(crate) who: Who,
    name: String,
    pub(crate) is_anonymous: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) recorded_body: String,
    pub(crate) body: Option<String>,
}

impl Request {
    pub(crate) fn of(exchange: &Value) -> Self {
        let request = &exchange["request"];
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let name = text(&exchange["as"]);
        let recorded_body = text(&request["body"]);
        let method = text(&request["method"]);
        let body = match recorded_body.as_str() {
            cut if cut.starts_with("(1066700 bytes") => Some(format!(
                "{{\"plaintext\":\"{}\"}}",
                "A".repeat(1_066_700 - 16)
            )),
            cut if cut.starts_with("(1001 entries") => Some(format!(
                "[{}]",
                vec!["{\"ciphertext\":\"YQ==\"}"; 1001].join(",")
            )),
            body if body.is_empty() && method == "GET" => None,
            body => Some(body.to_owned()),
        };
        let headers = request["headers"].as_object().into_iter().flatten();
        Self {
            who: if name.is_empty() {
                Who::Nobody
            } else {
                Who::named(&name)
            },
            is_anonymous: name.is_empty(),
            name,
            method,
            path: text(&request["path"]),
            headers: headers.map(|(n, v)| (n.clone(), text(v))).collect(),
            recorded_body,
            body,
        }
    }

    pub(crate) fn sent<'s>(&'s self, age: &'s str, response: &Value, answer: &Answer) -> Sent<'s> {
        Sent {
            age,
            method: &self.method,
            path: &self.path,
            body: &self.recorded_body,
            then: response["status"].as_u64().unwrap_or(0),
            now: answer.status,
        }
    }
}

/// Recorded ciphertexts belong to recorded keys: a key that was just made is exchanged for the recorded one, and one that
/// upstream refused to make is taken away again.
pub(crate) fn after(request: &Request, recorded: &Path, keys: &Path) {
    for route in ["/v1/key/create/", "/v1/key/import/"] {
        if let Some(name) = request.path.strip_prefix(route)
            && keys.join(name).is_file()
            && !take_recorded_key(recorded, keys, name)
            && !name.starts_with("tmp")
        {
            std::fs::remove_file(keys.join(name)).unwrap();
        }
    }
}

pub(crate) fn take_recorded_key(recorded: &Path, keys: &Path, name: &str) -> bool {
    match std::fs::read(recorded.join(name)) {
        Ok(value) => std::fs::write(keys.join(name), value).is_ok(),
        Err(_) => false,
    }
}

/// More than the status, where there is more to say.
fn compare_with_ours(request: &Request, answer: &Answer, response: &Value, rule: &str) {
    let path = &request.path;
    match rule {
        "clean-path" => {
            let location = answer.header("location");
            assert_eq!(location, response["headers"]["location"].as_str(), "{path}");
            assert_eq!(location, Some("/v1/status"), "{path}");
        }
        "list-prefix" => {
            assert_eq!(
                answer.json(),
                serde_json::json!({ "names": APP_NAMES }),
                "{path}"
            );
        }
        "older-routes" => {
            let theirs: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
            let sorted = |table: &Value| {
                let mut rows: Vec<String> = table
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|row| {
                        let path = row["path"].as_str().unwrap();
                        !path.starts_with("/v1/key/bulk/") && !path.ends_with("/trace")
                    })
                    .map(Value::to_string)
                    .collect();
                rows.sort();
                rows
            };
            assert_eq!(sorted(&answer.json()), sorted(&theirs));
        }
        _ => {}
    }
}

fn compare(request: &Request, answer: &Answer, response: &Value) {
    let what = format!(
        "{} {} {} as {}",
        request.method, request.path, request.recorded_body, request.name
    );
    assert_eq!(
        Some(u64::from(answer.status)),
        response["status"].as_u64(),
        "{what}: {answer:?}"
    );
    for name in ["accept", "location", "x-content-type-options"] {
        assert_eq!(
            answer.header(name),
            response["headers"][name].as_str(),
            "{what}: {name}"
        );
    }
    if request.path == "/v1/metrics" && answer.status == 200 {
        // What upstream's library adds for names beyond ASCII, which there are none of.
        let theirs = response["headers"]["content-type"].as_str().unwrap();
        let theirs = theirs.trim_end_matches("; escaping=underscores");
        assert_eq!(answer.header("content-type"), Some(theirs));
        if let Some(body) = response["body"].as_str() {
            assert_eq!(families(&answer.body), families(body), "{what}");
        }
        return;
    }
    assert_eq!(
        answer.header("content-type"),
        response["headers"]["content-type"].as_str(),
        "{what}"
    );
    assert!(
        answer.header("content-length").is_some(),
        "{what}: {answer:?}"
    );
    let body = response["body"].as_str().unwrap_or("");
    match serde_json::from_str::<Value>(body) {
        Err(_) => assert_eq!(answer.body, body, "{what}"),
        Ok(theirs) => {
            let is_decrypt = request.path.starts_with("/v1/key/decrypt/");
            let ours = masked(answer.json(), is_decrypt);
            assert_eq!(ours, masked(theirs, is_decrypt), "{what}");
            assert!(
                answer.body.ends_with('\n') || answer.status != 200,
                "{what}"
            );
        }
    }
}

fn masked(mut value: Value, is_decrypt: bool) -> Value {
    if let Some(members) = value.as_object_mut() {
        // An empty token and none are the same to every client.
        if members.get("continue_at").is_some_and(|token| token == "") {
            members.remove("continue_at");
        }
        for (name, member) in members.iter_mut() {
            let is_compared = is_decrypt && name == "plaintext";
            if VARYING.contains(&name.as_str()) && !is_compared {
                *member = Value::Null;
            }
        }
    }
    value
}

/// Names and types, without the request counters: those depend on what came before.
fn families(text: &str) -> Vec<&str> {
    let mut all: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .filter(|line| {
            !["_error ", "_success ", "_failure "]
                .iter()
                .any(|kind| line.contains(&format!("request{kind}")))
        })
        .collect();
    all.sort_unstable();
    all
}

async fn plain_http_is_refused(f: &Fixture, exchange: &Value) {
    let mut stream = tokio::net::TcpStream::connect(f.address).await.unwrap();
    stream
        .write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(Some(answer.as_str()), exchange["raw_response"].as_str());
}
