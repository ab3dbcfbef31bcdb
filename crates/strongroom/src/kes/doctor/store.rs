//! The key store, and the keys in it.

use std::path::Path;
use std::sync::Arc;

use strongroom_kes_api::KeyName;
use strongroom_kes_server::{Config, check_stored_key};
use strongroom_keystore::{KeyStore, KeystoreConfig, StoreError};

use super::report::{Report, counted};
use crate::kes::open_keystore;

/// Keys that are read: enough to find a fault that many have, without emptying a vendor's quota.
const KEYS_READ_MAX: usize = 200;
/// Unreadable keys that are named.
const KEYS_SHOWN_MAX: usize = 5;

pub(super) async fn look(config: &Config, report: &mut Report) {
    const STEP: &str = "key store";
    if let KeystoreConfig::Fs { path } = &config.keystore
        && !folder(path, report)
    {
        return;
    }
    let store = match open_keystore(&config.keystore).await {
        Ok(store) => store,
        Err(error) => {
            report.bad(
                STEP,
                format!("{}; check the 'keystore' section", error.in_full()),
            );
            return;
        }
    };
    report.good(STEP, store.describe());
    if let Some(caveat) = store.caveat() {
        report.warn(STEP, caveat);
    }
    let mut is_usable = true;
    for finding in store.examine().await {
        match finding.outcome {
            Ok(seen) => report.good(finding.step, seen),
            Err(wrong) => {
                is_usable = false;
                report.bad(finding.step, wrong);
            }
        }
    }
    if is_usable {
        declared(config, &store, report).await;
        stored(&store, report).await;
    }
}

/// A folder that is not there is not made by looking at it. Says whether there is one.
fn folder(path: &Path, report: &mut Report) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    const STEP: &str = "key directory";
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            report.bad(
                STEP,
                format!(
                    "{} is no directory; name one under 'keystore.fs.path'",
                    path.display()
                ),
            );
            false
        }
        Ok(metadata) => {
            if metadata.permissions().mode() & 0o007 != 0 {
                report.warn(
                    STEP,
                    format!(
                        "every user can look into it; run: chmod o= {}",
                        path.display()
                    ),
                );
            }
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.warn(
                STEP,
                format!("{} is not there; the server makes it at its start. If there are keys already, the path is wrong", path.display()),
            );
            false
        }
        Err(error) => {
            report.bad(
                STEP,
                format!("{} cannot be looked into: {error}", path.display()),
            );
            false
        }
    }
}

async fn declared(config: &Config, store: &Arc<dyn KeyStore>, report: &mut Report) {
    for name in &config.keys {
        let step = format!("declared key {name}");
        if let Some(why) = store.refuses(name) {
            report.bad(step, format!("the key store cannot hold it: {why}"));
            continue;
        }
        match read(store, name).await {
            Ok(()) => report.good(step, "there, and readable"),
            Err(Unread::Missing) => {
                report.good(step, "not there yet; the server makes it at its start")
            }
            Err(Unread::Because(why)) => report.bad(step, why),
        }
    }
}

enum Unread {
    Missing,
    Because(String),
}

async fn read(store: &Arc<dyn KeyStore>, name: &KeyName) -> Result<(), Unread> {
    match store.get(name).await {
        Ok(value) => check_stored_key(&value).map_err(|why| {
            Unread::Because(format!("what is stored is no key ({why}); restore it from a backup, or delete it if nothing was ever encrypted under it"))
        }),
        Err(StoreError::NotFound) => Err(Unread::Missing),
        Err(error) => Err(Unread::Because(format!("it cannot be read: {}", error.in_full()))),
    }
}

/// Are the keys keys? Stops at the first failure of the store itself.
async fn stored(store: &Arc<dyn KeyStore>, report: &mut Report) {
    const STEP: &str = "stored keys";
    // The examination has told of a list that fails.
    let Ok(page) = store.list("", None, KEYS_READ_MAX).await else {
        return;
    };
    let mut broken = Vec::new();
    for name in &page.names {
        if let Err(Unread::Because(why)) = read(store, name).await {
            broken.push(format!("{name}: {why}"));
        }
    }
    let more = if page.next.is_some() { "first " } else { "" };
    if broken.is_empty() {
        report.good(
            STEP,
            format!(
                "{more}{} looked at, all readable",
                counted(page.names.len(), "key")
            ),
        );
    } else {
        let shown = broken
            .iter()
            .take(KEYS_SHOWN_MAX)
            .cloned()
            .collect::<Vec<_>>()
            .join("; ");
        report.bad(
            STEP,
            format!(
                "{} of the {more}{} cannot be used: {shown}",
                broken.len(),
                counted(page.names.len(), "key")
            ),
        );
    }
}
