//! Where credentials come from. Each test looks from a process of its own, whose environment nobody else sees.

use std::fs;
use std::path::Path;
use std::process::Command;

use strongroom_keystore::config::Aws;
use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};
use strongroom_keystore_aws::AwsStore;
use strongroom_peers::{Peer, free_port, repository, tool};

use crate::moto::{Moto, some_credentials};

const ENDPOINT: &str = "TEST_ENDPOINT";
/// Of the child's output, the line with its findings.
const FOUND: &str = "credentials: ";

/// What the others start: opens a store without credentials of its own, uses it, and says where they came from.
#[tokio::test]
#[ignore = "run by the other tests of this module, in an environment of its own"]
async fn in_this_environment() {
    let config = Aws {
        endpoint: std::env::var(ENDPOINT).unwrap(),
        region: "us-east-1".to_owned(),
        kms_key: None,
        credentials: None,
    };
    let store = AwsStore::open(config).await.unwrap();
    let findings = store.examine().await;
    let found = findings
        .iter()
        .find(|f| f.step == "AWS credentials")
        .unwrap();
    if found.outcome.is_ok() {
        store.connect().await.unwrap();
        store.create(&name("k"), value("v")).await.unwrap();
        store.delete(&name("k")).await.unwrap();
    } else {
        let refused = store.connect().await.unwrap_err();
        assert!(matches!(refused, StoreError::Other { .. }), "{refused:?}");
    }
    println!("{FOUND}{:?}", found.outcome);
}

/// Runs [`in_this_environment`] with nothing but `env`.
fn found(endpoint: &str, home: &Path, env: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([
            "credentials::in_this_environment",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env_clear()
        .env(ENDPOINT, endpoint)
        .env("HOME", home)
        // Nothing of the machine that the test runs on; where the instance is meant, `env` says so.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(env.iter().copied());
    let output = child.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}{failed}");
    let at = printed.find(FOUND).unwrap() + FOUND.len();
    let line = printed[at..].lines().next().unwrap().to_owned();
    assert!(!line.contains("hidden"), "values are never shown: {line}");
    line
}

#[tokio::test]
async fn credentials_of_the_configuration_win_with_their_session_token() {
    let Some(moto) = Moto::start() else { return };
    let mut config = moto.config();
    let mut given = some_credentials();
    given.session_token = Some(strongroom_keystore::config::SecretText::new(
        "token".to_owned(),
    ));
    config.credentials = Some(given);
    let store = AwsStore::open(config).await.unwrap();
    store.connect().await.unwrap();
    store.create(&name("k"), value("v")).await.unwrap();
}

#[test]
fn the_environment_is_used() {
    let Some(moto) = Moto::start() else { return };
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIAHIDDEN"),
        ("AWS_SECRET_ACCESS_KEY", "hidden"),
    ];
    let found = found(&moto.url(), moto.folder.path(), &env);
    assert_eq!(found, r#"Ok("from the environment")"#);
}

#[test]
fn a_profile_of_the_credentials_file_is_used() {
    let Some(moto) = Moto::start() else { return };
    let folder = moto.folder.path();
    let file = folder.join("credentials");
    let text = "[other]\naws_access_key_id = AKIAHIDDEN\naws_secret_access_key = hidden\n";
    fs::write(&file, text).unwrap();
    let env = [
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
        ("AWS_PROFILE", "other"),
    ];
    assert_eq!(
        found(&moto.url(), folder, &env),
        r#"Ok("from a profile file")"#
    );

    fs::create_dir(folder.join(".aws")).unwrap();
    fs::write(
        folder.join(".aws/credentials"),
        text.replace("other", "default"),
    )
    .unwrap();
    assert_eq!(
        found(&moto.url(), folder, &[]),
        r#"Ok("from a profile file")"#
    );
}

#[test]
fn a_web_identity_token_is_exchanged_at_sts() {
    let Some(moto) = Moto::start() else { return };
    let token = moto.folder.path().join("token");
    fs::write(&token, "hidden.web.token").unwrap();
    let env = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/kes"),
        ("AWS_ENDPOINT_URL_STS", &moto.url()),
    ];
    let found = found(&moto.url(), moto.folder.path(), &env);
    assert_eq!(
        found,
        r#"Ok("from a web identity token, exchanged at STS")"#
    );
}

#[test]
fn the_role_of_the_instance_is_used_through_imdsv2() {
    let Some(moto) = Moto::start() else { return };
    let Some(python) = tool("python") else { return };
    let port = free_port().unwrap();
    let fake = repository().join("e2e/fakes/imds.py");
    let args = [fake.to_str().unwrap(), "--port", &port.to_string()];
    let imds = Peer::start(&python, &args, &[], port, moto.folder.path()).unwrap();
    let endpoint = format!("http://{}", imds.address);
    let env = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str()),
        // A proxy of the site is no way to one's own instance.
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let found = found(&moto.url(), moto.folder.path(), &env);
    assert_eq!(found, r#"Ok("from the role of this instance (IMDSv2)")"#);
    assert!(
        imds.printed().contains("PUT /latest/api/token"),
        "{}",
        imds.printed()
    );
}

#[test]
fn the_credentials_endpoint_of_a_container_is_used() {
    let Some(moto) = Moto::start() else { return };
    let Some(python) = tool("python") else { return };
    let port = free_port().unwrap();
    let fake = repository().join("e2e/fakes/imds.py");
    let args = [fake.to_str().unwrap(), "--port", &port.to_string()];
    let container = Peer::start(&python, &args, &[], port, moto.folder.path()).unwrap();
    let uri = format!("http://{}/container", container.address);
    let env = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str())];
    let found = found(&moto.url(), moto.folder.path(), &env);
    assert_eq!(found, r#"Ok("from the container's credentials endpoint")"#);
}

#[test]
fn no_credentials_at_all_are_told_with_the_places_looked_at() {
    let Some(moto) = Moto::start() else { return };
    let found = found(&moto.url(), moto.folder.path(), &[]);
    assert!(
        found.starts_with(r#"Err("no AWS credentials were found"#),
        "{found}"
    );
    assert!(found.contains("web identity"), "{found}");
}

#[test]
fn a_profile_that_leads_nowhere_is_named() {
    let Some(moto) = Moto::start() else { return };
    let folder = moto.folder.path();
    fs::create_dir(folder.join(".aws")).unwrap();
    let text = "[profile a]\nsource_profile = nowhere\nrole_arn = arn:aws:iam::1:role/x\n";
    fs::write(folder.join(".aws/config"), text).unwrap();
    let found = found(&moto.url(), folder, &[("AWS_PROFILE", "a")]);
    assert!(
        found.starts_with("Err(") && found.contains("nowhere"),
        "{found}"
    );
}

#[test]
fn a_profile_file_that_cannot_be_read_is_told() {
    let Some(moto) = Moto::start() else { return };
    let folder = moto.folder.path();
    fs::create_dir(folder.join(".aws")).unwrap();
    fs::write(folder.join(".aws/config"), "[profile a\n").unwrap();
    let found = found(&moto.url(), folder, &[("AWS_PROFILE", "a")]);
    let says = r#"Err("AWS credentials could not be loaded"#;
    assert!(
        found.starts_with(says) && found.contains("profile"),
        "{found}"
    );
}
