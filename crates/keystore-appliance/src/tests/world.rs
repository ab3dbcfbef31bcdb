//! A fake of an appliance, running, and stores that lie in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use strongroom_keystore::config::{self, SecretText};
use strongroom_keystore::{KeyStore, StoreError};
use strongroom_peers::{Peer, free_port, repository, tool};
use tempfile::TempDir;

use crate::rest::Limits;
use crate::{CipherTrustStore, KeyControlStore, SdkmsStore};

/// No machine is so slow.
pub(super) const PATIENT: Limits = Limits {
    call: Duration::from_secs(60),
    attempt: Duration::from_secs(20),
    wait: Duration::from_millis(5),
    spread: Duration::from_millis(10),
};
/// For an appliance that never answers.
pub(super) const HASTY: Limits = Limits {
    call: Duration::from_secs(2),
    attempt: Duration::from_secs(1),
    ..PATIENT
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    CipherTrust,
    KeyControl,
    Sdkms,
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::CipherTrust => "ciphertrust.py",
            Self::KeyControl => "keycontrol.py",
            Self::Sdkms => "sdkms.py",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CipherTrust => "Thales CipherTrust",
            Self::KeyControl => "Entrust KeyControl",
            Self::Sdkms => "Fortanix SDKMS",
        }
    }

    /// The secret of the configuration.
    pub(super) fn secret(self) -> &'static str {
        match self {
            Self::CipherTrust => "refresh-secret",
            Self::KeyControl => "keycontrol-secret",
            Self::Sdkms => "sdkms-secret",
        }
    }

    pub(super) fn login(self) -> &'static str {
        match self {
            Self::CipherTrust => "POST /api/v1/auth/tokens",
            Self::KeyControl => "POST /vault/1.0/Login/vault-1/",
            Self::Sdkms => "POST /sys/v1/session/auth",
        }
    }

    pub(super) fn creation(self) -> &'static str {
        match self {
            Self::CipherTrust => "POST /api/v1/vault/secrets",
            Self::KeyControl => "POST /vault/1.0/CreateSecret/",
            Self::Sdkms => "PUT /crypto/v1/keys",
        }
    }

    pub(super) fn reading(self, name: &str) -> String {
        match self {
            Self::CipherTrust => format!("POST /api/v1/vault/secrets/{name}/export"),
            Self::KeyControl => "POST /vault/1.0/CheckoutSecret/".to_owned(),
            Self::Sdkms => "POST /crypto/v1/keys/export".to_owned(),
        }
    }

    pub(super) fn deletion(self) -> &'static str {
        match self {
            Self::CipherTrust => "DELETE /api/v1/vault/secrets/*",
            Self::KeyControl => "POST /vault/1.0/DeleteSecret/",
            Self::Sdkms => "DELETE /crypto/v1/keys/*",
        }
    }
}

pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) folder: TempDir,
    port: u16,
    peer: Option<Peer>,
    control: reqwest::Client,
}

impl World {
    /// A fake that runs. Nothing where Python is not installed: the test is skipped.
    pub(super) fn start(kind: Kind) -> Option<Self> {
        let mut world = Self::new(kind)?;
        world.launch();
        Some(world)
    }

    /// A fake that does not run yet.
    pub(super) fn new(kind: Kind) -> Option<Self> {
        tool("python")?;
        let folder = tempfile::tempdir().unwrap();
        issue(&folder);
        let ca = std::fs::read(folder.path().join("ca.pem")).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        let control = reqwest::Client::builder().tls_certs_only([ca]).build();
        Some(Self {
            kind,
            folder,
            port: free_port().unwrap(),
            peer: None,
            control: control.unwrap(),
        })
    }

    pub(super) fn launch(&mut self) {
        let program = repository().join("e2e/fakes").join(self.kind.program());
        let at = |name: &str| self.folder.path().join(name).into_os_string();
        let args = [
            program.into_os_string(),
            "--port".into(),
            self.port.to_string().into(),
            "--cert".into(),
            at("cert.pem"),
            "--key".into(),
            at("key.pem"),
        ];
        let env = [("PYTHONDONTWRITEBYTECODE", "1")];
        let peer = Peer::start(
            &tool("python").unwrap(),
            &args,
            &env,
            self.port,
            self.folder.path(),
        );
        self.peer = Some(peer.unwrap());
    }

    pub(super) fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().expect("launched")
    }

    pub(super) fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(super) fn store(&self) -> Arc<dyn KeyStore> {
        self.store_with(self.kind.secret(), PATIENT, self.ca())
            .unwrap()
    }

    pub(super) fn store_with(
        &self,
        secret: &str,
        limits: Limits,
        ca: PathBuf,
    ) -> Result<Arc<dyn KeyStore>, StoreError> {
        let (endpoint, ca) = (self.endpoint(), Some(ca));
        let secret = SecretText::new(secret.to_owned());
        Ok(match self.kind {
            Kind::CipherTrust => {
                let config = config::CipherTrust {
                    endpoint,
                    token: secret,
                    domain: Some("tenant".to_owned()),
                    ca,
                };
                Arc::new(CipherTrustStore::open_with(config, limits)?)
            }
            Kind::KeyControl => {
                let config = config::KeyControl {
                    endpoint,
                    vault_id: "vault-1".to_owned(),
                    box_id: "box-1".to_owned(),
                    username: "kes".to_owned(),
                    password: secret,
                    ca,
                };
                Arc::new(KeyControlStore::open_with(config, limits)?)
            }
            Kind::Sdkms => {
                let config = config::Sdkms {
                    endpoint,
                    group_id: Some("11111111-2222-3333-4444-555555555555".to_owned()),
                    key: secret,
                    ca,
                };
                Arc::new(SdkmsStore::open_with(config, limits)?)
            }
        })
    }

    async fn tell(&self, path: &str, body: &Value) {
        let answer = self
            .control
            .post(format!("{}/_fake/{path}", self.endpoint()))
            .json(body)
            .send();
        assert!(answer.await.unwrap().status().is_success(), "{path}");
    }

    /// What goes wrong from now on, instead of what went wrong before.
    pub(super) async fn faults(&self, faults: Value) {
        self.tell("faults", &faults).await;
    }

    pub(super) async fn settings(&self, settings: Value) {
        self.tell("settings", &settings).await;
    }

    pub(super) async fn plant(&self, name: &str, data: &str) {
        self.tell("plant", &json!({"name": name, "data": data}))
            .await;
    }

    pub(super) async fn revoke(&self) {
        self.tell("revoke", &json!({})).await;
    }

    pub(super) async fn reset(&self) {
        self.tell("reset", &json!({})).await;
    }

    /// How often a call was made.
    pub(super) async fn count(&self, line: &str) -> u64 {
        let url = format!("{}/_fake/counts", self.endpoint());
        let answer = self.control.get(url).send().await.unwrap();
        let counts: BTreeMap<String, u64> = answer.json().await.unwrap();
        counts.get(line).copied().unwrap_or(0)
    }
}

/// An authority (`ca.pem`), a certificate of it for the fake, and an authority that issued nothing (`other.pem`).
fn issue(folder: &TempDir) {
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let authority = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), Issuer::new(params, key))
    };
    let (ca, issuer) = authority();
    write("ca.pem", ca);
    write("other.pem", authority().0);
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    write("cert.pem", params.signed_by(&key, &issuer).unwrap().pem());
    write("key.pem", key.serialize_pem());
}
