//! Running the binary, in an environment of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");
/// Longest that a start may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

pub(crate) const ROOT: [(&str, &str); 2] = [
    ("MINIO_ROOT_USER", "admin"),
    ("MINIO_ROOT_PASSWORD", "correct horse"),
];
pub(crate) const STATIC_KEY: (&str, &str) = (
    "MINIO_KMS_SECRET_KEY",
    "my-key:eEm+JI9/q4JhH8QwKvf3LKo4DEBl6QbfvAl1CAbMIv8=",
);

/// The binary with nothing in its environment but `variables`.
pub(crate) fn command(args: &[&str], variables: &[(&str, &str)]) -> Command {
    command_of(Path::new(BINARY), args, variables)
}

pub(crate) fn command_of(binary: &Path, args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary);
    command
        .args(args)
        .env_clear()
        .envs(variables.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn binary() -> &'static Path {
    Path::new(BINARY)
}

/// Exit code, standard output and standard error of a run that ends by itself.
pub(crate) fn run(args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let output = command(args, variables).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A server that is up; ended with it.
pub(crate) struct Running {
    child: Child,
    /// What it printed before it was up.
    pub(crate) printed: String,
    logged: Arc<Mutex<String>>,
}

impl Running {
    /// Starts a server and waits until it prints a line that contains `up`.
    pub(crate) fn start(mut command: Command, up: &str) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        let started = Instant::now();
        while !printed.contains(up) {
            assert!(started.elapsed() < START_MAX, "not up in time: {printed}");
            match lines.next() {
                Some(line) => printed += &(line.unwrap() + "\n"),
                None => {
                    let mut stderr = String::new();
                    child
                        .stderr
                        .take()
                        .unwrap()
                        .read_to_string(&mut stderr)
                        .unwrap();
                    panic!("ended before it was up: {printed}{stderr}");
                }
            }
        }
        // Later lines must not fill a pipe that nobody reads.
        std::thread::spawn(move || lines.for_each(drop));
        let stderr = child.stderr.take().unwrap();
        let logged = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&logged);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *log.lock().unwrap() += &(line + "\n");
            }
        });
        Self {
            child,
            printed,
            logged,
        }
    }

    /// What it has written to standard error since it was up.
    pub(crate) fn logged(&self) -> String {
        self.logged.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Asks it to end, as an operator would. Returns the exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
