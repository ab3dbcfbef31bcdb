#![forbid(unsafe_code)]
//! How fast is the key server, and what bounds it? The same load goes, in alternating rounds, to three servers:
//!
//! - the key server,
//! - OpenBao with its transit engine, which does the same work,
//! - a bare HTTP server on the same TLS library, which does none: what nobody can beat.
//!
//! `cargo xtask bench kes` builds and runs it.

mod client;
mod echo;
mod kes;
mod measure;
mod memory;
mod process;
mod report;
mod run;
mod servers;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// As the key server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load all servers in turn, and print a table.
    Run(RunArguments),
    /// Be the bare server.
    Echo(echo::Arguments),
    /// Be a key server that forgets everything: quicker to build than the real program.
    Kes {
        /// As for the real program; its key store is not used.
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(clap::Args)]
struct RunArguments {
    /// The program to measure; without it, this one is the key server too.
    #[arg(long)]
    strongroom: Option<PathBuf>,
    /// OpenBao.
    #[arg(long)]
    bao: Option<PathBuf>,
    /// Rounds per server and row.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of a round.
    #[arg(long, default_value_t = 0.7)]
    seconds: f64,
    /// Connections, each with one request at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    connections: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_values = ["http1", "http2"])]
    protocols: Vec<client::Protocol>,
    #[arg(long, value_delimiter = ',', default_values = ["generate", "decrypt"])]
    operations: Vec<Operation>,
    /// Let the key server write a line for every request.
    #[arg(long)]
    audit: bool,
    /// Minutes of steady load under which the memory is watched.
    #[arg(long, default_value_t = 0.5)]
    soak: f64,
    /// Write the table here as well.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Operation {
    Generate,
    Decrypt,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Decrypt => "decrypt",
        }
    }
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(arguments) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(run::run(&arguments)),
        Command::Echo(arguments) => echo::serve(&arguments),
        Command::Kes { config } => kes::serve(&config),
    }
}
