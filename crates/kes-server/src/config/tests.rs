use super::*;

mod keystores;

const ADMIN: &str = "2a7c5badadeab361c98472146beed2d5e7c058e4d32ee66d0b76a701234dd1b3";
const APP: &str = "bb16264ef2c339c192bd3bc993c4aa952d38ad944a1022bab3f1dd07a009d0ff";

fn environment(name: &str) -> Option<String> {
    match name {
        "APP_IDENTITY" => Some(APP.to_owned()),
        "BLANK" => Some(String::new()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<(Config, Vec<Warning>), ConfigError> {
    Config::parse(text, &environment)
}

fn minimal(more: &str) -> String {
    format!(
        "admin:\n  identity: {ADMIN}\ntls:\n  key: k.pem\n  cert: c.pem\nkeystore:\n  fs:\n    path: ./keys\n{more}"
    )
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok((config, _)) => panic!("accepted: {config:?}\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_whole_schema_is_read() {
    let text = format!(
        r"
version: v1
address: 127.0.0.1:7400
admin:
  identity: {ADMIN}
tls:
  key: private.key
  cert: public.crt
  password: 'p${{w}}'
  ca: authorities/
  auth: On
  proxy:
    identities: []
    header:
      cert: X-Tls-Client-Cert
policy:
  app:
    allow:
    - /v1/key/create/app-*
    - ${{NOT_A_VARIABLE_HERE}}
    deny: [/v1/key/create/app-x]
    identities:
    - ${{APP_IDENTITY}}
cache:
  expiry:
    any: 1h30m
    unused: 0
    offline: 300ms
api:
  /v1/ready:
    skip_auth: true
    timeout: 3s
log:
  error: WARN
  audit: off
keys:
- name: my-key
- name: 7373
keystore:
  fs:
    path: ./keys
"
    );
    let (config, warnings) = parse(&text).unwrap();
    assert_eq!(config.address, "127.0.0.1:7400".parse().unwrap());
    assert_eq!(config.admin.to_string(), ADMIN);
    assert!(config.tls.verify_clients);
    let CertificateSource::Files {
        password: Some(password),
        ..
    } = &config.tls.certificate
    else {
        panic!("{config:?}")
    };
    assert_eq!(
        password.as_str(),
        "p${w}",
        "no expansion inside longer text"
    );
    assert!(
        !format!("{config:?}").contains("p${w}"),
        "passwords are not shown"
    );
    let (name, policy) = config.policies.first_key_value().unwrap();
    assert_eq!(name.as_str(), "app");
    assert_eq!(policy.policy.allow[1].as_str(), "${NOT_A_VARIABLE_HERE}");
    assert_eq!(policy.identities.first().unwrap().as_str(), APP);
    assert_eq!(config.cache.any, Duration::from_secs(5400));
    assert_eq!(config.cache.unused, Duration::ZERO);
    assert_eq!(config.cache.offline, Duration::from_millis(300));
    let ready = config.api["/v1/ready"];
    assert_eq!(
        (ready.skip_auth, ready.timeout),
        (true, Some(Duration::from_secs(3)))
    );
    assert!(config.skips_auth_somewhere());
    assert_eq!(
        (config.log.error, config.log.audit),
        (Level::WARN, Level::OFF)
    );
    assert_eq!(
        config.keys.iter().map(KeyName::as_str).collect::<Vec<_>>(),
        ["my-key", "7373"]
    );
    assert_eq!(
        config.keystore,
        KeystoreConfig::Fs {
            path: "./keys".into()
        }
    );
    // The pattern that looks like a variable is no path.
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let (config, warnings) = parse(&minimal("")).unwrap();
    assert_eq!(config.address, DEFAULT_ADDRESS);
    assert_eq!(config.cache.any, Duration::from_secs(300));
    assert_eq!(config.cache.unused, Duration::from_secs(30));
    assert_eq!(config.log, LogConfig::default());
    assert!(!config.tls.verify_clients && config.keys.is_empty() && warnings.is_empty());
    assert_eq!(
        parse(&minimal("address: :7373")).unwrap().0.address,
        DEFAULT_ADDRESS
    );
}

#[test]
fn unknown_settings_are_warnings_with_their_place() {
    let (_, warnings) = parse(&minimal("nonsense: 1\ncache:\n  expiry:\n    never: 5s\n")).unwrap();
    let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "line 9, column 1: 'nonsense' is no known setting and has no effect",
            "line 12, column 5: 'cache.expiry.never' is no known setting and has no effect",
        ]
    );
}

#[test]
fn errors_have_the_words_of_upstream() {
    let without = |line: &str| minimal("").replace(line, "");
    for (text, words) in [
        (
            minimal("version: v2"),
            "kesconf: invalid config version 'v2'",
        ),
        (
            without("  key: k.pem\n"),
            "kesconf: invalid tls config: no private key",
        ),
        (
            without("  cert: c.pem\n"),
            "kesconf: invalid tls config: no certificate",
        ),
        (
            without(&format!("admin:\n  identity: {ADMIN}\n")),
            "kesconf: invalid admin identity: no admin identity",
        ),
        (
            without("keystore:\n  fs:\n    path: ./keys\n"),
            "kesconf: no keystore specified",
        ),
        (
            minimal("  vault:\n    endpoint: http://v\n"),
            "kesconf: invalid keystore config: more than once keystore specified",
        ),
        (
            minimal("").replace("  cert: c.pem", "  cert: c.pem\n  auth: maybe"),
            "kesconf: invalid tls config: invalid auth 'maybe'",
        ),
        (
            minimal("keys:\n- name: a\n- name: a\n"),
            "kesconf: invalid key config: key 'a' is defined multiple times",
        ),
        (
            minimal(&format!("policy:\n  p:\n    identities: [{ADMIN}]\n")),
            "kesconf: invalid policy 'p': identity '2a7c5badadeab361c98472146beed2d5e7c058e4d32ee66d0b76a701234dd1b3' is already admin",
        ),
        (
            minimal(&format!("policy:\n  p:\n    identities: [{APP}]\n")).replace(
                "  cert: c.pem",
                &format!("  cert: c.pem\n  proxy:\n    identities: [{APP}]"),
            ),
            "kesconf: invalid policy 'p': identity 'bb16264ef2c339c192bd3bc993c4aa952d38ad944a1022bab3f1dd07a009d0ff' is already a TLS proxy",
        ),
        (
            minimal("").replace(
                "  cert: c.pem",
                &format!("  cert: c.pem\n  proxy:\n    identities: [{ADMIN}]"),
            ),
            "kesconf: invalid tls proxy: identity '2a7c5badadeab361c98472146beed2d5e7c058e4d32ee66d0b76a701234dd1b3' is already admin",
        ),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(words), "{error}\n{text}");
    }
}

#[test]
fn settings_that_would_weaken_the_server_are_refused() {
    for (more, word) in [
        (
            "api:\n  /v1/key/decrypt/:\n    skip_auth: true\n",
            "must not skip authentication",
        ),
        ("api:\n  /v1/key/decrypt:\n    timeout: 1s\n", "is no route"),
        (
            "api:\n  /v1/ready:\n    timeout: -1s\n",
            "must not be negative",
        ),
        ("cache:\n  expiry:\n    any: -5m\n", "must not be negative"),
        ("cache:\n  expiry:\n    any: 5\n", "is no duration"),
        ("address: localhost:7373\n", "invalid address"),
        (
            "policy:\n  p:\n    identities: ['${BLANK}']\n",
            "identity ''",
        ),
        (
            "policy:\n  p:\n    identities: ['${UNSET}']\n",
            "environment variable 'UNSET' is not set",
        ),
        ("policy:\n  a.b:\n    allow: []\n", "policy name 'a.b'"),
        ("keys:\n- name: a.b\n", "key name 'a.b'"),
        ("kms:\n  vault: {}\n", "not supported"),
        ("log:\n  error: loud\n", "is no level"),
        ("policy: [a]\n", "has to be a section"),
    ] {
        let error = refused(&minimal(more));
        assert!(error.contains(word), "{error}\n{more}");
    }
    let twice = format!("policy:\n  a:\n    identities: [{APP}]\n  b:\n    identities: [{APP}]\n");
    assert!(refused(&minimal(&twice)).contains("already assigned"));
    let blank = minimal("").replace("path: ./keys", "path: ''");
    assert!(refused(&blank).contains("no path specified"));
}

#[test]
fn an_error_tells_its_place() {
    let error = refused(&minimal("cache:\n  expiry:\n    any: soon\n"));
    assert!(error.ends_with("(line 11, column 10)"), "{error}");
}

#[test]
fn a_proxy_that_cannot_be_told_is_told_of_with_its_place() {
    let with = |proxy: &str| {
        minimal("").replace(
            "  cert: c.pem",
            &format!("  cert: c.pem\n  proxy:\n    {proxy}"),
        )
    };
    let (config, warnings) = parse(&with("identities: [nginx]")).unwrap();
    assert_eq!((config.tls.proxies.len(), warnings.len()), (1, 1));
    let text = warnings[0].to_string();
    assert!(
        text.contains("tls proxy 'nginx' is no SHA-256 hash") && text.contains("line "),
        "{text}"
    );
    let error = refused(&with("header: {cert: 'X-Client Cert'}"));
    assert!(
        error.starts_with("kesconf: invalid tls proxy: 'X-Client Cert' is no name of a header")
            && error.contains("(line "),
        "{error}"
    );
    let (config, warnings) = parse(&with("header: {cert: X-Ssl-Cert}")).unwrap();
    assert_eq!(config.tls.proxy_header.as_deref(), Some("X-Ssl-Cert"));
    assert!(warnings.is_empty());
}

#[test]
fn patterns_of_an_older_file_that_allow_hardly_anything_are_warnings() {
    let text = format!(
        "root: {ADMIN}\ntls: {{key: k, cert: c}}\npolicy:\n  p:\n    paths: [/v1/key/*, /v1/key/create/*]\n    identities: []\nkeys:\n  fs:\n    path: ./keystore\n"
    );
    let (_, warnings) = parse(&text).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let text = warnings[0].to_string();
    assert!(
        text.contains("pattern '/v1/key/*'") && text.contains("line 5"),
        "{text}"
    );
}

#[test]
fn older_spellings_are_read() {
    let text = format!(
        "root: {ADMIN}\ntls: {{key: k, cert: c}}\npolicy:\n  p:\n    paths: [/v1/key/create/*]\n    identities: ['${{APP_IDENTITY}}']\ncache:\n  expiry:\n    all: 1m\nlog:\n  error:\n    file: [x.log]\nkeys:\n  fs:\n    path: ./keystore\n"
    );
    let (config, warnings) = parse(&text).unwrap();
    assert_eq!(config.admin.to_string(), ADMIN);
    assert_eq!(
        config.keystore,
        KeystoreConfig::Fs {
            path: "./keystore".into()
        }
    );
    assert_eq!(
        config.policies.values().next().unwrap().policy.allow.len(),
        1
    );
    assert_eq!(config.cache.any, Duration::from_secs(60));
    assert_eq!(warnings.len(), 1, "{warnings:?}");

    let text = format!("root: {ADMIN}\ntls: {{key: k, cert: c}}\nfs:\n  path: /keys\n");
    let (config, warnings) = parse(&text).unwrap();
    assert_eq!(
        config.keystore,
        KeystoreConfig::Fs {
            path: "/keys".into()
        }
    );
    assert!(warnings.is_empty());
}

#[test]
fn a_disabled_admin_is_nobody() {
    for word in ["disabled", "_"] {
        let (config, _) = parse(&minimal("").replace(ADMIN, word)).unwrap();
        assert!(config.admin.identity().is_none());
    }
}

#[test]
fn the_configurations_of_every_age_load() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/kes");
    for age in [
        "newest",
        "v0.23",
        "v0.22",
        "v0.17",
        "v0.10",
        "form-d-v0.6.0",
        "form-d-v0.5.0",
    ] {
        let text = std::fs::read_to_string(format!("{fixtures}/{age}/config.yml")).unwrap();
        let (config, warnings) = parse(&text).unwrap_or_else(|e| panic!("{age}: {e}"));
        assert!(warnings.is_empty(), "{age}: {warnings:?}");
        assert_eq!(config.admin.to_string(), ADMIN, "{age}");
        assert_eq!(
            config.keystore,
            KeystoreConfig::Fs {
                path: "./keystore".into()
            },
            "{age}"
        );
        let policies = if age.starts_with("form-d") { 0 } else { 2 };
        assert_eq!(config.policies.len(), policies, "{age}");
    }
}

