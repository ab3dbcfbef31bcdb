use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::config::{
    AwsCredentials, AzureCredentials, ClientTls, GcpCredentials, SecretText, VaultLogin,
};

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn in_vault() -> Vault {
    Vault {
        endpoint: "https://vault".to_owned(),
        engine: "kv".to_owned(),
        version: KvVersion::V2,
        namespace: None,
        prefix: None,
        transit: None,
        login: VaultLogin::AppRole {
            engine: "approle".to_owned(),
            id: "id".to_owned(),
            secret: secret("s"),
        },
        login_namespace: None,
        tls: ClientTls::default(),
        ping: Duration::from_secs(10),
    }
}

fn in_aws() -> Aws {
    Aws {
        endpoint: "sm.example".to_owned(),
        region: "r".to_owned(),
        kms_key: None,
        credentials: None,
    }
}

fn in_gcp() -> Gcp {
    Gcp {
        project_id: "p".to_owned(),
        endpoint: None,
        scopes: Vec::new(),
        credentials: None,
    }
}

fn in_azure() -> Azure {
    Azure {
        endpoint: "https://v".to_owned(),
        credentials: AzureCredentials::Default,
        ca: None,
    }
}

fn in_cipher_trust() -> CipherTrust {
    CipherTrust {
        endpoint: "https://v".to_owned(),
        token: secret("t"),
        domain: None,
        ca: None,
    }
}

fn in_key_control() -> KeyControl {
    KeyControl {
        endpoint: "https://v".to_owned(),
        vault_id: "v".to_owned(),
        box_id: "b".to_owned(),
        username: "u".to_owned(),
        password: secret("p"),
        ca: None,
    }
}

fn in_sdkms() -> Sdkms {
    Sdkms {
        endpoint: "https://v".to_owned(),
        group_id: None,
        key: secret("k"),
        ca: None,
    }
}

/// `config` after a change.
fn but<T>(mut config: T, change: impl FnOnce(&mut T)) -> Box<T> {
    change(&mut config);
    Box::new(config)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn every_setting_that_says_where_keys_lie_makes_another_place() {
    use KeystoreConfig as K;
    let transit = |key: &str| {
        Some(VaultTransit {
            engine: "transit".to_owned(),
            key: key.to_owned(),
        })
    };
    let fs = |path: &str| K::Fs { path: path.into() };
    let places = [
        K::Memory,
        fs("/nowhere/a"),
        fs("/nowhere/b"),
        K::Vault(but(in_vault(), |_| ())),
        K::Vault(but(in_vault(), |c| c.endpoint = "https://other".to_owned())),
        K::Vault(but(in_vault(), |c| c.engine = "other".to_owned())),
        K::Vault(but(in_vault(), |c| c.version = KvVersion::V1)),
        K::Vault(but(in_vault(), |c| c.namespace = some("x"))),
        K::Vault(but(in_vault(), |c| c.prefix = some("x"))),
        K::Vault(but(in_vault(), |c| c.login_namespace = some("x"))),
        K::Vault(but(in_vault(), |c| c.transit = transit("a"))),
        K::Vault(but(in_vault(), |c| c.transit = transit("b"))),
        K::Aws(but(in_aws(), |_| ())),
        K::Aws(but(in_aws(), |c| c.endpoint = "other".to_owned())),
        K::Aws(but(in_aws(), |c| c.region = "other".to_owned())),
        K::Aws(but(in_aws(), |c| c.kms_key = some("x"))),
        K::Gcp(but(in_gcp(), |_| ())),
        K::Gcp(but(in_gcp(), |c| c.project_id = "other".to_owned())),
        K::Gcp(but(in_gcp(), |c| c.endpoint = some("x"))),
        K::Azure(but(in_azure(), |_| ())),
        K::Azure(but(in_azure(), |c| c.endpoint = "https://other".to_owned())),
        K::CipherTrust(but(in_cipher_trust(), |_| ())),
        K::CipherTrust(but(in_cipher_trust(), |c| c.endpoint = "o".to_owned())),
        K::CipherTrust(but(in_cipher_trust(), |c| c.domain = some("x"))),
        K::KeyControl(but(in_key_control(), |_| ())),
        K::KeyControl(but(in_key_control(), |c| c.endpoint = "o".to_owned())),
        K::KeyControl(but(in_key_control(), |c| c.vault_id = "o".to_owned())),
        K::KeyControl(but(in_key_control(), |c| c.box_id = "o".to_owned())),
        K::Sdkms(but(in_sdkms(), |_| ())),
        K::Sdkms(but(in_sdkms(), |c| c.endpoint = "o".to_owned())),
        K::Sdkms(but(in_sdkms(), |c| c.group_id = some("x"))),
    ];
    let digests: BTreeSet<String> = places.iter().map(K::place).collect();
    assert_eq!(digests.len(), places.len());
    assert!(digests.iter().all(|d| d.len() == 64));
}

#[test]
fn renewed_credentials_are_the_same_place() {
    use KeystoreConfig as K;
    let renewed = but(in_vault(), |c| {
        c.login = VaultLogin::AppRole {
            engine: "approle".to_owned(),
            id: "new".to_owned(),
            secret: secret("new"),
        };
        c.ping = Duration::from_secs(1);
    });
    assert_eq!(
        K::Vault(renewed).place(),
        K::Vault(Box::new(in_vault())).place()
    );
    let renewed = but(in_aws(), |c| {
        c.credentials = Some(AwsCredentials {
            access_key: "AKIA".to_owned(),
            secret_key: secret("new"),
            session_token: None,
        });
    });
    assert_eq!(K::Aws(renewed).place(), K::Aws(Box::new(in_aws())).place());
    let renewed = but(in_gcp(), |c| {
        c.credentials = Some(GcpCredentials {
            client_email: "e".to_owned(),
            client_id: "i".to_owned(),
            private_key_id: "k".to_owned(),
            private_key: secret("new"),
        });
    });
    assert_eq!(K::Gcp(renewed).place(), K::Gcp(Box::new(in_gcp())).place());
    let renewed = but(in_azure(), |c| {
        c.credentials = AzureCredentials::ManagedIdentity { client_id: None };
    });
    assert_eq!(
        K::Azure(renewed).place(),
        K::Azure(Box::new(in_azure())).place()
    );
    let (token, password, key) = (secret("new"), secret("new"), secret("new"));
    assert_eq!(
        K::CipherTrust(but(in_cipher_trust(), |c| c.token = token)).place(),
        K::CipherTrust(Box::new(in_cipher_trust())).place()
    );
    assert_eq!(
        K::KeyControl(but(in_key_control(), |c| c.password = password)).place(),
        K::KeyControl(Box::new(in_key_control())).place()
    );
    assert_eq!(
        K::Sdkms(but(in_sdkms(), |c| c.key = key)).place(),
        K::Sdkms(Box::new(in_sdkms())).place()
    );
}

#[test]
fn a_directory_is_the_same_place_by_any_name_and_a_link_that_was_turned_another() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| KeystoreConfig::Fs {
        path: folder.path().join(name),
    };
    for name in ["a", "b"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("a", &link).unwrap();
    let before = at("link").place();
    assert_eq!(before, at("a").place());
    assert_eq!(before, at("b/../a").place());
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("b", &link).unwrap();
    assert_ne!(before, at("link").place());
}
