use serde_json::Value;
use strongroom_kes_api::body::{
    ApiRoutes, DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, FromJson,
    GenerateRequest, GenerateResponse, HmacRequest, HmacResponse, IdentityInfo, IdentityPage,
    ImportKeyRequest, KeyInfo, NamePage, PolicyDocument, PolicyInfo, SelfInfo, StatusResponse,
    ToJson, VersionResponse,
};
use strongroom_kes_api::{ErrorKind, KesError, KeyName, ListPattern, Policy, PolicyName, path};

use crate::exchange::{Exchange, recorded};

/// Decodes and encodes again.
fn round_trip<T: FromJson + ToJson>(body: &str) -> String {
    String::from_utf8(T::from_json(body.as_bytes()).unwrap().to_json().to_vec()).unwrap()
}

fn answer_again(path: &str, body: &str) -> Option<String> {
    let starts = |route: &str| path.starts_with(route);
    Some(match () {
        () if path == path::VERSION => round_trip::<VersionResponse>(body),
        () if path == path::STATUS => round_trip::<StatusResponse>(body),
        () if path == path::API => round_trip::<ApiRoutes>(body),
        () if starts(path::KEY_DESCRIBE) => round_trip::<KeyInfo>(body),
        () if starts(path::KEY_LIST) || starts(path::POLICY_LIST) => round_trip::<NamePage>(body),
        () if starts(path::KEY_GENERATE) => round_trip::<GenerateResponse>(body),
        () if starts(path::KEY_ENCRYPT) => round_trip::<EncryptResponse>(body),
        () if starts(path::KEY_DECRYPT) => round_trip::<DecryptResponse>(body),
        () if starts(path::KEY_HMAC) => round_trip::<HmacResponse>(body),
        () if starts(path::POLICY_DESCRIBE) => round_trip::<PolicyInfo>(body),
        () if starts(path::POLICY_READ) => round_trip::<PolicyDocument>(body),
        () if starts(path::IDENTITY_LIST) => round_trip::<IdentityPage>(body),
        () if starts(path::IDENTITY_DESCRIBE) => round_trip::<IdentityInfo>(body),
        () if path == path::IDENTITY_SELF_DESCRIBE => round_trip::<SelfInfo>(body),
        () => return None,
    })
}

