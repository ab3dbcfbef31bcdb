//! `kes ls`.

use clap::Args;
use strongroom_kes_client::ListPattern;

use crate::output::{Colour, print_names};
use crate::session::{Connect, Server};
use crate::shell::Shell;

/// Arguments of `kes ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only names that start with it.
    prefix: Option<String>,
    /// List identities.
    #[arg(short, long, conflicts_with = "policy")]
    identity: bool,
    /// List policies.
    #[arg(short, long)]
    policy: bool,
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

pub(crate) async fn run(args: LsArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let client = args.connect.client(args.server.server.as_deref(), shell)?;
    let pattern = ListPattern::parse(args.prefix.as_deref().unwrap_or("*"))?;
    let (title, names) = if args.identity {
        ("Identity", client.list_identities(&pattern).await?)
    } else if args.policy {
        ("Policy", client.list_policies(&pattern).await?)
    } else {
        ("Key", client.list_keys(&pattern).await?)
    };
    print_names(shell, title, &names, args.json, args.color)
}
