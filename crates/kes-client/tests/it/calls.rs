use serde_json::json as value;
use strongroom_kes_client::body::Algorithm;
use strongroom_kes_client::{ApiKey, Error, KeyName, Secret};

use crate::server::{CLIENT_KEY, Server, json};

fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

#[tokio::test]
async fn calls_are_made_as_the_sdk_makes_them() {
    let server = Server::start(|seen| match seen.path.split('/').nth(3) {
        Some("generate") => json(200, r#"{"plaintext":"AAEC","ciphertext":"Y2lwaGVy"}"#),
        Some("encrypt") => json(200, r#"{"ciphertext":"Y2lwaGVy"}"#),
        Some("decrypt") => json(200, r#"{"plaintext":"cGxhaW4="}"#),
        Some("hmac") => json(200, r#"{"hmac":"bWFj"}"#),
        _ => json(200, ""),
    })
    .await;
    let client = server.client();

    client.create_key(&name("k")).await.unwrap();
    client
        .import_key(
            &name("k"),
            Secret::copied_from(&[7; 32]),
            Algorithm::ChaCha20,
        )
        .await
        .unwrap();
    let key = client.generate_key(&name("k"), b"ctx").await.unwrap();
    assert_eq!(
        (key.plaintext.expose(), key.ciphertext.as_slice()),
        ([0, 1, 2].as_slice(), b"cipher".as_slice())
    );
    assert_eq!(
        client
            .encrypt(&name("k"), Secret::copied_from(b"plain"), b"")
            .await
            .unwrap(),
        b"cipher"
    );
    assert_eq!(
        client
            .decrypt(&name("k"), b"cipher", b"ctx")
            .await
            .unwrap()
            .expose(),
        b"plain"
    );
    assert_eq!(
        client
            .hmac(&name("k"), Secret::copied_from(b"m"))
            .await
            .unwrap()
            .expose(),
        b"mac"
    );
    client.delete_key(&name("k")).await.unwrap();

    let expected = [
        ("POST", "/v1/key/create/k", None),
        (
            "POST",
            "/v1/key/import/k",
            Some(
                value!({"key": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "cipher": "ChaCha20"}),
            ),
        ),
        (
            "POST",
            "/v1/key/generate/k",
            Some(value!({"context": "Y3R4"})),
        ),
        (
            "POST",
            "/v1/key/encrypt/k",
            Some(value!({"plaintext": "cGxhaW4="})),
        ),
        (
            "POST",
            "/v1/key/decrypt/k",
            Some(value!({"ciphertext": "Y2lwaGVy", "context": "Y3R4"})),
        ),
        ("PUT", "/v1/key/hmac/k", Some(value!({"message": "bQ=="}))),
        ("DELETE", "/v1/key/delete/k", None),
    ];
    let identity = ApiKey::parse(CLIENT_KEY).unwrap().identity();
    for (seen, (method, path, body)) in server.seen().iter().zip(&expected) {
        assert_eq!((seen.method.as_str(), seen.path.as_str()), (*method, *path));
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&seen.body).ok(),
            *body
        );
        assert_eq!(
            seen.caller,
            Some(identity),
            "the certificate is sent whatever CA the server hints at"
        );
        assert_eq!(seen.version, http::Version::HTTP_2);
        assert!(seen.has_length || seen.body.is_empty());
    }
    assert_eq!(server.seen().len(), expected.len());
}

#[tokio::test]
async fn known_refusals_have_their_own_errors() {
    let server = Server::start(|seen| match seen.path.rsplit('/').next() {
        Some("missing") => json(404, r#"{"message":"key does not exist"}"#),
        Some("denied") => json(403, r#"{"message":"prohibited by policy"}"#),
        Some("old") => json(409, r#"{"message":"key does not support HMAC"}"#),
        Some("forged") => json(
            400,
            r#"{"message":"decryption failed: ciphertext is not authentic"}"#,
        ),
        Some("moved") => json(301, ""),
        Some("nonsense") => json(200, "<html>"),
        Some("long") => json(200, &format!("{{\"hmac\":\"{}\"}}", "A".repeat(2000))),
        _ => json(404, r#"{"message":"something else"}"#),
    })
    .await;
    let client = server.client();
    let describe = async |key: &str| client.describe_key(&name(key)).await.unwrap_err();
    assert!(matches!(describe("missing").await, Error::KeyNotFound));
    assert!(matches!(describe("denied").await, Error::NotAllowed));
    assert!(matches!(describe("moved").await, Error::BadAnswer { .. }));
    assert!(matches!(
        describe("nonsense").await,
        Error::BadAnswer { .. }
    ));
    assert!(matches!(
        describe("other").await,
        Error::Server { status: 404, .. }
    ));
    let hmac = async |key: &str| client.hmac(&name(key), Secret::empty()).await.unwrap_err();
    assert!(matches!(hmac("old").await, Error::NoHmacKey));
    assert!(
        matches!(hmac("long").await, Error::BadAnswer { .. }),
        "small answers are read up to 1 KiB"
    );
    let forged = client
        .decrypt(&name("forged"), b"x", b"")
        .await
        .unwrap_err();
    assert!(matches!(forged, Error::NotAuthentic));
    assert_eq!(
        forged.to_string(),
        "decryption failed: ciphertext is not authentic"
    );
}
