//! The three servers, started on free ports and brought to the point where they answer the two requests.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use strongroom_kes_api::Identity;
use strongroom_transport::issue::{self, Issued, Subject};

use crate::Operation;
use crate::client::{Call, Connection, Protocol, Target};
use crate::process::{Process, free_port};

/// What an object server binds a data key to.
const CONTEXT: &str = r#"{"my-bucket":"my-bucket/some/folder/and/an/object.bin"}"#;
const KEY: &str = "my-key";

/// A server, ready.
pub struct Server {
    pub name: &'static str,
    pub process: Process,
    pub target: Target,
    generate: Call,
    decrypt: Call,
}

impl Server {
    pub fn call(&self, operation: Operation) -> &Call {
        match operation {
            Operation::Generate => &self.generate,
            Operation::Decrypt => &self.decrypt,
        }
    }

    pub async fn connect(&self, protocol: Protocol, count: usize) -> Result<Vec<Connection>> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let opened = Connection::open(&self.target, protocol).await;
            all.push(opened.with_context(|| format!("connecting to {}", self.name))?);
        }
        Ok(all)
    }
}

/// Certificates and the folder of a run.
pub struct Ground<'f> {
    folder: &'f Path,
    server: Issued,
    client: Issued,
    tls: Arc<ClientConfig>,
}

