//! Passwords typed by a person.

use std::io::{self, BufRead as _, Write as _};

use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Longest password that is read.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Shows the prompt on stderr and reads one line from stdin; on a terminal without echo.
///
/// # Errors
/// When stdin or the terminal fails, or the input ends.
pub fn ask_password(prompt: &str) -> io::Result<Zeroizing<String>> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(prompt.as_bytes())?;
    stderr.flush()?;
    let silence = if isatty(stdin()) {
        Some(Silence::begin()?)
    } else {
        None
    };
    let mut line = Zeroizing::new(String::with_capacity(256));
    let read = io::Read::take(io::stdin().lock(), PASSWORD_BYTES_MAX).read_line(&mut line);
    if silence.is_some() {
        // The line break that was typed was not shown.
        stderr.write_all(b"\n")?;
    }
    drop(silence);
    if read? == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "no password was entered",
        ));
    }
    let bytes = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(bytes);
    Ok(line)
}

/// No echo until dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Nothing is left to try if the terminal has gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
