//! Each bad start is one clear sentence on standard error and an exit code, before any request is answered.

use std::os::unix::fs::PermissionsExt;

use crate::process::{ROOT, STATIC_KEY, free_address, run};

const KES: [(&str, &str); 2] = [
    ("MINIO_KMS_KES_KEY_NAME", "my-key"),
    (
        "MINIO_KMS_KES_API_KEY",
        "kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    ),
];

/// The sentence with which `strongroom server` refuses to start.
#[track_caller]
fn refusal(args: &[&str], variables: &[&[(&str, &str)]]) -> String {
    let (code, stdout, stderr) = run(args, &variables.concat());
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert_eq!(stdout, "", "nothing is announced");
    let last = stderr.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("strongroom: "), "{stderr}");
    last
}

#[test]
fn wrong_settings_are_told_in_one_sentence_each() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let address = free_address().to_string();
    let args = ["server", data.to_str().unwrap(), "--address", &address];
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "there are no root credentials"),
        (&[ROOT[0]], "MINIO_ROOT_PASSWORD is not"),
        (
            &[ROOT[0], ("MINIO_ROOT_PASSWORD", "short")],
            "fewer than 8 characters",
        ),
        (
            &[ROOT[0], ROOT[1], ("MINIO_KMS_SECRET_KEY", "no-colon")],
            "MINIO_KMS_SECRET_KEY",
        ),
        (
            &[
                ROOT[0],
                ROOT[1],
                (
                    "MINIO_KMS_SECRET_KEY",
                    "my-minio-key:OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=",
                ),
            ],
            "everybody knows",
        ),
        (
            &[ROOT[0], ROOT[1], ("MINIO_KMS_AUTO_ENCRYPTION", "maybe")],
            "on or off",
        ),
        (
            &[ROOT[0], ROOT[1], ("MINIO_KMS_AUTO_ENCRYPTION", "on")],
            "no key management system",
        ),
        (
            &[ROOT[0], ROOT[1], ("MINIO_KMS_KES_ENDPOINTS", "x")],
            "did you mean MINIO_KMS_KES_ENDPOINT?",
        ),
        (
            &[ROOT[0], ROOT[1], ("MINIO_SSE_VAULT_ENDPOINT", "https://v")],
            "not supported yet",
        ),
        (
            &[
                ROOT[0],
                ROOT[1],
                STATIC_KEY,
                KES[0],
                KES[1],
                ("MINIO_KMS_KES_ENDPOINT", "https://k:1"),
            ],
            "static key",
        ),
        (
            &[ROOT[0], ROOT[1], ("STRONGROOM_LOG", "[[")],
            "STRONGROOM_LOG",
        ),
    ];
    for (variables, expected) in cases {
        let sentence = refusal(&args, &[variables]);
        assert!(sentence.contains(expected), "{variables:?}: {sentence}");
        assert!(!sentence.contains("correct horse"), "{sentence}");
    }
    assert!(!data.exists(), "a refused start touches nothing");
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let address = free_address().to_string();
    let start = |path: &str| {
        refusal(
            &["server", path, "--address", &address],
            &[&ROOT, &[STATIC_KEY]],
        )
    };
    assert!(start(file.to_str().unwrap()).contains("is not a directory"));

    let foreign = dir.path().join("home");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter.txt"), "dear").unwrap();
    assert!(start(foreign.to_str().unwrap()).contains("is not a store"));

    let shut = dir.path().join("shut");
    std::fs::create_dir(&shut).unwrap();
    std::fs::set_permissions(&shut, PermissionsExt::from_mode(0o000)).unwrap();
    // Nothing is shut to the superuser.
    if std::fs::read_dir(&shut).is_err() {
        assert!(start(shut.to_str().unwrap()).contains("cannot be read and written"));
    } else {
        eprintln!("skipped for the superuser: a directory without leave");
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_no_data_touched() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let address = format!("127.0.0.1:{port}");
    let args = ["server", data.to_str().unwrap(), "--address", &address];
    let sentence = refusal(&args, &[&ROOT, &[STATIC_KEY]]);
    assert!(
        sentence.contains(&port) && sentence.contains("taken"),
        "{sentence}"
    );
    assert!(!data.exists());
}

#[test]
fn a_kms_that_never_answers_ends_the_start_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let (address, nobody) = (
        free_address().to_string(),
        format!("https://{}", free_address()),
    );
    let args = [
        "server",
        dir.path().to_str().unwrap(),
        "--address",
        &address,
    ];
    let wait = [
        ("MINIO_KMS_KES_ENDPOINT", nobody.as_str()),
        ("STRONGROOM_KMS_START_TIMEOUT", "1s"),
    ];
    // Trusting a certificate lets the client be built where the system has none.
    let authority = dir.path().with_extension("crt");
    let key = dir.path().with_extension("key");
    let made = run(
        &[
            "kes",
            "identity",
            "new",
            "--cert",
            authority.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
            "x",
        ],
        &[],
    );
    assert_eq!(made.0, 0, "{made:?}");
    let trust = [("MINIO_KMS_KES_CAPATH", authority.to_str().unwrap())];
    let sentence = refusal(&args, &[&ROOT, &KES, &wait, &trust]);
    assert!(sentence.contains("unavailable"), "{sentence}");
    assert!(
        sentence.contains("STRONGROOM_KMS_START_TIMEOUT"),
        "{sentence}"
    );
}

#[test]
fn certificates_that_do_not_do_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let certs = dir.path().join("certs");
    std::fs::create_dir(&certs).unwrap();
    let address = free_address().to_string();
    let start = || {
        refusal(
            &[
                "server",
                data.to_str().unwrap(),
                "--address",
                &address,
                "--certs-dir",
                certs.to_str().unwrap(),
            ],
            &[&ROOT],
        )
    };
    assert!(
        start().contains("public.crt"),
        "an explicit folder without a certificate"
    );
    std::fs::write(certs.join("public.crt"), "x").unwrap();
    assert!(start().contains("private.key"));
    std::fs::write(certs.join("private.key"), "x").unwrap();
    assert!(
        start().contains("public.crt"),
        "files that are no certificate"
    );
}

#[test]
fn arguments_that_make_no_sense_are_a_usage_error() {
    for args in [
        &["server"][..],
        &["server", "x", "--address", "nowhere"],
        &["serve"],
        &["server", "x", "--tls-cert", "c"],
    ] {
        let (code, _, stderr) = run(args, &ROOT);
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
}
