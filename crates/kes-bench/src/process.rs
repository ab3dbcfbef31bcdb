//! A server as a process of its own: started, watched through `/proc`, ended.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

const START_MAX: Duration = Duration::from_secs(60);

/// Ended when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it and waits until it listens on `port`.
    pub fn start(command: &mut Command, port: u16, log: &Path) -> Result<Self> {
        let out = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("could not start {command:?}"))?;
        let mut process = Self {
            child,
            log: log.to_path_buf(),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if process.child.try_wait()?.is_some() || started.elapsed() > START_MAX {
                let printed = fs::read_to_string(&process.log).unwrap_or_default();
                bail!("{command:?} did not come up:\n{printed}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(process)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time of all of its threads so far, in the kernel too. The scheduler's own count: exact, where `utime` and
    /// `stime` are in hundredths of a second.
    pub fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            // A thread may end in between; it would have been idle.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            nanoseconds += text
                .split(' ')
                .next()
                .and_then(|n| n.parse::<u64>().ok())
                .context("schedstat has another form")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory in MiB: now, and at its highest.
    pub fn resident_mib(&self) -> Result<(f64, f64)> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = |name: &str| -> Option<f64> {
            let line = text.lines().find(|l| l.starts_with(name))?;
            let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib / 1024.0)
        };
        let both = line("VmRSS:").zip(line("VmHWM:"));
        both.context("no memory in /proc/PID/status")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
