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
    for target in targets {
        run::step(&format!("fuzz {target} for {seconds} s"), || {
            run::run(
                run::cargo_command(&[
                    "fuzz",
                    "run",
                    &target,
                    "--",
                    &format!("-max_total_time={seconds}"),
                ])
                .current_dir(&fuzz)
                .env("RUSTC_BOOTSTRAP", "1"),
            )
        })?;
    }
    Ok(())
}
