//! `kes policy`.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use strongroom_kes_api::body::{PolicyDocument, ToJson as _};
use strongroom_kes_client::{KesClient, ListPattern, PolicyName};

use crate::obsolete::{Anything, Verb};
use crate::output::{Colour, date_and_time, label, print_names};
use crate::session::{Connect, Server};
use crate::shell::Shell;

/// Arguments of `kes policy`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// List policies.
    #[command(alias = "list")]
    Ls {
        /// Only names that start with it.
        pattern: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Show information about a policy.
    Info {
        /// Name of the policy.
        name: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Show the patterns of a policy.
    Show {
        /// Name of the policy.
        name: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Policies were written through the API until 2023.
    #[command(hide = true, alias = "add")]
    Create(Anything),
    /// Policies were assigned through the API until 2023.
    #[command(hide = true)]
    Assign(Anything),
    /// Policies were deleted through the API until 2023.
    #[command(hide = true, alias = "delete")]
    Rm(Anything),
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

pub(crate) async fn run(args: PolicyArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    match args.command {
        PolicyCommand::Ls { pattern, common } => {
            let client = common.client(shell)?;
            let failed =
                |error: &dyn std::fmt::Display| anyhow!("failed to list policies: {error}");
            let pattern =
                ListPattern::parse(pattern.as_deref().unwrap_or("*")).map_err(|e| failed(&e))?;
            let names = client
                .list_policies(&pattern)
                .await
                .map_err(|e| failed(&e))?;
            print_names(shell, "Policy", &names, common.json, common.color)
        }
        PolicyCommand::Info { name, common } => {
            let name = policy_name(name, "policy info", shell)?;
            let info = common.client(shell)?.describe_policy(&name).await?;
            if common.json {
                return Ok(shell.print_bytes(&info.to_json())?);
            }
            let mut text = format!(
                "{}{name}\n{}{}\n",
                label("Name"),
                label("Date"),
                date_and_time(info.created_at)
            );
            if let Some(by) = info.created_by {
                text += &format!("{}{by}\n", label("Created by"));
            }
            Ok(shell.print(&text)?)
        }
        PolicyCommand::Create(_) => Err(Verb::PolicyCreate.refuse(shell)),
        PolicyCommand::Assign(_) => Err(Verb::PolicyAssign.refuse(shell)),
        PolicyCommand::Rm(_) => Err(Verb::PolicyRemove.refuse(shell)),
        PolicyCommand::Show { name, common } => {
            let name = policy_name(name, "policy show", shell)?;
            let policy = common.client(shell)?.read_policy(&name).await?;
            if shell.stdout_is_terminal && !common.json {
                return Ok(shell.print(&in_words(&policy))?);
            }
            // The name was the argument; the original leaves it out.
            Ok(shell.print_bytes(
                &PolicyDocument {
                    name: String::new(),
                    ..policy
                }
                .to_json(),
            )?)
        }
    }
}

fn policy_name(
    name: Option<String>,
    command: &str,
    shell: &Shell<'_>,
) -> anyhow::Result<PolicyName> {
    let name =
        name.ok_or_else(|| anyhow!("no policy name specified. {}", shell.see_help(command)))?;
    Ok(name.parse()?)
}

fn in_words(policy: &PolicyDocument) -> String {
    let mut text = String::new();
    for (title, patterns) in [("Allow:", &policy.allow), ("Deny:", &policy.deny)] {
        if !patterns.is_empty() {
            text += title;
            text.push('\n');
            for pattern in patterns {
                text += &format!("  · {pattern}\n");
            }
        }
    }
    text += &format!("\nCreated at: {}\n", date_and_time(policy.created_at));
    text += &format!(
        "Created by: {}\n",
        policy.created_by.as_deref().unwrap_or("<unknown>")
    );
    text
}
