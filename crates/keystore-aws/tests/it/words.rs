//! What AWS says, as the store tells it; each answer in the shape of Amazon's documentation.

use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};

use crate::canned::{Canned, answer, dated, error};

const SCHEDULED: &str = "You can't create this secret because a secret with this name is already scheduled for deletion.";

#[tokio::test]
async fn wrong_credentials_stop_the_start_in_one_sentence() {
    for (code, message, advice) in [
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "check the access key",
        ),
        (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
            "check the secret key",
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "get new temporary credentials",
        ),
    ] {
        let aws = Canned::start([error(code, message)]).await;
        let refused = aws.store().await.connect().await.unwrap_err();
        assert!(matches!(refused, StoreError::Other { .. }), "{refused:?}");
        let text = refused.in_full();
        assert!(
            text.starts_with("AWS does not accept the credentials"),
            "{text}"
        );
        assert!(text.contains(code) && text.contains(advice), "{text}");
        assert!(!text.contains("EXAMPLE"), "credentials stay out: {text}");
    }
}

#[tokio::test]
async fn a_server_that_may_not_list_starts() {
    let denied = "User: arn:aws:iam::123456789012:user/kes is not authorized to perform: secretsmanager:ListSecrets";
    let aws = Canned::start([error("AccessDeniedException", denied)]).await;
    let store = aws.store().await;
    store.connect().await.unwrap();
    let listed = store.list("", None, 10).await.unwrap_err().in_full();
    assert!(
        listed.contains("grant secretsmanager:ListSecrets"),
        "{listed}"
    );
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let throttled = || error("ThrottlingException", "Rate exceeded");
    let secret = answer(200, r#"{"Name":"k","SecretString":"text"}"#);
    let aws = Canned::start([throttled(), throttled(), secret]).await;
    assert_eq!(
        aws.store().await.get(&name("k")).await.unwrap().expose(),
        "text"
    );

    let aws = Canned::start([throttled()]).await;
    let refused = aws.store().await.get(&name("k")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Other { .. }), "{refused:?}");
    assert!(
        refused
            .in_full()
            .contains("ThrottlingException: Rate exceeded"),
        "{refused}"
    );
    assert_eq!(aws.requests().len(), 3, "there is an end to attempts");
}

