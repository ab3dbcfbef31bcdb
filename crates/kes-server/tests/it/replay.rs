//! Every request that was recorded against newest upstream, sent again: status, message, members, content type and
//! values are the same, but for the differences listed here, each with its reason.

use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Answer, Fixture, Who, fixture, fixtures};

/// What we answer instead.
enum Ours {
    /// This status; what more there is to say about it is checked by a test of its own.
    Status(u16),
    /// This status and the location.
    Redirect(&'static str),
    /// These names, and 200.
    Names(&'static [&'static str]),
    /// Compared by a rule of its own, below.
    ApiTable,
}

struct Difference {
    method: &'static str,
    path: &'static str,
    /// Only requests whose body starts so.
    body: &'static str,
    ours: Ours,
    #[allow(dead_code, reason = "the reason is for the reader")]
    why: &'static str,
}

const fn differs(
    method: &'static str,
    path: &'static str,
    body: &'static str,
    ours: Ours,
    why: &'static str,
) -> Difference {
    Difference {
        method,
        path,
        body,
        ours,
        why,
    }
}

const APP_NAMES: &[&str] = &["app-a", "app-b", "app-declared", "app-locked"];
const OLD_IMPORT: &str = "bodies of 2022 and before are still understood";
const BULK: &str = "bulk decryption is served: MinIO before 2023-08 calls it";
const UNCHANGEABLE: &str = "501 says more than 404, and clients take it for a healthy endpoint";
const REDIRECTS: &str =
    "301 is what upstream's releases answered; the recording was built with a newer Go";
const STREAMS: &str = "upstream's stay silent; ours send their headers at once";

const DIFFERENCES: [Difference; 21] = [
    differs(
        "GET",
        "/v1/key/list",
        "",
        Ours::Status(200),
        "a list without slash lists everything",
    ),
    differs(
        "GET",
        "//v1/status",
        "",
        Ours::Redirect("/v1/status"),
        REDIRECTS,
    ),
    differs(
        "GET",
        "/v1/x/../status",
        "",
        Ours::Redirect("/v1/status"),
        REDIRECTS,
    ),
    differs(
        "POST",
        "/v1/key/import/imp-57",
        "",
        Ours::Status(200),
        OLD_IMPORT,
    ),
    differs(
        "POST",
        "/v1/key/import/imp-58",
        "",
        Ours::Status(200),
        OLD_IMPORT,
    ),
    differs(
        "POST",
        "/v1/key/import/imp-59",
        "",
        Ours::Status(200),
        OLD_IMPORT,
    ),
    differs(
        "POST",
        "/v1/key/import/imp-60",
        "",
        Ours::Status(200),
        OLD_IMPORT,
    ),
    differs(
        "GET",
        "/v1/key/list/app-",
        "",
        Ours::Names(APP_NAMES),
        "a prefix may end in a dash",
    ),
    differs(
        "GET",
        "/v1/key/list/app-*",
        "",
        Ours::Names(APP_NAMES),
        "a star ends a prefix, as for policies",
    ),
    differs(
        "POST",
        "/v1/key/bulk/decrypt/app-a",
        "[]",
        Ours::Status(200),
        BULK,
    ),
    differs(
        "POST",
        "/v1/key/bulk/decrypt/app-a",
        "(1001",
        Ours::Status(400),
        BULK,
    ),
    differs(
        "POST",
        "/v1/key/bulk/decrypt/app-a",
        "",
        Ours::Status(200),
        BULK,
    ),
    differs(
        "POST",
        "/v1/policy/write/new",
        "",
        Ours::Status(501),
        UNCHANGEABLE,
    ),
    differs(
        "POST",
        "/v1/policy/assign/app",
        "",
        Ours::Status(501),
        UNCHANGEABLE,
    ),
    differs(
        "DELETE",
        "/v1/policy/delete/none",
        "",
        Ours::Status(501),
        UNCHANGEABLE,
    ),
    differs("GET", "/v1/log/audit", "", Ours::Status(200), STREAMS),
    differs("GET", "/v1/log/error", "", Ours::Status(200), STREAMS),
    differs(
        "GET",
        "/v1/key/describe/broken-empty",
        "",
        Ours::Status(502),
        "upstream crashes",
    ),
    differs(
        "POST",
        "/v1/key/generate/broken-empty",
        "",
        Ours::Status(502),
        "upstream crashes",
    ),
    differs(
        "GET",
        "/v1/api",
        "",
        Ours::ApiTable,
        "bulk decryption is listed",
    ),
    differs(
        "GET",
        "/v1/identity/self/describe",
        "app",
        Ours::Status(200),
        "upstream looks up the wrong value",
    ),
];

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
        let difference = request.difference();
        match (answer, difference) {
            (Err(_), _) if request.is_anonymous => {
                // TLS 1.3 tells the client of a missing certificate with its first read.
                assert!(
                    response["error"].is_string(),
                    "{n}: refused, but recorded {response}"
                );
            }
            (Err(error), _) => panic!("{n}: {} {}: {error}", request.method, request.path),
            (Ok(answer), Some(difference)) => {
                compare_with_ours(&request, &answer, response, &difference.ours);
            }
            (Ok(answer), None) => {
                assert!(!request.is_anonymous, "{n}: answered without a certificate");
                compare(&request, &answer, response);
            }
        }
        after(&request, &recorded, &f.keys);
        compared += 1;
    }
    assert_eq!(compared, 197);
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

    fn difference(&self) -> Option<&'static Difference> {
        if self.is_anonymous {
            return None;
        }
        DIFFERENCES.iter().find(|d| {
            let is_here = d.method == self.method && d.path == self.path;
            match d.path {
                "/v1/identity/self/describe" => is_here && self.name == d.body,
                "/v1/api" => is_here && matches!(self.name.as_str(), "root" | "app"),
                // The third batch holds one ciphertext that is none.
                _ if self.recorded_body.contains("\"eA==\"}]") => false,
                _ => is_here && self.recorded_body.starts_with(d.body),
            }
        })
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

fn compare_with_ours(request: &Request, answer: &Answer, response: &Value, ours: &Ours) {
    let path = &request.path;
    match ours {
        Ours::Status(status) => assert_eq!(answer.status, *status, "{path}: {answer:?}"),
        Ours::Redirect(location) => {
            assert_eq!(answer.status, 301, "{path}");
            assert_eq!(answer.header("location"), Some(*location), "{path}");
        }
        Ours::Names(names) => {
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            assert_eq!(
                answer.json(),
                serde_json::json!({ "names": names }),
                "{path}"
            );
        }
        Ours::ApiTable => {
            let theirs: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
            let sorted = |table: &Value, without: &str| {
                let rows = table.as_array().unwrap().iter();
                let mut rows: Vec<String> = rows
                    .filter(|row| !row["path"].as_str().unwrap().starts_with(without))
                    .map(Value::to_string)
                    .collect();
                rows.sort();
                rows
            };
            assert_eq!(
                sorted(&answer.json(), "/v1/key/bulk/"),
                sorted(&theirs, "none")
            );
        }
    }
}

fn compare(request: &Request, answer: &Answer, response: &Value) {
    let what = format!(
        "{} {} {} as {}",
        request.method, request.path, request.recorded_body, request.name
    );
    if request.recorded_body.contains("\"eA==\"}]") {
        assert_eq!(
            answer.error(),
            (400, "decryption failed: ciphertext is not authentic".into())
        );
        return;
    }
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
        // The exposition formats other than text are not offered; nothing asks for them.
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
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
