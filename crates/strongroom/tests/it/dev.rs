//! `strongroom dev`, as a person would use it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::process::{Running, command, free_address, run};

fn start(dir: &Path, args: &[&str]) -> Running {
    let all = [&["dev", dir.to_str().unwrap()], args].concat();
    Running::start(command(&all, &[]), "Ctrl-C")
}

/// The variables that the file `env` exports.
fn exported(dir: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(dir.join("env")).unwrap();
    text.lines()
        .map(|line| {
            line.strip_prefix("export ")
                .unwrap()
                .split_once('=')
                .unwrap()
        })
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect()
}

#[test]
fn one_command_gives_two_servers_and_a_restart_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    let (s3, kes) = (free_address().to_string(), free_address().to_string());
    let addresses = ["--address", s3.as_str(), "--kes-address", &kes];
    let dev = start(&dir, &addresses);

    let env = exported(&dir);
    assert_eq!(env["AWS_ENDPOINT_URL"], format!("https://{s3}"));
    assert_eq!(env["KES_SERVER"], format!("https://{kes}"));
    assert!(
        dev.printed.contains(&env["AWS_SECRET_ACCESS_KEY"]),
        "shown the first time"
    );
    assert_eq!(
        dev.printed.matches("\n   aws s3 ").count() + dev.printed.matches("| aws s3 ").count(),
        3
    );
    assert!(!dev.printed.contains('\u{1b}'), "no styles in a pipe");
    let mode = std::fs::metadata(dir.join("env"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let as_admin: Vec<(&str, &str)> = env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (code, stdout, stderr) = run(&["kes", "key", "ls"], &as_admin);
    assert!(
        code == 0 && stdout.contains("strongroom-dev-key"),
        "{stdout}{stderr}"
    );
    let key = std::fs::read(dir.join("kes/strongroom-dev-key")).unwrap();
    assert_eq!(dev.stop(), 0);

    let again = start(&dir, &addresses);
    assert_eq!(exported(&dir), env);
    assert!(
        !again.printed.contains(&env["AWS_SECRET_ACCESS_KEY"]),
        "shown once"
    );
    assert_eq!(
        std::fs::read(dir.join("kes/strongroom-dev-key")).unwrap(),
        key
    );
    assert_eq!(again.stop(), 0);
}

#[test]
fn a_usual_port_that_is_taken_is_avoided_and_an_asked_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    // Whoever holds the port, this test or another program: it is taken.
    let _taken = std::net::TcpListener::bind("127.0.0.1:9000");
    let dir = folder.path().join("free");
    let dev = start(&dir, &[]);
    assert_ne!(exported(&dir)["AWS_ENDPOINT_URL"], "https://127.0.0.1:9000");
    assert_eq!(dev.stop(), 0);

    let dir = folder.path().join("asked");
    let args = ["dev", dir.to_str().unwrap(), "--address", "127.0.0.1:9000"];
    let (code, _, stderr) = run(&args, &[]);
    assert!(
        code == 1 && stderr.contains("9000") && stderr.contains("taken"),
        "{stderr}"
    );
}

#[test]
fn a_second_dev_on_the_same_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    let (s3, kes) = (free_address().to_string(), free_address().to_string());
    let dev = start(&dir, &["--address", &s3, "--kes-address", &kes]);
    let before = exported(&dir);
    let (code, _, stderr) = run(&["dev", dir.to_str().unwrap()], &[]);
    assert!(
        code == 1 && stderr.contains("in use by another server"),
        "{stderr}"
    );
    assert_eq!(
        exported(&dir),
        before,
        "the file still speaks of the server that runs"
    );
    assert_eq!(dev.stop(), 0);
}
