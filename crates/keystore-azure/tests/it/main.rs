//! The store against a fake written from Microsoft's documentation (`e2e/fakes/azure_key_vault.py`), which is checked with
//! Microsoft's own client.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod faults;
mod logins;
mod secrets;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use strongroom_keystore::config::{Azure, AzureCredentials, SecretText};
use strongroom_keystore_azure::{AzureStore, Surroundings};
use strongroom_peers::{Peer, free_port, repository, tool};
use tempfile::TempDir;

/// A running fake, with a certificate of an authority of its own.
struct Fake {
    peer: Peer,
    control: reqwest::Client,
    ca: PathBuf,
    _folder: TempDir,
}

impl Fake {
    /// Nothing where Python is not installed.
    fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Option<Self> {
        let python = tool("python")?;
        let folder = TempDir::new().unwrap();
        let file = |name: &str| folder.path().join(name);
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&authority_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        std::fs::write(file("ca.pem"), root.pem()).unwrap();
        std::fs::write(file("cert.pem"), leaf.pem()).unwrap();
        std::fs::write(file("key.pem"), key.serialize_pem()).unwrap();
        let port = free_port().unwrap();
        let script = repository().join("e2e/fakes/azure_key_vault.py");
        let number = port.to_string();
        let mut args = vec![script.to_str().unwrap(), "--port", &number];
        args.extend(["--cert", "cert.pem", "--key", "key.pem"]);
        args.extend(more);
        let peer = Peer::start(&python, &args, &[], port, folder.path()).unwrap();
        let trusted = reqwest::Certificate::from_pem(root.pem().as_bytes()).unwrap();
        let control = reqwest::Client::builder()
            .tls_certs_merge([trusted])
            .build()
            .unwrap();
        Some(Self {
            peer,
            control,
            ca: file("ca.pem"),
            _folder: folder,
        })
    }

    fn endpoint(&self) -> String {
        format!("https://{}", self.peer.address)
    }

    /// What no vault does, for tests.
    async fn control(&self, what: &str, body: &str) -> String {
        let url = format!("{}/fake/{what}", self.endpoint());
        let answer = self
            .control
            .post(url)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{what} {body}");
        answer.text().await.unwrap()
    }

    /// How many requests had `part` in their line: `PUT /secrets/k?api-version=7.4`.
    async fn asked(&self, part: &str) -> usize {
        let log = self.control("log", "{}").await;
        log.matches(part).count()
    }

    fn config(&self) -> Azure {
        Azure {
            endpoint: self.endpoint(),
            credentials: AzureCredentials::ClientSecret {
                tenant_id: "a-tenant".to_owned(),
                client_id: "an-application".to_owned(),
                client_secret: SecretText::new("its-secret".to_owned()),
            },
            ca: Some(self.ca.clone()),
        }
    }

    fn surroundings(&self) -> Surroundings {
        let mut around = Surroundings::new(|_| None, SystemTime::now);
        around.authority = Some(self.endpoint());
        around
    }

    async fn store(&self) -> Arc<AzureStore> {
        let store = AzureStore::open(self.config(), self.surroundings()).await;
        Arc::new(store.unwrap())
    }
}
