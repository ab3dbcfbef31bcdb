//! `kes audit verify`.

use jiff::Timestamp;
use strongroom_kes_api::audit::Chain;

use crate::Surroundings;

fn log() -> (Vec<Vec<u8>>, String) {
    let time: Timestamp = "2026-11-21T04:31:54Z".parse().unwrap();
    let (mut chain, opening) = Chain::open([7; 16], time, None, 0);
    let mut lines = vec![opening];
    for i in 0..3 {
        let record = format!(
            "{{\"time\":\"2026-11-21T04:31:55Z\",\"request\":{{\"path\":\"/v1/key/create/{i}\"}},\"response\":{{\"code\":200}}}}"
        );
        lines.push(chain.link(record.as_bytes()));
    }
    let last = chain.last().unwrap().hash.to_string();
    (lines, last)
}

async fn verify(lines: &[Vec<u8>], more: &[&str]) -> crate::Outcome {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    std::fs::write(&file, lines.concat()).unwrap();
    let args = [&["audit", "verify", file.to_str().unwrap()], more].concat();
    let mut outcome = Surroundings::default().kes(&args).await;
    let folder = format!("{}/", folder.path().display());
    outcome.stdout = outcome.stdout.replace(&folder, "");
    outcome.stderr = outcome.stderr.replace(&folder, "");
    outcome
}

#[tokio::test]
async fn a_whole_log_is_told_with_its_last_hash() {
    let (lines, last) = log();
    let told = verify(&lines, &[]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout
            .starts_with("audit.log: whole, 4 lines in 1 chain\n"),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout.ends_with(&format!("  Last hash  {last}\n")),
        "{}",
        told.stdout
    );
    let json: serde_json::Value =
        serde_json::from_str(&verify(&lines, &["--json"]).await.stdout).unwrap();
    assert_eq!(
        (&json["ok"], &json["chains"][0]["records"]),
        (&true.into(), &3.into())
    );
    assert_eq!(json["chains"][0]["last_hash"], last);
}

#[tokio::test]
async fn the_first_broken_line_is_named() {
    let (mut lines, _) = log();
    lines.remove(2);
    let told = verify(&lines, &[]).await;
    assert_eq!((told.code, told.stdout.as_str()), (1, ""));
    assert_eq!(
        told.stderr,
        "Error: audit.log: line 3 is broken: it is record 3, but 2 has to follow: records were removed, added or moved\n"
    );
    let json = verify(&lines, &["--json"]).await;
    assert_eq!(json.code, 1);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["ok"], &json["line"]), (&false.into(), &3.into()));

    let missing = Surroundings::default()
        .kes(&["audit", "verify", "/no/such.log"])
        .await;
    assert!(
        missing
            .stderr
            .starts_with("Error: /no/such.log cannot be read: No such file"),
        "{}",
        missing.stderr
    );
}
