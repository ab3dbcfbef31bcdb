#![forbid(unsafe_code)]
//! The `strongroom` binary: environment and flags in, parts assembled, served.
//!
//! `main` reads the command line, `config` the environment; `assemble` puts the parts together. Started under the
//! name `kes`, the program behaves as that tool; under `minio`, as `strongroom`.

mod assemble;
mod cli;
mod config;
mod dev;
mod harden;
mod http;
mod kes;
mod kms_start;
mod logs;
mod pem;
mod random;
mod server;
mod signals;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::cli::{Command, Strongroom};
use crate::config::Environment;

/// Faster than the system's where many threads allocate at once, and steady in size.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let name = args
        .first()
        .and_then(|path| Path::new(path).file_stem())
        .and_then(|s| s.to_str());
    match name {
        Some("kes") => {
            args.drain(..1);
            return kes::main("kes", args);
        }
        Some("mc") => {
            return fail(&anyhow::anyhow!(
                "the commands of mc are not part of this release; the original mc works with this server"
            ));
        }
        _ => {}
    }
    // `kes` reports its mistakes as the original does, so it parses for itself.
    if args.get(1).is_some_and(|arg| arg == "kes") {
        args.drain(..2);
        return kes::main("strongroom kes", args);
    }
    match Strongroom::try_parse_from(args) {
        Ok(Strongroom { command }) => match run(command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Err(error) => {
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Server(args) => {
            let env = serving(args.json)?;
            runtime()?.block_on(server::run(args, &env))
        }
        Command::Dev(args) => {
            serving(args.json)?;
            runtime()?.block_on(dev::run(args))
        }
        Command::Completions { shell } => {
            cli::completions(shell, &mut std::io::stdout().lock());
            Ok(())
        }
        Command::Man => Ok(cli::man(&mut std::io::stdout().lock())?),
        Command::Kes(_) => anyhow::bail!("kes is parsed before this place"),
    }
}

/// What every serving process does first.
fn serving(json: bool) -> Result<Environment> {
    let env = Environment::of_process()?;
    let format = if json {
        logs::Format::Json
    } else {
        logs::Format::Human
    };
    logs::start(format, env.get("STRONGROOM_LOG"))?;
    harden::no_core_dumps();
    Ok(env)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("threads cannot be started")
}

/// One sentence, whatever went wrong.
fn fail(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "strongroom: {error:#}");
    ExitCode::FAILURE
}
