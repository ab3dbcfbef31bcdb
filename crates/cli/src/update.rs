//! `kes update`.

use clap::Args;

use crate::secret_argument::SecretArgument;
use crate::shell::Shell;

/// Arguments of `kes update`. The original downloads a program; this one tells how, and takes its flags.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Accepted for old scripts, without effect.
    #[arg(hide = true)]
    _version: Option<String>,
    /// Accepted for old scripts, without effect.
    #[arg(short = 'd', long = "downgrade", hide = true)]
    _downgrade: bool,
    /// Accepted for old scripts, without effect.
    #[arg(short = 'o', long = "output", hide = true)]
    _output: Option<String>,
    /// Accepted for old scripts, without effect.
    #[arg(long = "os", hide = true)]
    _os: Option<String>,
    /// Accepted for old scripts, without effect.
    #[arg(long = "arch", hide = true)]
    _arch: Option<String>,
    /// Accepted for old scripts, without effect.
    #[arg(long = "minisign-key", hide = true)]
    _minisign_key: Option<SecretArgument>,
    /// Accepted for old scripts, without effect.
    #[arg(short = 'k', long = "insecure", hide = true)]
    _insecure: bool,
}

/// A program that holds keys does not fetch and start other programs.
const TEXT: &str = "\
This program does not replace itself; nothing was changed. To update it:

  1. Get the new release the way this one came: your package manager, or the container image's new tag.
  2. Check it:            kes --version
  3. Check your settings: kes doctor --config FILE
  4. Restart the server.  Clients try again meanwhile.
";

pub(crate) fn run(shell: &mut Shell<'_>) -> anyhow::Result<()> {
    Ok(shell.print(TEXT)?)
}
