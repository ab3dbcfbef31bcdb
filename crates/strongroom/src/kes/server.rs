//! `kes server`.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strongroom_kes_api::{AdminIdentity, ApiKey};
use strongroom_kes_server::{BannerFacts, Config, KesServer, banner};
use strongroom_keystore::{KeyStore, StoreError};
use strongroom_transport::issue::{self, Subject};
use strongroom_transport::listen::CONNECTIONS_MAX;
use strongroom_transport::shutdown;
use tokio::time::MissedTickBehavior;
use zeroize::Zeroizing;

use super::logging::Streams;
use super::watch::{Change, Files, LOOK_EVERY, Look, Watch};
use super::{COPYRIGHT, open_keystore, settings, supervisor, surroundings};
use crate::cli::KesServerArgs;
use crate::signals::{self, Signal, Signals};
use crate::{harden, logs, random};

const DOCS: &str = "https://github.com/strongroom/strongroom/tree/main/docs";
/// How long a certificate for development is good.
const DEV_CERTIFICATE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Certificates are read again this often, as upstream does.
const RELOAD_EVERY: Duration = Duration::from_secs(15 * 60);
/// Descriptors that connections must leave, at least: some for each thread, the store, files that are read again.
const DESCRIPTORS_KEPT: usize = 64;
const UP: &str = "Server is up and running...";

/// Runs a key server until it is asked to end.
pub(super) async fn run(args: KesServerArgs) -> Result<()> {
    // Before it is read: what changes from here on has to be noticed.
    let before = match &args.config {
        Some(path) => Some(look(&Files::of_path(path)).await),
        None => None,
    };
    let (mut config, notes, api_key) = if args.dev {
        let (config, api_key) = development(&args)?;
        (config, Vec::new(), api_key)
    } else {
        let (config, notes) = settings::read(&args)?;
        (config, notes, None)
    };
    if let Some(address) = args.addr {
        config.address = address;
    }
    let voice = Voice {
        quiet: args.quiet,
        json: args.json || config.log.json,
    };
    let format = match voice.json {
        true => logs::Format::Json,
        false => logs::Format::Human,
    };
    logs::start(format, std::env::var("STRONGROOM_LOG").ok().as_deref())?;
    for note in notes {
        voice.complain(&note);
    }
    harden::no_core_dumps();
    let connections_max = connections_max();

    let files = match (&args.config, before) {
        (Some(path), Some(before)) => Some(Watched::new(path, &config, before).await),
        _ => None,
    };
    let listener = crate::server::bind(config.address).await?;
    let listening = listener.local_addr()?;
    let (streams, flush) = Streams::start(args.json)?;
    let store = connected(&config, voice).await?;
    if let Some(caveat) = store.caveat() {
        voice.complain(&format!("WARNING: {}: {caveat}", store.describe()));
    }
    let server = KesServer::start(config, store, surroundings(Arc::new(streams)))
        .await
        .map_err(|error| in_words(&error))?;

    let facts = Facts {
        listening,
        api_key: api_key.as_ref().map(|key| key.as_str()),
        is_memory_locked: lock_memory(),
        voice,
    };
    let signals = signals::listen();
    let (stop, stopped) = shutdown();
    let running = {
        let server = server.clone();
        tokio::spawn(async move { server.run_with(listener, connections_max, stopped).await })
    };
    facts.show(&server, UP);
    supervisor::ready(UP);
    until_stopped(&args, &server, &facts, files, signals).await;
    supervisor::stopping();
    stop.begin();
    let _ = running.await;
    drop(server);
    flush.wait();
    voice.say("=> Stopping server... Goodbye.");
    Ok(())
}

/// Opens the store, and proves that it can be used. A server that keeps keys on disk starts without it.
async fn connected(config: &Config, voice: Voice) -> Result<Arc<dyn KeyStore>> {
    let store = open_keystore(&config.keystore)
        .await
        .map_err(|error| in_words(&error))?;
    match store.connect().await {
        Ok(()) => {}
        Err(error @ StoreError::Unreachable { .. }) if config.cache.disk.is_some() => {
            voice.complain(&format!(
                "WARNING: {}: {:#}; keys are read from the disk cache until the store is back",
                store.describe(),
                in_words(&error)
            ));
        }
        Err(error) => bail!("{}: {:#}", store.describe(), in_words(&error)),
    }
    Ok(store)
}

/// The files that the server was started from.
struct Watched {
    path: PathBuf,
    files: Files,
    watch: Watch,
}

impl Watched {
    /// `before` saw the configuration file before it was read; the others are read after this.
    async fn new(path: &Path, config: &Config, before: Look) -> Self {
        let files = Files::of(path, config);
        let look = look(&files).await.with_config_of(before);
        Self {
            path: path.to_owned(),
            files,
            watch: Watch::new(look),
        }
    }

    /// The server uses what was seen in `seen`, or newer.
    async fn took(&mut self, seen: Look, config: &Config) {
        let files = Files::of(&self.path, config);
        // What changes from here on has to be noticed, so the earlier look counts, where it saw the same files.
        let in_use = if files == self.files {
            seen
        } else {
            look(&files).await.with_config_of(seen)
        };
        self.files = files;
        self.watch.took(in_use);
    }
}

