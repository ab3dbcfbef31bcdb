//! Arguments that do not parse, in the words of the original: help is 2, a mistake is 1.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::shell::Shell;
use crate::{EXIT_ERROR, EXIT_OK, EXIT_USAGE};

/// Reports arguments that did not parse, or help that was asked for, and gives the exit code.
pub fn report_usage(error: &clap::Error, shell: &mut Shell<'_>) -> u8 {
    let text = match error.kind() {
        // Help goes to stderr, and is no success.
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingSubcommand => {
            let _ = write!(shell.stderr, "{}", error.render());
            return EXIT_USAGE;
        }
        ErrorKind::DisplayVersion => {
            let _ = write!(shell.stdout, "{}", error.render());
            return EXIT_OK;
        }
        ErrorKind::InvalidSubcommand => {
            let command = command_path(error, shell.program);
            format!(
                "\"{}\" is not a {command} command. See '{command} --help'",
                invalid(error, ContextKind::InvalidSubcommand)
            )
        }
        ErrorKind::UnknownArgument => match invalid(error, ContextKind::InvalidArg) {
            flag if flag.starts_with('-') => format!("unknown flag: {flag}"),
            _ => "too many arguments".to_owned(),
        },
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    };
    let _ = writeln!(shell.stderr, "Error: {text}");
    EXIT_ERROR
}

fn invalid(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    }
}

/// `kes key`, taken from the usage line that clap keeps with the error.
fn command_path(error: &clap::Error, program: &str) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let words: Vec<&str> = usage
        .trim_start_matches("Usage:")
        .split_whitespace()
        .take_while(|word| !word.starts_with(['[', '<', '-']))
        .collect();
    if words.is_empty() {
        program.to_owned()
    } else {
        words.join(" ")
    }
}
