//! `kes identity`, which needs no server.

use strongroom_kes_client::{ApiKey, Credentials};

use crate::{Outcome, Surroundings, fixture};

fn bare(text: &str) -> Outcome {
    Outcome {
        code: 0,
        stdout: text.to_owned(),
        stderr: String::new(),
    }
}

const KEY: &str = "kes:v1:AD9E7FSYWrMD+VjhI6q545cYT9YOyFxZb7UnjEepYDRc";
const IDENTITY: &str = "3ecfcdf38fcbe141ae26a1030f81e96b753365a46760ae6b578698a97c59fd22";

#[tokio::test]
async fn identities_are_computed_from_keys_and_certificates() {
    let shell = Surroundings::default();
    let app = "bb16264ef2c339c192bd3bc993c4aa952d38ad944a1022bab3f1dd07a009d0ff";
    assert_eq!(shell.kes(&["identity", "of", KEY]).await, bare(IDENTITY));
    assert_eq!(shell.kes(&["identity", KEY]).await, bare(IDENTITY));
    assert_eq!(
        shell
            .kes(&["identity", "of", KEY.strip_prefix("kes:v1:").unwrap()])
            .await,
        bare(IDENTITY)
    );
    assert_eq!(
        shell
            .kes(&["identity", "of", &fixture("tls/app.crt")])
            .await,
        bare(app)
    );
    assert_eq!(
        shell.kes(&["identity", &fixture("tls/app.crt")]).await,
        bare(app)
    );

    let key = shell
        .kes(&["identity", &fixture("tls/app.key")])
        .await
        .stdout;
    assert_eq!(ApiKey::parse(&key).unwrap().identity().to_string(), app);

    let missing = shell.kes(&["identity", "of", "/no/such.crt"]).await;
    assert_eq!(missing.code, 1);
    assert!(
        missing
            .stderr
            .starts_with("Error: /no/such.crt cannot be read: "),
        "{}",
        missing.stderr
    );
    let on_terminal = shell.on_terminal().kes(&["identity", "of", KEY]).await;
    assert_eq!(on_terminal.stdout, format!("Identity:\n\n   {IDENTITY}\n"));
}

#[tokio::test]
async fn a_bare_identity_makes_a_new_key_each_time() {
    let shell = Surroundings::default();
    let first = shell.kes(&["identity"]).await.stdout;
    let second = shell.kes(&["identity"]).await.stdout;
    assert!(ApiKey::parse(&first).is_ok() && ApiKey::parse(&second).is_ok());
    assert!(!first.ends_with('\n'));
    assert_ne!(first, second);
}

#[tokio::test]
async fn new_identities_are_printed_and_written_to_files_that_fit_together() {
    let shell = Surroundings::default();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, cert) = (path("client.key"), path("client.cert"));
    let args = [
        "identity",
        "new",
        "app",
        "--key",
        &key,
        "--cert",
        &cert,
        "--ip",
        "127.0.0.1,::1",
        "--dns=a.example",
        "--expiry",
        "24h",
    ];
    let made = shell.kes(&args).await;
    assert_eq!(made.code, 0, "{made:?}");
    let shown = |title: &str| {
        let (_, rest) = made.stdout.split_once(title).unwrap();
        rest.trim_start().lines().next().unwrap().to_owned()
    };
    let api_key = ApiKey::parse(&shown("Your API key:")).unwrap();
    assert_eq!(shown("Your Identity:"), api_key.identity().to_string());
    assert!(made.stdout.contains(&format!("kes identity of {cert}")));

    assert_eq!(
        shell.kes(&["identity", "of", &cert]).await.stdout,
        api_key.identity().to_string()
    );
    assert_eq!(
        shell.kes(&["identity", &key]).await.stdout,
        api_key.expose().as_str()
    );
    let read = |path: &str| std::fs::read(path).unwrap();
    assert_eq!(
        Credentials::from_pem(&read(&cert), &read(&key))
            .unwrap()
            .identity(),
        api_key.identity()
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&key), mode(&cert)), (0o600, 0o644));
    }

    let again = shell.kes(&args).await;
    assert_eq!(
        again.stderr,
        "Error: private key already exists. Use --force to overwrite it\n"
    );
    let before = read(&key);
    assert_eq!(shell.kes(&[&args[..], &["-f"]].concat()).await.code, 0);
    assert_ne!(read(&key), before);
}

#[tokio::test]
async fn file_options_go_together() {
    let shell = Surroundings::default();
    for args in [
        &["identity", "new", "--key", "k"][..],
        &["identity", "new", "--cert", "c"],
        &["identity", "new", "subject"],
        &["identity", "new", "--ip", "127.0.0.1"],
        &[
            "identity", "new", "--key", "k", "--cert", "c", "--expiry", "soon",
        ],
    ] {
        let outcome = shell.kes(args).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{args:?}");
    }
}

#[tokio::test]
async fn encrypted_keys_are_written_and_read_with_the_password() {
    let shell = Surroundings {
        password: Some("correct horse".to_owned()),
        ..Default::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, cert) = (path("k"), path("c"));
    let made = shell
        .kes(&[
            "identity",
            "new",
            "--key",
            &key,
            "--cert",
            &cert,
            "--encrypt",
        ])
        .await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        std::fs::read_to_string(&key)
            .unwrap()
            .contains("DEK-Info: AES-256-CBC,")
    );
    let read = shell.kes(&["identity", &key]).await;
    assert!(
        made.stdout.contains(&read.stdout) && read.stdout.starts_with("kes:v1:"),
        "{read:?}"
    );

    let wrong = Surroundings {
        password: Some("wrong".to_owned()),
        ..Default::default()
    };
    assert_eq!(wrong.kes(&["identity", &key]).await.code, 1);
    let nobody = Surroundings::default().kes(&["identity", &key]).await;
    assert_eq!(nobody.stderr, "Error: nobody is there\n");
}
