use std::net::{Ipv4Addr, TcpListener};

use strongroom_envelope::Fingerprint;
use strongroom_kes_client::{Endpoint, KeyName};
use strongroom_kms::contract::{self, Creates};
use strongroom_kms::{KesKms, Kms, KmsError};

use crate::server::{KEY, Server, start_of_2023};

const DATA_KEYS: [&str; 2] = ["/v1/key/generate/*", "/v1/key/decrypt/*"];

#[tokio::test]
async fn the_contract_holds_for_an_admin() {
    let server = Server::start(&[]).await;
    contract::run(&KesKms::new(&server.as_admin()).unwrap(), Creates::Keys).await;
}

#[tokio::test]
async fn the_documented_policy_of_minio_is_enough_for_data_keys() {
    let server = Server::start(&DATA_KEYS).await;
    let kms = KesKms::new(&server.as_app()).unwrap();
    let made = kms.new_data_key(None, b"{}").await.unwrap();
    assert_eq!(
        made.fingerprint, None,
        "neither hmac nor describe is granted"
    );
    let opened = kms
        .open_data_key(KEY, None, &made.sealed, b"{}")
        .await
        .unwrap();
    assert_eq!(opened, made.plaintext);
    for refused in [
        kms.create_key("other").await,
        kms.describe(KEY).await.map(drop),
    ] {
        assert!(
            matches!(refused, Err(KmsError::Denied { .. })),
            "{refused:?}"
        );
    }
    assert!(kms.status().await.iter().all(|endpoint| endpoint.online));
}

#[tokio::test]
async fn the_fingerprint_is_the_hmac_else_the_time_of_creation() {
    let with_hmac = [DATA_KEYS[0], "/v1/key/hmac/*"];
    let server = Server::start(&with_hmac).await;
    let kms = KesKms::new(&server.as_app()).unwrap();
    let made = kms.new_data_key(None, b"{}").await.unwrap();
    assert!(
        matches!(made.fingerprint, Some(Fingerprint::KesHmac(_))),
        "{made:?}"
    );

    let with_describe = [DATA_KEYS[0], "/v1/key/describe/*"];
    let server = Server::start(&with_describe).await;
    let kms = KesKms::new(&server.as_app()).unwrap();
    let made = kms.new_data_key(None, b"{}").await.unwrap();
    let Some(Fingerprint::KesCreatedAt(at)) = &made.fingerprint else {
        panic!("{made:?}")
    };
    assert_eq!(
        kms.describe(KEY).await.unwrap().created_at.as_ref(),
        Some(at)
    );
}

#[tokio::test]
async fn a_server_without_the_hmac_route_has_the_time_of_creation() {
    let (settings, _running) = start_of_2023().await;
    let kms = KesKms::new(&settings).unwrap();
    let made = kms.new_data_key(None, b"{}").await.unwrap();
    let expected = Fingerprint::KesCreatedAt("2023-01-02T03:04:05Z".into());
    assert_eq!(made.fingerprint, Some(expected));
}

#[tokio::test]
async fn the_same_name_with_other_material_has_another_fingerprint() {
    let server = Server::start(&[]).await;
    let name = KeyName::parse(KEY).unwrap();
    let before = KesKms::new(&server.as_admin())
        .unwrap()
        .new_data_key(None, b"{}")
        .await
        .unwrap();
    server.admin().delete_key(&name).await.unwrap();
    server.admin().create_key(&name).await.unwrap();
    let kms = KesKms::new(&server.as_admin()).unwrap();
    let after = kms.new_data_key(None, b"{}").await.unwrap();
    assert!(!Fingerprint::same_material(
        before.fingerprint.as_ref(),
        after.fingerprint.as_ref()
    ));
    let refused = kms.open_data_key(KEY, None, &before.sealed, b"{}").await;
    assert!(
        matches!(refused, Err(KmsError::InvalidCiphertext { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn who_is_unknown_is_denied() {
    let server = Server::start(&DATA_KEYS).await;
    let kms = KesKms::new(&server.as_stranger()).unwrap();
    let refused = kms.new_data_key(None, b"{}").await;
    assert!(
        matches!(refused, Err(KmsError::Denied { ref key }) if key == KEY),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_name_that_no_key_can_have_is_refused_without_asking() {
    let server = Server::start(&DATA_KEYS).await;
    let kms = KesKms::new(&server.as_app()).unwrap();
    for name in ["", "a/b", "../my-key", &"x".repeat(81)] {
        let refused = kms.new_data_key(Some(name), b"{}").await;
        assert!(
            matches!(refused, Err(KmsError::InvalidKeyName { .. })),
            "{name}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_named() {
    let server = Server::start(&DATA_KEYS).await;
    // Bound, so that nobody else gets the port, and never accepted from; dropped, so that it refuses.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let mut settings = server.as_app();
    settings.endpoints = vec![Endpoint::parse(&nobody.to_string()).unwrap()];
    let kms = KesKms::new(&settings).unwrap();
    let error = kms.new_data_key(None, b"{}").await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let words = error.to_string();
    assert!(
        words.contains(KEY) && words.contains(&nobody.port().to_string()),
        "{words}"
    );
    let status = kms.status().await;
    assert!(!status[0].online && status[0].error.is_some(), "{status:?}");

    // Beside one that is there, it costs nothing but time.
    settings
        .endpoints
        .push(Endpoint::parse(&server.address.to_string()).unwrap());
    let kms = KesKms::new(&settings).unwrap();
    kms.new_data_key(None, b"{}").await.unwrap();
    let online: Vec<bool> = kms
        .status()
        .await
        .iter()
        .map(|endpoint| endpoint.online)
        .collect();
    assert_eq!(online, [false, true]);
}

#[tokio::test]
async fn credentials_can_be_exchanged_while_running() {
    let server = Server::start(&DATA_KEYS).await;
    let kms = KesKms::new(&server.as_stranger()).unwrap();
    assert!(kms.new_data_key(None, b"{}").await.is_err());
    kms.reload(&server.as_app()).unwrap();
    kms.new_data_key(None, b"{}").await.unwrap();
}
