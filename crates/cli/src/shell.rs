//! What surrounds a command: environment, outputs, clock. All of it handed in, so that tests are quick and exact.

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::EXIT_ERROR;

/// The surroundings of one command.
pub struct Shell<'a> {
    /// How the program is called, in "See 'kes key --help'": `kes` or `strongroom kes`.
    pub program: &'a str,
    /// Looks an environment variable up; set but empty is `Some("")`.
    pub env: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    /// Asks a person for a password, without echo: [`crate::ask_password`].
    pub ask_password: &'a (dyn Fn(&str) -> io::Result<Zeroizing<String>> + Send + Sync),
    /// Standard output.
    pub stdout: &'a mut (dyn Write + Send),
    /// Standard error.
    pub stderr: &'a mut (dyn Write + Send),
    /// Is standard output a terminal? (Not standard error: `ID=$(kes identity of c.crt)` wants the bare text.)
    pub stdout_is_terminal: bool,
    /// The time.
    pub now: SystemTime,
}

impl fmt::Debug for Shell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell")
            .field("program", &self.program)
            .field("stdout_is_terminal", &self.stdout_is_terminal)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Shell<'_> {
    /// The first of the variables that is set, even if it is empty.
    pub(crate) fn first_set(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| (self.env)(name))
    }

    /// Prints as is.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        self.stdout.write_all(text.as_bytes())
    }

    /// Prints bytes that hold a secret, without a copy.
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)
    }

    /// `See 'kes key create --help'`.
    pub(crate) fn see_help(&self, command: &str) -> String {
        format!("See '{} {command} --help'", self.program)
    }

    /// Says what went wrong.
    pub(crate) fn report(&mut self, error: &anyhow::Error) -> u8 {
        // The reader of a pipe went away (`kes key ls | head -1`): it has what it wanted.
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
        {
            return crate::EXIT_OK;
        }
        // Errors of ours tell their cause themselves; others leave it to the chain.
        let mut text = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        if text.contains("unknown authority") {
            text += ". Consider '--ca FILE' or KES_CA_CERT, or '-k' to trust any server";
        }
        // Should stderr be closed, the exit code still tells.
        let _ = writeln!(self.stderr, "Error: {text}");
        EXIT_ERROR
    }
}