#[tokio::test]
async fn a_name_that_is_just_being_freed_is_waited_for() {
    let held = || error("InvalidRequestException", SCHEDULED);
    let aws = Canned::start([held(), held(), answer(200, "{}")]).await;
    aws.store()
        .await
        .create(&name("k"), value("v"))
        .await
        .unwrap();

    let aws = Canned::start([held()]).await;
    let refused = aws
        .store()
        .await
        .create(&name("k"), value("v"))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Other { .. }), "{refused:?}");
    assert!(
        refused.in_full().contains("'k' is scheduled for deletion"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_attempt_whose_answer_was_lost_is_no_conflict_with_itself() {
    let lost = answer(503, "");
    let aws = Canned::start([lost, answer(200, "{}")]).await;
    aws.store()
        .await
        .create(&name("k"), value("v"))
        .await
        .unwrap();
    let tokens: Vec<String> = aws
        .requests()
        .iter()
        .map(|r| r.split("\"ClientRequestToken\":\"").nth(1).unwrap()[..36].to_owned())
        .collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(
        tokens[0], tokens[1],
        "AWS knows the second attempt for the first"
    );
}

#[tokio::test]
async fn a_kms_key_that_cannot_be_used_is_named() {
    let said =
        "Secrets Manager can't decrypt the protected secret text using the provided KMS key.";
    let aws = Canned::start([error("DecryptionFailure", said)]).await;
    let refused = aws.store().await.get(&name("k")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Other { .. }), "{refused:?}");
    let text = refused.in_full();
    assert!(
        text.contains("KMS key 'alias/for-keys' for GetSecretValue of key 'k'"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_not_secrets_manager_is_told_by_its_status() {
    let page = "<html>Login: SECRET-MARKER</html>";
    for (status, is_away) in [(200, false), (403, false), (502, true)] {
        let aws = Canned::start([answer(status, page)]).await;
        let refused = aws.store().await.get(&name("k")).await.unwrap_err();
        assert_eq!(
            matches!(refused, StoreError::Unreachable { .. }),
            is_away,
            "{refused:?}"
        );
        let shown = format!("{} {refused:?}", refused.in_full());
        assert!(shown.contains(&status.to_string()), "{shown}");
        assert!(
            !shown.contains("MARKER"),
            "an answer may hold a key: {shown}"
        );
    }
}

#[tokio::test]
async fn a_secret_under_another_name_is_not_believed() {
    let aws = Canned::start([answer(200, r#"{"Name":"k-a1B2c3","SecretString":"other"}"#)]).await;
    let refused = aws
        .store()
        .await
        .get(&name("k"))
        .await
        .unwrap_err()
        .in_full();
    assert!(refused.contains("another name"), "{refused}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let aws = Canned::start([answer(
        200,
        r#"{"Name":"k","SecretString":"text","SecretList":[]}"#,
    )])
    .await;
    let store = aws.store().await;
    for _ in 0..5 {
        store.get(&name("k")).await.unwrap();
        store.list("", None, 1).await.unwrap();
        store.status().await.unwrap();
    }
    assert_eq!((aws.requests().len(), aws.connections()), (15, 1));
}

#[tokio::test]
async fn only_prefixes_that_are_names_are_filtered_over_there() {
    let aws = Canned::start([answer(200, r#"{"SecretList":[]}"#)]).await;
    let store = aws.store().await;
    for prefix in ["", "app-", "!app"] {
        store.list(prefix, None, 1).await.unwrap();
    }
    let has_filter: Vec<bool> = aws
        .requests()
        .iter()
        .map(|r| r.contains("\"Filters\""))
        .collect();
    assert_eq!(has_filter, [false, true, false]);
    assert!(aws.requests()[1].contains(r#""Key":"name","Values":["app-"]"#));
}

#[tokio::test]
async fn a_filter_that_ignores_case_shows_no_other_keys() {
    let list =
        r#"{"SecretList":[{"Name":"app-b"},{"Name":"App-a"},{"Name":"app-a"},{"Name":"APP-C"}]}"#;
    let aws = Canned::start([answer(200, list)]).await;
    let page = aws.store().await.list("app-", None, 10).await.unwrap();
    let listed: Vec<&str> = page.names.iter().map(|n| n.as_str()).collect();
    assert_eq!(listed, ["app-a", "app-b"]);
}

#[tokio::test]
async fn a_doctor_sees_a_wrong_clock_and_missing_rights() {
    let aws = Canned::start([
        dated("Sat, 21 Nov 1998 12:00:00 GMT"),
        answer(200, "{}"),
        error("AccessDeniedException", "not authorized"),
    ])
    .await;
    let findings = aws.store().await.examine().await;
    let outcomes: Vec<(&str, bool)> = findings
        .iter()
        .map(|f| (f.step.as_str(), f.outcome.is_ok()))
        .collect();
    let reach = format!("reach {}", aws.url);
    assert_eq!(
        outcomes,
        [
            (reach.as_str(), true),
            ("clock", false),
            ("AWS credentials", true),
            ("secretsmanager:ListSecrets", true),
            ("secretsmanager:GetSecretValue", false),
        ]
    );
    assert_eq!(findings[2].outcome, Ok("from the configuration".to_owned()));
}

#[tokio::test]
async fn a_doctor_stops_at_wrong_credentials() {
    let aws = Canned::start([
        dated(""),
        error(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    ])
    .await;
    let findings = aws.store().await.examine().await;
    let last = findings.last().unwrap();
    assert_eq!(last.step, "secretsmanager:ListSecrets");
    assert!(
        last.outcome
            .as_ref()
            .unwrap_err()
            .contains("check the access key"),
        "{last:?}"
    );
}
