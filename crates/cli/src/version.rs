//! `kes --version`.

use crate::output::label;
use crate::shell::Shell;

/// What was built.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// Version or build stamp.
    pub version: &'a str,
    /// Commit, if known.
    pub commit: Option<&'a str>,
    /// Copyright line.
    pub copyright: &'a str,
}

/// Prints the four lines of `--version`.
///
/// # Errors
/// When stdout cannot be written.
pub fn print_version(build: &Build<'_>, shell: &mut Shell<'_>) -> std::io::Result<()> {
    let version = match build.commit {
        Some(commit) => format!("{} (commit={commit})", build.version),
        None => build.version.to_owned(),
    };
    let runtime = format!("rust {}/{}", std::env::consts::OS, std::env::consts::ARCH);
    writeln!(shell.stdout, "{}{version}", label("Version"))?;
    writeln!(shell.stdout, "{}{runtime}", label("Runtime"))?;
    writeln!(shell.stdout, "{}Apache-2.0", label("License"))?;
    writeln!(shell.stdout, "{}{}", label("Copyright"), build.copyright)
}
