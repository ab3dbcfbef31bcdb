use strongroom_keystore::contract::name;

use super::*;

fn told(code: &str, said: &str, status: u16, action: &'static str) -> StoreError {
    let key = name("my-key");
    let call = Call {
        action,
        key: Some(&key),
        kms_key: Some("alias/keys"),
        url: "https://aws.example",
    };
    Failure::from_code(code, said, status).in_words(call)
}

#[test]
fn taken_and_missing_are_told_apart_from_failures() {
    let exists = told("ResourceExistsException", "", 400, "CreateSecret");
    assert!(matches!(exists, StoreError::Exists));
    let missing = told("ResourceNotFoundException", "", 400, "GetSecretValue");
    assert!(matches!(missing, StoreError::NotFound));
}

#[test]
fn a_missing_resource_at_creation_is_the_kms_key() {
    let said = "Secrets Manager can't find the resource that you asked for.";
    let error = told("ResourceNotFoundException", said, 400, "CreateSecret");
    let text = error.in_full();
    assert!(matches!(error, StoreError::Other { .. }), "{text}");
    assert!(text.contains("alias/keys"), "{text}");
}

#[test]
fn a_name_held_by_a_deletion_comes_with_both_ways_out() {
    let said = "You can't create this secret because a secret with this name is already scheduled for deletion.";
    let text = told("InvalidRequestException", said, 400, "CreateSecret").in_full();
    assert!(
        text.contains("'my-key' is scheduled for deletion"),
        "{text}"
    );
    assert!(text.contains("restore-secret"), "{text}");
    assert!(text.contains("--force-delete-without-recovery"), "{text}");
}

#[test]
fn other_invalid_requests_are_not_taken_for_deletions() {
    let text = told(
        "InvalidRequestException",
        "Rotation is on.",
        400,
        "GetSecretValue",
    )
    .in_full();
    assert_eq!(
        text,
        "AWS refuses GetSecretValue of key 'my-key' (InvalidRequestException: Rotation is on)"
    );
}

#[test]
fn failures_of_kms_name_the_kms_key() {
    for (code, said) in [
        ("DecryptionFailure", "can't decrypt"),
        ("EncryptionFailure", "can't encrypt"),
        ("AccessDeniedException", "Access to KMS is not allowed"),
    ] {
        let error = told(code, said, 400, "GetSecretValue");
        let text = error.in_full();
        assert!(matches!(error, StoreError::Other { .. }), "{text}");
        assert!(text.contains("KMS key 'alias/keys'"), "{text}");
        assert!(text.contains(code), "{text}");
    }
}

#[test]
fn wrong_credentials_say_what_is_wrong_with_them() {
    for (code, advice) in [
        ("UnrecognizedClientException", "check the access key"),
        ("InvalidSignatureException", "check the secret key"),
        ("ExpiredTokenException", "new temporary credentials"),
        ("RequestExpired", "clock"),
    ] {
        let text = told(code, "no", 400, "ListSecrets").in_full();
        assert!(text.contains("does not accept the credentials"), "{text}");
        assert!(text.contains(advice), "{text}");
    }
}

#[test]
fn a_denial_names_the_right_that_is_missing() {
    let said = "User: arn:aws:iam::1:user/x is not authorized";
    let text = told("AccessDeniedException", said, 400, "GetSecretValue").in_full();
    assert!(
        text.contains("grant secretsmanager:GetSecretValue"),
        "{text}"
    );
    assert!(text.contains("arn:aws:iam::1:user/x"), "{text}");
}

#[test]
fn failures_inside_aws_pass() {
    let error = told(
        "InternalServiceError",
        "An error occurred.",
        500,
        "GetSecretValue",
    );
    assert!(matches!(error, StoreError::Unreachable { .. }));
}

#[test]
fn texts_of_others_become_one_short_line() {
    assert_eq!(one_line(" a\r\n\tb\u{1b}[0m.  "), "a b [0m");
    let long = one_line(&"é".repeat(SAID_CHARS_MAX + 1));
    assert_eq!(long.chars().count(), SAID_CHARS_MAX + 1);
    assert!(long.ends_with('…'));
}
