//! `strongroom kes`, and the whole program where it is called `kes`: the key server and the commands that talk to one.

mod doctor;
mod keystores;
mod logging;
mod manual;
mod migrate;
mod server;
mod settings;
mod supervisor;
mod surroundings;
mod watch;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{CommandFactory as _, FromArgMatches as _};
use strongroom_cli::{Build, EXIT_ERROR, EXIT_OK, EXIT_USAGE, Shell, completion};

use crate::cli::{Kes, KesCommand};

pub(crate) use self::doctor::DoctorArgs;
pub(crate) use self::keystores::open_keystore;
pub(crate) use self::migrate::MigrateArgs;
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
    if let Some(line) = (shell.env)(completion::LINE) {
        return exit_code(manual::candidates(&line, shell), shell);
    }
    let mut command = Kes::command();
    command.build();
    let args = strongroom_cli::as_of_today(&command, args);
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
    if kes.auto_completion {
        let installed = completion::install(&manual::called_as(program), shell);
        return exit_code(installed, shell);
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
        Some(KesCommand::Migrate(args)) => {
            let done = runtime.block_on(migrate::run(args, shell));
            exit_code(done, shell)
        }
        Some(KesCommand::Doctor(args)) => match runtime.block_on(doctor::run(args, shell)) {
            Ok(true) => EXIT_OK,
            Ok(false) => EXIT_ERROR,
            Err(error) => exit_code(Err(error), shell),
        },
        Some(KesCommand::Completion { shell: wanted }) => {
            clap_complete::generate(wanted, &mut Kes::command(), "kes", &mut shell.stdout);
            EXIT_OK
        }
        Some(KesCommand::Man { command }) => exit_code(manual::page(&command, shell), shell),
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

/// Success, or one sentence on stderr.
fn exit_code(done: anyhow::Result<()>, shell: &mut Shell<'_>) -> u8 {
    let Err(error) = done else { return EXIT_OK };
    // Whoever reads through a pipe and went away has what he wanted.
    let is_broken_pipe = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_broken_pipe) {
        return EXIT_OK;
    }
    let _ = writeln!(shell.stderr, "Error: {error:#}");
    EXIT_ERROR
}
