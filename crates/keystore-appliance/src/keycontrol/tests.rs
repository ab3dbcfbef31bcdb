//! What is read of answers whose form no public document names.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_keystore::StoreError;

use super::{WEB_PAGE, is_end, life, listed, login_url, read_refusal, says};
use crate::failure::Failure;
use crate::rest::{Limits, Rest};

fn names(page: &Value) -> Vec<String> {
    let page = listed(page.as_object().unwrap()).unwrap();
    page.names.iter().map(|n| n.as_str().to_owned()).collect()
}

#[test]
fn a_listing_may_call_its_array_anything() {
    for member in ["secrets", "secret_list", "ids"] {
        let page = json!({member: [{"name": "a"}, {"name": "b", "secret_id": "1"}], "count": 2});
        assert_eq!(names(&page), ["a", "b"], "{member}");
    }
    assert!(names(&json!({"secrets": []})).is_empty());
    assert!(names(&json!({"secrets": null})).is_empty());
}

#[test]
fn entries_that_are_no_keys_are_passed_over() {
    let entries = json!([{"name": ""}, {}, "text", 5, null, {"name": 7}, {"name": "folder/key"}, {"name": "key"}]);
    assert_eq!(names(&json!({"secrets": entries})), ["key"]);
}

#[test]
fn an_object_without_a_list_is_no_empty_listing() {
    for page in [
        json!({}),
        json!({"error": "busy"}),
        json!({"next_token": null}),
    ] {
        let read = listed(page.as_object().unwrap());
        assert!(matches!(read, Err(Failure::Garbled(_))), "{page}: {read:?}");
    }
}

#[test]
fn a_token_is_followed_unless_it_is_that_of_the_end() {
    let inside = |context: Value| {
        STANDARD.encode(json!({"box_id": "box-1", "next_ctx": context}).to_string())
    };
    for end in [String::new(), inside(json!("")), inside(Value::Null)] {
        assert!(is_end(&end), "{end}");
    }
    for more in [
        "opaque".to_owned(),
        inside(json!("x")),
        inside(json!({"at": 0})),
    ] {
        assert!(!is_end(&more), "{more}");
        let page = json!({"secrets": [], "next_token": more});
        assert_eq!(listed(page.as_object().unwrap()).unwrap().next, Some(more));
    }
}

#[test]
fn the_end_of_a_token_is_read_in_three_forms_and_otherwise_unknown() {
    let now = "2024-05-01T12:00:00Z".parse().unwrap();
    let hour = Some(Duration::from_secs(3600));
    for end in [
        json!("2024-05-01T13:00:00Z"),
        json!("2024-05-01T15:00:00.000+02:00"),
        json!("2024-05-01T13:00:00"),
        json!("2024-05-01 13:00:00"),
        json!(1_714_568_400),
    ] {
        assert_eq!(life(&end, now), hour, "{end}");
    }
    for end in [
        json!(null),
        json!(""),
        json!("soon"),
        json!("2024-05-01T12:00:00Z"),
        json!("2024-05-01T11:00:00Z"),
        json!(1_714_568_400_000_000_i64),
        json!(-1.5),
    ] {
        assert_eq!(life(&end, now), None, "{end}");
    }
}

#[test]
fn the_words_of_an_error_are_found_where_they_may_be() {
    for body in [
        "Secret not found",
        r#"{"error": "Secret not found"}"#,
        r#"{"message": "Secret not found"}"#,
        r#"{"error": {"code": "x", "message": "secret not found."}}"#,
    ] {
        let refusal = read_refusal(404, body.as_bytes());
        assert!(says(&refusal, "secret not found"), "{body}: {refusal:?}");
    }
    for body in ["", "{}", r#"{"error": 5}"#, "\u{0}"] {
        assert_eq!(read_refusal(404, body.as_bytes()).message, None, "{body:?}");
    }
    let page = read_refusal(404, b"\n<html>secret not found</html>");
    assert_eq!(page.message.as_deref(), Some(WEB_PAGE));
}

#[test]
fn a_vault_is_one_step_of_the_path_whatever_it_is_called() {
    let rest = Rest::open("https://keycontrol.example/kc/", None, Limits::NORMAL).unwrap();
    let url = |vault: &str| login_url(&rest, vault).map(|url| url.path().to_owned());
    assert_eq!(url("4dc2-b1").unwrap(), "/kc/vault/1.0/Login/4dc2-b1/");
    assert_eq!(
        url("my vault/../?x").unwrap(),
        "/kc/vault/1.0/Login/my%20vault%2F..%2F%3Fx/"
    );
    for none in ["", ".", ".."] {
        let Err(StoreError::Other { reason, .. }) = url(none) else {
            panic!("'{none}' is no vault");
        };
        assert!(reason.contains("`vault_id`"), "{reason}");
    }
}
