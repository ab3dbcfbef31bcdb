//! The recorded command lines against our own key server, on the key directory that the recorded server left: recorded
//! ciphertexts decrypt, and what is printed is what upstream's tool printed against upstream's server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use strongroom_kes_server::{
    AuditRecord, Build, Clock, Config, Entropy, ErrorRecord, KesServer, LogSink, NoEntropy,
    Surroundings as ServerSurroundings, machine::ThisProcess,
};
use strongroom_keystore::FsStore;
use strongroom_transport::Shutdown;

use crate::fake_kes::APP;
use crate::recorded::{CIPHERTEXT, recording};
use crate::{Outcome, Surroundings, fixture};

struct RealTime(Instant);

impl Clock for RealTime {
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
        aws_lc_rs::rand::fill(buffer).map_err(|_| NoEntropy)
    }
}

struct NoLog;

impl LogSink for NoLog {
    fn audit(&self, _: &AuditRecord) {}
    fn error(&self, _: &ErrorRecord) {}
}

pub(crate) struct OurServer {
    pub(crate) address: String,
    keys: tempfile::TempDir,
    _shutdown: Shutdown,
}

impl OurServer {
    /// With the recorded configuration and keys, those aside that the recorded commands made last.
    async fn start() -> Self {
        Self::with_keys_of("newest").await
    }

    /// With the newest configuration, and the keys that were recorded in another age.
    pub(crate) async fn with_keys_of(age: &str) -> Self {
        let keys = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixture(&format!("{age}/keystore"))).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "cli-imp" {
                std::fs::copy(entry.path(), keys.path().join(entry.file_name())).unwrap();
            }
        }
        let yaml = std::fs::read_to_string(fixture("newest/config.yml"))
            .unwrap()
            .replace("127.0.0.1:17373", "127.0.0.1:0")
            .replace("../tls", &fixture("tls"))
            .replace("./keystore", keys.path().to_str().unwrap());
        let (config, _) = Config::parse(&yaml, &|_| None).unwrap();
        let listener = strongroom_transport::bind(config.address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let store = Arc::new(FsStore::open(keys.path()).unwrap());
        let surroundings = ServerSurroundings {
            clock: Arc::new(RealTime(Instant::now())),
            entropy: Arc::new(SystemEntropy),
            machine: Arc::new(ThisProcess),
            log: Arc::new(NoLog),
            build: Build {
                version: "2025-05-27T18-49-52Z".to_owned(),
                commit: "c".to_owned(),
            },
        };
        let server = KesServer::start(config, store, surroundings).await.unwrap();
        let declared = "app-declared";
        if !std::path::Path::new(&fixture(&format!("{age}/keystore/{declared}"))).exists() {
            std::fs::remove_file(keys.path().join(declared)).unwrap();
        }
        let (shutdown, signal) = strongroom_transport::shutdown();
        tokio::spawn(async move { server.run(listener, signal).await });
        Self {
            address,
            keys,
            _shutdown: shutdown,
        }
    }

    /// The environment of one of the recorded callers.
    pub(crate) fn surroundings(&self, caller: &str) -> Surroundings {
        Surroundings::default()
            .with("MINIO_KES_SERVER", &self.address)
            .with("KES_CLIENT_KEY", &fixture(&format!("tls/{caller}.key")))
            .with("KES_CLIENT_CERT", &fixture(&format!("tls/{caller}.crt")))
            .with("KES_CA_CERT", &fixture("tls/ca.crt"))
    }
}

