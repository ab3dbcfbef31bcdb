//! Benchmarks and fuzzing: what takes long and is asked for by name.

use anyhow::{Context, Result};

use crate::run;
use crate::tools;

/// Plain and sealed PUT and GET side by side, over the release binary.
pub fn s3(args: &[&str]) -> Result<()> {
    let tools = tools::install()?;
    run::cargo(&[
        "build",
        "--release",
        "--ignore-rust-version",
        "--locked",
        "-p",
        "strongroom",
    ])?;
    let exe = std::env::current_exe()?;
    let target = exe
        .parent()
        .and_then(|debug| debug.parent())
        .context("the target folder")?;
    run::run(
        tools
            .program("python")
            .arg(run::root().join("e2e/bench_s3.py"))
            .args(args)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("STRONGROOM_BINARY", target.join("release/strongroom")),
    )
}

/// Where `--write` puts the table of the key server.
const KES_TABLE: &str = "docs/operating/benchmark-kes.md";

/// The key server, OpenBao and a bare server under the same load.
pub fn kes(args: &[&str]) -> Result<()> {
    let tools = tools::install()?;
    for package in ["strongroom", "strongroom-kes-bench"] {
        run::cargo(&[
            "build",
            "--release",
            "--ignore-rust-version",
            "--locked",
            "-p",
            package,
        ])?;
    }
    let exe = std::env::current_exe()?;
    let target = exe
        .parent()
        .and_then(|debug| debug.parent())
        .context("the target folder")?;
    let release = target.join("release");
    let mut command = std::process::Command::new(release.join("strongroom-kes-bench"));
    command
        .arg("run")
        .arg("--strongroom")
        .arg(release.join("strongroom"))
        .arg("--bao")
        .arg(tools.bin().join("bao"));
    for arg in args {
        command.arg(arg);
        if *arg == "--write" {
            command.arg(run::root().join(KES_TABLE));
        }
    }
    run::run(&mut command)
}

/// Every fuzz target for so many seconds. libFuzzer's instrumentation is a nightly flag; the stable compiler takes
/// it when told so.
pub fn fuzz(seconds: &str) -> Result<()> {
    let fuzz = run::root().join("fuzz");
    let listed = std::fs::read_dir(fuzz.join("fuzz_targets")).context("fuzz/fuzz_targets")?;
    let mut targets: Vec<String> = listed
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_suffix(".rs")
                .map(str::to_owned)
        })
        .collect();
    targets.sort();
    // See there: it lets cargo-fuzz build with our toolchain.
    let old_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(fuzz.join("cargo")).chain(std::env::split_paths(&old_path));
    let path = std::env::join_paths(folders).context("PATH")?;
    for target in targets {
        run::step(&format!("fuzz {target} for {seconds} s"), || {
            run::run(
                run::cargo_command(&[
                    "fuzz",
                    "run",
                    "--features=store",
                    &target,
                    "--",
                    &format!("-max_total_time={seconds}"),
                ])
                .current_dir(&fuzz)
                .env("PATH", &path)
                .env("RUSTC_BOOTSTRAP", "1"),
            )
        })?;
    }
    Ok(())
}
