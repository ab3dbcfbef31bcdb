//! Certificates: the server's own, and what it makes of its clients'.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::NamedGroup;
use strongroom_transport::certificate::{CertificateError, private_key};
use strongroom_transport::issue::{authority, signed_by};
use strongroom_transport::pem::PemError;
use strongroom_transport::tls::ClientRoots;
use strongroom_transport::{ClientAuth, Identity, Limits, Tls};

use crate::harness::{client, connect, get, issued, start, subject};

const ANY: ClientAuth = ClientAuth::Any { required: true };

#[tokio::test]
async fn post_quantum_key_exchange_and_http2_come_first() {
    let server_identity = issued();
    let tls = Tls::new(&server_identity.identity().unwrap(), &ClientAuth::None).unwrap();
    let server = start(Some(tls), Limits::default()).await;
    let mut config = client(&server_identity.certificate, None);
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let stream = connect(server.address, &Arc::new(config)).await.unwrap();
    let (_, session) = stream.get_ref();
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(
        session.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
}

#[tokio::test]
async fn any_certificate_is_accepted_when_its_key_is_there_and_none_is_not() {
    let server_identity = issued();
    let tls = Tls::new(&server_identity.identity().unwrap(), &ANY).unwrap();
    let server = start(Some(tls), Limits::default()).await;
    let self_signed = issued();
    let config = Arc::new(client(&server_identity.certificate, Some(&self_signed)));
    let stream = connect(server.address, &config).await.unwrap();
    assert!(
        get(stream, "/")
            .await
            .unwrap()
            .ends_with("tls=true certificates=1")
    );

    let config = Arc::new(client(&server_identity.certificate, None));
    let outcome = match connect(server.address, &config).await {
        Ok(stream) => get(stream, "/").await,
        Err(error) => Err(error),
    };
    assert!(
        outcome
            .unwrap_err()
            .to_string()
            .contains("CertificateRequired")
    );
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let server_identity = issued();
    let tls = Tls::new(&server_identity.identity().unwrap(), &ANY).unwrap();
    let server = start(Some(tls), Limits::default()).await;
    // Somebody else's certificate with a key of one's own: rustls lets no client do it by accident.
    let (victim, own) = (issued(), issued());
    let provider = strongroom_transport::tls::provider();
    let key = private_key(own.private_key.as_bytes(), None).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let chain =
        strongroom_transport::certificate::certificates(victim.certificate.as_bytes()).unwrap();
    let stolen = Arc::new(rustls::sign::CertifiedKey::new(chain, key));
    let mut config = client(&server_identity.certificate, None);
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    let outcome = match connect(server.address, &Arc::new(config)).await {
        Ok(stream) => get(stream, "/").await,
        Err(error) => Err(error),
    };
    assert!(outcome.is_err(), "{outcome:?}");
}

/// With `openssl req -new` and `openssl x509 -req`, which writes version 1: a key of P-256. It protects nothing.
const VERSION_1: (&str, &str) = (
    "-----BEGIN CERTIFICATE-----\nMIIBFDCBuwIUPixhqR69aQtjQ9kDqx1zCY2zWAIwCgYIKoZIzj0EAwIwDTELMAkG\nA1UEAwwCdjEwHhcNMjYxMTIxMDkzNzI2WhcNMjYxMTIzMDkzNzI2WjANMQswCQYD\nVQQDDAJ2MTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEVvb4eQdI+9rk0H3597\nymP0tUDcbYnwRv3CcwoBtT/tv5jfNdXjoHqdQJFAWsMtmKCrtPng5o2BAWJpMo+H\ngfQwCgYIKoZIzj0EAwIDSAAwRQIgYiU8V7X9yCLJG/YI2bjixZ5Orj8Svz/b73nw\ngkRJPpUCIQCR9GYiACa4Hco6GQF1WJaMli51iWk2KldDjMW9FGx3Pg==\n-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg47zyKQuOXKoMVggE\nOUO9GVDcWWfjMfv9+eFgcVJ5urShRANCAARFb2+HkHSPva5NB9+fe8pj9LVA3G2J\n8Eb9wnMKAbU/7b+Y3zXV46B6nUCRQFrDLZigq7T54OaNgQFiaTKPh4H0\n-----END PRIVATE KEY-----\n",
);

#[tokio::test]
async fn certificates_of_version_1_are_as_good_as_any_when_their_key_is_there() {
    let server_identity = issued();
    let tls = Tls::new(&server_identity.identity().unwrap(), &ANY).unwrap();
    let server = start(Some(tls), Limits::default()).await;
    let provider = strongroom_transport::tls::provider();
    let own = issued().private_key;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (key, is_welcome) in [(VERSION_1.1, true), (own.as_str(), false)] {
            let chain =
                strongroom_transport::certificate::certificates(VERSION_1.0.as_bytes()).unwrap();
            let key = private_key(key.as_bytes(), None).unwrap();
            let key = provider.key_provider.load_private_key(key).unwrap();
            let shown = Arc::new(rustls::sign::CertifiedKey::new(chain, key));
            let mut roots = rustls::RootCertStore::empty();
            let trusted = server_identity.certificate.as_bytes();
            let trusted = strongroom_transport::certificate::certificates(trusted).unwrap();
            roots.add_parsable_certificates(trusted);
            let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)));
            let outcome = match connect(server.address, &Arc::new(config)).await {
                Ok(stream) => get(stream, "/").await,
                Err(error) => Err(error),
            };
            assert_eq!(outcome.is_ok(), is_welcome, "{version:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn lesson_14_sessions_of_identified_clients_are_not_resumed() {
    let server_identity = issued();
    for (auth, is_resumed) in [(ANY, false), (ClientAuth::None, true)] {
        let tls = Tls::new(&server_identity.identity().unwrap(), &auth).unwrap();
        let server = start(Some(tls), Limits::default()).await;
        let config = Arc::new(client(&server_identity.certificate, Some(&issued())));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(server.address, &config).await.unwrap();
            get(&mut stream, "/").await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        }
        let resumed = kinds[1] == rustls::HandshakeKind::Resumed;
        assert_eq!(resumed, is_resumed, "{auth:?}: {kinds:?}");
    }
}

