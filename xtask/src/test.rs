//! `cargo xtask test`: the one command that says whether the tree is good.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run;
use crate::tools::{self, Tools};

/// Tests counted over all runners.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Every check there is, in the order of their price.
pub fn everything(with_e2e: bool) -> Result<()> {
    run::step("format", || run::cargo(&["fmt", "--all", "--check"]))?;
    let tools = run::step("test tools", tools::install)?;
    run::step("licences and sources of dependencies", || deny(&tools))?;
    run::step("lints", lint)?;
    let mut count = run::step("unit and integration tests", || unit(&tools))?;
    if with_e2e {
        count.add(run::step("end-to-end tests", || e2e(&[]))?);
    }
    println!(
        "\n{} passed, {} failed, {} skipped",
        count.passed, count.failed, count.skipped
    );
    if count.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// Clippy over everything; a warning is an error.
pub fn lint() -> Result<()> {
    run::cargo(&[
        "clippy",
        "--ignore-rust-version",
        "--locked",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])
}

/// cargo-deny without the advisory database, which is not a package and cannot be pinned.
pub fn deny(tools: &Tools) -> Result<()> {
    run::run(tools.program("cargo-deny").current_dir(run::root()).args([
        "--log-level",
        "error",
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn unit(tools: &Tools) -> Result<Count> {
    let mut count = Count::default();
    let mut command = run::cargo_command(&[
        "test",
        "--ignore-rust-version",
        "--locked",
        "--workspace",
        "--no-fail-fast",
        "--quiet",
    ]);
    // With this set, a test whose peer is missing fails instead of being skipped.
    command.env("STRONGROOM_TEST_TOOLS", tools.bin());
    let ok = run::watch(&mut command, |line| {
        if let Some(rest) = line.strip_prefix("test result: ") {
            count.add(Count {
                passed: number_before(rest, " passed"),
                failed: number_before(rest, " failed"),
                skipped: number_before(rest, " ignored"),
            });
        }
    })?;
    if !ok {
        bail!("{} tests failed", count.failed);
    }
    Ok(count)
}

/// The real binary, driven by real clients. `args` go to pytest.
pub fn e2e(args: &[&str]) -> Result<Count> {
    let tools = tools::install()?;
    run::cargo(&[
        "build",
        "--ignore-rust-version",
        "--locked",
        "--quiet",
        "-p",
        "strongroom",
    ])?;
    let mut count = Count::default();
    let mut command = tools.program("python");
    command
        .args([
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-n",
            "2",
            "--durations=5",
            "-ra",
        ])
        .args(args)
        .current_dir(run::root().join("e2e"))
        .env("STRONGROOM_BINARY", binary()?)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PATH", path_with(tools.bin())?);
    let ok = run::watch(&mut command, |line| {
        if line.starts_with('=') && line.contains(" in ") {
            count = Count {
                passed: number_before(line, " passed"),
                failed: number_before(line, " failed") + number_before(line, " error"),
                skipped: number_before(line, " skipped"),
            };
        }
    })?;
    if !ok {
        bail!("the end-to-end tests failed");
    }
    Ok(count)
}

/// The program under test lies beside this one.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("strongroom");
    if !path.is_file() {
        bail!("{} was not built", path.display());
    }
    Ok(path)
}

fn path_with(first: PathBuf) -> Result<std::ffi::OsString> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&old))).context("PATH")
}

/// The number that stands right before `word`; 0 if it is not there.
fn number_before(line: &str, word: &str) -> u64 {
    line.find(word)
        .and_then(|at| line.get(..at))
        .and_then(|before| before.rsplit(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::number_before;

    #[test]
    fn counts_are_read_from_both_runners() {
        assert_eq!(
            number_before("ok. 12 passed; 0 failed; 3 ignored", " passed"),
            12
        );
        assert_eq!(
            number_before(
                "==== 2 failed, 40 passed, 1 skipped in 3.2s ====",
                " passed"
            ),
            40
        );
        assert_eq!(number_before("==== 40 passed in 3.2s ====", " failed"), 0);
    }
}