#[test]
fn additions_of_ours_are_read() {
    let (config, warnings) = parse(&minimal(
        "cache:\n  disk: {path: /var/cache/kes, max_age: 2h}\nlog: {json: on, audit_file: /var/log/kes.log}\n",
    ))
    .unwrap();
    let disk = config.cache.disk.unwrap();
    assert_eq!(disk.path, PathBuf::from("/var/cache/kes"));
    assert_eq!(disk.max_age, Duration::from_secs(7200));
    assert!(config.log.json);
    assert_eq!(
        config.log.audit_file,
        Some(PathBuf::from("/var/log/kes.log"))
    );
    assert!(warnings.is_empty(), "{warnings:?}");

    let (config, _) = parse(&minimal("cache: {disk: {path: d}}\n")).unwrap();
    assert_eq!(config.cache.disk.unwrap().max_age, DISK_CACHE_MAX_AGE);
    let (config, _) = parse(&minimal("cache: {disk: {path: ''}}\n")).unwrap();
    assert_eq!(config.cache.disk, None);
    assert!(refused(&minimal("cache: {disk: {path: d, max_age: 0s}}\n")).contains("max_age"));
    assert!(refused(&minimal("cache: {disk: {max_age: 1s}}\n")).contains("no path"));
}

fn with_flags(text: &str, flags: &Flags) -> Result<Loaded, ConfigError> {
    Config::parse_with(text, &environment, flags)
}

