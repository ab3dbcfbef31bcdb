//! A server that says whatever a test wants, over HTTP/1.1.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_keystore::config::{self, ClientTls, KvVersion, SecretText, VaultLogin};
use strongroom_keystore_vault::VaultStore;

pub(crate) enum Reply {
    /// A status and a body.
    Json(u16, String),
    /// The same, and the connection ends without having said so.
    JsonAndClose(u16, String),
    /// Bytes as they are, and the end.
    Raw(Vec<u8>),
    /// The end, without an answer.
    Close,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::Json(status, body.to_owned())
    }
}

pub(crate) struct Scripted {
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Logs in whoever asks, tells nothing of its engines, and answers the rest (`GET /v1/…`) as `script` says.
    pub(crate) fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let untold = r#"{"errors":["preflight capability check returned 403"]}"#;
        Self::start_with_engines(move || Reply::json(403, untold), script)
    }

    /// As `start`, but `engines` answers what kind of engine there is.
    pub(crate) fn start_with_engines(
        engines: impl Fn() -> Reply + Send + Sync + 'static,
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let script = move |line: &str| {
            if line.starts_with("GET /v1/sys/internal") {
                engines()
            } else {
                script(line)
            }
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, SeqCst);
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &seen, &*script));
            }
        });
        Self {
            url,
            connections,
            requests,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    pub(crate) fn requests(&self, start: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|line| line.starts_with(start))
            .count()
    }

    pub(crate) async fn store(&self) -> VaultStore {
        self.store_of(KvVersion::V2).await
    }

    pub(crate) async fn store_of(&self, version: KvVersion) -> VaultStore {
        VaultStore::open(config::Vault {
            endpoint: self.url.clone(),
            engine: "kv".to_owned(),
            version,
            namespace: None,
            prefix: None,
            transit: None,
            login: VaultLogin::AppRole {
                engine: "approle".to_owned(),
                id: "id".to_owned(),
                secret: SecretText::new("hunter2".to_owned()),
            },
            login_namespace: None,
            tls: ClientTls::default(),
            ping: Duration::from_secs(1),
        })
        .await
        .unwrap()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, script: &dyn Fn(&str) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(line) = request(&mut reader) {
        seen.lock().unwrap().push(line.clone());
        let reply = if line.starts_with("PUT /v1/auth/approle/login") {
            Reply::json(
                200,
                r#"{"auth":{"client_token":"hvs.token","lease_duration":3600,"renewable":true}}"#,
            )
        } else {
            script(&line)
        };
        let (bytes, is_last) = match reply {
            Reply::Json(status, body) => (http(status, &body), false),
            Reply::JsonAndClose(status, body) => (http(status, &body), true),
            Reply::Raw(bytes) => (bytes, true),
            Reply::Close => (Vec::new(), true),
        };
        if writer.write_all(&bytes).is_err() || is_last {
            return;
        }
    }
}

/// Reads a request with its body; its first line without the version.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut first = None;
    let mut body_bytes = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body_bytes = length.trim().parse().unwrap();
        }
        first.get_or_insert_with(|| line.trim_end_matches(" HTTP/1.1").to_owned());
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body).ok()?;
    first
}

fn http(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
