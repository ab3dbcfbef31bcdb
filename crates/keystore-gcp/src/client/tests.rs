use strongroom_keystore::config::SecretText;

use super::*;

/// A key of the kind that Google makes.
fn private_key() -> String {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)
        .unwrap()
        .serialize_pem()
}

fn account(private_key: &str) -> GcpCredentials {
    GcpCredentials {
        client_email: "kes@a-project.iam.gserviceaccount.com".to_owned(),
        client_id: "123456789".to_owned(),
        private_key_id: "key-1".to_owned(),
        private_key: SecretText::new(private_key.to_owned()),
    }
}

fn config(credentials: Option<GcpCredentials>, scopes: &[&str]) -> Gcp {
    Gcp {
        project_id: "a-project".to_owned(),
        endpoint: None,
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        credentials,
    }
}

fn public() -> Endpoint {
    Endpoint::parse(None).unwrap()
}

/// The claims of the token that the SDK signs for itself.
async fn claims(config: &Gcp) -> serde_json::Value {
    use base64::Engine as _;
    let credential = Credential::of(config, &public()).unwrap();
    let headers = credential
        .build()
        .unwrap()
        .headers(http::Extensions::new())
        .await
        .unwrap();
    let google_cloud_auth::credentials::CacheableResource::New { data, .. } = headers else {
        panic!("a first token is new");
    };
    let token = data["authorization"].to_str().unwrap().to_owned();
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_four_values_become_a_service_account_that_signs_tokens() {
    let claims = claims(&config(Some(account(&private_key())), &[])).await;
    assert_eq!(claims["iss"], "kes@a-project.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], SCOPE);
}

#[tokio::test]
async fn configured_scopes_are_asked_for() {
    let claims = claims(&config(
        Some(account(&private_key())),
        &["https://scope.example/a", "b"],
    ))
    .await;
    assert_eq!(claims["scope"], "https://scope.example/a b");
}

#[test]
fn a_missing_value_is_named() {
    let mut partial = account(&private_key());
    partial.client_id = String::new();
    let error = Credential::of(&config(Some(partial), &[]), &public()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("credentials.client_id is missing"),
        "{error}"
    );
}

#[test]
fn a_private_key_that_is_none_is_told_and_not_shown() {
    let error = Credential::of(&config(Some(account("very-secret-text")), &[]), &public());
    let text = error.unwrap_err().in_full();
    assert!(text.contains("private_key is no PKCS#8"), "{text}");
    assert!(!text.contains("very-secret"), "{text}");
}

#[test]
fn no_credential_goes_over_clear_text() {
    let emulator = Endpoint::parse(Some("http://127.0.0.1:1")).unwrap();
    let credential =
        Credential::of(&config(Some(account(&private_key())), &[]), &emulator).unwrap();
    assert!(matches!(credential, Credential::Anonymous));
    let client = Client::new(
        public(),
        Credential::of(&config(Some(account(&private_key())), &[]), &public()).unwrap(),
    );
    assert!(!format!("{:?}", client.unwrap()).contains("PRIVATE"));
}