#[test]
fn recorded_answers_decode_and_encode_to_the_same_members() {
    let mut seen = 0;
    for e in recorded("newest")
        .iter()
        .filter(|e| e.status == 200 && e.body.starts_with(['{', '[']))
    {
        let again =
            answer_again(&e.path, &e.body).unwrap_or_else(|| panic!("no type for {}", e.path));
        assert!(again.ends_with('\n'));
        let (mut again, mut recorded): (Value, Value) = (
            serde_json::from_str(&again).unwrap(),
            serde_json::from_str(&e.body).unwrap(),
        );
        // An empty token may be left out.
        for page in [&mut again, &mut recorded]
            .into_iter()
            .filter_map(Value::as_object_mut)
        {
            if page.get("continue_at").is_some_and(|t| t == "") {
                page.remove("continue_at");
            }
        }
        assert_eq!(again, recorded, "{} {}", e.name, e.path);
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn recorded_errors_read_as_what_they_are_and_are_written_alike() {
    for e in recorded("newest").iter().filter(|e| e.status >= 400) {
        let error = KesError::from_response(e.status, e.content_type.as_deref(), e.body.as_bytes());
        assert_eq!(error.status(), e.status);
        if e.content_type.as_deref() == Some("application/json") {
            let (ours, theirs): (Value, Value) = (
                serde_json::from_slice(&error.to_json()).unwrap(),
                serde_json::from_str(&e.body).unwrap(),
            );
            assert_eq!(ours, theirs);
        }
        let expected = match e.name.as_str() {
            "create again" => ErrorKind::KeyExists,
            "describe missing" | "generate missing key" | "delete again" => ErrorKind::KeyNotFound,
            "decrypt wrong context" | "decrypt wrong key" => ErrorKind::NotAuthentic,
            "create denied" | "generate locked" => ErrorKind::NotAllowed,
            "self describe" => ErrorKind::IdentityNotFound,
            _ => continue,
        };
        assert_eq!(error.kind(), expected, "{}", e.name);
    }
}

#[test]
fn request_bodies_are_taken_and_refused_as_recorded() {
    let mut refused = 0;
    for e in recorded("newest") {
        let Some(request) = &e.request else { continue };
        let body = request.as_bytes();
        let reads = match () {
            () if e.path.starts_with(path::KEY_GENERATE) => {
                GenerateRequest::from_json(body).is_ok()
            }
            () if e.path.starts_with(path::KEY_ENCRYPT) => EncryptRequest::from_json(body).is_ok(),
            () if e.path.starts_with(path::KEY_DECRYPT) => DecryptRequest::from_json(body).is_ok(),
            () if e.path.starts_with(path::KEY_HMAC) => HmacRequest::from_json(body).is_ok(),
            () if e.path.starts_with(path::KEY_IMPORT) => ImportKeyRequest::from_json(body).is_ok(),
            () => continue,
        };
        let is_refused = e.status == 400
            && (e.body.contains("invalid request body")
                || e.body.contains("invalid import key request body"));
        assert_eq!(reads, !is_refused, "{} {} {request}", e.name, e.path);
        refused += u32::from(is_refused);
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn imports_are_checked_as_recorded_and_the_old_form_is_taken_too() {
    for e in recorded("newest")
        .iter()
        .filter(|e| e.name == "import" && e.status != 400)
    {
        let request = e.request.as_deref().unwrap();
        let checked = ImportKeyRequest::from_json(request.as_bytes())
            .unwrap()
            .into_checked();
        let is_old_form = request.contains("bytes");
        match checked {
            Ok((_, key)) => {
                assert!(e.status == 200 || is_old_form, "{request}");
                assert_eq!(key[31], 0x1f);
            }
            Err(error) => {
                assert_eq!((error.status(), e.status), (406, 406));
                assert!(!is_old_form);
                assert!(
                    e.body.contains(error.message()),
                    "{} {}",
                    e.body,
                    error.message()
                );
            }
        }
    }
}

#[test]
fn names_are_refused_with_the_recorded_words() {
    let mut seen = 0;
    for e in recorded("newest").iter().filter(|e| !e.path.contains('?')) {
        let decoded = path::decode(&e.path).unwrap();
        let refusal = if let Some(name) = path::argument(path::KEY_CREATE, &decoded) {
            KeyName::for_create(name).err()
        } else if let Some(name) = path::argument(path::POLICY_READ, &decoded) {
            PolicyName::parse(name).err()
        } else if let Some(pattern) = path::argument(path::KEY_LIST, &decoded) {
            ListPattern::parse(pattern).err()
        } else {
            continue;
        };
        // Upstream refuses a pattern that ends in `-`; it is a good prefix.
        let is_refused = e.status == 400 && e.body.contains("characters")
            || e.status == 400 && e.body.contains("listing pattern") && !decoded.ends_with('-');
        if e.status == 403 || e.status == 405 {
            continue;
        }
        assert_eq!(refusal.is_some(), is_refused, "{}", e.path);
        if let Some(refusal) = refusal {
            let body: Value = serde_json::from_str(&e.body).unwrap();
            assert_eq!(body["message"], KesError::from(refusal).message());
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

/// The policy of `fixtures/kes/newest/config.yml`.
fn app_policy() -> Policy {
    let keys = ["create", "generate", "encrypt", "decrypt", "describe"]
        .map(|verb| format!("/v1/key/{verb}/app-*"));
    let others = ["/v1/key/list/*", "/v1/status", "/v1/ready", "/v1/api"].map(str::to_owned);
    Policy::new(
        keys.into_iter().chain(others),
        [
            "/v1/key/generate/app-locked*",
            "/v1/key/decrypt/app-locked*",
        ],
    )
}

#[test]
fn the_recorded_policy_decides_as_upstream_did() {
    let policy = app_policy();
    let is_ruled_by_policy = |e: &&Exchange| {
        e.caller.as_deref() == Some("app")
            && e.path != path::VERSION
            && e.path != path::IDENTITY_SELF_DESCRIBE
            && !matches!(e.status, 404 | 405 | 501)
            && e.method != "HEAD"
    };
    let (mut allowed, mut denied) = (0, 0);
    for e in recorded("newest").iter().filter(is_ruled_by_policy) {
        let decoded = path::decode(e.path.split('?').next().unwrap()).unwrap();
        let allows = policy.allows(&decoded);
        assert_eq!(allows, e.status != 403, "{} {}", e.name, e.path);
        if allows { allowed += 1 } else { denied += 1 }
    }
    assert!(allowed > 30 && denied >= 5, "{allowed} {denied}");
}
