//! A key server in this process: keys in memory, an admin, and an application with a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use strongroom_kes_api::{AdminIdentity, Policy};
use strongroom_kes_client::{ApiKey, Credentials, Endpoint, KesClient, KeyName, PolicyName, Trust};
use strongroom_kes_server::config::PolicyConfig;
use strongroom_kes_server::machine::ThisProcess;
use strongroom_kes_server::{
    AuditRecord, Build, Clock, Config, Entropy, ErrorRecord, KesServer, LogSink, NoEntropy,
    Surroundings,
};
use strongroom_keystore::MemoryStore;
use strongroom_kms::KesSettings;
use strongroom_transport::issue::{self, Subject};
use strongroom_transport::{ClientAuth, Limits, Shutdown, Tls, certificate, shutdown};
use zeroize::Zeroizing;

pub(crate) const KEY: &str = "my-key";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) trust: Trust,
    _running: Shutdown,
}

fn api_key(byte: u8) -> ApiKey {
    ApiKey::from_seed(Zeroizing::new([byte; 32])).unwrap()
}

impl Server {
    /// Starts a server whose application may call what `allow` says.
    pub(crate) async fn start(allow: &[&str]) -> Self {
        let listener = strongroom_transport::bind((Ipv4Addr::LOCALHOST, 0).into())
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let issued = issue::self_signed(&Subject {
            common_name: "kes",
            dns_names: &[],
            addresses: &[address.ip()],
            now: SystemTime::now(),
            validity: Duration::from_secs(3600),
        })
        .unwrap();
        let trust = Trust::nobody()
            .with_certificates(certificate::certificates(issued.certificate.as_bytes()).unwrap());
        let admin = AdminIdentity::Identity(api_key(1).identity());
        let mut config = Config::development(address, admin, issued.identity().unwrap());
        let policy = PolicyConfig {
            policy: Policy::new(allow.iter().copied(), [""; 0]),
            identities: BTreeSet::from([api_key(2).identity().into()]),
        };
        config.policies = BTreeMap::from([(PolicyName::parse("app").unwrap(), policy)]);
        config.keys = vec![KeyName::parse(KEY).unwrap()];
        let store = Arc::new(MemoryStore::new());
        let server = KesServer::start(config, store, surroundings())
            .await
            .unwrap();
        let (running, stopped) = shutdown();
        tokio::spawn(async move { server.run(listener, stopped).await });
        Self {
            address,
            trust,
            _running: running,
        }
    }

    fn settings(&self, key: ApiKey) -> KesSettings {
        KesSettings {
            endpoints: vec![Endpoint::parse(&self.address.to_string()).unwrap()],
            credentials: Credentials::api_key(key).unwrap(),
            trust: self.trust.clone(),
            default_key: KeyName::parse(KEY).unwrap(),
        }
    }

    pub(crate) fn as_admin(&self) -> KesSettings {
        self.settings(api_key(1))
    }

    pub(crate) fn as_app(&self) -> KesSettings {
        self.settings(api_key(2))
    }

    pub(crate) fn as_stranger(&self) -> KesSettings {
        self.settings(api_key(3))
    }

    /// A plain client of the admin.
    pub(crate) fn admin(&self) -> KesClient {
        let settings = self.as_admin();
        KesClient::builder()
            .endpoints(settings.endpoints)
            .credentials(settings.credentials)
            .trust(settings.trust)
            .build()
            .unwrap()
    }
}

/// A server of 2023 that makes data keys and describes keys, and has no other route.
pub(crate) async fn start_of_2023() -> (KesSettings, Shutdown) {
    let listener = strongroom_transport::bind((Ipv4Addr::LOCALHOST, 0).into())
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let issued = issue::self_signed(&Subject {
        common_name: "kes",
        dns_names: &[],
        addresses: &[address.ip()],
        now: SystemTime::now(),
        validity: Duration::from_secs(3600),
    })
    .unwrap();
    let trust = Trust::nobody()
        .with_certificates(certificate::certificates(issued.certificate.as_bytes()).unwrap());
    let auth = ClientAuth::Any { required: true };
    let tls = Tls::new(&issued.identity().unwrap(), &auth).unwrap();
    let (running, stopped) = shutdown();
    let limits = Limits::default();
    let serving = strongroom_transport::serve(
        listener,
        Some(tls),
        limits,
        |_| service_fn(answer_of_2023),
        stopped,
    );
    tokio::spawn(serving);
    let settings = KesSettings {
        endpoints: vec![Endpoint::parse(&address.to_string()).unwrap()],
        credentials: Credentials::api_key(api_key(2)).unwrap(),
        trust,
        default_key: KeyName::parse(KEY).unwrap(),
    };
    (settings, running)
}

async fn answer_of_2023(
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (status, kind, body) = match request.uri().path() {
        "/v1/key/generate/my-key" => (
            200,
            "application/json",
            "{\"plaintext\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"ciphertext\":\"YQ==\"}",
        ),
        "/v1/key/describe/my-key" => (
            200,
            "application/json",
            "{\"name\":\"my-key\",\"algorithm\":\"AES256\",\"created_at\":\"2023-01-02T03:04:05Z\"}",
        ),
        _ => (404, "text/plain; charset=utf-8", "404 page not found\n"),
    };
    let mut answer = http::Response::new(Full::from(body));
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
    let kind = http::HeaderValue::from_static(kind);
    answer.headers_mut().insert("content-type", kind);
    Ok(answer)
}

fn surroundings() -> Surroundings {
    Surroundings {
        clock: Arc::new(RealClock(Instant::now())),
        entropy: Arc::new(RealEntropy),
        machine: Arc::new(ThisProcess),
        log: Arc::new(NoLog),
        build: Build {
            version: "test".into(),
            commit: String::new(),
        },
    }
}

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

struct RealEntropy;

impl Entropy for RealEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        aws_lc_rs::rand::fill(buffer).map_err(|_| NoEntropy)
    }
}

struct NoLog;

impl LogSink for NoLog {
    fn audit(&self, _: &AuditRecord) {}
    fn error(&self, _: &ErrorRecord) {}
}
