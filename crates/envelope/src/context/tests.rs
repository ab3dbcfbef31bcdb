use super::*;

fn parse(json: &str) -> Result<Context, ContextError> {
    Context::parse_client(&STANDARD.encode(json))
}

#[test]
fn canonical_text_is_sorted_and_escaped_as_minio_escapes() {
    let context = Context::from_iter([
        ("z", "\u{fc} \"q\" \\ \n\r\t\u{1}\u{8}\u{7f}/"),
        ("project", "a&b<c>\u{2028}\u{2029}"),
        ("Z", ""),
    ]);
    assert_eq!(
        context.canonical(),
        "{\"Z\":\"\",\"project\":\"a\\u0026b\\u003cc\\u003e\\u2028\\u2029\",\
         \"z\":\"\u{fc} \\\"q\\\" \\\\ \\n\\r\\t\\u0001\\u0008\u{7f}/\"}"
    );
    assert_eq!(Context::new().canonical(), "{}");
    assert_eq!(parse(&context.canonical()).unwrap(), context);
}

#[test]
fn text_from_before_2021_is_not_escaped() {
    let context = Context::from_iter([("b", "b/a&\"c")]);
    assert_eq!(context.unescaped(), "{\"b\":\"b/a&\"c\"}");
}

#[test]
fn object_context_has_the_place_unless_the_client_says_otherwise() {
    let path = ObjectPath::new("bkt", "a//b/");
    let none = Context::new();
    assert_eq!(
        Context::for_object(&none, &path).canonical(),
        r#"{"bkt":"bkt/a/b"}"#
    );
    let own = Context::from_iter([("bkt", "mine"), ("x", "y")]);
    assert_eq!(
        Context::for_object(&own, &path).canonical(),
        r#"{"bkt":"mine","x":"y"}"#
    );
}

#[test]
fn bucket_key_context_is_none_that_an_object_can_have() {
    let context = Context::for_bucket_key(&Context::new(), "bkt");
    assert_eq!(
        context.canonical(),
        r#"{"bkt":"bkt","strongroom:bucket-key":"v1"}"#
    );
    assert!(matches!(
        parse(&context.canonical()),
        Err(ContextError::Reserved { .. })
    ));
    let state = Context::for_state_key().canonical();
    assert_eq!(state, r#"{"strongroom:state-key":"v1"}"#);
    assert!(matches!(parse(&state), Err(ContextError::Reserved { .. })));
}

#[test]
fn client_context_must_be_an_object_of_strings_with_each_member_once() {
    assert!(parse("{}").unwrap().is_empty());
    for bad in [
        "",
        "[]",
        "null",
        "{\"a\":1}",
        "{\"a\":\"1\",\"a\":\"2\"}",
        "{\"a\":\"b\"} x",
        "{",
    ] {
        assert_eq!(parse(bad), Err(ContextError::NotJson), "{bad}");
    }
    for bad in ["e30", "e30==", "e3 0=", "!"] {
        assert_eq!(
            Context::parse_client(bad),
            Err(ContextError::NotBase64),
            "{bad}"
        );
    }
}

#[test]
fn client_context_has_limits() {
    let value = "x".repeat(CONTEXT_BYTES_MAX - r#"{"a":""}"#.len());
    assert!(parse(&format!("{{\"a\":\"{value}\"}}")).is_ok());
    assert!(matches!(
        parse(&format!("{{\"a\":\"{value}x\"}}")),
        Err(ContextError::TooLarge { .. })
    ));
    // Short as sent, long as authenticated.
    let escaped = "<".repeat(CONTEXT_BYTES_MAX / 6);
    assert!(matches!(
        parse(&format!("{{\"a\":\"{escaped}\"}}")),
        Err(ContextError::TooLarge { .. })
    ));
    let many: Context = (0..=CONTEXT_MEMBERS_MAX)
        .map(|i| (i.to_string(), ""))
        .collect();
    assert!(matches!(
        parse(&many.canonical()),
        Err(ContextError::TooLarge {
            what: "members",
            ..
        })
    ));
}
