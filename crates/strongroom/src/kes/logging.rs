//! The key server's records on their way to standard output and standard error.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use strongroom_kes_server::{AuditRecord, ErrorRecord, LogSink};

/// Lines that wait for a slow reader; what comes on top is dropped and counted, so that no request waits.
const WAITING_MAX: usize = 16 * 1024;

enum Line {
    Audit(String),
    Error(String),
    Dropped(u64),
}

/// Writes records as upstream does: audit to standard output, errors to standard error.
pub(super) struct Streams {
    sender: SyncSender<Line>,
    dropped: std::sync::atomic::AtomicU64,
}

/// Waits for the lines that were taken before the last [`Streams`] was dropped.
pub(super) struct Flush(JoinHandle<()>);

impl Flush {
    pub(super) fn wait(self) {
        let _ = self.0.join();
    }
}

impl Streams {
    pub(super) fn start() -> std::io::Result<(Self, Flush)> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let writer = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&receiver))?;
        Ok((
            Self {
                sender,
                dropped: 0.into(),
            },
            Flush(writer),
        ))
    }

    fn send(&self, line: Line) {
        use std::sync::atomic::Ordering::Relaxed;
        let dropped = self.dropped.load(Relaxed);
        if dropped > 0 && self.sender.try_send(Line::Dropped(dropped)).is_ok() {
            self.dropped.fetch_sub(dropped, Relaxed);
        }
        if self.sender.try_send(line).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

fn write(lines: &Receiver<Line>) {
    for line in lines {
        // Whoever reads the log may be gone: serving goes on.
        let _ = match line {
            Line::Audit(text) => std::io::stdout().write_all(text.as_bytes()),
            Line::Error(text) => std::io::stderr().write_all(text.as_bytes()),
            Line::Dropped(count) => {
                writeln!(
                    std::io::stderr(),
                    "{count} log records were dropped: their reader is too slow"
                )
            }
        };
    }
}

impl LogSink for Streams {
    fn audit(&self, record: &AuditRecord) {
        self.send(Line::Audit(record.text_line()));
    }

    fn error(&self, record: &ErrorRecord) {
        self.send(Line::Error(record.text_line()));
    }
}
