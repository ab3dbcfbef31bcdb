//! Help that is not `--help`: manual pages, and completion by the program itself.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::CommandFactory as _;
use strongroom_cli::{Shell, completion};

use crate::cli::Kes;

/// Prints the manual page of a command, as in `["key", "create"]`.
pub(super) fn page(path: &[String], shell: &mut Shell<'_>) -> Result<()> {
    let mut command = Kes::command();
    command.build();
    for word in path {
        command = command.find_subcommand(word).cloned().ok_or_else(|| {
            anyhow!(
                "\"{}\" is not a kes command. See '{} --help'",
                path.join(" "),
                shell.program
            )
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(shell.stdout.write_all(&page)?)
}

/// Prints what may stand where the cursor is, one a line, for the shell that asks.
pub(super) fn candidates(line: &str, shell: &mut Shell<'_>) -> Result<()> {
    let point = (shell.env)(completion::POINT).and_then(|at| at.parse().ok());
    for candidate in completion::candidates(&Kes::command(), line, point) {
        writeln!(shell.stdout, "{candidate}")?;
    }
    Ok(())
}

/// How a shell starts this program again: with the name that makes it `kes`, so links are not followed.
pub(super) fn called_as(program: &str) -> String {
    let name = std::env::args_os()
        .next()
        .map(PathBuf::from)
        .unwrap_or_default();
    let path = if name.components().count() > 1 {
        std::path::absolute(&name).unwrap_or(name)
    } else {
        in_path(&name).unwrap_or(name)
    };
    let path = path.display().to_string();
    match program.split_once(' ') {
        Some((_, subcommand)) => format!("{path} {subcommand}"),
        None => path,
    }
}

fn in_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
