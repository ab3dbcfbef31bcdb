//! The machine: its clock, the address to listen on, and limits of the process.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, getrlimit};
use strongroom_kes_server::Config;

use super::report::Report;

/// This program is younger than that: 2026-01-01.
const NOT_BEFORE: Duration = Duration::from_secs(1_767_225_600);
/// A file from further in the future tells of a clock that is behind.
const TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);
/// A connection needs one descriptor, and MinIO servers open dozens each.
const FILES_MIN: u64 = 4096;

pub(super) fn look(file: &Path, config: &Config, now: SystemTime, report: &mut Report) {
    clock(file, now, report);
    address(config, report);
    limits(report);
}

fn clock(file: &Path, now: SystemTime, report: &mut Report) {
    const STEP: &str = "clock";
    let written = std::fs::metadata(file).and_then(|m| m.modified()).ok();
    if now < SystemTime::UNIX_EPOCH + NOT_BEFORE {
        report.bad(STEP, "it is years behind, so certificates and logins to key stores fail; set it, and run a time service");
    } else if written.is_some_and(|written| written > now + TOLERANCE) {
        report.warn(STEP, "the configuration file was written in the future, so the clock is or was wrong; run a time service");
    } else {
        report.good(STEP, "nothing speaks against it");
    }
}

fn address(config: &Config, report: &mut Report) {
    const STEP: &str = "address";
    let address = config.address;
    match TcpListener::bind(address) {
        Ok(_) => report.good(STEP, format!("{address} is free")),
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse => report.warn(STEP, format!("{address} is in use: by a running key server, or by another program, and then none can start")),
            ErrorKind::PermissionDenied => report.bad(STEP, format!("this user may not listen on {address}; choose a port above 1023, or give the program CAP_NET_BIND_SERVICE")),
            ErrorKind::AddrNotAvailable => report.bad(STEP, format!("{} is no address of this machine; 0.0.0.0 stands for all of them", address.ip())),
            _ => report.bad(STEP, format!("nobody can listen on {address}: {error}")),
        },
    }
}

fn limits(report: &mut Report) {
    if getrlimit(Resource::Memlock).current.is_none() {
        report.good(
            "memory",
            "it can be locked, so that keys never reach the swap",
        );
    } else {
        report.warn(
            "memory",
            "it cannot be locked, so keys may reach the swap; set LimitMEMLOCK=infinity in the systemd unit (here: this shell's limit)",
        );
    }
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < FILES_MIN => report.warn(
            "open files",
            format!("only {files} are allowed, each connection needs one; set LimitNOFILE=65536 in the systemd unit (here: this shell's limit)"),
        ),
        _ => report.good("open files", "enough are allowed"),
    }
}
