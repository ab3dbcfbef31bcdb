//! The recorded command lines of newest upstream. Where ours differ on purpose, the test says how.

use crate::fake_kes::{ADMIN, APP, FakeKes};
use crate::{Outcome, fixture};

/// Reads the recording whose file name starts with the number.
pub(crate) fn recording(number: u32) -> Outcome {
    let start = format!("{number:02}-");
    let file = std::fs::read_dir(fixture("newest/cli"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&start)
        })
        .unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let (head, rest) = text.split_once("--- stdout\n").unwrap();
    let (stdout, stderr) = rest.split_once("\n--- stderr\n").unwrap();
    Outcome {
        // `stopped after 3 s` is no exit code.
        code: head
            .split_once("exit: ")
            .unwrap()
            .1
            .trim()
            .parse()
            .unwrap_or_default(),
        stdout: stdout.to_owned(),
        stderr: stderr.strip_suffix('\n').unwrap().to_owned(),
    }
}

pub(crate) const CIPHERTEXT: &str =
    "jTiH0R7FfZRQGbIbwYaJw2NzBMG91YB8IKQt+b5vbuatW99eAXNB/ouF0F97GOMOqT3twIf8CA==";

#[tokio::test]
async fn commands_print_and_exit_as_recorded() {
    let kes = FakeKes::start().await;
    let surroundings = kes.surroundings();
    // In the order of the recording: it creates and deletes keys.
    let lines: [(u32, &[&str]); 30] = [
        (4, &["nonsense"]),
        (30, &["key", "create", "cli-a", "cli-b"]),
        (31, &["key", "create", "cli-a"]),
        (32, &["key", "create"]),
        (33, &["key", "create", "bad.name"]),
        (34, &["key", "ls"]),
        (37, &["key", "info", "cli-a"]),
        (39, &["key", "info", "none"]),
        (40, &["key", "ls", "-k"]),
        (41, &["key", "encrypt", "cli-a", "Hello World"]),
        (42, &["key", "dek", "cli-a"]),
        (43, &["key", "dek", "cli-a", "Y3R4"]),
        (44, &["key", "decrypt", "cli-a", CIPHERTEXT]),
        (45, &["key", "decrypt", "cli-b", CIPHERTEXT]),
        (46, &["key", "decrypt", "cli-a", "AAAA"]),
        (
            47,
            &[
                "key",
                "import",
                "cli-imp",
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            ],
        ),
        (48, &["key", "import", "cli-imp2", "short"]),
        (49, &["key", "rm", "cli-b"]),
        (50, &["key", "rm", "cli-b"]),
        (51, &["ls"]),
        (52, &["ls", "--policy"]),
        (53, &["ls", "--identity"]),
        (54, &["ls", "--json"]),
        (55, &["ls", "cli"]),
        (56, &["ls", "--key"]),
        (58, &["policy", "info", "app"]),
        (61, &["policy", "info", "none"]),
        (62, &["identity", "ls"]),
        (63, &["identity", "info"]),
        (65, &["identity", "info", APP]),
    ];
    for (number, args) in lines {
        assert_eq!(
            surroundings.kes(args).await,
            recording(number),
            "{number}: kes {}",
            args.join(" ")
        );
    }
}

