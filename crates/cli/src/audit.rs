//! `kes audit`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_kes_api::audit::{ChainReport, Hash, Opening, Report, VerifyError, verify};

use crate::output::harmless;
use crate::shell::Shell;

/// Arguments of `kes audit`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Prove that no line of an audit log was changed, removed, added or moved. Lines missing at its end show only in the
    /// last hash, which is printed: compare it with one that you kept.
    Verify {
        /// The log; `-` for standard input.
        file: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: AuditArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let AuditCommand::Verify { file, json } = args.command;
    let file = file.ok_or_else(|| {
        anyhow::anyhow!("no audit log specified. {}", shell.see_help("audit verify"))
    })?;
    let reader: Box<dyn BufRead> = match file.as_str() {
        "-" => Box::new(io::stdin().lock()),
        path => {
            let file = File::open(path).with_context(|| format!("{path} cannot be read"))?;
            Box::new(BufReader::new(file))
        }
    };
    match verify(reader) {
        Ok(report) if json => Ok(shell.print(&format!("{}\n", as_json(&report)))?),
        Ok(report) => Ok(shell.print(&in_words(&file, &report))?),
        Err(error) => {
            if json {
                let line = match &error {
                    VerifyError::Broken { line, .. } => Some(*line),
                    _ => None,
                };
                let verdict = json!({"ok": false, "line": line, "error": error.to_string()});
                shell.print(&format!("{verdict}\n"))?;
            }
            Err(anyhow::Error::new(error).context(file))
        }
    }
}

fn as_json(report: &Report) -> serde_json::Value {
    let chains: Vec<_> = report
        .chains
        .iter()
        .map(|chain| {
            json!({
                "line": chain.line,
                "id": chain.id,
                "continues": (chain.opening == Opening::Continue).then(|| chain.after.to_string()),
                "time": chain.time.to_string(),
                "first_seq": chain.first_seq,
                "last_seq": chain.last.seq,
                "last_hash": chain.last.hash.to_string(),
                "records": chain.records,
                "restarts": chain.continued,
                "dropped": chain.dropped,
                "torn": chain.torn,
            })
        })
        .collect();
    json!({"ok": true, "lines": report.lines, "foreign": report.foreign, "chains": chains})
}

fn in_words(file: &str, report: &Report) -> String {
    let mut text = format!(
        "{}: whole, {} in {}\n",
        harmless(file),
        counted(report.lines, "line"),
        counted(report.chains.len() as u64, "chain"),
    );
    if report.foreign > 0 {
        text += &format!(
            "  {} that are no records were passed over\n",
            counted(report.foreign, "line")
        );
    }
    for chain in &report.chains {
        text += &chain_in_words(chain);
    }
    text
}

fn chain_in_words(chain: &ChainReport) -> String {
    let mut text = format!(
        "\n  Chain      {}\n  From       line {}, {}\n  Records    {}, numbers {} to {}\n",
        harmless(&chain.id),
        chain.line,
        chain.time.strftime("%Y-%m-%d %H:%M:%S"),
        chain.records,
        chain.first_seq,
        chain.last.seq,
    );
    if chain.after != Hash::ZERO {
        text += &format!(
            "  Continues  {} (the last hash of the file before)\n",
            chain.after
        );
    }
    for (label, count) in [
        ("Restarts", chain.continued),
        ("Dropped", chain.dropped),
        ("Torn", chain.torn),
    ] {
        if count > 0 {
            text += &format!("  {label:10} {count}\n");
        }
    }
    text + &format!("  Last hash  {}\n", chain.last.hash)
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
