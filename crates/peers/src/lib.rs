#![forbid(unsafe_code)]
//! The programs that tests talk to: real servers from the pinned test tools (`cargo xtask tools`), started on free ports and
//! ended with the test.
//!
//! Where a program is not installed, [`tool`] says so on standard error and gives nothing: the test says *skipped*
//! and returns. Under `cargo xtask test` the tools are there, and their absence is a failure.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set by `cargo xtask test`: the folder of the test tools' programs, which must be there then.
pub const TOOLS_VARIABLE: &str = "STRONGROOM_TEST_TOOLS";
/// Python servers take seconds to start on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A program of the test tools, by name. Nothing, and a line that says *skipped*, where it is not installed.
///
/// # Panics
/// When the tools must be there and are not.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os(TOOLS_VARIABLE).map(PathBuf::from);
    let folder = given
        .clone()
        .unwrap_or_else(|| repository().join(".test-tools/venv/bin"));
    let program = folder.join(name);
    if program.is_file() {
        return Some(program);
    }
    assert!(
        given.is_none(),
        "{} is missing from the test tools",
        program.display()
    );
    say(&format!(
        "skipped: {name} is not installed; `cargo xtask tools` does that"
    ));
    None
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// A port of this machine that nothing listens on. Whoever is given it should use it at once.
///
/// # Errors
/// The system has none.
pub fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// A running program; ended when dropped.
pub struct Peer {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// Starts `program`, which must listen on `port` of 127.0.0.1, and waits until it accepts connections. What it prints goes
    /// into a file in `folder`.
    ///
    /// # Errors
    /// It does not start, or ends at once; the message has the end of what it printed.
    pub fn start<S: AsRef<OsStr>>(
        program: &Path,
        args: &[S],
        env: &[(&str, &str)],
        port: u16,
        folder: &Path,
    ) -> io::Result<Self> {
        let log = folder.join(format!("peer-{port}.log"));
        let out = File::create(&log)?;
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(env.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let child = command.spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut peer = Self {
            child,
            log,
            address,
        };
        let started = Instant::now();
        while TcpStream::connect_timeout(&address, POLL).is_err() {
            let has_ended = peer.child.try_wait()?.is_some();
            if has_ended || started.elapsed() > START_MAX {
                return Err(io::Error::other(format!(
                    "{} did not come up:\n{}",
                    program.display(),
                    peer.printed()
                )));
            }
            std::thread::sleep(POLL);
        }
        Ok(peer)
    }

    /// What it printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as a power switch would.
    ///
    /// # Errors
    /// The system does not let it be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Stops it where it stands: connections stay open and nothing answers. [`Self::resume`] goes on.
    ///
    /// # Errors
    /// No `kill` program.
    pub fn pause(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    /// Goes on after [`Self::pause`].
    ///
    /// # Errors
    /// No `kill` program.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, name: &str) -> io::Result<()> {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("kill -{name} failed")))
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
