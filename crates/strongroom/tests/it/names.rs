//! The program behaves as the tool whose name it is started under.

use std::path::PathBuf;

use crate::process::{binary, command_of, run};

fn link(dir: &tempfile::TempDir, name: &str) -> PathBuf {
    let link = dir.path().join(name);
    std::os::unix::fs::symlink(binary(), &link).unwrap();
    link
}

#[test]
fn kes_minio_and_mc_are_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, args: &[&str]| {
        let output = command_of(&link(&dir, name), args, &[]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, stdout, _) = run("kes", &["--version"]);
    assert!(code == 0 && stdout.starts_with("Version"), "{stdout}");
    let (code, _, stderr) = run("minio", &["server", "/nowhere/at/all"]);
    assert!(code == 1 && stderr.contains("root credentials"), "{stderr}");
    let (code, _, stderr) = run("mc", &["ls"]);
    assert!(
        code == 1 && stderr.contains("not part of this release"),
        "{stderr}"
    );
}

#[test]
fn completions_and_the_manual_come_from_the_command_line() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, stdout, _) = run(&["completions", shell], &[]);
        assert!(code == 0 && stdout.contains("strongroom"), "{shell}");
    }
    let (code, stdout, _) = run(&["man"], &[]);
    assert!(code == 0 && stdout.contains(".TH"), "{stdout}");
}
