//! `kes server`.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, getrlimit};
use strongroom_kes_api::{AdminIdentity, ApiKey};
use strongroom_kes_server::{BannerFacts, Config, KesServer, banner};
use strongroom_transport::issue::{self, Subject};
use strongroom_transport::shutdown;
use zeroize::Zeroizing;

use super::logging::Streams;
use super::{COPYRIGHT, open_keystore, surroundings};
use crate::cli::KesServerArgs;
use crate::signals::{self, Signal, Signals};
use crate::{harden, logs, random};

const DOCS: &str = "https://github.com/strongroom/strongroom/tree/main/docs";
/// How long a certificate for development is good.
const DEV_CERTIFICATE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Certificates are read again this often, as upstream does.
const RELOAD_EVERY: Duration = Duration::from_secs(15 * 60);
const UP: &str = "Server is up and running...";

/// Runs a key server until it is asked to end.
pub(super) async fn run(args: KesServerArgs) -> Result<()> {
    logs::start(
        logs::Format::Human,
        std::env::var("STRONGROOM_LOG").ok().as_deref(),
    )?;
    harden::no_core_dumps();
    warn_of_old_flags(&args);
    let (mut config, api_key) = if args.dev {
        development(&args)?
    } else {
        (read(&args)?, None)
    };
    if let Some(address) = args.addr {
        config.address = address;
    }

    let listener = crate::server::bind(config.address).await?;
    let listening = listener.local_addr()?;
    let store = open_keystore(&config.keystore)
        .await
        .map_err(|error| in_words(&error))?;
    let (streams, flush) = Streams::start(false)?;
    store.connect().await.map_err(|error| in_words(&error))?;
    if let Some(caveat) = store.caveat() {
        complain(&format!("WARNING: {}: {caveat}", store.describe()));
    }
    let server = KesServer::start(config, store, surroundings(Arc::new(streams)))
        .await
        .map_err(|error| in_words(&error))?;

    let facts = Facts {
        listening,
        api_key: api_key.as_ref().map(|key| key.as_str()),
        is_memory_locked: lock_memory(),
        quiet: args.quiet,
    };
    let signals = signals::listen();
    facts.show(&server, UP);
    let (stop, stopped) = shutdown();
    let running = {
        let server = server.clone();
        tokio::spawn(async move { server.run(listener, stopped).await })
    };
    until_stopped(&args, &server, &facts, signals).await;
    stop.begin();
    let _ = running.await;
    drop(server);
    flush.wait();
    if !args.quiet {
        say("=> Stopping server... Goodbye.\n");
    }
    Ok(())
}

async fn until_stopped(
    args: &KesServerArgs,
    server: &KesServer,
    facts: &Facts<'_>,
    mut signals: Signals,
) {
    loop {
        match tokio::time::timeout(RELOAD_EVERY, signals.recv()).await {
            Ok(Some(Signal::Stop) | None) => return,
            Ok(Some(Signal::Reload)) if args.dev => {}
            Ok(Some(Signal::Reload)) => {
                complain("SIGHUP signal received. Reloading configuration...");
                match reload(args, server).await {
                    Ok(()) => facts.show(
                        server,
                        "Reloading configuration after SIGHUP signal completed.",
                    ),
                    Err(error) => complain(&format!("Failed to reload server config: {error:#}")),
                }
            }
            Err(_) => {
                if let Err(error) = server.reload_certificates().await {
                    tracing::warn!("certificates stay as they were: {:#}", in_words(&error));
                }
            }
        }
    }
}

async fn reload(args: &KesServerArgs, server: &KesServer) -> Result<()> {
    let config = read(args)?;
    let store = if config.keystore == server.config().keystore {
        // The same store keeps the keys that are remembered.
        server.store()
    } else {
        open_keystore(&config.keystore)
            .await
            .map_err(|error| in_words(&error))?
    };
    server
        .reload(config, store)
        .await
        .map_err(|error| in_words(&error))
}

