//! The key server's records on their way to standard output, standard error and the audit file.
//!
//! The terminal and the file have a thread each: a reader of standard output that has stopped reading keeps nothing out of the
//! file, and neither holds up a request.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use jiff::Timestamp;
use strongroom_kes_api::audit::Chain;
use strongroom_kes_server::config::LogConfig;
use strongroom_kes_server::{AuditRecord, ErrorRecord, Level, LogSink};

mod audit_file;

use audit_file::{AuditFile, Message};

/// Records that wait for a slow reader; what comes on top is dropped and counted, so that no request waits.
const WAITING_MAX: usize = 16 * 1024;
/// Audit records that wait are written together, up to so many bytes: what a pipe holds on Linux.
const TOGETHER_BYTES_MAX: usize = 64 << 10;

/// How records are written to standard output and standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFormat {
    /// Key and value, as upstream does.
    Text,
    /// A line of JSON a record; audit records as in the stream, chained.
    Json,
}

enum Line {
    Audit(AuditRecord, LogFormat),
    Error(ErrorRecord, LogFormat),
}

/// Writes records as upstream does: audit to standard output, errors to standard error.
pub(super) struct Streams {
    terminal: SyncSender<Line>,
    file: SyncSender<Message>,
    lost: Arc<Lost>,
    /// Asked for on the command line, whatever the configuration says.
    is_json_wanted: bool,
    is_json: AtomicBool,
    prints_audit: AtomicBool,
    has_file: AtomicBool,
}

/// Records that found their queue full.
#[derive(Debug, Default)]
struct Lost {
    audit: AtomicU64,
    errors: AtomicU64,
    file: Arc<AtomicU64>,
}

/// Waits for the records that were taken before the last [`Streams`] was dropped.
pub(super) struct Flush(Vec<JoinHandle<()>>);

impl Flush {
    pub(super) fn wait(self) {
        for thread in self.0 {
            let _ = thread.join();
        }
    }
}

impl Streams {
    pub(super) fn start(is_json_wanted: bool) -> io::Result<(Self, Flush)> {
        let lost = Arc::new(Lost::default());
        let (terminal, lines) = sync_channel(WAITING_MAX);
        let (file, messages) = sync_channel(WAITING_MAX);
        let writer = {
            let lost = Arc::clone(&lost);
            let write = move || Terminal::default().write(&lines, &lost);
            std::thread::Builder::new()
                .name("log".to_owned())
                .spawn(write)?
        };
        let keeper = {
            let lost = Arc::clone(&lost.file);
            let keep = move || AuditFile::new(lost).keep(&messages);
            std::thread::Builder::new()
                .name("audit".to_owned())
                .spawn(keep)?
        };
        let streams = Self {
            terminal,
            file,
            lost,
            is_json_wanted,
            is_json: is_json_wanted.into(),
            prints_audit: true.into(),
            has_file: false.into(),
        };
        Ok((streams, Flush(vec![writer, keeper])))
    }

    fn format(&self) -> LogFormat {
        if self.is_json.load(Relaxed) {
            LogFormat::Json
        } else {
            LogFormat::Text
        }
    }
}

impl LogSink for Streams {
    fn configure(&self, config: &LogConfig) -> io::Result<()> {
        let (reply, answer) = sync_channel(1);
        let message = Message::Use(config.audit_file.clone(), reply);
        let gone = || io::Error::other("the thread that writes audit records has ended");
        self.file.send(message).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())??;
        self.has_file.store(config.audit_file.is_some(), Relaxed);
        self.is_json
            .store(self.is_json_wanted || config.json, Relaxed);
        self.prints_audit
            .store(Level::INFO >= config.audit, Relaxed);
        Ok(())
    }

    fn audit(&self, record: &AuditRecord) {
        if self.has_file.load(Relaxed)
            && self.file.try_send(Message::Record(record.clone())).is_err()
        {
            self.lost.file.fetch_add(1, Relaxed);
        }
        if self.prints_audit.load(Relaxed)
            && self
                .terminal
                .try_send(Line::Audit(record.clone(), self.format()))
                .is_err()
        {
            self.lost.audit.fetch_add(1, Relaxed);
        }
    }

    fn error(&self, record: &ErrorRecord) {
        let line = Line::Error(record.clone(), self.format());
        if self.terminal.try_send(line).is_err() {
            self.lost.errors.fetch_add(1, Relaxed);
        }
    }
}

/// The writing end of standard output and standard error.
#[derive(Default)]
struct Terminal {
    /// Of the audit records in JSON, from the first of them on.
    chain: Option<Chain>,
}

impl Terminal {
    fn write(mut self, lines: &Receiver<Line>, lost: &Lost) {
        let mut together = Vec::new();
        while let Ok(first) = lines.recv() {
            let mut next = Some(first);
            while let Some(line) = next {
                self.take(&line, lost, &mut together);
                next = lines.try_recv().ok();
            }
            write_out(&mut together);
        }
    }

    /// Writes a line; those of audit records stay in `together` for a while.
    fn take(&mut self, line: &Line, lost: &Lost, together: &mut Vec<u8>) {
        let errors = lost.errors.swap(0, Relaxed);
        if errors > 0 {
            say_lost(errors);
        }
        let error = match line {
            Line::Audit(record, format) => {
                let text = self.audit(record, *format, lost.audit.swap(0, Relaxed));
                together.extend(text);
                if together.len() >= TOGETHER_BYTES_MAX {
                    write_out(together);
                }
                return;
            }
            Line::Error(record, LogFormat::Text) => record.text_line().into_bytes(),
            Line::Error(record, LogFormat::Json) => record.json_record(),
        };
        // In the order in which things happened, where both go to one place.
        write_out(together);
        let _ = io::stderr().write_all(&error);
    }

    fn audit(&mut self, record: &AuditRecord, format: LogFormat, lost: u64) -> Vec<u8> {
        let now = Timestamp::now();
        match format {
            LogFormat::Text => {
                if lost > 0 {
                    say_lost(lost);
                }
                record.text_line().into_bytes()
            }
            LogFormat::Json => {
                let mut text = Vec::new();
                let chain = self.chain.get_or_insert_with(|| {
                    let (chain, first) = Chain::open(chain_id(), now, None, 0);
                    text = first;
                    chain
                });
                if lost > 0 {
                    text.extend(chain.link_dropped(now, lost));
                }
                text.extend(chain.link(&record.json_line()));
                text
            }
        }
    }
}

/// Whoever reads the log may be gone: serving goes on.
fn write_out(together: &mut Vec<u8>) {
    if !together.is_empty() {
        let _ = io::stdout().write_all(together);
        together.clear();
    }
}

fn say_lost(count: u64) {
    let _ = writeln!(
        io::stderr(),
        "{count} log records were dropped: their reader is too slow"
    );
}

/// Tells one opening of a chain from another; not a secret, so that the time will do where there is no randomness.
fn chain_id() -> [u8; 16] {
    let mut id = [0; 16];
    if crate::random::fill(&mut id).is_err() {
        id = Timestamp::now().as_nanosecond().to_be_bytes();
    }
    id
}

#[cfg(test)]
mod tests;
