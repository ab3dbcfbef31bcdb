//! Every command line that was recorded from upstream's tools of five ages, run with today's tool against our server on
//! the keys of that age. A recording is either printed the same (but for times and random values), or a rule says why not.

use std::path::PathBuf;

use crate::our_server::OurServer;
use crate::{Outcome, Surroundings, fixture};

/// Why a recording is not matched word for word.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Looked at elsewhere: endless, or through a terminal, or of the program and not of a command.
    Elsewhere,
    /// It failed then and fails now, in the newest words, which start like this.
    Words(&'static str),
    /// It worked then and works now, in the newest shape: output that starts like this.
    Shape(&'static str),
    /// It was no command then, or failed for a fault that is mended; now it works, and prints this first.
    Works(&'static str),
    /// It was silent about a key that is not there; now it says so.
    Complains(&'static str),
}

use Rule::{Complains, Elsewhere, Shape, Words, Works};

const UNTRUSTED: Rule =
    Words("Error: failed to list keys: kes: connection error: Get \"https://127.0.0.1:");
const API: Rule = Shape("● ");

const NEWEST: &[(u32, Rule)] = &[
    // A pattern with a star lists what the prefix lists.
    (35, Works("Key\ncli-a\ncli-b\n")),
    (36, Shape("[\"_a\",\"a_\",")),
    (
        38,
        Shape("{\"name\":\"cli-a\",\"algorithm\":\"AES256\",\"created_at\":"),
    ),
    (57, Shape("Policy\napp\nauditor\n")),
    // Who is no admin may learn about himself.
    (64, Works("Identity    bb16264ef2c3")),
    (66, Shape("{\"policy\":\"app\",\"created_at\":")),
    (75, API),
    (78, Elsewhere),
    (79, Elsewhere),
    (80, Elsewhere),
    (81, Elsewhere),
    (82, Elsewhere),
    (83, Elsewhere),
    (84, Elsewhere),
    (87, UNTRUSTED),
    (88, UNTRUSTED),
];

const V0_23: &[(u32, Rule)] = &[
    (35, Works("Key\ncli-a\ncli-b\n")),
    (36, Shape("[\"_a\",\"a_\",")),
    (
        38,
        Shape("{\"name\":\"cli-a\",\"algorithm\":\"AES256\",\"created_at\":"),
    ),
    (51, Works("Key\n_a\n")),
    (52, Works("Policy\napp\n")),
    (53, Works("Identity\n1062")),
    (54, Works("[\"_a\",")),
    (55, Works("Key\ncli-a\n")),
    (56, Words("Error: unknown flag: --key")),
    (57, Shape("Policy\napp\nauditor\n")),
    (64, Works("Identity    bb16264ef2c3")),
    (66, Shape("{\"policy\":\"app\",\"created_at\":")),
    (75, API),
    (78, Elsewhere),
    (79, Elsewhere),
    (80, Elsewhere),
    (81, Elsewhere),
    (82, Elsewhere),
    (83, Elsewhere),
    (84, Elsewhere),
    (
        86,
        Words("Error: no API key specified. Consider setting MINIO_KES_API_KEY"),
    ),
    (87, UNTRUSTED),
    (88, UNTRUSTED),
];

const V0_22: &[(u32, Rule)] = &[
    (2, Elsewhere),
    (
        38,
        Words(
            "Error: failed to create key \"bad.name\": key name 'bad.name' is empty, too long or",
        ),
    ),
    (39, Shape("Key\n-x\n_\n_a\n")),
    (40, Shape("Key\ncli-a\ncli-b\n")),
    (41, Shape("[\"-x\",\"_\",\"_a\",")),
    (
        42,
        Shape("Name        cli-a\nAlgorithm   AES256\nDate        "),
    ),
    (
        43,
        Shape("{\"name\":\"cli-a\",\"algorithm\":\"AES256\",\"created_at\":"),
    ),
    (45, Shape("Key\n-x\n_\n_a\n")),
    (
        55,
        Complains("Error: failed to remove key \"cli-b\": key does not exist"),
    ),
    (56, Shape("Policy\napp\nauditor\n")),
    (58, Shape("{\"allow\":{\"/v1/api\":{},")),
    (59, Shape("{\"allow\":{\"/v1/api\":{},")),
    (61, Shape("Identity\n1062")),
    (63, Shape("Identity    bb16264ef2c3")),
    (65, Shape("{\"policy\":\"app\",\"created_at\":")),
    (67, Works("3ecfcdf38fcb")),
    // A subject is no longer needed, and the API key is printed; files that are there are not overwritten unasked.
    (68, Works("Your API key:\n\n   kes:v1:")),
    (69, Works("Your API key:\n\n   kes:v1:")),
    // It took the API key for a subject and wrote ./private.key; files have to be named now.
    (
        70,
        Complains(
            "Error: a subject and '--ip', '--dns', '--expiry', '--encrypt', '--force' need '--key' and '--cert'.",
        ),
    ),
    (
        71,
        Words("Error: private key already exists. Use --force to overwrite it"),
    ),
    (74, API),
    (
        75,
        Shape("{\"version\":\"2025-05-27T18-49-52Z\",\"os\":\"linux\","),
    ),
    (77, Elsewhere),
    (78, Elsewhere),
    (79, Elsewhere),
    (80, Elsewhere),
    (81, Elsewhere),
    (82, Elsewhere),
    (83, Elsewhere),
    (
        85,
        Words("Error: no API key specified. Consider setting MINIO_KES_API_KEY"),
    ),
    (86, UNTRUSTED),
    (87, UNTRUSTED),
];

const V0_17: &[(u32, Rule)] = &[
    (2, Elsewhere),
    (
        24,
        Words("Error: failed to create key \"cli-a\": key already exists"),
    ),
    (25, Shape("Key\n-x\n_\n_a\na_\n")),
    (26, Shape("Key\ncli-a\n")),
    // `key encrypt` came later; the recorded ciphertext of then is decrypted elsewhere.
    (28, Works("{\"ciphertext\":\"")),
    (30, Shape("Policy\napp\n")),
    (31, Shape("{\"allow\":{\"/v1/api\":{},")),
    (32, Shape("Identity\n1062")),
    (33, Works("● ")),
    (35, Shape("Your API key:\n\n   kes:v1:")),
];

const V0_10: &[(u32, Rule)] = &[
    (2, Elsewhere),
    (
        15,
        Words("Error: failed to create key \"cli-a\": key already exists"),
    ),
    (19, Shape("Policy\napp\n")),
    (20, Shape("{\"allow\":{\"/v1/api\":{},")),
    (21, Shape("Identity\n1062")),
];

struct Recording {
    file: PathBuf,
    number: u32,
    line: String,
    outcome: Outcome,
}

fn recordings(age: &str) -> Vec<Recording> {
    let mut all: Vec<Recording> = std::fs::read_dir(fixture(&format!("{age}/cli")))
        .unwrap()
        .map(|entry| {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let (head, rest) = text.split_once("--- stdout\n").unwrap();
            let (stdout, stderr) = rest.split_once("\n--- stderr\n").unwrap();
            let (line, code) = head.split_once("exit: ").unwrap();
            let name = file.file_name().unwrap().to_str().unwrap();
            Recording {
                number: name.split_once('-').unwrap().0.parse().unwrap(),
                line: line.trim().strip_prefix("$ kes ").unwrap().to_owned(),
                outcome: Outcome {
                    // `stopped after 3 s` has none.
                    code: code.trim().parse().unwrap_or_default(),
                    stdout: stdout.to_owned(),
                    stderr: stderr.strip_suffix('\n').unwrap().to_owned(),
                },
                file,
            }
        })
        .collect();
    all.sort_by_key(|recording| recording.number);
    all
}

/// What differs on every run: times, random values, what a server says of its machine.
fn masked(outcome: Outcome, server: &str) -> Outcome {
    let text = outcome.stdout.replace("127.0.0.1:17373", server);
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            for label in [
                "Version", "Uptime", "Latency", "OS", "CPUs", "· Heap", "· Stack",
            ] {
                if line.trim_start().starts_with(label) && line.starts_with("  ") {
                    return label.to_owned();
                }
            }
            let line = after(line, "\"plaintext\":\"", '"');
            let line = after(&line, "\"ciphertext\":\"", '"');
            let line = after(&line, "\"created_at\":\"", '"');
            match line.split_once("  20") {
                Some((label, _)) if label.trim() == "Date" || label.trim() == "Created At" => {
                    label.to_owned()
                }
                _ if line.starts_with("{\"version\":") => "status".to_owned(),
                _ => line,
            }
        })
        .collect();
    Outcome {
        stdout: lines.join("\n"),
        ..outcome
    }
}

/// Without what lies between a start and an end.
fn after(line: &str, start: &str, end: char) -> String {
    match line.split_once(start) {
        Some((before, rest)) => {
            let rest = rest.split_once(end).map_or("", |(_, rest)| rest);
            format!("{before}{start}…{end}{rest}")
        }
        None => line.to_owned(),
    }
}

/// The recorded line as arguments, and who called.
fn arguments(line: &str, folder: &str) -> (Vec<String>, Option<String>) {
    let (line, note) = match line.split_once("   (") {
        Some((line, note)) => (line, Some(note.trim_end_matches(')').to_owned())),
        None => (line, None),
    };
    let mut args: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if args.starts_with(&["key".to_owned(), "encrypt".to_owned()]) {
        // The message was one argument.
        args = vec![
            args[0].clone(),
            args[1].clone(),
            args[2].clone(),
            args[3..].join(" "),
        ];
    }
    for arg in &mut args {
        *arg = arg
            .replace("../tls", &fixture("tls"))
            .replace("./t.", &format!("{folder}/t."));
    }
    (args, note)
}

async fn replay(age: &str, rules: &[(u32, Rule)]) {
    let server = OurServer::with_keys_of(age).await;
    let folder = tempfile::tempdir().unwrap();
    let mut rules = rules.iter().peekable();
    for recording in recordings(age) {
        let rule = rules
            .next_if(|(number, _)| *number == recording.number)
            .map(|(_, rule)| *rule);
        let (mut args, note) = arguments(&recording.line, folder.path().to_str().unwrap());
        if args == ["key", "create", "cli-a", "cli-b"] {
            // What they encrypted is decrypted later, so the key of then stays.
            args.remove(2);
        }
        let shell: Surroundings = match note.as_deref() {
            None if recording.outcome.stderr.contains("127.0.0.1:9/") => server
                .surroundings("root")
                .with("MINIO_KES_SERVER", "127.0.0.1:9"),
            None => server.surroundings("root"),
            Some(note) if note.starts_with("as ") => server.surroundings(&note[3..]),
            Some("without SSL_CERT_FILE") => {
                let mut shell = server.surroundings("root");
                shell.env.remove("KES_CA_CERT");
                // Some authority that is not this server's.
                shell.with("KES_CA_CERT", &fixture("tls/app.crt"))
            }
            Some(_) => {
                let mut shell = server.surroundings("root");
                shell.env.remove("KES_CLIENT_KEY");
                shell.env.remove("KES_CLIENT_CERT");
                shell
            }
        };
        if matches!(rule, Some(Elsewhere)) {
            continue;
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (file, was) = (recording.file.display(), recording.outcome);
        let is = shell.kes(&args).await;
        let starts = |text: &str, start: &str| {
            assert!(
                text.starts_with(start),
                "{file}: {start:?} expected, {is:?}"
            );
        };
        match rule {
            None => assert_eq!(
                masked(is, &server.address),
                masked(was, &server.address),
                "{file}"
            ),
            Some(Elsewhere) => {}
            Some(Words(start)) => {
                assert_eq!(
                    (is.code, was.code, is.stdout.as_str()),
                    (1, 1, ""),
                    "{file}: {is:?}"
                );
                starts(&is.stderr, start);
            }
            Some(Complains(start)) => {
                assert_eq!((is.code, was.code), (1, 0), "{file}: {is:?}");
                starts(&is.stderr, start);
            }
            Some(Shape(start)) => {
                assert_eq!((is.code, was.code), (0, 0), "{file}: {is:?}");
                starts(&is.stdout, start);
            }
            Some(Works(start)) => {
                assert_eq!(is.code, 0, "{file}: {is:?}");
                assert!(
                    was.code == 1 || was.stdout.is_empty(),
                    "{file} worked then: the rule is another"
                );
                starts(&is.stdout, start);
            }
        }
    }
    assert_eq!(
        rules.next().map(|(n, _)| *n),
        None,
        "a rule for a recording that is not there"
    );
}

#[tokio::test]
async fn lines_of_the_newest_age() {
    replay("newest", NEWEST).await;
}

#[tokio::test]
async fn lines_of_2023_late() {
    replay("v0.23", V0_23).await;
}

#[tokio::test]
async fn lines_of_2023_early() {
    replay("v0.22", V0_22).await;
}

#[tokio::test]
async fn lines_of_2022() {
    replay("v0.17", V0_17).await;
}

#[tokio::test]
async fn lines_of_2020() {
    replay("v0.10", V0_10).await;
}
