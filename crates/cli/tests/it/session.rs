//! Environment, flags, and their mistakes.

use crate::fake_kes::FakeKes;
use crate::server::CLIENT_KEY;
use crate::{Surroundings, fixture};

async fn complaint(surroundings: &Surroundings, args: &[&str]) -> String {
    let outcome = surroundings.kes(args).await;
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (1, ""),
        "{outcome:?}"
    );
    outcome.stderr
}

#[tokio::test]
async fn credentials_are_asked_for_in_the_known_words() {
    let nothing = Surroundings::default();
    assert_eq!(
        complaint(&nothing, &["key", "ls"]).await,
        "Error: no API key specified. Consider setting MINIO_KES_API_KEY\n"
    );
    let both = nothing
        .clone()
        .with("KES_API_KEY", CLIENT_KEY)
        .with("KES_CLIENT_KEY", "x")
        .with("KES_CLIENT_CERT", "y");
    assert_eq!(
        complaint(&both, &["key", "ls"]).await,
        "Error: API key and private key file cannot be used at the same time\n"
    );
    let half = nothing.clone().with("KES_CLIENT_KEY", "x");
    assert!(
        complaint(&half, &["key", "ls"])
            .await
            .starts_with("Error: no certificate file specified")
    );
    let blank = nothing
        .clone()
        .with("MINIO_KES_API_KEY", "")
        .with("KES_API_KEY", CLIENT_KEY);
    assert_eq!(
        complaint(&blank, &["key", "ls"]).await,
        "Error: kes: invalid API key: invalid length\n"
    );
    let unreadable = nothing
        .with("KES_CLIENT_KEY", "/no/key")
        .with("KES_CLIENT_CERT", "/no/cert");
    let text = complaint(&unreadable, &["key", "ls"]).await;
    assert!(
        text.contains("/no/cert cannot be read: No such file"),
        "{text}"
    );
}

#[tokio::test]
async fn certificate_files_flags_and_variables_reach_the_server() {
    let kes = FakeKes::start().await;
    let address = kes.server.address.to_string();
    let files = Surroundings::default()
        .with("MINIO_KES_SERVER", &address)
        .with("KES_SERVER", "https://127.0.0.1:9")
        .with("MINIO_KES_KEY_FILE", &fixture("tls/app.key"))
        .with("KES_CLIENT_CERT", &fixture("tls/app.crt"));
    assert_eq!(
        files
            .kes(&["key", "ls", "a_", "--ca", &kes.ca_file()])
            .await
            .stdout,
        "Key\na_\n"
    );
    assert_eq!(
        files.kes(&["key", "ls", "a_", "-k"]).await.stdout,
        "Key\na_\n"
    );
    assert_eq!(
        files
            .kes(&["key", "ls", "-k", "-e", "enclave", "a_"])
            .await
            .stdout,
        "Key\na_\n"
    );

    let flags = Surroundings::default();
    let args = ["ls", "-s", &address, "-a", CLIENT_KEY, "-k", "a_"];
    assert_eq!(flags.kes(&args).await.stdout, "Key\na_\n");
}

#[tokio::test]
async fn servers_that_nobody_vouches_for_are_refused_with_a_hint() {
    let kes = FakeKes::start().await;
    let stranger = kes
        .surroundings()
        .with("KES_CA_CERT", &fixture("tls/ca.crt"));
    let text = complaint(&stranger, &["key", "ls"]).await;
    let start = format!(
        "Error: failed to list keys: kes: connection error: Get \"https://{}/v1/key/list/%2A\": tls: failed to verify certificate: ",
        kes.server.address
    );
    assert!(text.starts_with(&start), "{text}");
    assert!(
        text.contains("certificate signed by unknown authority. Consider '--ca FILE'"),
        "{text}"
    );
}

#[tokio::test]
async fn mistakes_are_one_line_and_help_is_two() {
    let nothing = Surroundings::default();
    for (args, expected) in [
        (
            &["nonsense"][..],
            "Error: \"nonsense\" is not a kes command. See 'kes --help'\n",
        ),
        (
            &["key", "nonsense"],
            "Error: \"nonsense\" is not a kes key command. See 'kes key --help'\n",
        ),
        (&["ls", "--key"], "Error: unknown flag: --key\n"),
        (&["key", "info", "a", "b"], "Error: too many arguments\n"),
        (
            &["key", "dek"],
            "Error: no key name specified. See 'kes key dek --help'\n",
        ),
        (
            &["key", "import", "a"],
            "Error: no crypto key specified. See 'kes key import --help'\n",
        ),
        (
            &["key", "decrypt", "a", "%"],
            "Error: invalid ciphertext: illegal base64 data at input byte 0. See 'kes key decrypt --help'\n",
        ),
        (
            &["policy", "show"],
            "Error: no policy name specified. See 'kes policy show --help'\n",
        ),
    ] {
        assert_eq!(complaint(&nothing, args).await, expected);
    }
    for args in [
        &[][..],
        &["--help"],
        &["key"],
        &["key", "--help"],
        &["key", "create", "--help"],
        &["identity", "-h"],
    ] {
        let outcome = nothing.kes(args).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{args:?}");
        assert!(outcome.stderr.contains("Usage: kes"), "{}", outcome.stderr);
    }
}
