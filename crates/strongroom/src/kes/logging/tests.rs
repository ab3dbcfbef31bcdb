use std::path::PathBuf;
use std::time::Duration;

use strongroom_kes_api::audit::{Opening, Report, verify};
use strongroom_kes_server::RequestInfo;

use super::*;

fn record(path: &str) -> AuditRecord {
    AuditRecord {
        time: Timestamp::UNIX_EPOCH,
        request: RequestInfo {
            method: "GET".into(),
            path: path.into(),
            ip: None,
            identity: None,
        },
        status: 200,
        duration: Duration::from_micros(7),
    }
}

fn config(path: &std::path::Path) -> LogConfig {
    LogConfig {
        audit: Level::OFF,
        audit_file: Some(path.to_owned()),
        ..LogConfig::default()
    }
}

struct Fixture {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.ndjson");
        Self {
            _folder: folder,
            path,
        }
    }

    /// A run of the server with some requests.
    fn run(&self, requests: usize) {
        let (streams, flush) = Streams::start(false).unwrap();
        streams.configure(&config(&self.path)).unwrap();
        for _ in 0..requests {
            streams.audit(&record("/v1/status"));
        }
        drop(streams);
        flush.wait();
    }

    fn report(&self) -> Report {
        verify(std::fs::read(&self.path).unwrap().as_slice()).unwrap()
    }
}

#[test]
fn the_file_is_one_chain_over_restarts() {
    let f = Fixture::new();
    f.run(3);
    f.run(2);
    let report = f.report();
    assert_eq!(report.chains.len(), 1);
    let chain = &report.chains[0];
    assert_eq!((chain.records, chain.continued, chain.dropped), (5, 1, 0));
}

#[test]
fn a_line_torn_by_a_crash_is_told_and_the_chain_goes_on() {
    let f = Fixture::new();
    f.run(3);
    let mut bytes = std::fs::read(&f.path).unwrap();
    bytes.truncate(bytes.len() - 10);
    std::fs::write(&f.path, bytes).unwrap();
    f.run(1);
    let chain = &f.report().chains[0];
    assert_eq!((chain.records, chain.torn), (3, 1));
}

#[test]
fn a_file_that_was_moved_away_is_continued_in_a_new_one() {
    let f = Fixture::new();
    let (streams, flush) = Streams::start(false).unwrap();
    streams.configure(&config(&f.path)).unwrap();
    streams.audit(&record("/v1/status"));
    streams.configure(&config(&f.path)).unwrap();
    let moved = f.path.with_extension("1");
    std::fs::rename(&f.path, &moved).unwrap();
    streams.configure(&config(&f.path)).unwrap();
    streams.audit(&record("/v1/status"));
    drop(streams);
    flush.wait();
    let first = std::fs::read(&moved).unwrap();
    let before = verify(first.as_slice()).unwrap();
    assert_eq!(before.lines, 2, "a reload alone opens nothing anew");
    let after = f.report();
    assert_eq!(after.chains[0].opening, Opening::Continue);
    assert_eq!(after.chains[0].after, before.chains[0].last.hash);
    let both = [first, std::fs::read(&f.path).unwrap()].concat();
    let both = verify(both.as_slice()).unwrap();
    assert_eq!((both.chains.len(), both.chains[0].records), (1, 2));
}

#[test]
fn a_file_has_one_writer_and_a_bad_one_is_refused() {
    let f = Fixture::new();
    let (streams, flush) = Streams::start(false).unwrap();
    streams.configure(&config(&f.path)).unwrap();
    let (other, other_flush) = Streams::start(false).unwrap();
    assert!(other.configure(&config(&f.path)).is_err());
    assert!(
        other
            .configure(&config(&f.path.join("below/a/file")))
            .is_err()
    );
    drop((streams, other));
    flush.wait();
    other_flush.wait();
}

#[test]
fn records_that_found_no_place_are_counted_in_the_chain() {
    let f = Fixture::new();
    let (streams, flush) = Streams::start(false).unwrap();
    streams.configure(&config(&f.path)).unwrap();
    streams.lost.file.fetch_add(7, Relaxed);
    streams.audit(&record("/v1/status"));
    drop(streams);
    flush.wait();
    let chain = &f.report().chains[0];
    assert_eq!((chain.records, chain.dropped), (1, 7));
}

#[test]
fn a_disk_that_is_full_is_told_at_the_start() {
    let lost = Arc::new(AtomicU64::new(0));
    // It opens, and takes nothing.
    let (use_it, messages) = sync_channel(16);
    let (reply, answer) = sync_channel(1);
    use_it
        .send(Message::Use(Some("/dev/full".into()), reply))
        .unwrap();
    drop(use_it);
    AuditFile::new(Arc::clone(&lost)).keep(&messages);
    assert!(answer.recv().unwrap().is_err());
}

#[test]
fn audit_records_in_json_are_a_chain_on_standard_output_too() {
    let mut terminal = Terminal::default();
    let mut text = Vec::new();
    text.extend(terminal.audit(&record("/v1/status"), LogFormat::Json, 0));
    text.extend(terminal.audit(&record("/v1/status"), LogFormat::Json, 3));
    text.extend(terminal.audit(&record("/v1/status"), LogFormat::Text, 0));
    let report = verify(text.as_slice()).unwrap();
    let chain = &report.chains[0];
    assert_eq!((chain.records, chain.dropped, report.foreign), (2, 3, 1));
    let line = record("/v1/status").json_line();
    let shape = line.strip_suffix(b"}\n").unwrap();
    let is_in = |part: &[u8]| text.windows(part.len()).any(|w| w == part);
    assert!(
        is_in(shape),
        "the members of the stream, then those of the chain"
    );
}
