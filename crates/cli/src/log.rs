//! `kes log`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use strongroom_kes_api::body::AuditEvent;
use strongroom_kes_client::Log;

use crate::duration;
use crate::output::{Colour, harmless, header};
use crate::session::{Connect, Server};
use crate::shell::Shell;

/// Arguments of `kes log`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct LogArgs {
    #[command(flatten)]
    wanted: Wanted,
    #[command(subcommand)]
    command: Option<LogCommand>,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// `kes log` as it was called before 2022.
    #[command(hide = true)]
    Trace {
        /// Which log.
        #[arg(long, value_name = "audit|error", default_value = "audit")]
        r#type: LogType,
        #[command(flatten)]
        wanted: Wanted,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogType {
    Audit,
    Error,
}

#[derive(Debug, Args)]
struct Wanted {
    /// Show requests; this is the default.
    #[arg(long, conflicts_with = "error")]
    audit: bool,
    /// Show errors and warnings.
    #[arg(long)]
    error: bool,
    /// Print the stream as it is.
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

/// Longest identity that is shown.
const IDENTITY_CHARS_MAX: usize = 20;
/// Longest path that is shown.
const PATH_CHARS_MAX: usize = 30;

pub(crate) async fn run(args: LogArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let (args, log) = match args.command {
        Some(LogCommand::Trace { r#type, wanted }) => (wanted, r#type),
        None if args.wanted.error => (args.wanted, LogType::Error),
        None => (args.wanted, LogType::Audit),
    };
    let client = args.connect.client(args.server.server.as_deref(), shell)?;
    let log = match log {
        LogType::Audit => Log::Audit,
        LogType::Error => Log::Error,
    };
    let mut stream = client.log(log).await?;
    if log == Log::Audit && !args.json {
        let title = row("Time", "Status", "Identity", "IP", "API", "Latency");
        let title = header(title.trim_end(), args.color.is_on(shell));
        shell.print(&(title + "\n"))?;
    }
    while let Some(line) = stream.next_line().await? {
        if args.json {
            shell.print_bytes(&line)?;
            shell.print("\n")?;
        } else if log == Log::Audit {
            shell.print(&audit_row(&stream.audit_event(&line)?))?;
        } else {
            let message = stream.error_event(&line)?.message;
            shell.print(&(harmless(&message).into_owned() + "\n"))?;
        }
        // A pipe shows each line as it comes.
        shell.stdout.flush()?;
    }
    Ok(())
}

fn audit_row(event: &AuditEvent) -> String {
    let clock = event
        .time
        .map(|time| time.strftime("%H:%M:%S").to_string())
        .unwrap_or_default();
    let latency = duration::in_fractions(Duration::from_nanos(event.response.time_ns));
    row(
        &clock,
        &event.response.status.to_string(),
        cut(&harmless(&event.request.identity), IDENTITY_CHARS_MAX),
        &harmless(event.request.ip.as_deref().unwrap_or_default()),
        cut(&harmless(&event.request.path), PATH_CHARS_MAX),
        &latency,
    )
}

fn row(time: &str, status: &str, identity: &str, ip: &str, path: &str, latency: &str) -> String {
    format!("{time:12}{status:10}{identity:24}{ip:19}{path:34}{latency}\n")
}

fn cut(text: &str, chars_max: usize) -> &str {
    text.char_indices()
        .nth(chars_max)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use strongroom_kes_api::body::AuditRequest;

    use super::*;

    #[test]
    fn a_path_that_somebody_asked_for_does_not_steer_the_terminal() {
        let request = AuditRequest {
            path: "/v1/x\u{1b}]0;pwned\u{7}\n".into(),
            ..AuditRequest::default()
        };
        let event = AuditEvent {
            request,
            ..AuditEvent::default()
        };
        let shown = audit_row(&event);
        let (line, rest) = shown.split_once('\n').unwrap();
        assert!(
            !line.contains(char::is_control) && rest.is_empty(),
            "{shown:?}"
        );
    }
}
