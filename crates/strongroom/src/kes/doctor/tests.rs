use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use strongroom_kes_api::ApiKey;
use strongroom_kes_client::Identity;
use strongroom_kes_client::certificate::{self, Request};
use zeroize::Zeroizing;

use super::report::Grade;
use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn identity() -> Identity {
    ApiKey::from_seed(Zeroizing::new([7; 32]))
        .unwrap()
        .identity()
}

/// A folder with a certificate, a key directory with one key, and a configuration that is in order.
struct Clinic {
    folder: tempfile::TempDir,
    yaml: String,
    variables: Vec<(&'static str, &'static str)>,
}

impl Clinic {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        issue(path, "server", SystemTime::now(), 90 * DAY, &["localhost"]);
        let keys = path.join("keys");
        fs::create_dir(&keys).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(
            keys.join("app-key"),
            r#"{"bytes":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}"#,
        )
        .unwrap();
        let yaml = format!(
            "version: v1\naddress: 127.0.0.1:0\nadmin:\n  identity: {admin}\n\
             tls:\n  key: {dir}/server.key\n  cert: {dir}/server.crt\n\
             policy:\n  app:\n    allow:\n    - /v1/key/create/*\n    - /v1/key/generate/*\n    identities:\n    - {app}\n\
             keys:\n- name: app-key\nkeystore:\n  fs:\n    path: {dir}/keys\n",
            admin = "aa".repeat(32),
            app = identity(),
            dir = path.display(),
        );
        Self {
            folder,
            yaml,
            variables: Vec::new(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn with(mut self, old: &str, new: &str) -> Self {
        assert!(self.yaml.contains(old), "{old} in {}", self.yaml);
        self.yaml = self.yaml.replace(old, new);
        self
    }

    async fn examined(&self) -> Report {
        let file = self.path().join("kes.yml");
        if !file.exists() {
            fs::write(&file, &self.yaml).unwrap();
        }
        let mut report = Report::default();
        let environment = |name: &str| {
            let found = self.variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let now = SystemTime::now();
        if let Some(config) = configuration::look(&file, &environment, &mut report) {
            tls::look(&config, now, &mut report);
            machine::look(&file, &config, now, &mut report);
            policies::look(&config, &mut report);
            store::look(&config, &mut report).await;
        }
        report
    }

    async fn complains(&self, grade: Grade, of: &str) {
        let found = self.examined().await.graded(grade);
        assert!(
            found.iter().any(|line| line.contains(of)),
            "{of:?} in {found:#?}"
        );
    }
}

fn issue(folder: &Path, name: &str, from: SystemTime, lifetime: Duration, dns: &[&str]) {
    let key = ApiKey::from_seed(Zeroizing::new([u8::try_from(name.len()).unwrap(); 32])).unwrap();
    let request = Request {
        common_name: Some(name.to_owned()),
        dns_names: dns.iter().map(|name| (*name).to_owned()).collect(),
        ip_addresses: vec!["127.0.0.1".parse().unwrap()],
        is_server: true,
        lifetime,
    };
    let certificate = certificate::self_signed(&key, &request, from).unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = strongroom_kes_api::base64::encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    fs::write(
        folder.join(format!("{name}.crt")),
        pem("CERTIFICATE", &certificate),
    )
    .unwrap();
    let key_file = folder.join(format!("{name}.key"));
    fs::write(&key_file, pem("PRIVATE KEY", &key.expose_pkcs8_der())).unwrap();
    fs::set_permissions(key_file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_configuration_in_order_has_no_failure() {
    let report = Clinic::new().examined().await;
    assert_eq!(
        report.graded(Grade::Bad),
        [""; 0],
        "{}",
        report.in_words(false)
    );
    let good = report.graded(Grade::Good);
    for step in [
        "configuration file:",
        "settings:",
        "certificate:",
        "address:",
        "admin:",
        "policy app:",
        "declared key app-key:",
        "stored keys:",
    ] {
        assert!(
            good.iter().any(|line| line.starts_with(step)),
            "{step} in {good:#?}"
        );
    }
}

#[tokio::test]
async fn each_fault_is_named() {
    let path_of = |clinic: &Clinic, name: &str| clinic.path().join(name).display().to_string();

    let clinic = Clinic::new();
    fs::create_dir(clinic.path().join("kes.yml")).unwrap();
    clinic.complains(Grade::Bad, "cannot be read").await;

    Clinic::new()
        .with("keystore:\n  fs:", "keystore:\n  fs: [")
        .complains(Grade::Bad, "line")
        .await;
    Clinic::new()
        .with("version: v1\n", "version: v1\nadress: x\n")
        .complains(Grade::Warning, "'adress' is no known setting")
        .await;

    let clinic = Clinic::new().with(&"aa".repeat(32), "${ADMIN}");
    clinic
        .complains(Grade::Bad, "variable ADMIN: not set")
        .await;
    let mut clinic = Clinic::new().with(&"aa".repeat(32), "${ADMIN}");
    clinic.variables = vec![("ADMIN", "not an identity")];
    clinic
        .complains(Grade::Warning, "'admin.identity' is no identity")
        .await;

    let clinic = Clinic::new();
    fs::remove_file(clinic.path().join("server.crt")).unwrap();
    clinic.complains(Grade::Bad, "server.crt").await;

    let clinic = Clinic::new();
    issue(
        clinic.path(),
        "other-certificate",
        SystemTime::now(),
        DAY * 90,
        &["localhost"],
    );
    fs::copy(
        clinic.path().join("other-certificate.crt"),
        clinic.path().join("server.crt"),
    )
    .unwrap();
    clinic
        .complains(Grade::Bad, "perhaps one of them was renewed alone")
        .await;

    let clinic = Clinic::new();
    issue(
        clinic.path(),
        "server",
        SystemTime::now() - DAY * 30,
        DAY * 10,
        &["localhost"],
    );
    clinic.complains(Grade::Bad, "expired on").await;

    let clinic = Clinic::new();
    issue(
        clinic.path(),
        "server",
        SystemTime::now(),
        DAY * 10,
        &["localhost"],
    );
    clinic.complains(Grade::Warning, "expires soon").await;

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    Clinic::new()
        .with("127.0.0.1:0", &address)
        .complains(Grade::Warning, "is in use")
        .await;
    Clinic::new()
        .with("127.0.0.1:0", "192.0.2.1:7373")
        .complains(Grade::Bad, "is no address of this machine")
        .await;

    Clinic::new()
        .with("/v1/key/create/*", "/v1/key/list")
        .complains(Grade::Warning, "'/v1/key/list'")
        .await;
    Clinic::new()
        .with("/v1/key/create/*", "/v1/keys/create/*")
        .complains(Grade::Warning, "matches no request")
        .await;
    Clinic::new()
        .with(
            "    identities:",
            "    deny:\n    - /v1/key/*\n    identities:",
        )
        .complains(
            Grade::Warning,
            "allows nothing, since '/v1/key/*' denies all of it",
        )
        .await;
    let app = identity().to_string();
    Clinic::new()
        .with(&format!("    identities:\n    - {app}\n"), "")
        .complains(Grade::Warning, "it is for nobody")
        .await;

    let clinic = Clinic::new();
    fs::write(clinic.path().join("keys/app-key"), "").unwrap();
    clinic
        .complains(
            Grade::Bad,
            "declared key app-key: what is stored is no key (stored value is empty)",
        )
        .await;
    clinic
        .complains(
            Grade::Bad,
            "stored keys: 1 of the 1 key cannot be used: app-key",
        )
        .await;

    let clinic = Clinic::new();
    fs::remove_dir_all(clinic.path().join("keys")).unwrap();
    clinic
        .complains(
            Grade::Warning,
            "is not there; the server makes it at its start",
        )
        .await;
    assert!(
        !clinic.path().join("keys").exists(),
        "looking changes nothing"
    );
    fs::write(clinic.path().join("keys"), "").unwrap();
    clinic.complains(Grade::Bad, "is no directory").await;

    let clinic = Clinic::new();
    let key = path_of(&clinic, "server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    clinic
        .complains(
            Grade::Warning,
            &format!("every user can read it; run: chmod o= {key}"),
        )
        .await;
}

#[tokio::test]
async fn secrets_are_neither_shown_nor_left_open() {
    let clinic = Clinic::new();
    let keystore = clinic.yaml.find("keystore:").unwrap();
    let yaml = format!(
        "{}keystore:\n  vault:\n    endpoint: http://127.0.0.1:1\n    approle:\n      id: role\n      secret: geheim-1234\n",
        &clinic.yaml[..keystore]
    );
    let clinic = Clinic { yaml, ..clinic };
    let report = clinic.examined().await;
    assert!(!report.in_words(true).contains("geheim") && !report.as_json().contains("geheim"));
    let warnings = report.graded(Grade::Warning);
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("every user can read it; run: chmod o=")),
        "{warnings:#?}"
    );
    assert!(report.has_failed(), "nobody listens on port 1");
}

#[test]
fn a_pipe_gets_ascii_and_a_terminal_signs() {
    let mut report = Report::default();
    report.good("a", "x");
    report.warn("b", "y\u{1b}[2J");
    report.bad("c", "z");
    assert_eq!(
        report.in_words(false),
        "ok   a: x\nwarn b: y [2J\nFAIL c: z\n\n1 failure to mend, 1 warning to look at.\n"
    );
    assert!(report.in_words(true).starts_with("✓ a: x\n! b: y"));
}
