//! Test tools, pinned in `e2e/requirements.txt`, in a folder of the project's own that git ignores.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// Where the tools are.
#[derive(Debug)]
pub struct Tools {
    venv: PathBuf,
}

impl Tools {
    /// A program of the virtual environment.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.bin().join(name))
    }

    /// The folder of programs.
    pub fn bin(&self) -> PathBuf {
        self.venv.join("bin")
    }
}

/// Makes the virtual environment, or finds it as the pinned list demands it.
pub fn install() -> Result<Tools> {
    let root = run::root();
    let venv = root.join(".test-tools/venv");
    let pinned = root.join("e2e/requirements.txt");
    let wanted = fs::read_to_string(&pinned).context("e2e/requirements.txt")?;
    let stamp = venv.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(Tools { venv });
    }
    println!("installing the test tools into {}", venv.display());
    run::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )
    .context("Python 3 with its venv module is needed for the end-to-end tests")?;
    run::run(
        Command::new(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "-r",
            ])
            .arg(&pinned),
    )?;
    fs::write(&stamp, wanted)?;
    Ok(Tools { venv })
}
