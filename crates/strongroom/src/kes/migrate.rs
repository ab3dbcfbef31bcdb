//! `kes migrate`: from the key store of one configuration file to that of another.

mod journal;
mod progress;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use strongroom_cli::Shell;
use strongroom_kes_api::{KeyName, Pattern};
use strongroom_kes_server::Config;
use strongroom_keystore::migrate::{Conflict, Migration, Report, Stop};
use strongroom_keystore::{KeyStore, KeystoreConfig};
use zeroize::Zeroizing;

use self::journal::FileJournal;
use self::progress::{Bar, Silent};
use super::open_keystore;
use crate::signals;

/// Keys that could not be copied, as many as are named.
const FAILURES_SHOWN_MAX: usize = 20;

/// Arguments of `kes migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Only keys whose names match this shell pattern [default: *].
    pub(crate) pattern: Option<String>,
    /// Configuration file of the server whose keys are copied.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Configuration file of the server that gets them.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Replace keys that the target has with another value.
    #[arg(short, long, conflicts_with = "merge")]
    pub(crate) force: bool,
    /// Leave keys that the target has with another value.
    #[arg(long)]
    pub(crate) merge: bool,
    /// Compare both stores, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the old value is while a key is replaced [default: beside the target's configuration file].
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// The MinIO KMS as a target.
    #[arg(short = 's', long, value_name = "HOST", hide = true)]
    pub(crate) server: Option<String>,
    /// The MinIO KMS as a target.
    #[arg(short = 'e', long, value_name = "NAME", hide = true)]
    pub(crate) enclave: Option<String>,
    /// The MinIO KMS as a target.
    #[arg(short = 'a', long = "api-key", value_name = "KEY", hide = true)]
    // Its value is a secret, and not looked at.
    pub(crate) api_key: Option<Ignored>,
    /// The MinIO KMS as a target.
    #[arg(short = 'k', long, hide = true)]
    pub(crate) insecure: bool,
}

/// An argument that is not looked at.
#[derive(Debug, Clone)]
pub(crate) struct Ignored;

impl std::str::FromStr for Ignored {
    type Err = std::convert::Infallible;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Self)
    }
}

pub(super) async fn run(args: MigrateArgs, shell: &mut Shell<'_>) -> Result<()> {
    let see_help = format!("See '{} migrate --help'", shell.program);
    if args.server.is_some() || args.enclave.is_some() || args.api_key.is_some() {
        bail!(
            "a MinIO KMS cannot be the target: its interface is not public. Name a configuration file with '--to'. {see_help}"
        );
    }
    let from = args.from.as_deref().ok_or_else(|| {
        anyhow!("no source specified: name a configuration file with '--from'. {see_help}")
    })?;
    let to = args.to.as_deref().ok_or_else(|| {
        anyhow!("no target specified: name a configuration file with '--to'. {see_help}")
    })?;

    let (source, _) = open(from, shell).await?;
    let (target, place) = open(to, shell).await?;
    // Whoever migrates to the same target at the same time would share our journal.
    let _lock = lock(to)?;
    let journal_file = args.journal.clone().unwrap_or_else(|| beside(to));
    let journal = FileJournal::new(journal_file, &target.describe(), place);
    let migration = Migration {
        source: Arc::clone(&source),
        target: Arc::clone(&target),
        pattern: Pattern::new(args.pattern.as_deref().unwrap_or("*")),
        conflict: match (args.force, args.merge) {
            (true, _) => Conflict::Replace,
            (_, true) => Conflict::Keep,
            _ => Conflict::Stop,
        },
        dry_run: args.dry_run,
    };
    let stop = Stop::default();
    let stopper = {
        let (mut signals, stop) = (signals::listen(), stop.clone());
        tokio::spawn(async move {
            signals.stop().await;
            stop.set();
        })
    };
    if !args.json {
        writeln!(shell.stdout, "Starting key migration:")?;
        shell.stdout.flush()?;
    }
    let done = if shell.stdout_is_terminal && !args.json {
        let bar = Bar::new();
        let done = migration.run(&journal, &bar, &stop).await;
        bar.clear();
        done
    } else {
        migration.run(&journal, &Silent, &stop).await
    };
    stopper.abort();
    let report = done.map_err(|error| anyhow!("{error}{}", journal.hint()))?;
    if args.json {
        writeln!(
            shell.stdout,
            "{}",
            as_json(&report, &*source, &*target, args.dry_run)
        )?;
    } else {
        write!(shell.stdout, "{}", in_words(&report, args.dry_run))?;
    }
    failures(&report)
}

