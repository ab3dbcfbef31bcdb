use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::CertificateError;
use rustls_pki_types::CertificateDer;
use strongroom_kes_client::certificate::{Request, self_signed};
use strongroom_kes_client::{ApiKey, ConnectionError, Credentials, Endpoint, Error, Trust};

use crate::server::{CLIENT_KEY, SERVER_KEY, Server, certificate, client_of, json};

const VERSION: &str = r#"{"version":"v","commit":"c"}"#;

fn server_certificate(dns: &str) -> CertificateDer<'static> {
    certificate(&Request {
        dns_names: vec![dns.to_owned()],
        is_server: true,
        lifetime: Duration::from_secs(3600),
        ..Default::default()
    })
}

fn is_tls_error(error: &Error) -> bool {
    matches!(error, Error::Connection { source, .. } if matches!(**source, ConnectionError::Tls { .. }))
}

#[tokio::test]
async fn a_self_signed_server_certificate_is_its_own_root_when_named() {
    let server = Server::start_with(server_certificate("localhost"), |_| json(200, VERSION)).await;
    let by_name = [Endpoint::parse(&format!("localhost:{}", server.address.port())).unwrap()];
    let client = client_of(&[&server])
        .endpoints(by_name.clone())
        .build()
        .unwrap();
    assert_eq!(client.version().await.unwrap().version, "v");

    let by_address = server.client().version().await.unwrap_err();
    assert!(
        is_tls_error(&by_address),
        "the name is checked: {by_address}"
    );

    let request = Request {
        dns_names: vec!["localhost".to_owned()],
        is_server: true,
        ..Default::default()
    };
    let request = Request {
        lifetime: Duration::from_secs(3600),
        ..request
    };
    let others = self_signed(
        &ApiKey::parse(CLIENT_KEY).unwrap(),
        &request,
        SystemTime::now(),
    )
    .unwrap();
    let stranger = client_of(&[&server])
        .endpoints(by_name.clone())
        .trust(Trust::nobody().with_certificates([others]))
        .build()
        .unwrap();
    assert!(
        is_tls_error(&stranger.version().await.unwrap_err()),
        "another certificate for the name is none"
    );

    let anyone = client_of(&[&server])
        .endpoints(by_name)
        .trust(Trust::dangerous_everybody())
        .build()
        .unwrap();
    anyone.version().await.unwrap();
}

/// As plain `openssl req -x509` makes them.
#[tokio::test]
async fn a_server_certificate_with_ca_true_is_accepted_when_named() {
    let key = ApiKey::parse(SERVER_KEY).unwrap().expose_pkcs8_der();
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&key.as_slice().into(), &rcgen::PKCS_ED25519)
        .unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().der().clone();
    let server = Server::start_with(ca, |_| json(200, VERSION)).await;
    server.client().version().await.unwrap();
}

/// The names of test authorities are often the same, and their keys are not.
#[tokio::test]
async fn a_certificate_of_another_authority_of_the_same_name_is_told_in_words() {
    let server_key = ApiKey::parse(SERVER_KEY).unwrap().expose_pkcs8_der();
    let server_key =
        KeyPair::from_pkcs8_der_and_sign_algo(&server_key.as_slice().into(), &rcgen::PKCS_ED25519)
            .unwrap();
    let authority = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().clone();
        (der, Issuer::new(params, key))
    };
    let (_, signer) = authority(&rcgen::PKCS_ED25519);
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &signer)
        .unwrap();
    let server = Server::start_with(certificate.der().clone(), |_| json(200, VERSION)).await;
    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P256_SHA256] {
        let (other, _) = authority(algorithm);
        let client = client_of(&[&server])
            .trust(Trust::nobody().with_certificates([other]))
            .build()
            .unwrap();
        let error = client.version().await.unwrap_err();
        assert!(is_tls_error(&error), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("certificate signed by unknown authority, which has the name")
                && !text.contains("Context"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_though_named() {
    let expired = certificate(&Request {
        ip_addresses: vec!["127.0.0.1".parse().unwrap()],
        is_server: true,
        lifetime: Duration::ZERO,
        ..Default::default()
    });
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let server = Server::start_with(expired, |_| json(200, VERSION)).await;
    let error = server.client().version().await.unwrap_err();
    assert!(is_tls_error(&error), "{error}");
}

#[tokio::test]
async fn ca_files_and_directories_are_read() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/kes/tls/");
    let trust = Trust::nobody()
        .with_ca_path((fixtures.to_owned() + "ca.crt").as_ref())
        .unwrap();
    assert!(format!("{trust:?}").contains("added"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixtures.to_owned() + "ca.crt", folder.path().join("a.pem")).unwrap();
    Trust::nobody().with_ca_path(folder.path()).unwrap();
    std::fs::write(folder.path().join("b.pem"), "nothing").unwrap();
    assert!(
        Trust::nobody()
            .with_ca_path(folder.path())
            .unwrap_err()
            .to_string()
            .contains("b.pem")
    );
    assert!(
        Trust::nobody()
            .with_ca_path("/no/such/file".as_ref())
            .is_err()
    );
}

#[tokio::test]
async fn certificates_in_files_are_credentials_too() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/kes/tls/");
    let read = |name: &str| std::fs::read(fixtures.to_owned() + name).unwrap();
    let credentials = Credentials::from_pem(&read("app.crt"), &read("app.key")).unwrap();
    let identities: serde_json::Value = serde_json::from_slice(&read("identities.json")).unwrap();
    assert_eq!(
        credentials.identity().to_string(),
        identities["app"].as_str().unwrap()
    );

    let server = Server::start(|_| json(200, VERSION)).await;
    let client = client_of(&[&server])
        .credentials(credentials)
        .build()
        .unwrap();
    client.version().await.unwrap();
    assert_eq!(server.seen()[0].caller, client.identity());

    assert!(
        Credentials::from_pem(&read("app.crt"), &read("root.key")).is_err(),
        "another key"
    );
    assert!(
        Credentials::from_pem(&read("ca.crt"), &read("ca.key")).is_err(),
        "a CA is nobody"
    );
    assert!(Credentials::from_pem(b"", &read("app.key")).is_err());
    let shown = format!(
        "{:?}",
        Credentials::api_key(ApiKey::parse(CLIENT_KEY).unwrap()).unwrap()
    );
    assert!(!shown.contains("kes:v1"), "{shown}");
}

#[tokio::test]
async fn a_refused_client_certificate_is_told_in_words() {
    for (refusal, words) in [
        (
            CertificateError::Expired,
            "the server refused the client certificate: it has expired",
        ),
        (
            CertificateError::UnknownIssuer,
            "the server refused the client certificate: it knows none of the authorities that signed it",
        ),
        (
            CertificateError::Revoked,
            "the server refused the client certificate (CertificateRevoked)",
        ),
    ] {
        let certificate = certificate(&Request {
            ip_addresses: vec!["127.0.0.1".parse().unwrap()],
            is_server: true,
            lifetime: Duration::from_secs(3600),
            ..Default::default()
        });
        let server =
            Server::start_refusing(Some(refusal), certificate, |_| json(200, VERSION)).await;
        let client = server.client();
        for _ in 0..2 {
            let error = client.version().await.unwrap_err();
            assert!(is_tls_error(&error), "{error}");
            assert!(
                error.to_string().ends_with(&format!("tls: {words}")),
                "{error}"
            );
        }
    }
}