/// Reads the configuration file, with what flags say over it.
fn read(args: &KesServerArgs) -> Result<Config> {
    let Some(path) = &args.config else {
        bail!("no configuration: name one with --config, or try --dev");
    };
    let text = read_text(path)?;
    let (mut config, warnings) = Config::parse(&text, &|name| std::env::var(name).ok())
        // The sentence has its cause in it.
        .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    if let (true, Some(warning)) = (args.strict, warnings.first()) {
        bail!("{}: {warning}", path.display());
    }
    for warning in warnings {
        complain(&format!("WARNING: {}: {warning}", path.display()));
    }
    if let Some(root) = &args.root {
        config.admin = AdminIdentity::parse(root);
    }
    Ok(config)
}

fn read_text(path: &Path) -> Result<Zeroizing<String>> {
    // Keystore sections may hold passwords.
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Zeroizing::new(text))
}

/// A server that forgets everything, and the API key of its admin.
fn development(args: &KesServerArgs) -> Result<(Config, Option<Zeroizing<String>>)> {
    if args.config.is_some() {
        bail!("'--config' flag is not supported in development mode");
    }
    let address = args
        .addr
        .unwrap_or(strongroom_kes_server::config::DEFAULT_ADDRESS);
    let mut seed = Zeroizing::new([0; 32]);
    random::fill(seed.as_mut_slice()).map_err(anyhow::Error::msg)?;
    let key = ApiKey::from_seed(seed)?;
    let certificate = issue::self_signed(&Subject {
        common_name: "localhost",
        dns_names: &["localhost".to_owned()],
        addresses: &interfaces(address),
        now: SystemTime::now(),
        validity: DEV_CERTIFICATE,
    })?;
    let admin = AdminIdentity::Identity(key.identity());
    let config = Config::development(address, admin, certificate.identity()?);
    Ok((config, Some(key.expose())))
}

/// The addresses by which clients may call a server that listens on `address`.
fn interfaces(address: SocketAddr) -> Vec<IpAddr> {
    let mut all = vec![
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    if !address.ip().is_unspecified() {
        all.push(address.ip());
    } else if let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) {
        // Nothing is sent: connecting only asks by which interface it would be (RFC 5737 address).
        let outside = socket
            .connect((Ipv4Addr::new(192, 0, 2, 1), 9))
            .and_then(|()| socket.local_addr());
        all.extend(outside.map(|address| address.ip()));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Keeps keys out of the swap, where the process may lock all it will ever use; a smaller limit would turn a later allocation
/// into a crash.
fn lock_memory() -> bool {
    let is_unlimited = getrlimit(Resource::Memlock).current.is_none();
    is_unlimited && mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_ok()
}

struct Facts<'a> {
    listening: SocketAddr,
    api_key: Option<&'a str>,
    is_memory_locked: bool,
    quiet: bool,
}

impl Facts<'_> {
    fn show(&self, server: &KesServer, last_line: &str) {
        if self.quiet {
            return;
        }
        let runtime = format!("rust {}/{}", std::env::consts::OS, std::env::consts::ARCH);
        let facts = BannerFacts {
            version: env!("CARGO_PKG_VERSION"),
            runtime: &runtime,
            license: "Apache-2.0",
            copyright: COPYRIGHT,
            docs: DOCS,
            keystore: &server.store().describe(),
            interfaces: &interfaces(self.listening),
            api_key: self.api_key,
            is_memory_locked: self.is_memory_locked,
            last_line,
        };
        say(&banner(&server.config(), self.listening, &facts));
    }
}

fn warn_of_old_flags(args: &KesServerArgs) {
    let given = [
        ("--key", args.key.is_some()),
        ("--cert", args.cert.is_some()),
        ("--auth", args.auth.is_some()),
    ];
    for (flag, _) in given.iter().filter(|(_, is_given)| *is_given) {
        complain(&format!(
            "WARNING: '{flag}' flag is deprecated and no longer honored."
        ));
    }
}

/// An error with its causes, each once.
fn in_words(error: &dyn std::error::Error) -> anyhow::Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    anyhow::Error::msg(text)
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
