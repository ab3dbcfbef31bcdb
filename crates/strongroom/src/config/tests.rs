use std::io;
use std::path::Path;

use super::*;

const BASE64_KEY: &str = "my-key:eEm+JI9/q4JhH8QwKvf3LKo4DEBl6QbfvAl1CAbMIv8=";
const HEX_KEY: &str = "old-key:0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
const API_KEY: &str = "kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const ROOT: [(&str, &str); 2] = [
    ("MINIO_ROOT_USER", "admin"),
    ("MINIO_ROOT_PASSWORD", "correct horse"),
];
const KES: [(&str, &str); 3] = [
    ("MINIO_KMS_KES_ENDPOINT", "https://kes-{1...3}:7373"),
    ("MINIO_KMS_KES_KEY_NAME", "my-key"),
    ("MINIO_KMS_KES_API_KEY", API_KEY),
];

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn environment(variables: &[Pairs<'_>], files: Pairs<'_>) -> Result<Environment> {
    let variables = variables
        .concat()
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    let files: Vec<(String, String)> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    let read = move |path: &Path| {
        files
            .iter()
            .find(|(name, _)| Path::new(name) == path)
            .map(|(_, text)| text.clone())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    Environment::new(variables, Box::new(read))
}

fn config(variables: Pairs<'_>, files: Pairs<'_>) -> Result<Config> {
    Config::read(&environment(&[&ROOT, variables], files)?, None)
}

fn refusal(variables: Pairs<'_>, files: Pairs<'_>) -> String {
    match config(variables, files) {
        Ok(config) => panic!("{variables:?} was accepted: {config:?}"),
        Err(error) => format!("{error:#}"),
    }
}

fn assert_refused(variables: Pairs<'_>, expected: &[&str]) {
    let sentence = refusal(variables, &[]);
    for part in expected {
        assert!(
            sentence.contains(part),
            "{variables:?}: {part:?} is not in: {sentence}"
        );
    }
    assert!(!sentence.contains('\n'), "more than a sentence: {sentence}");
}

fn root(variables: Pairs<'_>, files: Pairs<'_>) -> Result<(String, String)> {
    let config = Config::read(&environment(&[variables], files)?, None)?;
    Ok((
        config.root.user().to_owned(),
        config.root.expose_password().to_owned(),
    ))
}

#[test]
fn root_credentials_come_from_variables_files_and_old_names() {
    let pair = |user: &str, password: &str| (user.to_owned(), password.to_owned());
    assert_eq!(root(&ROOT, &[]).unwrap(), pair("admin", "correct horse"));

    let files = [
        ("/run/secrets/user", " filed \n"),
        ("/etc/password", "from a file\n"),
    ];
    let named = [
        ("MINIO_ROOT_USER_FILE", "user"),
        ("MINIO_ROOT_PASSWORD_FILE", "/etc/password"),
    ];
    assert_eq!(root(&named, &files).unwrap(), pair("filed", "from a file"));

    let old = [
        ("MINIO_ACCESS_KEY", "oldie"),
        ("MINIO_SECRET_KEY", "goldie goldie"),
    ];
    assert_eq!(root(&old, &[]).unwrap(), pair("oldie", "goldie goldie"));
    let both = [old, ROOT].concat();
    assert_eq!(root(&both, &[]).unwrap(), pair("admin", "correct horse"));

    // Container images preset names of files that may not exist.
    let preset = [
        ("MINIO_ROOT_USER_FILE", "access_key"),
        ("MINIO_ROOT_PASSWORD_FILE", "secret_key"),
        ("MINIO_KMS_SECRET_KEY_FILE", "kms_master_key"),
        ("MINIO_SSE_MASTER_KEY_FILE", "sse_master_key"),
        ("MINIO_CONFIG_ENV_FILE", "config.env"),
    ];
    assert_eq!(
        root(&[&ROOT[..], &preset].concat(), &[]).unwrap(),
        pair("admin", "correct horse")
    );
}

#[test]
fn lesson_11_root_credentials_have_no_default() {
    let cases: &[(Pairs<'_>, &str)] = &[
        (&[], "there are no root credentials"),
        (
            &[("MINIO_ROOT_USER", ""), ("MINIO_ROOT_PASSWORD", "")],
            "there are no root credentials",
        ),
        (
            &[("MINIO_ROOT_USER", "admin")],
            "MINIO_ROOT_PASSWORD is not",
        ),
        (
            &[("MINIO_ROOT_PASSWORD", "correct horse")],
            "MINIO_ROOT_USER is not",
        ),
        (&[("MINIO_ACCESS_KEY", "admin")], "MINIO_SECRET_KEY is not"),
        (&[("MINIO_ROOT_USER", "ad"), ROOT[1]], "fewer than 3"),
        (&[ROOT[0], ("MINIO_ROOT_PASSWORD", "short")], "fewer than 8"),
        (
            &[ROOT[0], ("MINIO_ROOT_PASSWORD_FILE", "/nowhere")],
            "there is no such file",
        ),
    ];
    for (variables, expected) in cases {
        let sentence = format!("{:#}", root(variables, &[]).unwrap_err());
        assert!(sentence.contains(expected), "{variables:?}: {sentence}");
        assert!(!sentence.contains("short,"), "{sentence}");
    }
}

#[test]
fn the_environment_file_has_the_last_word() {
    let file =
        "# comment\n\n export MINIO_ROOT_USER=\"filed\"\nMINIO_ROOT_PASSWORD='a = quoted one'\n";
    let variables = [
        ("MINIO_CONFIG_ENV_FILE", "/etc/default/minio"),
        ("MINIO_ROOT_USER", "variable"),
        ("MINIO_ROOT_USER_FILE", "/user"),
    ];
    let files = [("/etc/default/minio", file), ("/user", "other")];
    let read = root(&variables, &files).unwrap();
    assert_eq!(read, ("filed".to_owned(), "a = quoted one".to_owned()));

    let broken = [("/etc/default/minio", "MINIO_ROOT_USER=a\nhunter2hunter2\n")];
    let sentence = format!("{:#}", root(&variables, &broken).unwrap_err());
    assert!(
        sentence.contains("line 2") && !sentence.contains("hunter2"),
        "{sentence}"
    );
}

#[test]
fn each_kms_is_read() {
    assert!(matches!(config(&[], &[]).unwrap().kms, KmsConfig::None));

    let KmsConfig::Kes(kes) = config(&KES, &[]).unwrap().kms else {
        panic!("no KES")
    };
    assert_eq!(
        (kes.endpoints.len(), kes.default_key.as_str()),
        (3, "my-key")
    );
    assert!(matches!(kes.auth, KesAuth::ApiKey(_)));

    let files = [("/tls/key", "k"), ("/tls/cert", "c")];
    let by_files = [
        KES[0],
        KES[1],
        ("MINIO_KMS_KES_KEY_FILE", "/tls/key"),
        ("MINIO_KMS_KES_CERT_FILE", "/tls/cert"),
        ("MINIO_KMS_KES_KEY_PASSWORD", "hunter2"),
        ("MINIO_KMS_KES_CA_PATH", "/tls/ca"),
    ];
    let config_by_files = config(&by_files, &files).unwrap();
    assert!(!format!("{config_by_files:?}").contains("hunter2"));
    let KmsConfig::Kes(kes) = config_by_files.kms else {
        panic!("no KES")
    };
    assert_eq!(kes.authorities.as_deref(), Some(Path::new("/tls/ca")));
    assert!(matches!(
        kes.auth,
        KesAuth::Files {
            password: Some(_),
            ..
        }
    ));

    let static_key =
        |variables: Pairs<'_>, files: Pairs<'_>| match config(variables, files).unwrap().kms {
            KmsConfig::StaticKey { current, old } => (
                current.name().to_owned(),
                old.map(|key| key.name().to_owned()),
            ),
            other => panic!("{other:?}"),
        };
    let new = ("MINIO_KMS_SECRET_KEY", BASE64_KEY);
    let old = ("MINIO_SSE_MASTER_KEY", HEX_KEY);
    assert_eq!(static_key(&[new], &[]), ("my-key".into(), None));
    assert_eq!(static_key(&[old], &[]), ("old-key".into(), None));
    assert_eq!(
        static_key(&[new, old], &[]),
        ("my-key".into(), Some("old-key".into()))
    );
    let alias = ("MINIO_KMS_MASTER_KEY", HEX_KEY);
    assert_eq!(static_key(&[old, alias], &[]), ("old-key".into(), None));
    let with_newline = format!("{BASE64_KEY}\n");
    let files = [
        ("/run/secrets/named", with_newline.as_str()),
        ("/k", &with_newline),
    ];
    for place in ["named", "/k"] {
        let variables = [("MINIO_KMS_SECRET_KEY_FILE", place)];
        assert_eq!(static_key(&variables, &files), ("my-key".into(), None));
    }
}

#[test]
fn what_contradicts_itself_or_is_half_is_refused() {
    let key = ("MINIO_KMS_SECRET_KEY", BASE64_KEY);
    let cases: &[(Pairs<'_>, &[&str])] = &[
        (
            &[KES[0], KES[1], KES[2], key],
            &["KES", "static key", "present"],
        ),
        (
            &[KES[0], KES[1], KES[2], ("MINIO_SSE_MASTER_KEY", HEX_KEY)],
            &["KES", "static key"],
        ),
        (
            &[("MINIO_KMS_KES_KEY_NAME", "k")],
            &["MINIO_KMS_KES_ENDPOINT is not"],
        ),
        (&[KES[0], KES[2]], &["MINIO_KMS_KES_KEY_NAME is not"]),
        (
            &[KES[0], KES[1]],
            &["MINIO_KMS_KES_API_KEY", "MINIO_KMS_KES_KEY_FILE"],
        ),
        (
            &[KES[0], KES[1], KES[2], ("MINIO_KMS_KES_KEY_FILE", "/k")],
            &["excludes"],
        ),
        (
            &[KES[0], KES[1], ("MINIO_KMS_KES_KEY_FILE", "/k")],
            &["MINIO_KMS_KES_CERT_FILE is not"],
        ),
        (
            &[KES[0], KES[1], ("MINIO_KMS_KES_API_KEY", "kes:v1:AAA")],
            &["MINIO_KMS_KES_API_KEY", "kes:v1:"],
        ),
        (
            &[("MINIO_KMS_KES_ENDPOINT", " , "), KES[1], KES[2]],
            &["MINIO_KMS_KES_ENDPOINT"],
        ),
        (
            &[
                ("MINIO_KMS_KES_ENDPOINT", "http://kes:7373"),
                KES[1],
                KES[2],
            ],
            &["https://"],
        ),
        (
            &[KES[0], ("MINIO_KMS_KES_KEY_NAME", "a/b"), KES[2]],
            &["MINIO_KMS_KES_KEY_NAME"],
        ),
        (
            &[("MINIO_KMS_SECRET_KEY", "no-colon")],
            &["MINIO_KMS_SECRET_KEY", "base64"],
        ),
        (&[("MINIO_KMS_SECRET_KEY", "k:AAAA")], &["3 bytes"]),
        (
            &[("MINIO_SSE_MASTER_KEY", "k:zz")],
            &["MINIO_SSE_MASTER_KEY", "hexadecimal"],
        ),
        (
            &[("MINIO_KMS_SECRET_KEY_FILE", "elsewhere")],
            &["elsewhere", "/run/secrets"],
        ),
        (
            &[
                ("MINIO_SSE_MASTER_KEY", HEX_KEY),
                ("MINIO_KMS_MASTER_KEY", "b:00"),
            ],
            &["MINIO_SSE_MASTER_KEY", "MINIO_KMS_MASTER_KEY", "different"],
        ),
        (
            &[("MINIO_SSE_VAULT_ENDPOINT", "https://vault:8200")],
            &["MINIO_SSE_VAULT_ENDPOINT", "not supported yet"],
        ),
        (
            &[("MINIO_KMS_SERVER", "https://kms:7373")],
            &["MINIO_KMS_SERVER", "MinIO's own KMS"],
        ),
        (
            &[("MINIO_DOMAIN", "a.b,s3.a.b")],
            &["MINIO_DOMAIN", "overlap"],
        ),
    ];
    for (variables, expected) in cases {
        assert_refused(variables, expected);
    }
    let both = [key, ("MINIO_KMS_SECRET_KEY_FILE", "/k")];
    let sentence = refusal(&both, &[("/k", BASE64_KEY)]);
    assert!(sentence.contains("both set"), "{sentence}");
}

#[test]
fn no_refusal_shows_a_secret() {
    let secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAhunter2";
    for name in ["MINIO_KMS_SECRET_KEY", "MINIO_SSE_MASTER_KEY"] {
        let value = format!("name:{secret}");
        assert!(
            !refusal(&[(name, &value)], &[]).contains("hunter2"),
            "{name}"
        );
    }
    let api_key = format!("kes:v1:{secret}");
    let sentence = refusal(&[KES[0], KES[1], ("MINIO_KMS_KES_API_KEY", &api_key)], &[]);
    assert!(!sentence.contains("hunter2"), "{sentence}");
}

#[test]
fn published_keys_are_refused_unless_allowed() {
    let samples = [
        (
            "MINIO_KMS_SECRET_KEY",
            "my-minio-key:OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=",
        ),
        (
            "MINIO_SSE_MASTER_KEY",
            "my-minio-key:6368616e676520746869732070617373776f726420746f206120736563726574",
        ),
    ];
    for sample in samples {
        assert_refused(&[sample], &["everybody knows"]);
        let allowed = config(&[sample, ("STRONGROOM_ALLOW_PUBLIC_KEYS", "on")], &[]).unwrap();
        assert!(
            allowed
                .warnings
                .iter()
                .any(|w| w.contains("protect nothing"))
        );
    }
    let KmsConfig::Kes(kes) = config(&KES, &[]).unwrap().kms else {
        panic!("no KES")
    };
    let sandbox = "3ecfcdf38fcbe141ae26a1030f81e96b753365a46760ae6b578698a97c59fd22";
    let sentence = kes.refuse_public_identity(sandbox).unwrap_err().to_string();
    assert!(sentence.contains("everybody"), "{sentence}");
    kes.refuse_public_identity(&sandbox.replace('3', "4"))
        .unwrap();
}

#[test]
fn auto_encryption_is_parsed_strictly_under_both_names() {
    let key = ("MINIO_KMS_SECRET_KEY", BASE64_KEY);
    let (new, old) = ("MINIO_KMS_AUTO_ENCRYPTION", "MINIO_SSE_AUTO_ENCRYPTION");
    let mode = |variables: Pairs<'_>| {
        config(&[&[key], variables].concat(), &[])
            .unwrap()
            .auto_encryption
    };
    assert_eq!(mode(&[]), AutoEncryption::Off);
    for on in [
        "on", "On", "ON", "true", "True", "t", "T", "1", "enabled", "Enabled",
    ] {
        assert_eq!(mode(&[(new, on)]), AutoEncryption::SseS3, "{on}");
        assert_eq!(mode(&[(old, on)]), AutoEncryption::SseS3, "{on}");
    }
    for off in ["off", "OFF", "false", "f", "0", "disabled", ""] {
        assert_eq!(mode(&[(new, off)]), AutoEncryption::Off, "{off}");
    }
    let kms_mode = ("MINIO_KMS_AUTO_ENCRYPTION_MODE", "aws:kms");
    assert_eq!(mode(&[(new, "on"), kms_mode]), AutoEncryption::SseKms);
    assert_eq!(mode(&[kms_mode]), AutoEncryption::Off);

    assert_refused(&[key, (new, "yes please")], &[new, "on or off"]);
    assert_refused(&[key, (new, "on"), (old, "off")], &[new, old, "contradict"]);
    assert_refused(&[(new, "on")], &["no key management system"]);
    assert_refused(
        &[key, ("MINIO_KMS_AUTO_ENCRYPTION_MODE", "aws:kms:dsse")],
        &["aws:kms"],
    );
}

#[test]
fn unknown_names_are_refused_with_a_hint() {
    assert_refused(
        &[("MINIO_KMS_KES_ENDPOINTS", "x")],
        &["did you mean MINIO_KMS_KES_ENDPOINT?"],
    );
    assert_refused(
        &[("MINIO_SSE_MASTERKEY", "x")],
        &["did you mean MINIO_SSE_MASTER_KEY?"],
    );
    assert_refused(
        &[("STRONGROOM_ALLOW_PUBLIC_KEY", "x")],
        &["STRONGROOM_ALLOW_PUBLIC_KEYS?"],
    );
    assert_refused(
        &[("MINIO_KMS_SOMETHING_ELSE_ALTOGETHER", "x")],
        &["is not a setting"],
    );
    config(&[("MINIO_BROWSER", "off"), ("MINIO_KMS_UNSET", "")], &[]).unwrap();
}

#[test]
fn the_start_waits_as_long_as_it_is_told() {
    let wait = |text| {
        config(&[("STRONGROOM_KMS_START_TIMEOUT", text)], &[])
            .unwrap()
            .kms_start_timeout
            .as_secs()
    };
    assert_eq!(
        (wait(""), wait("0"), wait("90s"), wait("5m")),
        (60, 0, 90, 300)
    );
    for bad in ["soon", "-1", "1.5s", "99999999999999999999", "2000m"] {
        assert_refused(
            &[("STRONGROOM_KMS_START_TIMEOUT", bad)],
            &["STRONGROOM_KMS_START_TIMEOUT"],
        );
    }
}

#[test]
fn windows_of_data_keys_can_be_shortened_to_nothing() {
    let (window, cache) = ("STRONGROOM_BUCKET_KEY_WINDOW", "STRONGROOM_DATA_KEY_CACHE");
    let seconds = |variables: Pairs<'_>| {
        let windows = config(variables, &[]).unwrap().windows;
        (windows.bucket_key.as_secs(), windows.opened.as_secs())
    };
    assert_eq!(seconds(&[]), (300, 300));
    assert_eq!(seconds(&[(window, "0s"), (cache, "0s")]), (0, 0));
    assert_eq!(seconds(&[(window, "10s")]), (10, 10));
    assert_eq!(seconds(&[(cache, "0")]), (300, 0));
    assert_eq!(seconds(&[(window, "60m")]), (3600, 300));
    assert_refused(&[(window, "61m")], &[window, "60 minutes"]);
    assert_refused(&[(window, "for ever")], &[window]);
    assert_refused(&[(window, "1s"), (cache, "2s")], &[window, cache]);
}