/// The key store of a configuration file, logged in, and which place it is.
async fn open(file: &Path, shell: &mut Shell<'_>) -> Result<(Arc<dyn KeyStore>, String)> {
    // The keystore section may hold passwords.
    let text = Zeroizing::new(
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
    );
    let (config, warnings) = Config::parse(&text, &|name| std::env::var(name).ok())
        // The sentence has its cause in it.
        .map_err(|error| anyhow!("{}: {error}", file.display()))?;
    for warning in warnings {
        writeln!(shell.stderr, "WARNING: {}: {warning}", file.display())?;
    }
    if matches!(config.keystore, KeystoreConfig::Memory) {
        bail!(
            "{}: its keys are in memory and gone when a server ends, so there is nothing to migrate from or to",
            file.display()
        );
    }
    let in_file =
        |error: strongroom_keystore::StoreError| anyhow!("{}: {}", file.display(), error.in_full());
    let store = open_keystore(&config.keystore).await.map_err(in_file)?;
    store.connect().await.map_err(in_file)?;
    Ok((store, config.keystore.place()))
}

/// Beside the target's configuration, where only its operator reads and writes.
fn beside(config: &Path) -> PathBuf {
    let mut name = config.as_os_str().to_owned();
    name.push(".migrate-journal");
    PathBuf::from(name)
}

/// Held until dropped; the system lets go of it when the process dies.
fn lock(config: &Path) -> Result<File> {
    let file =
        File::open(config).with_context(|| format!("{} cannot be read", config.display()))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => bail!(
            "another migration to the target of {} is running; wait for it to end",
            config.display()
        ),
        // Some network file systems have no locks.
        Err(_) => Ok(file),
    }
}

fn failures(report: &Report) -> Result<()> {
    if report.failed.is_empty() {
        return Ok(());
    }
    let shown = report.failed.iter().take(FAILURES_SHOWN_MAX);
    let list: String = shown
        .map(|(name, why)| format!("\n  {name}: {why}"))
        .collect();
    let more = match report.failed.len().saturating_sub(FAILURES_SHOWN_MAX) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    bail!(
        "{} could not be copied and {} unharmed in the source; mend the cause and run the same command again:{list}{more}",
        counted(report.failed.len(), "key"),
        if report.failed.len() == 1 {
            "is"
        } else {
            "are"
        },
    )
}

fn in_words(report: &Report, dry_run: bool) -> String {
    let mut text = String::new();
    if let Some(name) = &report.restored {
        text += &format!(
            "Put back key {name}, which an interrupted migration had deleted from the target.\n"
        );
    }
    if dry_run {
        text += &format!(
            "Nothing was written. A migration would create {}, replace {}, and find {} equal.\n",
            counted(report.migrated, "key"),
            report.replaced,
            report.equal,
        );
    } else if report.written() > 0 {
        text += &format!("Migrated {:6} keys successfully!\n", report.written());
    } else if report.failed.is_empty() {
        text += "Migration succeeded! No keys migrated.\n";
    }
    for (count, what) in [
        (
            if dry_run { 0 } else { report.replaced },
            "of them replaced a key of the target",
        ),
        (
            if dry_run { 0 } else { report.equal },
            "were in the target already, with the same value",
        ),
        (report.vanished, "were deleted from the source meanwhile"),
    ] {
        if count > 0 {
            text += &format!("  {count:6} {what}\n");
        }
    }
    if !report.kept.is_empty() {
        let names: Vec<&str> = report.kept.iter().map(KeyName::as_str).collect();
        text += &format!(
            "  {:6} differ and stay as the target has them: {}\n",
            names.len(),
            names.join(", ")
        );
    }
    if let Some(digest) = &report.digest {
        text += &format!(
            "Verified {:6} keys: read again from both stores, all equal (sha256 {})\n",
            report.verified,
            hex(digest)
        );
    }
    text
}

fn as_json(
    report: &Report,
    source: &dyn KeyStore,
    target: &dyn KeyStore,
    dry_run: bool,
) -> serde_json::Value {
    let names = |names: &[KeyName]| {
        names
            .iter()
            .map(|n| n.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|(name, reason)| serde_json::json!({"name": name.as_str(), "reason": reason}))
        .collect();
    serde_json::json!({
        "source": source.describe(),
        "target": target.describe(),
        "dry_run": dry_run,
        "migrated": report.migrated,
        "replaced": report.replaced,
        "equal": report.equal,
        "kept": names(&report.kept),
        "vanished": report.vanished,
        "failed": failed,
        "restored": report.restored.as_ref().map(KeyName::as_str),
        "verified": report.verified,
        "sha256": report.digest.as_ref().map(hex),
    })
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_in_the_known_words() {
        let none = Report::default();
        assert_eq!(
            in_words(&none, false),
            "Migration succeeded! No keys migrated.\n"
        );
        let some = Report {
            migrated: 2,
            replaced: 1,
            equal: 4,
            verified: 7,
            digest: Some([0xab; 32]),
            ..Report::default()
        };
        let told = in_words(&some, false);
        assert!(
            told.starts_with("Migrated      3 keys successfully!\n       1 of them replaced"),
            "{told}"
        );
        assert!(told.ends_with("abab)\n"), "{told}");
        assert!(
            in_words(&some, true)
                .starts_with("Nothing was written. A migration would create 2 keys, replace 1")
        );
    }
}
