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
    /// Records that a failing disk may still take away, with those that an unsynced line counts as lost.
    unsynced: u64,
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
            if self.open.as_ref().is_some_and(Open::is_sync_due) {
                self.sync();
            }
        }
        self.write_lost();
        self.sync();
    }

    /// On an error everything stays as it was.
    fn take(&mut self, path: Option<PathBuf>) -> io::Result<()> {
        let Some(wanted) = path else {
            // Nothing is written there any more: what is to be said has to be said now.
            self.write_lost();
            self.sync();
            (self.path, self.open) = (None, None);
            return Ok(());
        };
        if self.is_open_at(&wanted) {
            return Ok(());
        }
        let open = Open::at(&wanted, self.last)?;
        let last = open.chain.last();
        // What this counts as lost is told in the new file.
        self.sync();
        self.last = last;
        self.open = Some(open);
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
            Some(open) => open.write(1, |chain| chain.link(&record.json_line())),
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
        match open.write(lost, |chain| chain.link_dropped(now, lost)) {
            Ok(()) => self.last = open.chain.last(),
            Err(error) => {
                self.lost.fetch_add(lost, Relaxed);
                self.give_up(&error);
            }
        }
    }

    /// A disk that fails to sync may have dropped what it took, and reports that only once (fsync(2), "EIO").
    fn sync(&mut self) {
        let Some(open) = &mut self.open else { return };
        if let Err(error) = open.sync() {
            self.lost.fetch_add(open.unsynced, Relaxed);
            self.give_up(&error);
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
            unsynced: 0,
        })
    }

    /// Appends a line that stands for so many records.
    fn write(&mut self, records: u64, link: impl FnOnce(&mut Chain) -> Vec<u8>) -> io::Result<()> {
        let mut next = self.chain.clone();
        self.file.write_all(&link(&mut next))?;
        self.chain = next;
        self.unsynced_since.get_or_insert_with(Instant::now);
        self.unsynced += records;
        Ok(())
    }

    fn is_sync_due(&self) -> bool {
        self.unsynced_since
            .is_some_and(|at| at.elapsed() >= SYNC_EVERY)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.unsynced_since = None;
        self.file.sync_data()?;
        self.unsynced = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use strongroom_kes_api::audit::verify;
    use strongroom_kes_server::RequestInfo;

    use super::*;

    fn record() -> AuditRecord {
        AuditRecord {
            time: Timestamp::UNIX_EPOCH,
            request: RequestInfo {
                method: "GET".into(),
                path: "/v1/status".into(),
                ip: None,
                identity: None,
            },
            status: 200,
            duration: Duration::ZERO,
        }
    }

    #[test]
    fn records_that_a_failing_disk_may_have_dropped_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.ndjson");
        let mut audit = AuditFile::new(Arc::default());
        audit.take(Some(path.clone())).unwrap();
        audit.record(&record());
        audit.sync();
        assert_eq!(audit.lost.load(Relaxed), 0);
        // It takes every write, and cannot be synced (EINVAL).
        let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
        audit.open.as_mut().unwrap().file = null;
        audit.record(&record());
        audit.record(&record());
        audit.sync();
        assert_eq!(audit.lost.load(Relaxed), 2, "not those of earlier syncs");
        audit.retry_at = None;
        audit.record(&record());
        drop(audit);
        let report = verify(std::fs::read(&path).unwrap().as_slice()).unwrap();
        let chain = &report.chains[0];
        assert_eq!((chain.records, chain.dropped), (2, 2));
    }

    #[test]
    fn a_file_that_is_given_up_says_first_what_was_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.ndjson");
        let lost = Arc::new(AtomicU64::new(0));
        let mut audit = AuditFile::new(Arc::clone(&lost));
        audit.take(Some(path.clone())).unwrap();
        audit.record(&record());
        lost.store(3, Relaxed);
        audit.take(None).unwrap();
        assert_eq!(lost.load(Relaxed), 0);
        let report = verify(std::fs::read(&path).unwrap().as_slice()).unwrap();
        assert_eq!(report.chains[0].dropped, 3);
    }

    #[test]
    fn records_lost_while_the_file_could_not_be_written_are_counted_in_a_whole_chain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.ndjson");
        let record = record();
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