#[tokio::test]
async fn verified_clients_need_a_certificate_of_an_authority() {
    let server_identity = issued();
    let validity = Duration::from_secs(3600);
    let ca = authority("test", SystemTime::now(), validity).unwrap();
    let member = signed_by(&ca, &subject(SystemTime::now())).unwrap();
    let year_ago = SystemTime::now() - Duration::from_secs(365 * 86_400);
    let expired = signed_by(&ca, &subject(year_ago)).unwrap();
    let roots = strongroom_transport::certificate::certificates(ca.certificate.as_bytes()).unwrap();
    let roots = ClientRoots::of(roots).unwrap();
    let auth = ClientAuth::Verified {
        roots,
        required: true,
    };
    let tls = Tls::new(&server_identity.identity().unwrap(), &auth).unwrap();
    let server = start(Some(tls), Limits::default()).await;
    for (who, is_welcome) in [(&member, true), (&expired, false), (&issued(), false)] {
        let config = Arc::new(client(&server_identity.certificate, Some(who)));
        let outcome = match connect(server.address, &config).await {
            Ok(stream) => get(stream, "/").await,
            Err(error) => Err(error),
        };
        assert_eq!(outcome.is_ok(), is_welcome, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_to_new_connections() {
    let (old, new) = (issued(), issued());
    let tls = Tls::new(&old.identity().unwrap(), &ClientAuth::None).unwrap();
    let server = start(Some(tls.clone()), Limits::default()).await;
    let trusts_new = Arc::new(client(&new.certificate, None));
    assert!(connect(server.address, &trusts_new).await.is_err());
    tls.replace(&new.identity().unwrap(), &ClientAuth::None)
        .unwrap();
    assert!(connect(server.address, &trusts_new).await.is_ok());
}

#[test]
fn unusable_certificates_are_told_apart() {
    let (one, other) = (issued(), issued());
    let load = |certificate: &str, key: &str| {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap_err()
    };
    assert!(matches!(
        load(&one.certificate, &other.private_key),
        CertificateError::Unusable(_)
    ));
    assert!(matches!(
        load("", &one.private_key),
        CertificateError::NoCertificate
    ));
    assert!(matches!(
        load(&one.certificate, ""),
        CertificateError::NoPrivateKey
    ));
    let ca = authority("no names", SystemTime::now(), Duration::from_secs(60)).unwrap();
    let error = load(&ca.certificate, &ca.private_key);
    assert!(
        matches!(error, CertificateError::NoSubjectAltName),
        "{error}"
    );
}

/// `openssl` as operators use it; without it the test says so.
fn openssl(arguments: &[&str], input: &str) -> Option<String> {
    let child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no openssl here");
        return None;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn keys_that_openssl_writes_are_read() {
    let Some(sec1) = openssl(&["ecparam", "-name", "prime256v1", "-genkey"], "") else {
        return;
    };
    // `EC PARAMETERS` comes first, and is skipped.
    assert!(sec1.starts_with("-----BEGIN EC PARAMETERS"));
    assert!(matches!(
        private_key(sec1.as_bytes(), None),
        Ok(rustls::pki_types::PrivateKeyDer::Sec1(_))
    ));
    let rsa = openssl(&["genrsa", "-traditional", "2048"], "").unwrap();
    let plain = private_key(rsa.as_bytes(), None).unwrap();
    assert!(matches!(plain, rustls::pki_types::PrivateKeyDer::Pkcs1(_)));
    for cipher in ["-aes256", "-aes128"] {
        let arguments = ["rsa", cipher, "-traditional", "-passout", "pass:geheim"];
        let encrypted = openssl(&arguments, &rsa).unwrap();
        assert!(encrypted.contains("DEK-Info"));
        let opened = private_key(encrypted.as_bytes(), Some("geheim")).unwrap();
        assert_eq!(opened.secret_der(), plain.secret_der());
        let error = private_key(encrypted.as_bytes(), Some("falsch")).unwrap_err();
        assert!(
            matches!(error, CertificateError::Pem(PemError::PasswordWrong)),
            "{error}"
        );
    }
    let schemes: [&[&str]; 4] = [
        &["-v2", "aes-256-cbc"],
        &["-v2", "aes-128-cbc"],
        &[
            "-v2",
            "aes-256-cbc",
            "-v2prf",
            "hmacWithSHA512",
            "-iter",
            "5000",
        ],
        &["-scrypt", "-scrypt_N", "1024"],
    ];
    for scheme in schemes {
        let arguments = [&["pkcs8", "-topk8", "-passout", "pass:geheim"], scheme].concat();
        let encrypted = openssl(&arguments, &rsa).unwrap();
        assert!(encrypted.contains("ENCRYPTED PRIVATE KEY"));
        let opened = private_key(encrypted.as_bytes(), Some("geheim")).unwrap();
        assert!(matches!(opened, rustls::pki_types::PrivateKeyDer::Pkcs8(_)));
        for (password, expected) in [
            (Some("falsch"), PemError::PasswordWrong),
            (None, PemError::PasswordMissing),
            (Some(""), PemError::PasswordMissing),
        ] {
            match private_key(encrypted.as_bytes(), password) {
                Err(CertificateError::Pem(error)) => assert_eq!(error, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_key_whose_derivation_costs_too_much_is_refused_at_once() {
    let Some(key) = openssl(&["genpkey", "-algorithm", "ed25519"], "") else {
        return;
    };
    let arguments = ["pkcs8", "-topk8", "-passout", "pass:x", "-iter", "10000001"];
    let costly = openssl(&arguments, &key).unwrap();
    let error = private_key(costly.as_bytes(), Some("x")).unwrap_err();
    assert!(
        matches!(error, CertificateError::Pem(PemError::TooCostly)),
        "{error}"
    );
    let arguments = [
        "pkcs8",
        "-topk8",
        "-passout",
        "pass:x",
        "-v1",
        "PBE-SHA1-3DES",
    ];
    let old = openssl(&arguments, &key).unwrap();
    let error = private_key(old.as_bytes(), Some("x")).unwrap_err();
    assert!(error.to_string().contains("not supported"), "{error}");
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (key, cert) = (folder.path().join("own.key"), folder.path().join("own.crt"));
    let issued = issued();
    std::fs::write(&cert, &issued.certificate).unwrap();
    std::fs::write(&key, "no key").unwrap();
    let error = Identity::from_files(&cert, &key, None).unwrap_err();
    assert!(error.to_string().contains("own.key"), "{error}");
    std::fs::write(&key, &issued.private_key).unwrap();
    std::fs::write(&cert, "no certificate").unwrap();
    let error = Identity::from_files(&cert, &key, None).unwrap_err();
    assert!(error.to_string().contains("own.crt"), "{error}");
}
