use super::*;
use crate::Secret;

fn line(body: &impl ToJson) -> String {
    String::from_utf8(body.to_json().to_vec()).unwrap()
}

#[test]
fn reading_follows_the_original_decoder() {
    let read = |body: &str| GenerateRequest::from_json(body.as_bytes()).map(|r| r.context);
    for (body, context) in [
        ("{}", ""),
        ("null", ""),
        (" {\"context\":null}", ""),
        (r#"{"CONTEXT":"YWI="}"#, "ab"),
        (r#"{"context":"YW\r\nI="}"#, "ab"),
        (r#"{"context":"YQ==","context":"YWI="}"#, "ab"),
        (r#"{"x":[1,{"y":null}],"context":"YWI="} trailing"#, "ab"),
    ] {
        assert_eq!(read(body).unwrap(), context.as_bytes(), "{body}");
    }
    for bad in [
        "",
        "[]",
        "1",
        "\"\"",
        r#"{"context":1}"#,
        r#"{"context":"YQ"}"#,
        r#"{"context":"#,
        "{",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn bodies_written_at_once_are_what_the_encoder_writes() {
    for length in 0..=5_u8 {
        let bytes: Vec<u8> = (250..=u8::MAX).take(length.into()).collect();
        let generated = GenerateResponse {
            plaintext: Secret::copied_from(&bytes),
            ciphertext: bytes.repeat(9),
            version: None,
        };
        let decrypted = DecryptResponse {
            plaintext: Secret::copied_from(&bytes),
        };
        let encrypted = EncryptResponse { ciphertext: bytes };
        let encoded = |body: String| body + "\n";
        assert_eq!(
            line(&generated),
            encoded(serde_json::to_string(&generated).unwrap())
        );
        assert_eq!(
            line(&decrypted),
            encoded(serde_json::to_string(&decrypted).unwrap())
        );
        assert_eq!(
            line(&encrypted),
            encoded(serde_json::to_string(&encrypted).unwrap())
        );
    }
}

#[test]
fn zero_time_is_sent_and_unknown_algorithm_is_not() {
    let info = KeyInfo {
        name: "a".into(),
        ..Default::default()
    };
    assert_eq!(
        line(&info),
        "{\"name\":\"a\",\"created_at\":\"0001-01-01T00:00:00Z\"}\n"
    );
    assert_eq!(KeyInfo::from_json(info.to_json().as_slice()).unwrap(), info);
    let info = KeyInfo {
        name: "a".into(),
        algorithm: Some(Algorithm::ChaCha20),
        created_at: Some("2026-11-21T04:31:47.1Z".parse().unwrap()),
        created_by: Some("me".into()),
    };
    assert_eq!(
        line(&info),
        "{\"name\":\"a\",\"algorithm\":\"ChaCha20\",\"created_at\":\"2026-11-21T04:31:47.1Z\",\"created_by\":\"me\"}\n"
    );
    assert!(KeyInfo::from_json(br#"{"algorithm":"DES"}"#).is_err());
}

#[test]
fn secrets_travel_in_base64_and_stay_out_of_debug() {
    let key = GenerateResponse {
        plaintext: Secret::copied_from(b"\xff\xfe\xfd"),
        ciphertext: b"cipher".to_vec(),
        version: None,
    };
    assert_eq!(
        line(&key),
        "{\"plaintext\":\"//79\",\"ciphertext\":\"Y2lwaGVy\"}\n"
    );
    assert!(format!("{key:?}").contains("Secret(3 bytes)"));
}

#[test]
fn bulk_requests_are_bounded() {
    let of = |n: usize| format!("[{}]", vec![r#"{"ciphertext":"YQ=="}"#; n].join(","));
    assert_eq!(
        BulkDecryptRequest::from_json(of(BULK_DECRYPT_MAX).as_bytes())
            .unwrap()
            .entries
            .len(),
        BULK_DECRYPT_MAX
    );
    let refusal = BulkDecryptRequest::from_json(of(BULK_DECRYPT_MAX + 1).as_bytes()).unwrap_err();
    assert!(
        matches!(
            refusal,
            BodyError::TooMany {
                max: BULK_DECRYPT_MAX
            }
        ),
        "{refusal}"
    );
    assert!(
        BulkDecryptRequest::from_json(b"null")
            .unwrap()
            .entries
            .is_empty()
    );
    assert!(BulkDecryptRequest::from_json(b"{}").is_err());
}

#[test]
fn status_says_unavailable_whenever_it_says_unreachable() {
    let status = StatusResponse {
        version: "v".into(),
        ..Default::default()
    }
    .with_keystore_down(true);
    let text = line(&status);
    assert!(
        text.contains("\"keystore_unreachable\":true,\"keystore_unavailable\":true"),
        "{text}"
    );
    let old = StatusResponse::from_json(br#"{"uptime":9000000000}"#).unwrap();
    assert_eq!(old.uptime_s, 9, "nanoseconds of older servers");
    assert_eq!(
        StatusResponse::from_json(br#"{"uptime":1.5}"#)
            .unwrap()
            .uptime_s,
        1
    );
    assert_eq!(
        StatusResponse::from_json(br#"{"uptime":-1}"#)
            .unwrap()
            .uptime_s,
        0
    );
}

#[test]
fn pages_may_be_null_and_patterns_may_be_arrays() {
    assert_eq!(
        NamePage::from_json(br#"{"names":null}"#).unwrap(),
        NamePage::default()
    );
    assert_eq!(
        NamePage::from_json(br#"{"names":["a"],"continue_at":""}"#)
            .unwrap()
            .continue_at,
        None
    );
    let old = PolicyDocument::from_json(br#"{"allow":["/a","/b"],"deny":null}"#).unwrap();
    assert_eq!(old.allow.len(), 2);
    assert_eq!(
        line(&old),
        "{\"allow\":{\"/a\":{},\"/b\":{}},\"created_at\":\"0001-01-01T00:00:00Z\"}\n"
    );
}

#[test]
fn audit_lines_round_trip() {
    let text = r#"{"time":"2026-11-21T04:39:38.884605239Z","request":{"ip":"127.0.0.1","path":"/v1/key/create/a","identity":"2a"},"response":{"code":200,"time":4605000}}"#;
    let event = AuditEvent::from_json(text.as_bytes()).unwrap();
    assert_eq!(event.response.time_ns, 4_605_000);
    assert_eq!(line(&event), format!("{text}\n"));
}

#[test]
fn text_is_escaped_as_the_original_does() {
    let event = ErrorEvent {
        message: "<a&b>\u{2028}…".into(),
    };
    assert_eq!(
        line(&event),
        "{\"message\":\"\\u003ca\\u0026b\\u003e\\u2028…\"}\n"
    );
    assert_eq!(
        ErrorEvent::from_json(event.to_json().as_slice()).unwrap(),
        event
    );
}
