//! Completion in shells that ask the program itself: `complete -C /usr/bin/kes kes`.
//!
//! bash then starts the program with `COMP_LINE` and `COMP_POINT` (bash manual, "Programmable Completion"), and zsh does
//! with `bashcompinit`. Candidates go to stdout, one a line; without any, `-o default` completes file names.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Command;

use crate::arguments::Place;
use crate::shell::Shell;

/// Set by the shell that asks for candidates: the whole line.
pub const LINE: &str = "COMP_LINE";
/// Set by it, too: where in the line the cursor is, in bytes.
pub const POINT: &str = "COMP_POINT";

/// What may stand where the cursor is. The first word of the line is the program.
#[must_use]
pub fn candidates(command: &Command, line: &str, point: Option<usize>) -> Vec<String> {
    let mut command = command.clone();
    command.build();
    let before = point.and_then(|at| line.get(..at)).unwrap_or(line);
    let Some((done, word)) = before.rsplit_once(char::is_whitespace) else {
        return Vec::new();
    };
    let mut place = Place::new(&command);
    for word in done.split_whitespace().skip(1) {
        if word == "--" {
            return Vec::new();
        }
        place.pass(word);
    }
    let mut all: Vec<String> = if let Some(flag) = place.wants_value {
        values(flag)
    } else if word.starts_with('-') {
        place
            .command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
            .filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
            .collect()
    } else {
        let commands = place.command.get_subcommands().filter(|c| !c.is_hide_set());
        commands
            .map(|c| c.get_name().to_owned())
            .chain(place.command.get_positionals().flat_map(values))
            .collect()
    };
    all.retain(|candidate| candidate.starts_with(word));
    all.sort_unstable();
    all.dedup();
    all
}

fn values(arg: &clap::Arg) -> Vec<String> {
    arg.get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect()
}

/// `kes --auto-completion`: makes the shell of the user ask `binary`, from its next start on. Twice is as good as once.
///
/// # Errors
/// When the shell is neither bash nor zsh, or its file cannot be written.
pub fn install(binary: &str, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let home = (shell.env)("HOME").filter(|home| !home.is_empty());
    let home = PathBuf::from(
        home.ok_or_else(|| anyhow!("HOME is not set, so there is no place for shell settings"))?,
    );
    let user_shell = (shell.env)("SHELL").unwrap_or_default();
    let name = Path::new(&user_shell).file_name().and_then(|n| n.to_str());
    let (file, line) = match name {
        Some("bash") => (home.join(".bashrc"), complete_line(binary)),
        Some("zsh") => (
            home.join(".zshrc"),
            format!(
                "autoload -U +X bashcompinit && bashcompinit\n{}",
                complete_line(binary)
            ),
        ),
        _ => bail!(
            "completion is installed for bash and zsh only, and SHELL is '{user_shell}'; {} completion prints scripts for others",
            shell.program
        ),
    };
    let is_new =
        append(&file, &line).with_context(|| format!("{} cannot be written", file.display()))?;
    let text = match is_new {
        true => format!(
            "Completion was added to {0}. Start a new shell, or run: source {0}\n",
            file.display()
        ),
        false => format!("Completion is in {} already.\n", file.display()),
    };
    Ok(shell.print(&text)?)
}

fn complete_line(binary: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let command = if binary.chars().all(is_plain) {
        binary.to_owned()
    } else {
        format!("'{}'", binary.replace('\'', r"'\''"))
    };
    format!("complete -o default -C {command} kes\n")
}

/// Appends the lines unless they are there.
fn append(file: &Path, lines: &str) -> io::Result<bool> {
    let before = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    if before.contains(lines.trim_end()) {
        return Ok(false);
    }
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(format!("{gap}{lines}").as_bytes())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::KesCli;

    fn of(line: &str) -> Vec<String> {
        candidates(&KesCli::command(), line, None)
    }

    #[test]
    fn commands_and_flags_complete_and_old_ones_stay_hidden() {
        assert_eq!(of("kes p"), ["policy"]);
        assert_eq!(of("kes key d"), ["decrypt", "dek"]);
        assert_eq!(of("/usr/bin/kes -k key i"), ["import", "info"]);
        assert_eq!(of("kes identity new --k"), ["--key"]);
        assert_eq!(of("kes key ls --color "), ["always", "auto", "never"]);
        assert_eq!(of("kes key ls --color a"), ["always", "auto"]);
        for nothing in [
            "kes to",
            "kes ini",
            "kes key ls x",
            "kes identity new --key ",
            "kes",
            "kes key -- e",
        ] {
            assert_eq!(of(nothing), [""; 0], "{nothing}");
        }
        assert!(!of("kes ").contains(&"tool".to_owned()));
    }

    #[test]
    fn the_cursor_may_be_inside_the_line() {
        let command = KesCli::command();
        assert_eq!(candidates(&command, "kes pol show", Some(7)), ["policy"]);
        assert!(!candidates(&command, "kes pol", Some(999)).is_empty());
    }
}
