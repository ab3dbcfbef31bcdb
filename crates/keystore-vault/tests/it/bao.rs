//! A real server, and an operator with its root token.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_keystore::config::{
    self, ClientTls, KvVersion, SecretText, VaultLogin, VaultTransit,
};
use strongroom_keystore_vault::VaultStore;
use strongroom_peers::{Peer, free_port, tool};
use tempfile::TempDir;

use crate::certificates::{self, Certificates};

/// Machines that build and test at once are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Bao {
    pub(crate) peer: Peer,
    pub(crate) url: String,
    /// The listener with TLS, which demands client certificates.
    pub(crate) tls_url: String,
    pub(crate) certificates: Certificates,
    pub(crate) folder: TempDir,
    http: reqwest::Client,
    audit: PathBuf,
    counter: AtomicU32,
}

/// Credentials of a role.
#[derive(Clone)]
pub(crate) struct AppRole {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) accessor: String,
}

impl Bao {
    /// None where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_at(free_port().unwrap()).await
    }

    pub(crate) async fn start_at(port: u16) -> Option<Self> {
        let program = tool("bao")?;
        let folder = tempfile::tempdir().unwrap();
        let certificates = certificates::make(folder.path());
        let tls_port = free_port().unwrap();
        let audit = folder.path().join("audit.log");
        let settings = folder.path().join("bao.hcl");
        let text = format!(
            "audit \"file\" \"log\" {{\n  path = \"log\"\n  options {{ file_path = \"{}\" }}\n}}\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{tls_port}\"\n  tls_cert_file = \"{}\"\n  \
             tls_key_file = \"{}\"\n  tls_client_ca_file = \"{}\"\n  tls_require_and_verify_client_cert = true\n}}\n",
            audit.display(),
            certificates.server_cert.display(),
            certificates.server_key.display(),
            certificates.ca.display(),
        );
        std::fs::write(&settings, text).unwrap();
        let address = format!("127.0.0.1:{port}");
        let args = [
            "server",
            "-dev",
            "-dev-root-token-id=root",
            "-dev-no-store-token",
            &format!("-dev-listen-address={address}"),
            &format!("-config={}", settings.display()),
        ];
        let peer = Peer::start(&program, &args, &[], port, folder.path()).unwrap();
        let bao = Self {
            peer,
            url: format!("http://{address}"),
            tls_url: format!("https://127.0.0.1:{tls_port}"),
            certificates,
            folder,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            audit,
            counter: AtomicU32::new(0),
        };
        // It listens before it is ready: the engine of the dev server is mounted last.
        bao.until("ready", async || {
            bao.ask(Method::GET, "", "sys/mounts/secret", Value::Null)
                .await
                .0
                == 200
        })
        .await;
        bao.root("sys/auth/approle", json!({"type": "approle"}))
            .await;
        Some(bao)
    }

    /// A request as root: status and body.
    pub(crate) async fn ask(
        &self,
        method: Method,
        namespace: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let mut request = self
            .http
            .request(method, format!("{}/v1/{path}", self.url))
            .header("X-Vault-Token", "root")
            .header("X-Vault-Namespace", namespace);
        if !body.is_null() {
            request = request.json(&body);
        }
        let Ok(answer) = request.send().await else {
            return (0, Value::Null);
        };
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// A POST as root that must succeed.
    pub(crate) async fn root(&self, path: &str, body: Value) -> Value {
        self.root_in("", path, body).await
    }

    pub(crate) async fn root_in(&self, namespace: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, namespace, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while !is_so().await {
            assert!(
                started.elapsed() < PATIENCE,
                "never {what}:\n{}",
                self.peer.printed()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops it, and waits until the last of its threads has: until then requests are answered.
    pub(crate) async fn pause(&self) {
        self.peer.pause().unwrap();
        let tasks = format!("/proc/{}/task", self.peer.pid());
        self.until("paused", async || {
            let all = std::fs::read_dir(&tasks).unwrap();
            // proc(5): the state comes after the name, which ends with the last bracket.
            all.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok())
                .all(|stat| {
                    stat.rsplit_once(") ")
                        .is_some_and(|(_, rest)| rest.starts_with('T'))
                })
        })
        .await;
    }

    /// A new engine with a name of its own.
    pub(crate) async fn mount(&self, namespace: &str, version: KvVersion) -> String {
        let name = format!("kv-{}", self.counter.fetch_add(1, SeqCst));
        let number = match version {
            KvVersion::V1 => "1",
            KvVersion::V2 => "2",
        };
        let options = json!({"type": "kv", "options": {"version": number}});
        self.root_in(namespace, &format!("sys/mounts/{name}"), options)
            .await;
        // A new versioned engine refuses everything while it sets itself up.
        self.until("mounted", async || {
            let path = format!("{name}/data/none");
            self.ask(Method::GET, namespace, &path, Value::Null).await.0 == 404
        })
        .await;
        name
    }

    /// A role with what upstream's documentation grants: no `update` anywhere on keys.
    pub(crate) async fn role_for(&self, namespace: &str, engine: &str, options: Value) -> AppRole {
        let policy = format!(
            r#"path "{engine}/data/*" {{ capabilities = ["create", "read"] }}
               path "{engine}/metadata/*" {{ capabilities = ["list", "delete"] }}
               path "{engine}/*" {{ capabilities = ["create", "read", "delete", "list"] }}
               path "transit/encrypt/wrapper" {{ capabilities = ["update"] }}
               path "transit/decrypt/wrapper" {{ capabilities = ["update"] }}"#
        );
        self.role_with(namespace, &policy, options).await
    }

    pub(crate) async fn role_with(&self, namespace: &str, policy: &str, options: Value) -> AppRole {
        let name = format!("role-{}", self.counter.fetch_add(1, SeqCst));
        self.root_in(
            namespace,
            &format!("sys/policies/acl/{name}"),
            json!({"policy": policy}),
        )
        .await;
        let mut role = json!({"token_policies": name});
        if let (Some(role), Value::Object(options)) = (role.as_object_mut(), options) {
            role.extend(options);
        }
        let path = format!("auth/approle/role/{name}");
        self.root_in(namespace, &path, role).await;
        let id = self
            .ask(
                Method::GET,
                namespace,
                &format!("{path}/role-id"),
                Value::Null,
            )
            .await
            .1;
        let secret = self
            .root_in(namespace, &format!("{path}/secret-id"), json!({}))
            .await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        AppRole {
            id: text(&id["data"]["role_id"]),
            secret: text(&secret["data"]["secret_id"]),
            accessor: format!(
                "{path}/secret-id-accessor/destroy {}",
                text(&secret["data"]["secret_id_accessor"])
            ),
        }
    }

    /// Takes the secret ID of a role away.
    pub(crate) async fn destroy_secret(&self, role: &AppRole) {
        let (path, accessor) = role.accessor.split_once(' ').unwrap();
        self.root(path, json!({"secret_id_accessor": accessor}))
            .await;
    }

    /// Ends all tokens that were got by AppRole.
    pub(crate) async fn revoke_tokens(&self) {
        self.root("sys/leases/revoke-prefix/auth/approle/login", json!({}))
            .await;
    }

    pub(crate) fn config(&self, engine: &str, version: KvVersion, role: &AppRole) -> config::Vault {
        config::Vault {
            endpoint: self.url.clone(),
            engine: engine.to_owned(),
            version,
            namespace: None,
            prefix: None,
            transit: None,
            login: VaultLogin::AppRole {
                engine: "approle".to_owned(),
                id: role.id.clone(),
                secret: SecretText::new(role.secret.clone()),
            },
            login_namespace: None,
            tls: ClientTls::default(),
            ping: Duration::from_secs(1),
        }
    }

    /// The TLS listener, with everything it asks for.
    pub(crate) fn over_tls(&self, mut config: config::Vault) -> config::Vault {
        config.endpoint.clone_from(&self.tls_url);
        config.tls = ClientTls {
            key: Some(self.certificates.client_key.clone()),
            cert: Some(self.certificates.client_cert.clone()),
            ca: Some(self.certificates.ca.clone()),
        };
        config
    }

    /// A store of a new engine.
    pub(crate) async fn new_store(&self, version: KvVersion) -> (VaultStore, String) {
        let engine = self.mount("", version).await;
        let role = self.role_for("", &engine, Value::Null).await;
        let store = VaultStore::open(self.config(&engine, version, &role))
            .await
            .unwrap();
        (store, engine)
    }

    pub(crate) async fn with_transit(&self) -> VaultTransit {
        if self
            .ask(Method::GET, "", "sys/mounts/transit", Value::Null)
            .await
            .0
            != 200
        {
            self.root("sys/mounts/transit", json!({"type": "transit"}))
                .await;
            self.root("transit/keys/wrapper", json!({})).await;
        }
        VaultTransit {
            engine: "transit".to_owned(),
            key: "wrapper".to_owned(),
        }
    }

    /// How many requests to `path` the server's own audit log has.
    pub(crate) fn audited(&self, path: &str) -> usize {
        let log = std::fs::read_to_string(&self.audit).unwrap();
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|entry| entry["type"] == "request" && entry["request"]["path"] == path)
            .count()
    }

    pub(crate) fn logins(&self) -> usize {
        self.audited("auth/approle/login")
    }

    pub(crate) fn unseal_key(&self) -> String {
        let printed = self.peer.printed();
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix("Unseal Key: "));
        line.unwrap().trim().to_owned()
    }
}
