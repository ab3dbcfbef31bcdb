//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use strongroom_cli::ClientCommand;

use crate::kes::{DoctorArgs, MigrateArgs};

/// Objects encrypted at rest, under keys that you hold.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, arg_required_else_help = true)]
pub(crate) struct Strongroom {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve S3 from a directory, with encryption.
    Server(ServerArgs),
    /// A key server and an object server with everything set up, for trying out.
    Dev(DevArgs),
    /// The key server, and the commands that talk to one.
    #[command(arg_required_else_help = true)]
    Kes(Kes),
    /// Print a script that completes commands in a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// `strongroom server`
///
/// Root credentials and the key management system come from the environment, under the names that MinIO gave them:
/// MINIO_ROOT_USER, MINIO_ROOT_PASSWORD, MINIO_KMS_KES_ENDPOINT, MINIO_KMS_SECRET_KEY and so on.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Directory that holds the objects; made if it is not there.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "[HOST]:PORT", default_value = ":9000", value_parser = listen_address)]
    pub(crate) address: SocketAddr,
    /// Directory with public.crt, private.key and CAs/ [default: ~/.minio/certs if it is there].
    #[arg(short = 'S', long, value_name = "DIR", conflicts_with_all = ["tls_cert", "tls_key"])]
    pub(crate) certs_dir: Option<PathBuf>,
    /// Certificate to serve TLS with, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Faster, with opaque ETags instead of the MD5 of the content.
    #[arg(long)]
    pub(crate) no_compat: bool,
    /// Refuse Signature Version 2, which old clients and `aws s3 presign` use.
    #[arg(long)]
    pub(crate) no_signature_v2: bool,
    /// Log in JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not print where the server listens.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Directory that holds everything; made if it is not there.
    #[arg(value_name = "DIR", default_value = "strongroom-dev")]
    pub(crate) dir: PathBuf,
    /// Where the object server listens [default: 127.0.0.1:9000, or a free port].
    #[arg(long, value_name = "[HOST]:PORT", value_parser = loopback_address)]
    pub(crate) address: Option<SocketAddr>,
    /// Where the key server listens [default: 127.0.0.1:7373, or a free port].
    #[arg(long, value_name = "[HOST]:PORT", value_parser = loopback_address)]
    pub(crate) kes_address: Option<SocketAddr>,
    /// Log in JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `strongroom kes`, and `kes` where the program is called so.
#[derive(Debug, Parser)]
#[command(
    name = "kes",
    disable_version_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Kes {
    /// Print version information.
    #[arg(short = 'v', long, exclusive = true)]
    pub(crate) version: bool,
    /// Let bash or zsh complete commands, from their next start on.
    #[arg(long, exclusive = true)]
    pub(crate) auto_completion: bool,
    #[command(subcommand)]
    pub(crate) command: Option<KesCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KesCommand {
    /// Start a key server.
    Server(KesServerArgs),
    #[command(flatten)]
    Client(ClientCommand),
    /// Copy keys from one key store to another.
    Migrate(MigrateArgs),
    /// Look at a configuration, and explain what is wrong with it.
    Doctor(DoctorArgs),
    /// Print a script that completes commands in a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of all commands, or of one.
    Man {
        /// The command, as in `key create`.
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KesServerArgs {
    /// Where to listen; over the configuration's `address`.
    #[arg(long, value_name = "[HOST]:PORT", value_parser = listen_address)]
    pub(crate) addr: Option<SocketAddr>,
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keys in memory, a certificate and an API key made for this run: nothing outlives it.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Make unknown settings of the configuration file errors instead of warnings.
    #[arg(long)]
    pub(crate) strict: bool,
    /// The administrator's identity; over the configuration's `admin`.
    #[arg(long, value_name = "IDENTITY", hide = true)]
    pub(crate) root: Option<String>,
    /// Do not print the banner.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Private key of the server's certificate, where the configuration names none.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) key: Option<PathBuf>,
    /// The server's certificate, where the configuration names none.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) cert: Option<PathBuf>,
    /// Verify client certificates, where the configuration does not say.
    #[arg(long, value_name = "on|off", value_parser = on_or_off, hide = true)]
    pub(crate) auth: Option<bool>,
    /// Log in JSON; as `log.json` in the configuration.
    #[arg(long)]
    pub(crate) json: bool,
    /// Accepted for old command lines.
    #[arg(long, hide = true)]
    pub(crate) mlock: bool,
}

/// Prints completions of the whole command line.
pub(crate) fn completions(shell: clap_complete::Shell, out: &mut dyn std::io::Write) {
    clap_complete::generate(shell, &mut Strongroom::command(), "strongroom", out);
}

/// Prints the manual page.
pub(crate) fn man(out: &mut dyn std::io::Write) -> std::io::Result<()> {
    clap_mangen::Man::new(Strongroom::command()).render(out)
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off is expected".to_owned()),
    }
}

/// `HOST:PORT`, or `:PORT` for all interfaces.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    address(text, "0.0.0.0")
}

/// `HOST:PORT`, or `:PORT` for this machine alone.
fn loopback_address(text: &str) -> Result<SocketAddr, String> {
    address(text, "127.0.0.1")
}

fn address(text: &str, default_host: &str) -> Result<SocketAddr, String> {
    use std::net::ToSocketAddrs as _;
    let full = match text.strip_prefix(':') {
        Some(port) => format!("{default_host}:{port}"),
        None => text.to_owned(),
    };
    full.to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| "HOST:PORT or :PORT is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Strongroom::command().debug_assert();
        Kes::command().debug_assert();
    }

    #[test]
    fn addresses_read_as_people_write_them() {
        for (text, expected) in [
            (":9000", "0.0.0.0:9000"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:9000", "[::1]:9000"),
            (":0", "0.0.0.0:0"),
        ] {
            assert_eq!(
                listen_address(text),
                Ok(expected.parse().unwrap()),
                "{text}"
            );
        }
        assert_eq!(loopback_address(":1"), Ok("127.0.0.1:1".parse().unwrap()));
        for bad in ["", "9000", ":", ":99999", "host"] {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
    }
}