#[tokio::test]
async fn a_pattern_with_a_star_lists_its_prefix() {
    let kes = FakeKes::start().await;
    let listed = kes.surroundings().kes(&["key", "ls", "imp-*"]).await;
    assert_eq!(listed.stdout, "Key\nimp-52\nimp-53\nimp-54\nimp-55\n");
    let none = kes.surroundings().kes(&["key", "ls", "zzz"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    let none = kes
        .surroundings()
        .kes(&["key", "ls", "zzz", "--json"])
        .await;
    assert_eq!(none.stdout, "null\n");
}

#[tokio::test]
async fn json_is_printed_alone() {
    let kes = FakeKes::start().await;
    let surroundings = kes.surroundings();
    let listed = surroundings.kes(&["key", "ls", "--json", "app"]).await;
    assert_eq!(
        listed.stdout,
        "[\"app-a\",\"app-b\",\"app-declared\",\"app-locked\"]\n"
    );
    let info = surroundings.kes(&["key", "info", "--json", "app-a"]).await;
    assert_eq!(
        info.stdout,
        format!(
            "{{\"name\":\"app-a\",\"algorithm\":\"AES256\",\"created_at\":\"2026-11-21T04:31:54.135031436Z\",\"created_by\":\"{ADMIN}\"}}\n"
        )
    );
    let identity = surroundings.kes(&["identity", "info", "--json", APP]).await;
    assert!(
        identity.stdout.starts_with("{\"policy\":\"app\","),
        "{}",
        identity.stdout
    );
}

#[tokio::test]
async fn policies_have_their_own_header_and_are_shown_as_json_in_a_pipe() {
    let kes = FakeKes::start().await;
    let surroundings = kes.surroundings();
    assert_eq!(
        surroundings.kes(&["policy", "ls"]).await.stdout,
        "Policy\napp\nauditor\n"
    );
    let json = "{\"allow\":{\"/v1/api\":{},\"/v1/status\":{}},\"deny\":{\"/v1/key/decrypt/app-locked*\":{}},\"created_at\":\"2026-11-21T04:31:46.718451218Z\",\"created_by\":\"2a7c5badadeab361c98472146beed2d5e7c058e4d32ee66d0b76a701234dd1b3\"}\n";
    assert_eq!(
        surroundings.kes(&["policy", "show", "app"]).await.stdout,
        json
    );
    assert_eq!(
        surroundings
            .clone()
            .on_terminal()
            .kes(&["policy", "show", "app", "--json"])
            .await
            .stdout,
        json
    );
}

#[tokio::test]
async fn status_looks_as_recorded() {
    let kes = FakeKes::start().await;
    let surroundings = kes.surroundings();
    let address = kes.server.address.to_string();
    // The latency is measured, so it differs.
    let without_latency = |text: &str| {
        text.lines()
            .filter(|line| !line.contains("Latency"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let expected = recording(73).stdout.replace("127.0.0.1:17373", &address);
    let status = surroundings.kes(&["status"]).await;
    assert_eq!(without_latency(&status.stdout), without_latency(&expected));
    assert!(status.stdout.contains("\n  Latency  "), "{}", status.stdout);

    assert_eq!(
        surroundings.kes(&["status", "-s"]).await.stdout,
        format!("● {address}\n")
    );
    let json = surroundings.kes(&["status", "--json"]).await.stdout;
    assert!(json.starts_with("{\"version\":\"2025-05-27T18-49-52Z\",\"os\":\"linux\",\"arch\":\"amd64\",\"uptime\":9,"), "{json}");

    let table = surroundings
        .kes(&["status", "--short", "--api"])
        .await
        .stdout;
    let recorded = recording(75).stdout;
    for line in table.lines().skip(2) {
        assert!(recorded.lines().any(|l| l == line), "{line:?}");
    }
    assert_eq!(table.lines().count(), 6);
}

#[tokio::test]
async fn verbs_of_older_ages_still_work() {
    let kes = FakeKes::start().await;
    let surroundings = kes.surroundings();
    assert_eq!(
        surroundings.kes(&["key", "list", "a_"]).await.stdout,
        "Key\na_\n"
    );
    assert_eq!(surroundings.kes(&["key", "derive", "app-a"]).await.code, 0);
    assert_eq!(surroundings.kes(&["key", "delete", "a_"]).await.code, 0);
    let of = surroundings
        .kes(&["tool", "identity", "of", &fixture("tls/app.crt")])
        .await;
    assert_eq!(of.stdout, APP);
}

#[tokio::test]
async fn logs_are_tables_lines_or_copies() {
    let kes = FakeKes::start().await;
    let surroundings = kes.surroundings();
    let table = surroundings.kes(&["log"]).await;
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "Time        Status    Identity                IP                 API                               Latency"
    );
    assert_eq!(
        lines[1],
        "04:39:38    200       2a7c5badadeab361c984    127.0.0.1          /v1/key/create/stream-a           4.605ms"
    );
    assert_eq!(lines.len(), 5);
    let copy = surroundings.kes(&["log", "--audit", "--json"]).await.stdout;
    assert_eq!(
        copy,
        std::fs::read_to_string(fixture("v0.22/log-audit.ndjson")).unwrap()
    );
    assert_eq!(
        surroundings.kes(&["log", "--error"]).await.stdout,
        "one\ntwo\n"
    );
}