impl<'f> Ground<'f> {
    pub fn new(folder: &'f Path) -> Result<Self> {
        let issue = |name| {
            issue::self_signed(&Subject {
                common_name: name,
                dns_names: &["localhost".to_owned()],
                addresses: &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
                now: SystemTime::now(),
                validity: Duration::from_secs(24 * 60 * 60),
            })
        };
        let (server, client) = (issue("server")?, issue("client")?);
        fs::write(folder.join("server.crt"), &server.certificate)?;
        fs::write(folder.join("server.key"), server.private_key.as_bytes())?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(
            server.certificate.as_bytes(),
        )?)?;
        let tls = ClientConfig::builder_with_provider(strongroom_transport::tls::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(
                    client.certificate.as_bytes(),
                )?],
                PrivateKeyDer::from_pem_slice(client.private_key.as_bytes())?,
            )?;
        Ok(Self {
            folder,
            server,
            client,
            tls: Arc::new(tls),
        })
    }

    fn target(&self, port: u16) -> Target {
        Target {
            port,
            tls: Arc::clone(&self.tls),
        }
    }

    pub async fn kes(&self, program: Option<&Path>, audit: bool) -> Result<Server> {
        let port = free_port()?;
        let admin = Identity::of_certificate(&CertificateDer::from_pem_slice(
            self.server.certificate.as_bytes(),
        )?)?;
        let caller = Identity::of_certificate(&CertificateDer::from_pem_slice(
            self.client.certificate.as_bytes(),
        )?)?;
        let folder = self.folder.display();
        let audit = if audit { "on" } else { "off" };
        let config = format!(
            "version: v1
address: 127.0.0.1:{port}
admin: {{ identity: {admin} }}
tls: {{ key: {folder}/server.key, cert: {folder}/server.crt }}
policy:
  app:
    allow: [ /v1/key/create/*, /v1/key/generate/*, /v1/key/decrypt/*, /v1/key/list/*, /v1/status ]
    identities: [ {caller} ]
cache: {{ expiry: {{ any: 5m0s, unused: 30s }} }}
log: {{ error: on, audit: {audit} }}
keys: [ {{ name: {KEY} }} ]
keystore: {{ fs: {{ path: {folder}/keys }} }}
"
        );
        let file = self.folder.join("kes.yml");
        fs::write(&file, config)?;
        let mut command = match program {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(["kes", "server"]);
                command
            }
            None => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("kes");
                command
            }
        };
        command.arg("--config").arg(&file);
        let process = Process::start(&mut command, port, &self.folder.join("kes.log"))?;
        let put = |operation: &str, body: Value| Call {
            method: Method::PUT,
            path: format!("/v1/key/{operation}/{KEY}"),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        };
        let context = BASE64_STANDARD.encode(CONTEXT);
        let target = self.target(port);
        let generate = put("generate", json!({ "context": context }));
        let made = Connection::open(&target, Protocol::Http1)
            .await?
            .json(&generate)
            .await?;
        let body = json!({ "ciphertext": made["ciphertext"], "context": context });
        Ok(Server {
            name: "Strongroom",
            process,
            target,
            generate,
            decrypt: put("decrypt", body),
        })
    }

    pub async fn echo(&self, like: &Server) -> Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["echo", "--port", &port.to_string()])
            .arg("--certificate")
            .arg(self.folder.join("server.crt"))
            .arg("--key")
            .arg(self.folder.join("server.key"));
        let process = Process::start(&mut command, port, &self.folder.join("echo.log"))?;
        let mut connection = Connection::open(&like.target, Protocol::Http1).await?;
        let mut calls = Vec::new();
        for call in [&like.generate, &like.decrypt] {
            let length = connection.call(call).await?.len();
            calls.push(Call {
                path: format!("/{length}"),
                ..call.clone()
            });
        }
        let [generate, decrypt] = <[Call; 2]>::try_from(calls).ok().context("two calls")?;
        Ok(Server {
            name: "bare",
            process,
            target: self.target(port),
            generate,
            decrypt,
        })
    }

    /// OpenBao with its data in memory, and a periodic token that may do just this, as an application has it.
    pub async fn bao(&self, program: &Path) -> Result<Server> {
        let port = free_port()?;
        let folder = self.folder.display();
        let config = format!(
            r#"
storage "inmem" {{}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_cert_file = "{folder}/server.crt"
  tls_key_file = "{folder}/server.key"
}}
log_level = "error"
"#
        );
        let file = self.folder.join("bao.hcl");
        fs::write(&file, config)?;
        let mut command = Command::new(program);
        command.args(["server", "-config"]).arg(&file);
        let process = Process::start(&mut command, port, &self.folder.join("bao.log"))?;
        let target = self.target(port);
        let mut connection = Connection::open(&target, Protocol::Http1).await?;
        let mut token = HeaderMap::new();
        let post = |path: &str, token: &HeaderMap, body: Value| Call {
            method: Method::POST,
            path: format!("/v1/{path}"),
            headers: token.clone(),
            body: Bytes::from(body.to_string()),
        };

        let init = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let init = connection.json(&post("sys/init", &token, init)).await?;
        let unseal = json!({ "key": init["keys_base64"][0] });
        connection.json(&post("sys/unseal", &token, unseal)).await?;
        // Unsealing goes on in the background.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let root = init["root_token"].as_str().context("no root token")?;
        token.insert("x-vault-token", root.parse()?);
        let transit = json!({ "type": "transit" });
        let policy = format!(
            "path \"transit/datakey/plaintext/{KEY}\" {{ capabilities = [\"update\"] }}\n\
             path \"transit/decrypt/{KEY}\" {{ capabilities = [\"update\"] }}"
        );
        for (path, body) in [
            ("sys/mounts/transit", transit),
            (
                &*format!("transit/keys/{KEY}"),
                json!({ "type": "aes256-gcm96" }),
            ),
            ("sys/policies/acl/app", json!({ "policy": policy })),
        ] {
            connection.call(&post(path, &token, body)).await?;
        }
        let wanted = json!({ "policies": ["app"], "period": "24h", "no_default_policy": true });
        let made = connection
            .json(&post("auth/token/create", &token, wanted))
            .await?;
        let app = made["auth"]["client_token"].as_str().context("no token")?;
        token.insert("x-vault-token", app.parse()?);

        let generate = post(
            &format!("transit/datakey/plaintext/{KEY}"),
            &token,
            json!({ "bits": 256 }),
        );
        let made = connection.json(&generate).await?;
        let decrypt = post(
            &format!("transit/decrypt/{KEY}"),
            &token,
            json!({ "ciphertext": made["data"]["ciphertext"] }),
        );
        Ok(Server {
            name: "OpenBao",
            process,
            target,
            generate,
            decrypt,
        })
    }
}
