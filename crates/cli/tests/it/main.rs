//! Commands, run as transcripts: arguments, exit code, stdout, stderr.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped here has failed the test"
)]

mod ages;
mod audit;
mod fake_kes;
mod identity;
mod metric;
mod obsolete;
mod our_server;
mod recorded;
mod session;
mod terminal;

/// The TLS server of the client's own tests.
#[allow(dead_code, reason = "the client's tests use more of it")]
#[path = "../../../kes-client/tests/it/server.rs"]
mod server;

use std::collections::HashMap;
use std::time::SystemTime;

use clap::CommandFactory as _;
use clap::Parser as _;
use strongroom_cli::{KesCli, Shell, as_of_today, report_usage, run};

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The surroundings of a command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) env: HashMap<String, String>,
    pub(crate) is_terminal: bool,
    /// What the person types when asked for a password.
    pub(crate) password: Option<String>,
}

impl Surroundings {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn on_terminal(mut self) -> Self {
        self.is_terminal = true;
        self
    }

    pub(crate) async fn kes(&self, args: &[&str]) -> Outcome {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let env = |name: &str| self.env.get(name).cloned();
        let ask_password = |_: &str| match &self.password {
            Some(password) => Ok(password.clone().into()),
            None => Err(std::io::Error::other("nobody is there")),
        };
        let mut shell = Shell {
            program: "kes",
            env: &env,
            ask_password: &ask_password,
            stdout: &mut stdout,
            stderr: &mut stderr,
            stdout_is_terminal: self.is_terminal,
            now: SystemTime::now(),
        };
        let mut command = KesCli::command();
        command.build();
        let args = as_of_today(&command, args.iter().map(Into::into).collect());
        let code = match KesCli::try_parse_from(std::iter::once("kes".into()).chain(args)) {
            Ok(cli) => run(cli.command, &mut shell).await,
            Err(error) => report_usage(&error, &mut shell),
        };
        Outcome {
            code,
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

pub(crate) fn fixture(path: &str) -> String {
    format!("{}/../../fixtures/kes/{path}", env!("CARGO_MANIFEST_DIR"))
}
