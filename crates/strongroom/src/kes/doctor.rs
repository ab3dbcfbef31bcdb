//! `kes doctor`: walks from the configuration file to the keys and says what is wrong, and what to do about it.
//!
//! Nothing is changed, and no secret is printed. Each part looks at one thing in the order in which a server would meet
//! it; what stands behind a failure is left out where it would only repeat it.

mod configuration;
mod machine;
mod policies;
mod report;
mod store;
#[cfg(test)]
mod tests;
mod tls;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use strongroom_cli::Shell;

use self::report::Report;

/// Arguments of `kes doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says whether nothing failed.
pub(super) async fn run(args: DoctorArgs, shell: &mut Shell<'_>) -> Result<bool> {
    let file = args.config.ok_or_else(|| {
        anyhow!(
            "no configuration file specified: name one with '--config'. See '{} doctor --help'",
            shell.program
        )
    })?;
    let mut report = Report::default();
    if let Some(config) = configuration::look(&file, shell.env, &mut report) {
        tls::look(&config, shell.now, &mut report);
        machine::look(&file, &config, shell.now, &mut report);
        policies::look(&config, &mut report);
        store::look(&config, &mut report).await;
    }
    let text = if args.json {
        report.as_json()
    } else {
        report.in_words(shell.stdout_is_terminal)
    };
    shell.stdout.write_all(text.as_bytes())?;
    Ok(!report.has_failed())
}
