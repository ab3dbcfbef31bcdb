use strongroom_keystore::config::{
    Aws, AwsCredentials, Azure, AzureCredentials, CipherTrust, ClientTls, Gcp, GcpCredentials, Jwt,
    KeyControl, KvVersion, Sdkms, SecretText, Vault, VaultLogin, VaultTransit,
};

use super::*;

fn file(keystore: &str) -> String {
    format!("admin: {{identity: {ADMIN}}}\ntls: {{key: k, cert: c}}\n{keystore}")
}

/// The store of a `keystore` section, which warns of nothing.
fn store(section: &str) -> KeystoreConfig {
    let (config, warnings) = parse(&file(section)).unwrap_or_else(|e| panic!("{e}\n{section}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    config.keystore
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn vault() -> Vault {
    Vault {
        endpoint: "https://v:8200".into(),
        engine: "kv".into(),
        version: KvVersion::V1,
        namespace: None,
        prefix: None,
        transit: None,
        login: VaultLogin::AppRole {
            engine: "approle".into(),
            id: "i".into(),
            secret: secret("s"),
        },
        login_namespace: None,
        tls: ClientTls::default(),
        ping: Duration::from_secs(10),
    }
}

#[test]
fn vault_has_defaults_and_every_setting() {
    let few = "keystore: {vault: {endpoint: 'https://v:8200', approle: {id: i, secret: s}}}\n";
    assert_eq!(store(few), KeystoreConfig::Vault(Box::new(vault())));

    let all = "
keystore:
  vault:
    endpoint: https://v:8200
    engine: secret
    version: v2
    namespace: team
    prefix: keys
    transit: {engine: wrap, key: master}
    approle:
      engine: ar
      namespace: /
      id: ${APP_IDENTITY}
      secret: ' s ${x}'
      retry: 15s
    tls: {key: v.key, cert: v.crt, ca: v.ca}
    status: {ping: 20s}
";
    let expected = Vault {
        engine: "secret".into(),
        version: KvVersion::V2,
        namespace: Some("team".into()),
        prefix: Some("keys".into()),
        transit: Some(VaultTransit {
            engine: "wrap".into(),
            key: "master".into(),
        }),
        login: VaultLogin::AppRole {
            engine: "ar".into(),
            id: APP.into(),
            secret: secret(" s ${x}"),
        },
        login_namespace: Some("/".into()),
        tls: ClientTls {
            key: Some("v.key".into()),
            cert: Some("v.crt".into()),
            ca: Some("v.ca".into()),
        },
        ping: Duration::from_secs(20),
        ..vault()
    };
    assert_eq!(store(all), KeystoreConfig::Vault(Box::new(expected)));
}

#[test]
fn a_service_account_token_with_a_slash_is_a_file() {
    let with = |jwt: &str| {
        let text = format!(
            "keystore: {{vault: {{endpoint: 'https://v:8200', kubernetes: {{role: r, jwt: {jwt}, retry: 1s}}}}}}\n"
        );
        let KeystoreConfig::Vault(vault) = store(&text) else {
            panic!("{text}")
        };
        let VaultLogin::Kubernetes { engine, role, jwt } = vault.login else {
            panic!("{text}")
        };
        assert_eq!((engine.as_str(), role.as_str()), ("kubernetes", "r"));
        jwt
    };
    let path = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    assert_eq!(with(path), Jwt::File(path.into()));
    assert_eq!(with("eyJh.eyJi.c2ln"), Jwt::Token(secret("eyJh.eyJi.c2ln")));
}

#[test]
fn the_sample_of_the_documentation_loads_when_one_login_is_filled_in() {
    let sample = "
keystore:
  vault:
    endpoint: https://v:8200
    engine: ''
    version: ''
    namespace: ''
    prefix: ''
    transit: {engine: '', key: ''}
    approle: {namespace: '', engine: '', id: i, secret: s}
    kubernetes: {namespace: '', engine: '', role: '', jwt: ''}
    tls: {key: '', cert: '', ca: ''}
    status: {ping: 10s}
";
    assert_eq!(store(sample), KeystoreConfig::Vault(Box::new(vault())));
}

#[test]
fn aws_is_read_under_both_of_its_names() {
    let expected = KeystoreConfig::Aws(Box::new(Aws {
        endpoint: "secretsmanager.us-east-2.amazonaws.com".into(),
        region: "us-east-2".into(),
        kms_key: Some("k".into()),
        credentials: Some(AwsCredentials {
            access_key: "a".into(),
            secret_key: secret("s"),
            session_token: Some(secret("t")),
        }),
    }));
    let newest = "
keystore:
  aws:
    secretsmanager:
      endpoint: secretsmanager.us-east-2.amazonaws.com
      region: us-east-2
      kmskey: k
      credentials: {accesskey: a, secretkey: s, token: t}
";
    assert_eq!(store(newest), expected);
    let older = "
keystore:
  aws:
    secrets_manager:
      address: secretsmanager.us-east-2.amazonaws.com
      region: us-east-2
      kms_key_id: k
      credentials: {access_key: a, secret_key: s, session_token: t}
";
    assert_eq!(store(older), expected);
    let ambient = "
keystore:
  aws:
    secretsmanager:
      endpoint: e
      region: r
      kmskey: ''
      credentials: {accesskey: '', secretkey: '', token: ''}
";
    let KeystoreConfig::Aws(aws) = store(ambient) else {
        panic!()
    };
    assert_eq!((aws.kms_key, aws.credentials), (None, None));
}

#[test]
fn a_google_key_on_one_line_gets_its_line_ends() {
    let text = "
keystore:
  gcp:
    secretmanager:
      project_id: p
      endpoint: ''
      scopes:
      - https://www.googleapis.com/auth/cloud-platform
      credentials:
        client_email: e
        client_id: 113
        private_key_id: k
        private_key: '-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n'
";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let expected = Gcp {
        project_id: "p".into(),
        endpoint: None,
        scopes: vec!["https://www.googleapis.com/auth/cloud-platform".into()],
        credentials: Some(GcpCredentials {
            client_email: "e".into(),
            client_id: "113".into(),
            private_key_id: "k".into(),
            private_key: secret(key),
        }),
    };
    assert_eq!(store(text), KeystoreConfig::Gcp(Box::new(expected)));
    let ambient = "
keystore:
  gcp:
    secretmanager:
      project_id: p
      scopes: ['']
      credentials: {client_email: '', client_id: '', private_key_id: '', private_key: ''}
";
    let KeystoreConfig::Gcp(gcp) = store(ambient) else {
        panic!()
    };
    assert!(gcp.credentials.is_none() && gcp.scopes.is_empty());
}

#[test]
fn azure_knows_three_logins() {
    let with = |login: &str| {
        let text = format!(
            "keystore:\n  azure:\n    keyvault:\n      endpoint: https://m.vault.azure.net\n{login}"
        );
        let KeystoreConfig::Azure(azure) = store(&text) else {
            panic!("{text}")
        };
        *azure
    };
    let azure = |credentials| Azure {
        endpoint: "https://m.vault.azure.net".into(),
        credentials,
        ca: None,
    };
    assert_eq!(with(""), azure(AzureCredentials::Default));
    let blank = "      credentials: {tenant_id: '', client_id: '', client_secret: ''}\n      managed_identity: {client_id: ''}\n";
    assert_eq!(with(blank), azure(AzureCredentials::Default));
    assert_eq!(
        with("      credentials: {tenant_id: t, client_id: c, client_secret: s}\n"),
        azure(AzureCredentials::ClientSecret {
            tenant_id: "t".into(),
            client_id: "c".into(),
            client_secret: secret("s"),
        })
    );
    assert_eq!(
        with("      managed_identity: {client_id: c}\n"),
        azure(AzureCredentials::ManagedIdentity {
            client_id: Some("c".into())
        })
    );
    assert_eq!(
        with("      managed_identity: {}\n      tls: {ca: private.pem}\n"),
        Azure {
            ca: Some("private.pem".into()),
            ..azure(AzureCredentials::ManagedIdentity { client_id: None })
        }
    );
}

#[test]
fn appliances_are_read() {
    let text = "
keystore:
  gemalto:
    keysecure:
      endpoint: https://g
      credentials: {token: t, domain: root, retry: 15s}
      tls: {ca: g.ca}
";
    let expected = CipherTrust {
        endpoint: "https://g".into(),
        token: secret("t"),
        domain: Some("root".into()),
        ca: Some("g.ca".into()),
    };
    assert_eq!(store(text), KeystoreConfig::CipherTrust(Box::new(expected)));
    let text = "
keystore:
  entrust:
    keycontrol:
      endpoint: https://e
      vault_id: v
      box_id: b
      credentials: {username: u, password: p}
      tls: {ca: ''}
";
    let expected = KeyControl {
        endpoint: "https://e".into(),
        vault_id: "v".into(),
        box_id: "b".into(),
        username: "u".into(),
        password: secret("p"),
        ca: None,
    };
    assert_eq!(store(text), KeystoreConfig::KeyControl(Box::new(expected)));
    let text = "
keystore:
  fortanix:
    sdkms: {endpoint: 'https://f', group_id: g, credentials: {key: k}, tls: {ca: f.ca}}
";
    let expected = Sdkms {
        endpoint: "https://f".into(),
        group_id: Some("g".into()),
        key: secret("k"),
        ca: Some("f.ca".into()),
    };
    assert_eq!(store(text), KeystoreConfig::Sdkms(Box::new(expected)));
}

#[test]
fn a_store_that_lacks_something_is_refused_in_words() {
    let login = "approle: {id: i, secret: s}";
    let v = |more: &str| format!("vault: {{endpoint: e, {more}}}");
    let s = str::to_owned;
    for (section, words) in [
        (s("fs: {}"), "invalid fs keystore: no path specified"),
        (s("fs:"), "invalid fs keystore: no path specified"),
        (
            s("vault: {}"),
            "invalid vault keystore: no endpoint specified",
        ),
        (v(""), "no login specified"),
        (v("approle: {id: i}"), "no approle secret specified"),
        (v("kubernetes: {jwt: a/b}"), "no kubernetes role specified"),
        (
            v(&format!("{login}, kubernetes: {{role: r, jwt: j}}")),
            "more than one login",
        ),
        (
            v(&format!("version: v3, {login}")),
            "invalid engine version 'v3'",
        ),
        (
            v(&format!("transit: {{engine: t}}, {login}")),
            "no transit key specified",
        ),
        (
            v(&format!("tls: {{key: k}}, {login}")),
            "tls.key and tls.cert go together",
        ),
        (
            v("approle: {id: i, secret: '${UNSET}'}"),
            "environment variable 'UNSET' is not set",
        ),
        (
            s("aws: {secretsmanager: {region: r}}"),
            "invalid aws keystore: no endpoint specified",
        ),
        (
            s("aws: {secretsmanager: {endpoint: e}}"),
            "invalid aws keystore: no region specified",
        ),
        (
            s("aws: {secretsmanager: {endpoint: e, region: r, credentials: {accesskey: a}}}"),
            "no credentials secretkey specified",
        ),
        (
            s("gcp: {secretmanager: {}}"),
            "invalid gcp keystore: no project id specified",
        ),
        (
            s("gcp: {secretmanager: {project_id: p, credentials: {client_id: c}}}"),
            "credentials need all of",
        ),
        (
            s("azure: {keyvault: {}}"),
            "invalid azure keystore: no endpoint specified",
        ),
        (
            s("azure: {keyvault: {endpoint: e, credentials: {tenant_id: t}}}"),
            "credentials need all of",
        ),
        (
            s(
                "azure: {keyvault: {endpoint: e, credentials: {tenant_id: t, client_id: c, client_secret: s}, managed_identity: {client_id: c}}}",
            ),
            "more than one login specified",
        ),
        (
            s("gemalto: {keysecure: {endpoint: e}}"),
            "invalid gemalto keystore: no token specified",
        ),
        (
            s("entrust: {keycontrol: {endpoint: e, box_id: b}}"),
            "invalid entrust keystore: no vault id specified",
        ),
        (
            s("fortanix: {sdkms: {endpoint: e}}"),
            "invalid fortanix keystore: no key specified",
        ),
        (
            s("kes: {endpoint: [a]}"),
            "keystore 'kes' kept keys as secrets",
        ),
        (s("generic: {endpoint: a}"), "plug-in protocol"),
        (
            s("fs: {path: p}\n  aws: {secrets_manager: {}}"),
            "more than once keystore specified",
        ),
        (
            s("aws: {secretsmanager: {}, secrets_manager: {}}"),
            "more than once keystore specified",
        ),
        (s("aws: {}"), "no keystore specified"),
    ] {
        let error = refused(&file(&format!("keystore:\n  {section}\n")));
        assert!(error.starts_with("kesconf: "), "{error}");
        assert!(error.contains(words), "{error}\n{section}");
    }
}

#[test]
fn what_stands_beside_a_store_is_warned_of() {
    let text = file("keystore:\n  fs: {path: p}\n  azure: {}\n  aws: {s3: {}}\n  hsm: {pin: 1}\n");
    let (_, warnings) = parse(&text).unwrap();
    let texts: Vec<_> = warnings.iter().map(|w| w.message.as_str()).collect();
    assert_eq!(
        texts,
        [
            "'keystore.azure' names no 'keyvault' and has no effect",
            "'keystore.aws' names no 'secretsmanager' and has no effect",
            "'keystore.aws.s3' is no known setting and has no effect",
            "'keystore.hsm' is no known setting and has no effect",
        ]
    );
}

#[test]
fn secrets_of_a_store_are_not_shown() {
    let config = store("keystore: {vault: {endpoint: e, approle: {id: i, secret: geheim}}}\n");
    assert!(!format!("{config:?}").contains("geheim"));
    let text = file("keystore: {vault: {endpoint: e, approle: {secret: geheim}}}\n");
    assert!(!refused(&text).contains("geheim"));
}

/// As its Helm chart writes it, with the store filled in.
#[test]
fn the_template_of_the_kubernetes_operator_loads() {
    let text = "
address: :7373
admin:
  identity: _
tls:
  key: /tmp/kes/server.key
  cert: /tmp/kes/server.crt
  proxy:
    identities: []
    header:
      cert: X-Tls-Client-Cert
policy:
  my-policy:
    allow:
    - /v1/api
    - /v1/key/create/*
    - /v1/key/generate/*
    - /v1/key/decrypt/*
    - /v1/key/bulk/decrypt/*
    identities:
    - ${APP_IDENTITY}
cache:
  expiry:
    any: 5m0s
    unused: 20s
log:
  error: on
  audit: off
keystore:
  vault:
    endpoint: https://vault:8200
    namespace: ''
    prefix: my-minio
    approle: {id: i, secret: s, retry: 15s}
    tls: {key: '', cert: '', ca: ''}
    status: {ping: 10s}
";
    let (config, warnings) = parse(text).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.address, DEFAULT_ADDRESS);
    assert!(config.admin.identity().is_none());
    assert_eq!(config.policies.len(), 1);
    assert!(matches!(config.keystore, KeystoreConfig::Vault(_)));
    assert_eq!(config.log.audit, Level::OFF);
}

#[test]
fn files_of_v0_13_and_before_load() {
    let text = format!(
        "
address: 0.0.0.0:7373
root: {ADMIN}
tls:
  key: ./server.key
  cert: ./server.crt
  proxy:
    identities: ['']
    header: {{cert: X-Tls-Client-Cert}}
policy:
  prometheus:
    paths:
    - /v1/metrics
    identities:
    - ${{APP_IDENTITY}}
cache:
  expiry:
    any: 5m0s
    unused: 20s
log:
  error: on
  audit: off
keys:
  vault:
    address: https://v:8200
    name: kes
    approle: {{id: i, secret: s, retry: 15s}}
    status: {{ping: 10s}}
"
    );
    let (config, warnings) = parse(&text).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let expected = Vault {
        prefix: Some("kes".into()),
        ..vault()
    };
    assert_eq!(config.keystore, KeystoreConfig::Vault(Box::new(expected)));
    // Until v0.4 the store stood at the top.
    let text = format!(
        "root: {ADMIN}\ntls: {{key: k, cert: c}}\nvault:\n  address: https://v:8200\n  approle: {{id: i, secret: s}}\n"
    );
    let (config, _) = parse(&text).unwrap();
    assert_eq!(config.keystore, KeystoreConfig::Vault(Box::new(vault())));
}
