//! The transit engine through a session of its own, as a KMS uses it.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_vault::{
    Client, Login, Mount, Namespace, Path, Secret, Session, SessionOptions, TlsFiles, Transit,
    VaultError, is_wrapped,
};

use crate::bao::Bao;

#[tokio::test]
async fn data_keys_open_again_under_every_version_and_only_in_their_context() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    bao.with_transit().await;
    let policy = r#"path "transit/+/wrapper" { capabilities = ["update"] }
                    path "transit/datakey/plaintext/wrapper" { capabilities = ["update"] }"#;
    let role = bao.role_with("", policy, Value::Null).await;
    let login = Login::AppRole {
        engine: Path::parse("approle").unwrap(),
        role_id: role.id,
        secret_id: Secret::new(role.secret),
    };
    let options = SessionOptions {
        login,
        namespace: Namespace::ROOT,
        ping: Duration::from_secs(1),
    };
    let client = Client::new(&bao.url, &TlsFiles::default()).unwrap();
    let session = Session::new(client, options);
    let transit = Transit {
        mount: Mount {
            namespace: Namespace::ROOT,
            path: Path::parse("transit").unwrap(),
        },
        key: "wrapper".to_owned(),
    };
    let made = transit.data_key(&session, 256).await.unwrap();
    assert_eq!(made.plaintext.len(), 32);
    assert!(is_wrapped(&made.ciphertext));
    bao.root("transit/keys/wrapper/rotate", json!({})).await;
    let opened = transit.decrypt(&session, &made.ciphertext, None).await;
    assert_eq!(*opened.unwrap(), *made.plaintext);

    let sealed = transit
        .encrypt(&session, b"data key", Some(b"bucket"))
        .await
        .unwrap();
    assert!(sealed.starts_with("vault:v2:"));
    let opened = transit.decrypt(&session, &sealed, Some(b"bucket")).await;
    assert_eq!(opened.unwrap().as_slice(), b"data key");
    for context in [None, Some(&b"another"[..])] {
        let refused = transit.decrypt(&session, &sealed, context).await;
        let Err(VaultError::Refused { status, .. }) = refused else {
            panic!("opened in {context:?}: {refused:?}");
        };
        assert!(status == 400 || status == 500, "{status}");
    }
}
