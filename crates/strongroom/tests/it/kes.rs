//! `strongroom kes server` with a configuration file, and an object server over it.

use std::path::Path;

use crate::process::{ROOT, Running, command, free_address, run};

/// Makes a key and certificate; returns their paths and the identity.
fn identity(dir: &Path, name: &str) -> (String, String, String) {
    let path = |extension: &str| {
        dir.join(format!("{name}.{extension}"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (key, cert) = (path("key"), path("crt"));
    let args = [
        "kes",
        "identity",
        "new",
        name,
        "--key",
        &key,
        "--cert",
        &cert,
        "--ip",
        "127.0.0.1",
    ];
    let (code, _, stderr) = run(&args, &[]);
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, _) = run(&["kes", "identity", "of", &cert], &[]);
    assert_eq!(code, 0);
    (key, cert, stdout.trim().to_owned())
}

#[test]
fn a_missing_default_key_is_made_where_the_policy_allows_it_and_named_where_not() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address().to_string();
    let (admin, tls, app) = (
        identity(dir.path(), "admin"),
        identity(dir.path(), "tls"),
        identity(dir.path(), "app"),
    );
    let config = dir.path().join("config.yml");
    let write = |allow: &str| {
        let text = format!(
            "version: v1\naddress: {address}\nadmin: {{ identity: {} }}\ntls: {{ key: {}, cert: {} }}\n\
             policy: {{ app: {{ allow: [ {allow} ], identities: [ {} ] }} }}\n\
             keystore: {{ fs: {{ path: {} }} }}\n",
            admin.2,
            tls.0,
            tls.1,
            app.2,
            dir.path().join("keys").display()
        );
        std::fs::write(&config, text).unwrap();
    };
    let data_keys = "/v1/key/generate/*, /v1/key/decrypt/*";
    write(data_keys);
    let config_path = config.to_str().unwrap();
    let kes = Running::start(
        command(&["kes", "server", "--config", config_path], &[]),
        "Server is up and running",
    );
    assert!(kes.printed.contains("Filesystem"), "{}", kes.printed);

    let endpoint = format!("https://{address}");
    let variables = [
        ROOT[0],
        ROOT[1],
        ("MINIO_KMS_KES_ENDPOINT", &endpoint),
        ("MINIO_KMS_KES_KEY_NAME", "fresh-key"),
        ("MINIO_KMS_KES_KEY_FILE", &app.0),
        ("MINIO_KMS_KES_CERT_FILE", &app.1),
        ("MINIO_KMS_KES_CAPATH", &tls.1),
    ];
    let s3 = free_address().to_string();
    let data = dir.path().join("data");
    let args = ["server", data.to_str().unwrap(), "--address", &s3];
    let (code, _, stderr) = run(&args, &variables);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("strongroom kes key create fresh-key"),
        "{stderr}"
    );

    // SIGHUP takes the new policy; the same command then makes the key.
    write(&format!("{data_keys}, /v1/key/create/*"));
    kes.signal("HUP");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let server = Running::start(command(&args, &variables), "Without TLS");
    let client = [
        ("KES_SERVER", address.as_str()),
        ("KES_CLIENT_KEY", &admin.0),
        ("KES_CLIENT_CERT", &admin.1),
        ("KES_CA_CERT", &tls.1),
    ];
    let (code, stdout, stderr) = run(&["kes", "key", "ls"], &client);
    assert!(
        code == 0 && stdout.contains("fresh-key"),
        "{stdout}{stderr}"
    );
    assert_eq!(server.stop(), 0);

    // A key that is gone is not replaced by another of the same name.
    assert_eq!(run(&["kes", "key", "rm", "fresh-key"], &client).0, 0);
    let (code, _, stderr) = run(&args, &variables);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("fresh-key") && stderr.contains("backup"),
        "{stderr}"
    );
    let (_, stdout, _) = run(&["kes", "key", "ls"], &client);
    assert!(!stdout.contains("fresh-key"), "{stdout}");
    assert_eq!(kes.stop(), 0);
}

#[test]
fn a_key_server_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yml");
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "", "--config"),
        (
            &["--config", "/nowhere.yml"],
            "",
            "cannot read /nowhere.yml",
        ),
        (
            &["--dev", "--config", "x"],
            "",
            "not supported in development mode",
        ),
        (
            &["--config", config.to_str().unwrap()],
            "version: [",
            "config.yml",
        ),
    ];
    for (args, text, expected) in cases {
        std::fs::write(&config, text).unwrap();
        let (code, stdout, stderr) = run(&[&["kes", "server"], *args].concat(), &[]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{args:?}: {stderr}");
        let said = stderr.contains("Error: ") && stderr.contains(expected);
        assert!(said, "{args:?}: {stderr}");
    }
}
