//! A KES of a few lines, that answers what the recorded server answered.

use std::collections::BTreeSet;
use std::sync::Mutex;

use strongroom_kes_api::body::{NamePage, ToJson as _};
use strongroom_kes_api::{KesError, KeyName, ListPattern, path};

use crate::Surroundings;
use crate::server::{CLIENT_KEY, Reply, Seen, Server, json};

pub(crate) const ADMIN: &str = "2a7c5badadeab361c98472146beed2d5e7c058e4d32ee66d0b76a701234dd1b3";
pub(crate) const APP: &str = "bb16264ef2c339c192bd3bc993c4aa952d38ad944a1022bab3f1dd07a009d0ff";
const AUDITOR: &str = "106220b92e492e2fac624127536f8cfff5d9a2b174f1bb6c8e3199e86c5e00c6";
const CREATED_AT: &str = "2026-11-21T04:31:46.718451218Z";
const CIPHERTEXT: &str =
    "jTiH0R7FfZRQGbIbwYaJw2NzBMG91YB8IKQt+b5vbuatW99eAXNB/ouF0F97GOMOqT3twIf8CA==";

/// Keys that were there when the recording of commands began.
const KEYS: [&str; 11] = [
    "_a",
    "a_",
    "app-a",
    "app-b",
    "app-declared",
    "app-locked",
    "imp-52",
    "imp-53",
    "imp-54",
    "imp-55",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

pub(crate) struct FakeKes {
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

impl FakeKes {
    pub(crate) async fn start() -> Self {
        let keys = Mutex::new(
            KEYS.iter()
                .map(|k| (*k).to_owned())
                .collect::<BTreeSet<_>>(),
        );
        let server = Server::start(move |seen| {
            answer(seen, &mut keys.lock().unwrap()).unwrap_or_else(|error| {
                json(
                    error.status(),
                    std::str::from_utf8(&error.to_json()).unwrap(),
                )
            })
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            strongroom_kes_api::base64::encode(&server.certificate)
        );
        std::fs::write(folder.path().join("ca.crt"), pem).unwrap();
        Self { server, folder }
    }

    pub(crate) fn ca_file(&self) -> String {
        self.folder
            .path()
            .join("ca.crt")
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// An environment that reaches it.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings::default()
            .with("KES_SERVER", &format!("https://{}", self.server.address))
            .with("KES_API_KEY", CLIENT_KEY)
            .with("KES_CA_CERT", &self.ca_file())
    }
}

fn ok(body: &str) -> Result<Reply, KesError> {
    Ok(json(200, body))
}

fn answer(seen: &Seen, keys: &mut BTreeSet<String>) -> Result<Reply, KesError> {
    let decoded = path::decode(&seen.path).unwrap().into_owned();
    let argument = |route: &str| path::argument(route, &decoded).map(str::to_owned);
    let body = std::str::from_utf8(&seen.body).unwrap();
    if let Some(name) = argument(path::KEY_CREATE).or_else(|| argument(path::KEY_IMPORT)) {
        KeyName::for_create(&name)?;
        return if keys.insert(name) {
            ok("")
        } else {
            Err(KesError::KEY_EXISTS)
        };
    }
    if let Some(name) = argument(path::KEY_DELETE) {
        return if keys.remove(&name) {
            ok("")
        } else {
            Err(KesError::KEY_NOT_FOUND)
        };
    }
    if let Some(name) = argument(path::KEY_DESCRIBE) {
        if !keys.contains(&name) {
            return Err(KesError::KEY_NOT_FOUND);
        }
        return ok(&format!(
            r#"{{"name":"{name}","algorithm":"AES256","created_at":"2026-11-21T04:31:54.135031436Z","created_by":"{ADMIN}"}}"#
        ));
    }
    if argument(path::KEY_ENCRYPT).is_some() {
        assert_eq!(body.trim(), r#"{"plaintext":"SGVsbG8gV29ybGQ="}"#);
        return ok(&format!(r#"{{"ciphertext":"{CIPHERTEXT}"}}"#));
    }
    if let Some(name) = argument(path::KEY_DECRYPT) {
        let is_known = name == "cli-a" && body.contains(CIPHERTEXT);
        return if is_known {
            ok(r#"{"plaintext":"SGVsbG8gV29ybGQ="}"#)
        } else {
            Err(KesError::NOT_AUTHENTIC)
        };
    }
    if argument(path::KEY_GENERATE).is_some() {
        return match body.trim() {
            "{}" => ok(
                r#"{"plaintext":"hoYlmIHBBfnx4lkxaJjMdznnhIBr5vwUWHyh97OKZac=","ciphertext":"YpsxjmOHtQLLqZvBl3PeX9vTmGFsvT2oUl5NzhmeHN/nHm9Be/BmG7af9Sy1JrDa77j0hy6t3NFjYDUVy2LarIww97/TpfR26nHT8A=="}"#,
            ),
            r#"{"context":"Y3R4"}"# => ok(
                r#"{"plaintext":"SOnwwTPMwZQoV6sp39vzy7Xud5olTHrUhY1WplH46lg=","ciphertext":"e1ljZ5eXdKzLFaIZjG0tva4aLj4WP4v4Zkov96YV+23gdys+Xuy9v74q3Z0ibn1UU9t1sgX/LUn8SzjlAM/jJ+xkIZrWV6e75KFh8Q=="}"#,
            ),
            other => panic!("unexpected request {other}"),
        };
    }
    if let Some(pattern) = argument(path::KEY_LIST) {
        let (names, continue_at) = ListPattern::parse(&pattern)?.page(keys.iter().cloned(), 1024);
        return ok(std::str::from_utf8(&NamePage { names, continue_at }.to_json()).unwrap());
    }
    match decoded.as_str() {
        "/v1/policy/list/*" => ok(r#"{"names":["app","auditor"],"continue_at":""}"#),
        "/v1/policy/describe/app" => ok(&format!(
            r#"{{"name":"app","created_at":"{CREATED_AT}","created_by":"{ADMIN}"}}"#
        )),
        "/v1/policy/read/app" => ok(&format!(
            r#"{{"name":"app","allow":{{"/v1/api":{{}},"/v1/status":{{}}}},"deny":{{"/v1/key/decrypt/app-locked*":{{}}}},"created_at":"{CREATED_AT}","created_by":"{ADMIN}"}}"#
        )),
        "/v1/identity/list/*" => ok(&format!(
            r#"{{"identities":["{AUDITOR}","{ADMIN}","{APP}"],"continue_at":""}}"#
        )),
        "/v1/identity/self/describe" => ok(&format!(
            r#"{{"identity":"{ADMIN}","admin":true,"created_at":"{CREATED_AT}"}}"#
        )),
        "/v1/status" => ok(
            r#"{"version":"2025-05-27T18-49-52Z","os":"linux","arch":"amd64","uptime":9,"num_cpu":2,"num_cpu_used":2,"mem_heap_used":6459968,"mem_stack_used":491520,"keystore_latency":1}"#,
        ),
        "/v1/api" => ok(
            r#"[{"method":"PUT","path":"/v1/key/create/","max_body":0,"timeout":15},{"method":"GET","path":"/v1/log/error","max_body":0,"timeout":0},{"method":"GET","path":"/v1/identity/self/describe","max_body":0,"timeout":15}]"#,
        ),
        // Real ones do not end.
        "/v1/log/audit" => {
            ok(&std::fs::read_to_string(crate::fixture("v0.22/log-audit.ndjson")).unwrap())
        }
        "/v1/log/error" => ok("{\"message\":\"one\"}\n\n{\"message\":\"two\"}\n"),
        other if other == format!("{}{APP}", path::IDENTITY_DESCRIBE) => ok(&format!(
            r#"{{"policy":"app","created_at":"{CREATED_AT}","created_by":"{ADMIN}"}}"#
        )),
        other if other.starts_with(path::POLICY_DESCRIBE) => Err(KesError::POLICY_NOT_FOUND),
        _ => Err(KesError::NOT_IMPLEMENTED),
    }
}
