//! `kes identity new`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use strongroom_kes_api::base64;
use strongroom_kes_client::ApiKey;
use strongroom_kes_client::certificate::{self, Request};
use strongroom_transport::pem::encrypted_private_key;
use zeroize::Zeroizing;

use crate::duration;
use crate::shell::Shell;

/// Arguments of `kes identity new`.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Common name of the certificate; without it the identity.
    subject: Option<String>,
    /// Write the private key to this file.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Write the certificate to this file.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Add an IP address to the certificate.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    ip: Vec<IpAddr>,
    /// Add a DNS name to the certificate.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    dns: Vec<String>,
    /// How long the certificate is valid [default: 720h].
    // As `-t`, `--time` before 2022.
    #[arg(long, short_alias = 't', alias = "time", value_name = "DURATION", value_parser = duration::parse)]
    expiry: Option<Duration>,
    /// Encrypt the private key file with a password.
    #[arg(long)]
    encrypt: bool,
    /// Overwrite existing files.
    #[arg(short, long)]
    force: bool,
    /// Accepted for old scripts: every certificate is fit for a server.
    #[arg(long, hide = true)]
    server: bool,
}

const EXPIRY: Duration = Duration::from_secs(720 * 60 * 60);

/// A key from the system's randomness.
pub(super) fn random_api_key() -> anyhow::Result<ApiKey> {
    let mut seed = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(seed.as_mut_slice())
        .map_err(|_| anyhow!("the system gives no randomness"))?;
    Ok(ApiKey::from_seed(seed)?)
}

pub(super) fn run(args: &NewArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let files = match (&args.key, &args.cert) {
        (Some(key), Some(cert)) => Some((key.as_path(), cert.as_path())),
        (Some(_), None) => bail!("no certificate file specified: '--key' and '--cert' go together"),
        (None, Some(_)) => bail!("no private key file specified: '--key' and '--cert' go together"),
        (None, None) => None,
    };
    let has_certificate_options = args.subject.is_some()
        || !args.ip.is_empty()
        || !args.dns.is_empty()
        || args.expiry.is_some()
        || args.encrypt
        || args.force;
    if files.is_none() && has_certificate_options {
        bail!(
            "a subject and '--ip', '--dns', '--expiry', '--encrypt', '--force' need '--key' and '--cert'. {}",
            shell.see_help("identity new")
        );
    }

    let key = random_api_key()?;
    if let Some((key_file, cert_file)) = files {
        write_files(&key, key_file, cert_file, args, shell)?;
    }
    print(&key, files, shell)
}

fn write_files(
    key: &ApiKey,
    key_file: &Path,
    cert_file: &Path,
    args: &NewArgs,
    shell: &Shell<'_>,
) -> anyhow::Result<()> {
    // Both are checked before either is written.
    if !args.force {
        for (file, what) in [(key_file, "private key"), (cert_file, "certificate")] {
            if file.exists() {
                bail!("{what} already exists. Use --force to overwrite it");
            }
        }
    }
    let request = Request {
        common_name: args.subject.clone(),
        dns_names: args.dns.clone(),
        ip_addresses: args.ip.clone(),
        is_server: true,
        lifetime: args.expiry.unwrap_or(EXPIRY),
    };
    let certificate = certificate::self_signed(key, &request, shell.now)?;
    let key_pem = if args.encrypt {
        encrypted(key, shell)?
    } else {
        pem("PRIVATE KEY", &key.expose_pkcs8_der())
    };
    write(key_file, &key_pem, 0o600, args.force)?;
    write(
        cert_file,
        &pem("CERTIFICATE", &certificate),
        0o644,
        args.force,
    )
}

/// The private key under a password that was typed twice.
fn encrypted(key: &ApiKey, shell: &Shell<'_>) -> anyhow::Result<Zeroizing<String>> {
    let password = (shell.ask_password)("Enter password for private key: ")?;
    let again = (shell.ask_password)("Confirm password for private key: ")?;
    if *password != *again {
        bail!("the passwords do not match");
    }
    let mut iv = [0; 16];
    aws_lc_rs::rand::fill(&mut iv).map_err(|_| anyhow!("the system gives no randomness"))?;
    Ok(encrypted_private_key(
        &key.expose_pkcs8_der(),
        &password,
        iv,
    )?)
}

/// RFC 7468: base64 in lines of 64.
fn pem(kind: &str, der: &[u8]) -> Zeroizing<String> {
    let text = base64::encode_secret(der);
    let mut pem = Zeroizing::new(String::with_capacity(text.len() + text.len() / 64 + 80));
    pem.push_str("-----BEGIN ");
    pem.push_str(kind);
    pem.push_str("-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END ");
    pem.push_str(kind);
    pem.push_str("-----\n");
    pem
}

/// Makes the file anew, so that neither its mode nor its other names come from an older one.
fn write(file: &Path, text: &str, mode: u32, is_forced: bool) -> anyhow::Result<()> {
    if is_forced {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("{} cannot be replaced", file.display()));
            }
            _ => {}
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(mode);
    }
    #[cfg(not(unix))]
    let _ = mode;
    options
        .open(file)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .with_context(|| format!("{} cannot be written", file.display()))
}

fn print(key: &ApiKey, files: Option<(&Path, &Path)>, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let api_key = key.expose();
    shell.print("Your API key:\n\n   ")?;
    shell.print(&api_key)?;
    shell.print("\n\nThis is the only time it is shown. Keep it secret and secure!\n\nYour Identity:\n\n   ")?;
    shell.print(&key.identity().to_string())?;
    shell.print("\n\nThe identity is not a secret. It can be shared. Any peer needs it to\nverify your API key.\n\n")?;
    if let Some((key_file, cert_file)) = files {
        shell.print(&format!(
            "The generated TLS private key is stored at:\n\n   {}\n\nThe generated TLS certificate is stored at:\n\n   {}\n\n",
            key_file.display(),
            cert_file.display()
        ))?;
    }
    let subject = match files {
        Some((_, cert_file)) => cert_file.display().to_string(),
        None => "<API_KEY>".to_owned(),
    };
    let program = shell.program;
    shell.print(&format!(
        "The identity can be computed again via:\n\n    {program} identity of {subject}\n"
    ))?;
    Ok(())
}
