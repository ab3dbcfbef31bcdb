//! The audit file: chained lines, one chain over restarts and moved files.
//!
//! No record is lost without a trace: what finds the queue full or the disk too is counted, and the chain says how many.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use strongroom_kes_api::audit::{Chain, LINE_BYTES_MAX, Link, tail};
use strongroom_kes_server::AuditRecord;

use super::chain_id;

/// Lines are on the disk at most this long after they were written.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// A file that could not be written is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) enum Message {
    Record(AuditRecord),
    /// Write there from now on; the same path again opens a file that was moved away anew.
    Use(Option<PathBuf>, SyncSender<io::Result<()>>),
}

pub(super) struct AuditFile {
    path: Option<PathBuf>,
    open: Option<Open>,
    /// The end of the chain that was written last, for a new file to go on from.
    last: Option<Link>,
    lost: Arc<AtomicU64>,
    retry_at: Option<Instant>,
}

struct Open {
    file: File,
    chain: Chain,
    unsynced_since: Option<Instant>,
}

impl AuditFile {
    pub(super) fn new(lost: Arc<AtomicU64>) -> Self {
        Self {
            path: None,
            open: None,
            last: None,
            lost,
            retry_at: None,
        }
    }

    pub(super) fn keep(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(SYNC_EVERY) {
                Ok(Message::Record(record)) => self.record(&record),
                Ok(Message::Use(path, reply)) => {
                    let _ = reply.send(self.take(path));
                }
                Err(RecvTimeoutError::Timeout) => self.write_lost(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(open) = &mut self.open {
                open.sync_when_due();
            }
        }
        self.write_lost();
        if let Some(open) = self.open {
            let _ = open.file.sync_all();
        }
    }

    /// On an error everything stays as it was.
    fn take(&mut self, path: Option<PathBuf>) -> io::Result<()> {
        let Some(wanted) = path else {
            (self.path, self.open) = (None, None);
            return Ok(());
        };
        if self.is_open_at(&wanted) {
            return Ok(());
        }
        let open = Open::at(&wanted, self.last)?;
        self.last = open.chain.last();
        if let Some(before) = self.open.replace(open) {
            let _ = before.file.sync_all();
        }
        self.path = Some(wanted);
        Ok(())
    }

    /// Is the file under this path still the one that is open?
    fn is_open_at(&self, path: &Path) -> bool {
        let Some(open) = &self.open else { return false };
        let (Ok(there), Ok(here)) = (std::fs::metadata(path), open.file.metadata()) else {
            return false;
        };
        (there.dev(), there.ino()) == (here.dev(), here.ino())
    }

    fn record(&mut self, record: &AuditRecord) {
        if self.path.is_none() {
            return;
        }
        self.write_lost();
        let written = match &mut self.open {
            Some(open) => open.write(|chain| chain.link(&record.json_line())),
            None => {
                self.lost.fetch_add(1, Relaxed);
                return;
            }
        };
        if let Err(error) = written {
            self.lost.fetch_add(1, Relaxed);
            self.give_up(&error);
            return;
        }
        self.last = self.open.as_ref().and_then(|open| open.chain.last());
    }

    /// Opens the file again where that is due, and says what was lost meanwhile.
    fn write_lost(&mut self) {
        if self.open.is_none() && self.retry_at.is_none_or(|at| Instant::now() >= at) {
            let Some(path) = self.path.clone() else {
                return;
            };
            match Open::at(&path, self.last) {
                Ok(open) => {
                    self.last = open.chain.last();
                    self.open = Some(open);
                    self.retry_at = None;
                }
                Err(_) => self.retry_at = Some(Instant::now() + RETRY_AFTER),
            }
        }
        let Some(open) = &mut self.open else { return };
        let lost = self.lost.swap(0, Relaxed);
        if lost == 0 {
            return;
        }
        let now = Timestamp::now();
        match open.write(|chain| chain.link_dropped(now, lost)) {
            Ok(()) => self.last = open.chain.last(),
            Err(error) => {
                self.lost.fetch_add(lost, Relaxed);
                self.give_up(&error);
            }
        }
    }

    /// Part of a line may be in the file: opening it again finds out.
    fn give_up(&mut self, error: &io::Error) {
        self.open = None;
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let _ = writeln!(
            io::stderr(),
            "audit file {} cannot be written: {error}; records are counted until it can",
            path.display()
        );
    }
}

impl Open {
    fn at(path: &Path, before: Option<Link>) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        // Two writers would tear the chain apart.
        file.try_lock()?;
        let length = file.metadata()?.len();
        let window = length.min(2 * LINE_BYTES_MAX as u64);
        file.seek(SeekFrom::Start(length - window))?;
        let mut end = Vec::new();
        Read::take(&mut file, window).read_to_end(&mut end)?;
        let found = tail(&end);
        if found.torn > 0 {
            file.write_all(b"\n")?;
        }
        let after = if length == 0 { before } else { found.last };
        let (chain, line) = Chain::open(chain_id(), Timestamp::now(), after, found.torn);
        file.write_all(&line)?;
        Ok(Self {
            file,
            chain,
            unsynced_since: Some(Instant::now()),
        })
    }

    fn write(&mut self, link: impl FnOnce(&mut Chain) -> Vec<u8>) -> io::Result<()> {
        let mut next = self.chain.clone();
        self.file.write_all(&link(&mut next))?;
        self.chain = next;
        self.unsynced_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn sync_when_due(&mut self) {
        if self
            .unsynced_since
            .is_some_and(|at| at.elapsed() >= SYNC_EVERY)
        {
            self.unsynced_since = None;
            let _ = self.file.sync_data();
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_kes_api::audit::verify;
    use strongroom_kes_server::RequestInfo;

    use super::*;

    #[test]
    fn records_lost_while_the_file_could_not_be_written_are_counted_in_a_whole_chain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.ndjson");
        let record = AuditRecord {
            time: Timestamp::UNIX_EPOCH,
            request: RequestInfo {
                method: "GET".into(),
                path: "/v1/status".into(),
                ip: None,
                identity: None,
            },
            status: 200,
            duration: Duration::ZERO,
        };
        let mut audit = AuditFile::new(Arc::default());
        audit.take(Some(path.clone())).unwrap();
        audit.record(&record);
        // One that can only be read: every write fails.
        audit.open.as_mut().unwrap().file = File::open(&path).unwrap();
        audit.record(&record);
        audit.record(&record);
        assert_eq!(audit.lost.load(Relaxed), 2);
        audit.retry_at = None;
        audit.record(&record);
        drop(audit);
        let report = verify(std::fs::read(&path).unwrap().as_slice()).unwrap();
        let chain = &report.chains[0];
        assert_eq!((chain.records, chain.dropped, chain.continued), (2, 2, 1));
    }
}
