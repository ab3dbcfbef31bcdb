#![forbid(unsafe_code)]
//! The client commands of `kes`: keys, policies, identities, status.
//!
//! Runbooks and scripts are written against the original's output, so texts, exit codes and the difference between a
//! terminal and a pipe are kept. The binary puts [`ClientCommand`] beside its own commands with `#[command(flatten)]`,
//! hands arguments that do not parse to [`report_usage`], and the rest to [`run`].

mod arguments;
mod audit;
mod certificate_file;
pub mod completion;
mod duration;
mod identity;
mod key;
mod listing;
mod log;
mod metric;
mod obsolete;
mod output;
mod password;
mod policy;
mod secret_argument;
mod session;
mod shell;
mod status;
mod update;
mod usage;
mod version;

use clap::{Parser, Subcommand};

pub use arguments::as_of_today;
pub use password::ask_password;
pub use shell::Shell;
pub use usage::report_usage;
pub use version::{Build, print_version};

/// The client commands alone, as a program: for tests, and for builds without a server.
#[derive(Debug, Parser)]
#[command(
    name = "kes",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct KesCli {
    /// What to do.
    #[command(subcommand)]
    pub command: ClientCommand,
}

/// The commands that talk to a server, or to nobody.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Manage cryptographic keys.
    Key(key::KeyArgs),
    /// List keys, identities or policies.
    Ls(listing::LsArgs),
    /// Show policies.
    Policy(policy::PolicyArgs),
    /// Manage API keys and identities.
    Identity(identity::IdentityArgs),
    /// Print the requests or errors of a server as they come.
    Log(log::LogArgs),
    /// Print the status of a server.
    Status(status::StatusArgs),
    /// Print the metrics of a server, again and again.
    Metric(metric::MetricArgs),
    /// Prove that an audit log is whole.
    Audit(audit::AuditArgs),
    /// Print how this program is updated.
    Update(update::UpdateArgs),
    /// The commands as they were called before 2022.
    #[command(hide = true)]
    Tool(identity::ToolArgs),
    /// What servers with a state of their own needed.
    #[command(hide = true)]
    Init(obsolete::Anything),
    /// Servers within a server, once.
    #[command(hide = true)]
    Enclave(obsolete::Anything),
    /// Values other than keys, once.
    #[command(hide = true)]
    Secret(obsolete::Anything),
}

/// Success.
pub const EXIT_OK: u8 = 0;
/// The command failed; stderr says why.
pub const EXIT_ERROR: u8 = 1;
/// Help was shown.
pub const EXIT_USAGE: u8 = 2;

/// Runs a command and gives the exit code. A failure is one line `Error: …` on stderr.
pub async fn run(command: ClientCommand, shell: &mut Shell<'_>) -> u8 {
    let result = match command {
        ClientCommand::Key(args) => key::run(args, shell).await,
        ClientCommand::Ls(args) => listing::run(args, shell).await,
        ClientCommand::Policy(args) => policy::run(args, shell).await,
        ClientCommand::Identity(args) => identity::run(args, shell).await,
        ClientCommand::Log(args) => log::run(args, shell).await,
        ClientCommand::Status(args) => status::run(args, shell).await,
        ClientCommand::Metric(args) => metric::run(args, shell).await,
        ClientCommand::Audit(args) => audit::run(args, shell),
        ClientCommand::Update(_) => update::run(shell),
        ClientCommand::Tool(args) => identity::run_tool(args, shell).await,
        ClientCommand::Init(_) => Err(obsolete::Verb::Init.refuse(shell)),
        ClientCommand::Enclave(_) => Err(obsolete::Verb::Enclave.refuse(shell)),
        ClientCommand::Secret(_) => Err(obsolete::Verb::Secret.refuse(shell)),
    };
    match result {
        Ok(()) => EXIT_OK,
        Err(error) => shell.report(&error),
    }
}
