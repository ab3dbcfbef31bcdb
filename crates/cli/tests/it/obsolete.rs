//! Verbs and spellings of older ages.

use strongroom_kes_client::ApiKey;

use crate::Surroundings;
use crate::fake_kes::FakeKes;

#[tokio::test]
async fn verbs_without_meaning_end_with_one_sentence() {
    let nothing = Surroundings::default();
    for args in [
        &["init"][..],
        &["init", "--config", "init.yml", "./data"],
        &["enclave", "create", "tenant-1", "--insecure"],
        &["secret", "create", "name", "geheim"],
        &["policy", "create", "app", "policy.yml"],
        &["policy", "add", "app", "policy.json"],
        &["policy", "assign", "app", "3ecf", "-k"],
        &["policy", "rm", "app"],
        &["policy", "delete", "app"],
        &["identity", "assign", "3ecf", "app"],
        &["identity", "forget", "3ecf"],
        &["identity", "rm", "3ecf"],
    ] {
        let outcome = nothing.kes(args).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{args:?}");
        let sentence = outcome.stderr.as_str();
        assert!(
            sentence.starts_with("Error: 'kes ")
                && sentence.contains("' changes nothing any more: "),
            "{sentence}"
        );
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        assert!(!sentence.contains("geheim"), "{sentence}");
    }
}

#[tokio::test]
async fn old_verbs_are_not_in_the_help() {
    let nothing = Surroundings::default();
    for (args, hidden) in [
        (&["--help"][..], &["tool", "init", "enclave", "secret"][..]),
        (&["key", "--help"], &["delete", "derive", "list "]),
        (&["policy", "--help"], &["create", "assign", "delete"]),
        (&["identity", "--help"], &["assign", "forget"]),
        (&["identity", "new", "--help"], &["--time", "-t,"]),
        (&["log", "--help"], &["trace"]),
    ] {
        let help = nothing.kes(args).await.stderr;
        for word in hidden {
            assert!(!help.contains(word), "{word} in {help}");
        }
    }
}

#[tokio::test]
async fn a_key_after_the_name_is_imported_as_before_2022() {
    let kes = FakeKes::start().await;
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let outcome = kes.surroundings().kes(&["key", "create", "old", key]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let seen = kes.server.seen();
    assert_eq!(seen.last().unwrap().path, "/v1/key/import/old");
}

#[tokio::test]
async fn traces_are_logs() {
    let kes = FakeKes::start().await;
    let surroundings = kes.surroundings();
    for args in [
        &["log", "trace", "--type", "error"][..],
        &["log", "trace", "-type=error", "-k"],
        &["log", "--error"],
    ] {
        assert_eq!(
            surroundings.kes(args).await.stdout,
            "one\ntwo\n",
            "{args:?}"
        );
    }
    let audit = surroundings.kes(&["log", "trace"]).await.stdout;
    assert!(audit.starts_with("Time        Status"), "{audit}");
}

#[tokio::test]
async fn flags_of_the_go_style_make_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, cert) = (path("t.key"), path("t.crt"));
    let shell = Surroundings::default();
    let made = shell
        .kes(&[
            "tool",
            "identity",
            "new",
            "-server",
            "-key",
            &key,
            "-cert",
            &cert,
            "-t",
            "24h",
            "-ip=127.0.0.1",
            "app",
        ])
        .await;
    assert_eq!(made.code, 0, "{made:?}");
    let api_key = ApiKey::parse(&shell.kes(&["identity", &key]).await.stdout).unwrap();
    let of = shell
        .kes(&["tool", "identity", "of", "-hash", "SHA256", &cert])
        .await;
    assert_eq!(of.stdout, api_key.identity().to_string());
}

#[tokio::test]
async fn updates_are_explained_and_not_made() {
    let told = Surroundings::default()
        .kes(&["update", "-d", "--os", "linux", "v0.1.0"])
        .await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout.contains("nothing was changed") && told.stdout.contains("kes doctor"),
        "{}",
        told.stdout
    );
}

#[tokio::test]
async fn what_a_minio_server_has_is_used_when_there_is_nothing_else() {
    let kes = FakeKes::start().await;
    let address = kes.server.address.to_string();
    let minio = Surroundings::default()
        .with("MINIO_KMS_KES_ENDPOINT", &address)
        .with("MINIO_KMS_KES_KEY_FILE", &crate::fixture("tls/app.key"))
        .with("MINIO_KMS_KES_CERT_FILE", &crate::fixture("tls/app.crt"))
        .with("MINIO_KMS_KES_CAPATH", &kes.ca_file());
    assert_eq!(minio.kes(&["key", "ls", "a_"]).await.stdout, "Key\na_\n");
    // Nor does it get in the way of an API key.
    let with_key = minio.with("KES_API_KEY", crate::server::CLIENT_KEY);
    assert_eq!(with_key.kes(&["key", "ls", "a_"]).await.stdout, "Key\na_\n");
}