#[test]
fn the_admin_of_the_command_line_is_checked_against_policies_and_proxies() {
    let flags = Flags {
        root: Some(APP.to_owned()),
        ..Flags::default()
    };
    let loaded = with_flags(&minimal(""), &flags).unwrap();
    assert_eq!(loaded.config.admin.to_string(), APP);
    let policy = minimal(&format!("policy:\n  p:\n    identities: [{APP}]\n"));
    let error = with_flags(&policy, &flags).unwrap_err().to_string();
    assert!(error.contains("is already admin"), "{error}");
    let proxy = minimal("").replace(
        "  cert: c.pem",
        &format!("  cert: c.pem\n  proxy:\n    identities: [{APP}]"),
    );
    let error = with_flags(&proxy, &flags).unwrap_err().to_string();
    assert!(error.contains("invalid tls proxy"), "{error}");
    // A file without an admin is complete with the flag.
    let without = minimal("").replace(&format!("admin:\n  identity: {ADMIN}\n"), "");
    assert!(with_flags(&without, &flags).is_ok());
}

#[test]
fn flags_of_older_servers_are_heard_where_the_file_is_silent() {
    let flags = Flags {
        root: None,
        private_key: Some("flag.key".into()),
        certificate: Some("flag.crt".into()),
        verify_clients: Some(true),
    };
    let silent = minimal("").replace("tls:\n  key: k.pem\n  cert: c.pem\n", "");
    let loaded = with_flags(&silent, &flags).unwrap();
    assert!(loaded.unheeded.is_empty() && loaded.config.tls.verify_clients);
    let CertificateSource::Files {
        private_key,
        certificate,
        ..
    } = loaded.config.tls.certificate
    else {
        panic!()
    };
    assert_eq!(
        (private_key, certificate),
        ("flag.key".into(), "flag.crt".into())
    );

    let says = minimal("").replace("  cert: c.pem", "  cert: c.pem\n  auth: off");
    let loaded = with_flags(&says, &flags).unwrap();
    assert_eq!(loaded.unheeded, ["--key", "--cert", "--auth"]);
    assert!(!loaded.config.tls.verify_clients);
}

#[test]
fn a_file_of_the_older_format_grants_no_more_than_globs_did() {
    let policy = "policy:\n  p:\n    allow: ['/v1/*']\n";
    let allows = |text: &str, path: &str| {
        let (config, _) = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        config.policies.values().next().unwrap().policy.allows(path)
    };
    let newest = minimal(policy);
    assert!(allows(&newest, "/v1/key/delete/a"));
    let rooted = newest.replace("admin:\n  identity:", "root:");
    let keys = newest.replace("keystore:", "keys:");
    let paths = newest.replace("    allow:", "    paths:");
    let top = newest.replace("keystore:\n  fs:\n    path: ./keys", "fs:\n  path: ./keys");
    for older in [rooted, keys, paths, top] {
        assert_ne!(older, newest);
        assert!(allows(&older, "/v1/status"), "{older}");
        assert!(!allows(&older, "/v1/key/delete/a"), "{older}");
    }
}
