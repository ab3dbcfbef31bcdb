//! `strongroom kes`, and the whole program where it is called `kes`: the key server and the commands that talk to one.

mod keystores;
mod logging;
mod server;
mod surroundings;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{CommandFactory as _, FromArgMatches as _};
use strongroom_cli::{Build, EXIT_ERROR, EXIT_OK, EXIT_USAGE, Shell};

use crate::cli::{Kes, KesCommand};

pub(crate) use self::keystores::open_keystore;
pub(crate) use self::surroundings::surroundings;

const COPYRIGHT: &str = "2026 the Strongroom authors";

/// Runs `program` (`kes` or `strongroom kes`) with the arguments that follow it.
pub(crate) fn main(program: &str, args: Vec<OsString>) -> ExitCode {
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let mut shell = Shell {
        program,
        env: &|name| std::env::var(name).ok(),
        ask_password: &strongroom_cli::ask_password,
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdout_is_terminal: std::io::stdout().is_terminal(),
        now: SystemTime::now(),
    };
    ExitCode::from(run(program, args, &mut shell))
}

fn run(program: &str, args: Vec<OsString>, shell: &mut Shell<'_>) -> u8 {
    let args = std::iter::once(OsString::from(program)).chain(args);
    let parsed = Kes::command()
        .bin_name(program)
        .try_get_matches_from(args)
        .and_then(|matches| Kes::from_arg_matches(&matches));
    let kes = match parsed {
        Ok(kes) => kes,
        Err(error) => return strongroom_cli::report_usage(&error, shell),
    };
    if kes.version {
        let build = Build {
            version: env!("CARGO_PKG_VERSION"),
            commit: None,
            copyright: COPYRIGHT,
        };
        return match strongroom_cli::print_version(&build, shell) {
            Ok(()) => EXIT_OK,
            Err(_) => EXIT_ERROR,
        };
    }
    let runtime = match crate::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(shell.stderr, "Error: {error:#}");
            return EXIT_ERROR;
        }
    };
    match kes.command {
        None => EXIT_USAGE,
        Some(KesCommand::Client(command)) => runtime.block_on(strongroom_cli::run(command, shell)),
        Some(KesCommand::Server(args)) => match runtime.block_on(server::run(args)) {
            Ok(()) => EXIT_OK,
            Err(error) => {
                let _ = writeln!(shell.stderr, "Error: {error:#}");
                EXIT_ERROR
            }
        },
    }
}
