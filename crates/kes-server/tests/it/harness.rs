//! A server in this process, and a client that sends exactly the bytes it is told to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName};
use strongroom_kes_server::{
    AuditRecord, Build, Clock, Config, Entropy, ErrorRecord, KesServer, LogSink, Machine,
    MachineSample, NoEntropy, Surroundings,
};
use strongroom_keystore::{FsStore, KeyStore};
use strongroom_transport::certificate::{certificates, private_key};
use strongroom_transport::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/kes")
        .canonicalize()
        .unwrap()
}

pub(crate) fn fixture(path: &str) -> String {
    let path = fixtures().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The configuration of one age, with its files found.
pub(crate) fn config_of(age: &str, keys: &Path, change: impl FnOnce(String) -> String) -> Config {
    let tls = fixtures().join("tls");
    let text = fixture(&format!("{age}/config.yml"))
        .replace("../../tls", "../tls")
        .replace("../tls", &tls.display().to_string())
        .replace("./keystore", &keys.display().to_string());
    Config::parse(&change(text), &|_| None).unwrap().0
}

#[derive(Default)]
pub(crate) struct Records {
    pub(crate) audit: Mutex<Vec<AuditRecord>>,
    pub(crate) errors: Mutex<Vec<ErrorRecord>>,
}

impl LogSink for Records {
    fn audit(&self, record: &AuditRecord) {
        self.audit.lock().unwrap().push(record.clone());
    }

    fn error(&self, record: &ErrorRecord) {
        self.errors.lock().unwrap().push(record.clone());
    }
}

impl Records {
    pub(crate) fn error_texts(&self) -> String {
        self.errors
            .lock()
            .unwrap()
            .iter()
            .map(ErrorRecord::text_line)
            .collect()
    }
}

struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(buffer).map_err(|_| NoEntropy)
    }
}

struct TestMachine;

impl Machine for TestMachine {
    fn os(&self) -> &str {
        "linux"
    }

    fn arch(&self) -> &str {
        "amd64"
    }

    fn sample(&self) -> MachineSample {
        MachineSample {
            num_cpu: 2,
            num_cpu_used: 2,
            num_threads: 3,
            ..MachineSample::default()
        }
    }
}

/// A running server; it ends with the value.
pub(crate) struct Fixture {
    pub(crate) server: KesServer,
    pub(crate) address: SocketAddr,
    pub(crate) records: Arc<Records>,
    pub(crate) keys: PathBuf,
    _shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

/// An empty folder, and a store in it.
pub(crate) fn new_store() -> (tempfile::TempDir, PathBuf, Arc<dyn KeyStore>) {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let store = Arc::new(FsStore::open(&keys).unwrap());
    (folder, keys, store)
}

impl Fixture {
    /// The newest configuration over an empty store.
    pub(crate) async fn start() -> Self {
        Self::start_with(|text| text).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(String) -> String) -> Self {
        let (folder, keys, store) = new_store();
        let config = config_of("newest", &keys, change);
        Self::run(config, store, folder, keys).await
    }

    /// The newest configuration over some other store.
    pub(crate) async fn start_over(store: Arc<dyn KeyStore>) -> Self {
        let (folder, keys, _) = new_store();
        let config = config_of("newest", &keys, |text| {
            text.replace("keys:\n- name: app-declared", "")
        });
        Self::run(config, store, folder, keys).await
    }

    pub(crate) async fn run(
        config: Config,
        store: Arc<dyn KeyStore>,
        folder: tempfile::TempDir,
        keys: PathBuf,
    ) -> Self {
        let records = Arc::new(Records::default());
        let surroundings = Surroundings {
            clock: Arc::new(TestClock(Instant::now())),
            entropy: Arc::new(SystemEntropy),
            machine: Arc::new(TestMachine),
            log: Arc::clone(&records) as Arc<dyn LogSink>,
            build: Build {
                version: "2026-01-01T00-00-00Z".into(),
                commit: "0".repeat(40),
            },
        };
        let server = KesServer::start(config, store, surroundings).await.unwrap();
        let listener = strongroom_transport::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (handle, signal) = shutdown();
        let running = server.clone();
        tokio::spawn(async move { running.run(listener, signal).await });
        Self {
            server,
            address,
            records,
            keys,
            _shutdown: handle,
            _folder: folder,
        }
    }