async fn look(files: &Files) -> Look {
    let on_this_thread = files.clone();
    let files = files.clone();
    // Files may lie on a network that hangs.
    tokio::task::spawn_blocking(move || files.look())
        .await
        .unwrap_or_else(|_| on_this_thread.look())
}

async fn until_stopped(
    args: &KesServerArgs,
    server: &KesServer,
    facts: &Facts<'_>,
    mut files: Option<Watched>,
    mut signals: Signals,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut renewals = tokio::time::interval(RELOAD_EVERY);
    renewals.tick().await;
    loop {
        let cause = tokio::select! {
            signal = signals.recv() => match signal {
                Some(Signal::Stop) | None => return,
                Some(Signal::Reload) => Cause::Signal,
            },
            _ = looks.tick() => Cause::Look,
            _ = renewals.tick() => Cause::Renewal,
        };
        let Some(files) = &mut files else { continue };
        // A store that hangs must not keep the server from ending.
        tokio::select! {
            () = act(cause, args, server, facts, files) => {}
            () = signals.stop() => return,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Signal,
    Look,
    Renewal,
}

async fn act(
    cause: Cause,
    args: &KesServerArgs,
    server: &KesServer,
    facts: &Facts<'_>,
    files: &mut Watched,
) {
    let seen = look(&files.files).await;
    let change = match cause {
        Cause::Look => match files.watch.see(seen) {
            Some(change) => change,
            None => return,
        },
        Cause::Signal => Change::Configuration {
            is_store_changed: files.watch.is_store_changed(seen),
        },
        // Authorities of the system change too, and certificates of clients expire.
        Cause::Renewal => Change::Certificates,
    };
    if cause == Cause::Signal {
        facts
            .voice
            .complain("SIGHUP signal received. Reloading configuration...");
    }
    supervisor::reloading();
    let outcome = match change {
        Change::Certificates => server
            .reload_certificates()
            .await
            .map_err(|error| in_words(&error)),
        Change::Configuration { is_store_changed } => {
            reload(args, server, facts, is_store_changed).await
        }
    };
    match outcome {
        Ok(()) => {
            match (cause, change) {
                (Cause::Renewal, _) => {}
                (_, Change::Certificates) => {
                    facts
                        .voice
                        .complain("Certificates have changed and are in use.");
                }
                (Cause::Signal, _) => facts.show(
                    server,
                    "Reloading configuration after SIGHUP signal completed.",
                ),
                (Cause::Look, _) => facts.show(
                    server,
                    "Reloading configuration after a change of its files completed.",
                ),
            }
            // A renewal has not read the configuration.
            if cause != Cause::Renewal {
                files.took(seen, &server.config()).await;
            }
        }
        Err(error) => {
            let is_news = files.watch.refuse(seen);
            if is_news || cause == Cause::Signal {
                facts.voice.complain(&format!(
                    "Failed to reload server config: {error:#}; what was in use stays in use"
                ));
            }
        }
    }
    supervisor::ready(UP);
}

async fn reload(
    args: &KesServerArgs,
    server: &KesServer,
    facts: &Facts<'_>,
    is_store_changed: bool,
) -> Result<()> {
    let (config, notes) = settings::read(args)?;
    for note in notes {
        facts.voice.complain(&note);
    }
    let current = server.config();
    let store = if config.keystore == current.keystore && !is_store_changed {
        // The same store keeps the keys that are remembered.
        server.store()
    } else {
        connected(&config, facts.voice).await?
    };
    if args.addr.is_none() && config.address != current.address {
        facts.voice.complain(&format!(
            "WARNING: address {} takes effect after a restart",
            config.address
        ));
    }
    // What is compared next time is the address that is listened on.
    let config = Config {
        address: current.address,
        ..config
    };
    server
        .reload(config, store)
        .await
        .map_err(|error| in_words(&error))
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

/// Raises the limit of open files as far as it goes, as Go's runtime does, which upstream runs on: with the usual 1,024 few
/// clients could connect. Returns how many connections that leaves room for.
fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limit.current
        }
    };
    let allowed = allowed.and_then(|n| usize::try_from(n).ok());
    // Keys lie in files, and stores behind connections: a crowd of clients must not take those away.
    let room = allowed.map_or(CONNECTIONS_MAX, |n| {
        n.saturating_sub((n / 4).max(DESCRIPTORS_KEPT)).max(1)
    });
    room.min(CONNECTIONS_MAX)
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
    voice: Voice,
}

impl Facts<'_> {
    fn show(&self, server: &KesServer, last_line: &str) {
        if self.voice.json {
            // Standard output holds records then, and nothing else.
            tracing::info!(address = %self.listening, keystore = server.store().describe(), "{last_line}");
            return;
        }
        if self.voice.quiet {
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

/// How the operator is told things that are no records.
#[derive(Debug, Clone, Copy)]
struct Voice {
    quiet: bool,
    json: bool,
}

impl Voice {
    fn say(self, line: &str) {
        if self.json {
            tracing::info!("{}", line.trim_start_matches("=> "));
        } else if !self.quiet {
            say(&format!("{line}\n"));
        }
    }

    fn complain(self, line: &str) {
        if self.json {
            tracing::warn!("{}", line.trim_start_matches("WARNING: "));
        } else {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
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
