//! `kes identity`.

mod new;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use strongroom_kes_api::body::ToJson as _;
use strongroom_kes_client::{ApiKey, IdentityName, KesClient, ListPattern};

use crate::certificate_file::{Subject, read};
use crate::obsolete::{Anything, Verb};
use crate::output::{Colour, date_and_time, label, print_names};
use crate::session::{Connect, Server};
use crate::shell::Shell;

/// Arguments of `kes identity`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct IdentityArgs {
    /// API key or certificate to show the identity of, or private key file to show the API key of. Without it a new API
    /// key is made.
    subject: Option<String>,
    #[command(subcommand)]
    command: Option<IdentityCommand>,
}

#[derive(Debug, Subcommand)]
enum IdentityCommand {
    /// Create an API key, and files if asked.
    New(new::NewArgs),
    /// Compute the identity of an API key or certificate.
    Of(OfArgs),
    /// Show information about an identity.
    Info(InfoArgs),
    /// List identities.
    #[command(alias = "list")]
    Ls(LsArgs),
    /// Identities were assigned through the API until 2022.
    #[command(hide = true)]
    Assign(Anything),
    /// Identities were forgotten through the API until 2023.
    #[command(hide = true, aliases = ["rm", "delete"])]
    Forget(Anything),
}

#[derive(Debug, Args)]
struct OfArgs {
    /// The API key, or a certificate file.
    subject: Option<String>,
    /// Accepted for old scripts: there is but one hash.
    #[arg(long, hide = true)]
    hash: Option<String>,
}

#[derive(Debug, Args)]
struct InfoArgs {
    /// The identity; without it the own one.
    identity: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct LsArgs {
    /// Only identities that start with it.
    pattern: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    server: Server,
}

impl Common {
    fn client(&self, shell: &Shell<'_>) -> anyhow::Result<KesClient> {
        self.connect.client(self.server.server.as_deref(), shell)
    }
}

/// Arguments of `kes tool`, as it was before 2022.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct ToolArgs {
    #[command(subcommand)]
    command: ToolCommand,
}

#[derive(Debug, Subcommand)]
enum ToolCommand {
    /// Create or compute identities.
    #[command(subcommand)]
    Identity(ToolIdentityCommand),
}

#[derive(Debug, Subcommand)]
enum ToolIdentityCommand {
    /// Create an API key, and files if asked.
    New(new::NewArgs),
    /// Compute the identity of a certificate.
    Of(OfArgs),
}

pub(crate) async fn run(args: IdentityArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    match (args.command, args.subject) {
        (Some(IdentityCommand::New(args)), _) => new::run(&args, shell),
        (Some(IdentityCommand::Of(args)), _) => of(args, shell),
        (Some(IdentityCommand::Info(args)), _) => info(args, shell).await,
        (Some(IdentityCommand::Ls(args)), _) => ls(args, shell).await,
        (Some(IdentityCommand::Assign(_)), _) => Err(Verb::IdentityAssign.refuse(shell)),
        (Some(IdentityCommand::Forget(_)), _) => Err(Verb::IdentityForget.refuse(shell)),
        (None, Some(subject)) => show(&subject, shell),
        (None, None) => {
            let key = new::random_api_key()?;
            print_result(shell, "API key", &key.expose())
        }
    }
}

pub(crate) async fn run_tool(args: ToolArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let ToolCommand::Identity(command) = args.command;
    match command {
        ToolIdentityCommand::New(args) => new::run(&args, shell),
        ToolIdentityCommand::Of(args) => of(args, shell),
    }
}

/// `kes identity KEY|FILE`.
fn show(subject: &str, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    match read(subject, shell)? {
        Subject::Identity(identity) => print_result(shell, "Identity", &identity.to_string()),
        Subject::PrivateKey(key) => print_result(shell, "API key", &ApiKey::expose(&key)),
    }
}

fn of(args: OfArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let subject = args.subject.ok_or_else(|| {
        anyhow!(
            "no API key or certificate specified. {}",
            shell.see_help("identity of")
        )
    })?;
    let identity = match read(&subject, shell)? {
        Subject::Identity(identity) => identity,
        Subject::PrivateKey(key) => key.identity(),
    };
    print_result(shell, "Identity", &identity.to_string())
}

/// On a terminal a block with a title; else the bare text without newline, for `$(…)`.
fn print_result(shell: &mut Shell<'_>, title: &str, text: &str) -> anyhow::Result<()> {
    if shell.stdout_is_terminal {
        shell.print(&format!("{title}:\n\n   "))?;
        shell.print(text)?;
        shell.print("\n")?;
    } else {
        shell.print(text)?;
    }
    Ok(())
}

async fn info(args: InfoArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let client = args.common.client(shell)?;
    let role = |is_admin: bool| if is_admin { "Admin" } else { "User" }.to_owned();
    let mut lines: Vec<(&str, String)> = Vec::new();
    match args.identity {
        None => {
            let info = client.describe_self().await?;
            if args.common.json {
                return Ok(shell.print_bytes(&info.to_json())?);
            }
            lines.push(("Identity", info.identity));
            lines.extend(info.policy.map(|policy| ("Policy", policy)));
            lines.push(("Created At", date_and_time(info.created_at)));
            lines.push(("Role", role(info.admin)));
            lines.extend(info.created_by.map(|by| ("Created By", by)));
            for (title, patterns) in [("Allow", info.allow), ("Deny", info.deny)] {
                let titles = std::iter::once(title).chain(std::iter::repeat(""));
                lines.extend(titles.zip(patterns));
            }
        }
        Some(text) => {
            let name: IdentityName = text.parse()?;
            let info = client.describe_identity(&name).await?;
            if args.common.json {
                return Ok(shell.print_bytes(&info.to_json())?);
            }
            lines.push(("Identity", text));
            lines.extend(info.policy.map(|policy| ("Policy", policy)));
            lines.push(("Created At", date_and_time(info.created_at)));
            lines.push(("Role", role(info.admin)));
            lines.extend(info.created_by.map(|by| ("Created By", by)));
        }
    }
    let text: String = lines
        .into_iter()
        .map(|(name, value)| label(name) + &value + "\n")
        .collect();
    Ok(shell.print(&text)?)
}

async fn ls(args: LsArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let client = args.common.client(shell)?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to list identities: {error}");
    let pattern =
        ListPattern::parse(args.pattern.as_deref().unwrap_or("*")).map_err(|e| failed(&e))?;
    let identities = client
        .list_identities(&pattern)
        .await
        .map_err(|e| failed(&e))?;
    print_names(
        shell,
        "Identity",
        &identities,
        args.common.json,
        args.common.color,
    )
}