    pub(crate) async fn request(&self, who: &Who, method: &str, path: &str, body: &str) -> Answer {
        let mut connection = self
            .connect(who)
            .await
            .unwrap_or_else(|e| panic!("{path}: {e}"));
        connection
            .request(method, path, &[], Some(body))
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, who: &Who, path: &str) -> Answer {
        self.request(who, "GET", path, "").await
    }

    pub(crate) async fn post(&self, who: &Who, path: &str, body: &str) -> Answer {
        self.request(who, "POST", path, body).await
    }

    pub(crate) async fn connect(&self, who: &Who) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        let connector = TlsConnector::from(Arc::new(who.client_config()));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await?;
        Ok(Connection(Box::new(stream)))
    }
}

impl Fixture {
    pub(crate) async fn connect_http2(
        &self,
        who: &Who,
    ) -> hyper::client::conn::http2::SendRequest<http_body_util::Empty<bytes::Bytes>> {
        let mut config = who.client_config();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = TokioIo::new(connector.connect(name, stream).await.unwrap());
        let executor = TokioExecutor::new();
        let (sender, connection) = hyper::client::conn::http2::handshake(executor, stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// A client's certificate, or none.
#[derive(Clone)]
pub(crate) enum Who {
    Nobody,
    Certified {
        chain: Vec<CertificateDer<'static>>,
        key: Vec<u8>,
    },
}

impl Who {
    pub(crate) fn named(name: &str) -> Self {
        let chain = fixture(&format!("tls/{name}.crt"));
        let key = fixture(&format!("tls/{name}.key"));
        Self::of_pem(&chain, &key)
    }

    pub(crate) fn of_pem(chain: &str, key: &str) -> Self {
        Self::Certified {
            chain: certificates(chain.as_bytes()).unwrap(),
            key: key.as_bytes().to_vec(),
        }
    }

    pub(crate) fn root() -> Self {
        Self::named("root")
    }

    pub(crate) fn app() -> Self {
        Self::named("app")
    }

    fn client_config(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(certificates(fixture("tls/ca.crt").as_bytes()).unwrap());
        let builder =
            rustls::ClientConfig::builder_with_provider(strongroom_transport::tls::provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots);
        match self {
            Self::Nobody => builder.with_no_client_auth(),
            Self::Certified { chain, key } => {
                let key = private_key(key, None).unwrap();
                builder.with_client_auth_cert(chain.clone(), key).unwrap()
            }
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One HTTP/1.1 connection.
pub(crate) struct Connection(Box<dyn Stream>);

impl Connection {
    /// Sends a request with a Content-Length and reads the answer.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> std::io::Result<Answer> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or(""));
        self.send(text.as_bytes(), method).await
    }

    /// Sends these bytes alone.
    pub(crate) async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Sends these bytes and reads one answer.
    pub(crate) async fn send(&mut self, bytes: &[u8], method: &str) -> std::io::Result<Answer> {
        self.0.write_all(bytes).await?;
        self.0.flush().await?;
        Answer::read(&mut self.0, method).await
    }
}

impl Connection {
    /// Reads one line of a chunked body.
    pub(crate) async fn line(&mut self) -> std::io::Result<String> {
        let size = self.text_line().await?;
        let size = usize::from_str_radix(&size, 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.0.read_exact(&mut chunk).await?;
        chunk.truncate(size);
        Ok(String::from_utf8(chunk).unwrap())
    }

    async fn text_line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.0.read_u8().await?);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8(line).unwrap())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    async fn read(stream: &mut (impl AsyncRead + Unpin), method: &str) -> std::io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Self {
            status,
            headers,
            body: String::new(),
        };
        let length: usize = answer
            .header("content-length")
            .unwrap_or("0")
            .parse()
            .unwrap();
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        stream.read_exact(&mut body).await?;
        // Only the binary form of the metrics is no text.
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn member(&self, name: &str) -> String {
        self.json()[name]
            .as_str()
            .unwrap_or_else(|| panic!("no '{name}' in {self:?}"))
            .to_owned()
    }

    /// Status and message of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.member("message"))
    }
}