/// Without what differs from run to run: times.
fn timeless(outcome: Outcome) -> Outcome {
    let mask = |text: &str| {
        text.lines()
            .map(|line| match line.split_once("  20") {
                Some((label, _)) if line.starts_with("Date") || line.starts_with("Created At") => {
                    format!("{label}  (time)")
                }
                _ => line.to_owned(),
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    Outcome {
        stdout: mask(&outcome.stdout),
        ..outcome
    }
}

#[tokio::test]
async fn recorded_commands_print_the_same_against_our_server() {
    let server = OurServer::start().await;
    let root = server.surroundings("root");
    let lines: [(u32, &[&str]); 24] = [
        (30, &["key", "create", "cli-b"]),
        (31, &["key", "create", "cli-a"]),
        (33, &["key", "create", "bad.name"]),
        (34, &["key", "ls"]),
        (37, &["key", "info", "cli-a"]),
        (39, &["key", "info", "none"]),
        (44, &["key", "decrypt", "cli-a", CIPHERTEXT]),
        (45, &["key", "decrypt", "cli-b", CIPHERTEXT]),
        (46, &["key", "decrypt", "cli-a", "AAAA"]),
        (
            47,
            &[
                "key",
                "import",
                "cli-imp",
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            ],
        ),
        (48, &["key", "import", "cli-imp2", "short"]),
        (49, &["key", "rm", "cli-b"]),
        (50, &["key", "rm", "cli-b"]),
        (51, &["ls"]),
        (52, &["ls", "--policy"]),
        (53, &["ls", "--identity"]),
        (54, &["ls", "--json"]),
        (55, &["ls", "cli"]),
        (58, &["policy", "info", "app"]),
        (61, &["policy", "info", "none"]),
        (62, &["identity", "ls"]),
        (63, &["identity", "info"]),
        (65, &["identity", "info", APP]),
        (74, &["status", "--short"]),
    ];
    for (number, args) in lines {
        let mut expected = recording(number);
        expected.stdout = expected.stdout.replace("127.0.0.1:17373", &server.address);
        assert_eq!(
            timeless(root.kes(args).await),
            timeless(expected),
            "{number}: kes {}",
            args.join(" ")
        );
    }

    let nobody = server.surroundings("nobody");
    assert_eq!(nobody.kes(&["key", "ls"]).await, recording(85));
    assert_eq!(nobody.kes(&["status"]).await, recording(77));
}

#[tokio::test]
async fn what_our_server_encrypts_it_decrypts() {
    let server = OurServer::start().await;
    let root = server.surroundings("root");
    let member = |outcome: &Outcome, name: &str| {
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        json[name].as_str().unwrap().to_owned()
    };
    let dek = root.kes(&["key", "dek", "cli-a", "Y3R4"]).await;
    let (plaintext, ciphertext) = (member(&dek, "plaintext"), member(&dek, "ciphertext"));
    let opened = root
        .kes(&["key", "decrypt", "cli-a", &ciphertext, "Y3R4"])
        .await;
    assert_eq!(member(&opened, "plaintext"), plaintext);
    assert_eq!(
        root.kes(&["key", "decrypt", "cli-a", &ciphertext])
            .await
            .code,
        1,
        "without its context"
    );

    let encrypted = root.kes(&["key", "encrypt", "cli-a", "Hello World"]).await;
    let opened = root
        .kes(&["key", "decrypt", "cli-a", &member(&encrypted, "ciphertext")])
        .await;
    assert_eq!(member(&opened, "plaintext"), "SGVsbG8gV29ybGQ=");
}

#[tokio::test]
async fn callers_learn_what_they_may_do() {
    let server = OurServer::start().await;
    let app = server.surroundings("app").kes(&["identity", "info"]).await;
    assert_eq!(app.code, 0, "{app:?}");
    for line in [
        "Policy      app\n",
        "Role        User\n",
        "Allow       /v1/api\n            /v1/key/create/app-*\n",
        "Deny        /v1/key/decrypt/app-locked*\n",
    ] {
        assert!(app.stdout.contains(line), "{line:?} in {}", app.stdout);
    }
    let status = server.surroundings("app").kes(&["status", "--api"]).await;
    assert_eq!(status.code, 0, "{status:?}");
    assert!(
        status.stdout.contains("  Version  2025-05-27T18-49-52Z\n"),
        "{}",
        status.stdout
    );
    assert!(
        status
            .stdout
            .contains("  PUT     /v1/key/create/              15s\n"),
        "{}",
        status.stdout
    );
}

#[tokio::test]
async fn more_keys_than_one_page_are_listed_completely() {
    let server = OurServer::start().await;
    for i in 0..1500 {
        std::fs::copy(
            fixture("newest/keystore/cli-a"),
            server.keys.path().join(format!("many-{i:04}")),
        )
        .unwrap();
    }
    let listed = server
        .surroundings("root")
        .kes(&["key", "ls", "many-"])
        .await;
    assert_eq!(listed.stdout.lines().count(), 1501);
    assert!(listed.stdout.ends_with("many-1499\n"));
}
