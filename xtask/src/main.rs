#![forbid(unsafe_code)]
//! The table of contents of everything one does with this repository: `cargo xtask`.

mod bench;
mod run;
mod test;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask TASK

  test [--quick]     everything: format, lints, licences, unit and integration tests, end-to-end tests
                     (--quick: without the end-to-end tests)
  e2e [ARGS…]        only the end-to-end tests; ARGS go to pytest
  fmt                format the code
  lint               clippy, warnings are errors
  deny               licences, sources and duplicate stacks of the dependencies
  fuzz [SECONDS]     every fuzz target for so long (needs cargo-fuzz); default 60
  bench dare         sealing and opening against raw AES-256-GCM
  bench s3           plain and sealed PUT and GET, and the memory of a 4 GiB object
  bench kes          the key server, next to OpenBao and a server that does nothing
                     (--write: into docs/operating; --soak MINUTES: watch its memory for so long)
  tools              install the pinned test tools into .test-tools
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => test::everything(true),
        ["test", "--quick"] => test::everything(false),
        ["e2e", rest @ ..] => test::e2e(rest).map(|_| ()),
        ["fmt"] => run::cargo(&["fmt", "--all"]),
        ["lint"] => test::lint(),
        ["deny"] => tools::install().and_then(|tools| test::deny(&tools)),
        ["fuzz"] => bench::fuzz("60"),
        ["fuzz", seconds] => bench::fuzz(seconds),
        ["bench", "dare"] => {
            run::cargo(&["bench", "--ignore-rust-version", "-p", "strongroom-dare"])
        }
        ["bench", "s3", rest @ ..] => bench::s3(rest),
        ["bench", "kes", rest @ ..] => bench::kes(rest),
        ["tools"] => tools::install().map(|_| ()),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
