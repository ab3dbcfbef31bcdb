//! Moves keys from one store to another: raw values, byte for byte, so that the half of a key that no API shows moves too.
//!
//! A key is never lost, and none is overwritten unless [`Conflict::Replace`] says so:
//!
//! - Everything is looked at before anything is written: names that the target cannot hold, and keys that differ.
//! - A value that lies in the target already is done. So a migration that was interrupted is run again, and goes on.
//! - To replace a value, the old one is first kept in a [`Journal`]; then it is deleted, the new one created and read
//!   back, and only then the journal forgets. Whatever happens in between, one of both values is in the target or in the
//!   journal, and the next run puts it back ([`Migration::recover`]).
//! - In the end every key of the source is read again from both stores, and must be equal.

mod copy;
mod error;
mod parallel;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{self, SHA256};
use strongroom_kes_api::{KeyName, Pattern};

use crate::{KeyStore, StoreError, StoredValue};

pub use error::{MigrateError, Side};

/// Names asked for at once when a store is listed: what most vendors give at most.
const PAGE_NAMES: usize = 1000;
/// Keys on their way at once. Enough to hide a vendor's latency, too few to meet its rate limits.
const AT_ONCE: usize = 8;

/// What to do with a key that the target has with another value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conflict {
    /// Copy nothing at all.
    #[default]
    Stop,
    /// Leave the target's value.
    Keep,
    /// Put the source's value in its place.
    Replace,
}

/// Where the old value of a key is while it is replaced. One entry at most; the caller sees to it that only one
/// migration uses it.
pub trait Journal: Send + Sync {
    /// Keeps a value, durably once this returns.
    ///
    /// # Errors
    /// When it could not be made durable. The value is then not deleted from the store.
    fn keep(&self, name: &KeyName, old: &StoredValue) -> io::Result<()>;

    /// What is kept.
    ///
    /// # Errors
    /// When it cannot be read. Nothing is migrated then.
    fn kept(&self) -> io::Result<Option<(KeyName, StoredValue)>>;

    /// Forgets it.
    ///
    /// # Errors
    /// When the entry is still there.
    fn forget(&self) -> io::Result<()>;
}

/// Who watches. Called once a key, from the task that migrates.
pub trait Observer: Send + Sync {
    /// A part of the work begins, with so many keys.
    fn begin(&self, phase: Phase, keys: usize);
    /// One key further.
    fn advance(&self);
}

/// Parts of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What has the target already?
    Compare,
    /// Values are written.
    Copy,
    /// Both stores are read once more.
    Verify,
}

/// A wish to end after the keys that are on their way.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the migration soon.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a migration did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Keys that were not in the target and are now.
    pub migrated: usize,
    /// Keys whose value in the target was replaced.
    pub replaced: usize,
    /// Keys that the target had already, with the same value.
    pub equal: usize,
    /// Keys that the target has with another value, left as they are.
    pub kept: Vec<KeyName>,
    /// Keys that were deleted from the source meanwhile.
    pub vanished: usize,
    /// Keys that could not be copied, and why. They are unharmed in the source.
    pub failed: Vec<(KeyName, String)>,
    /// The key that an interrupted migration had deleted, put back by this one.
    pub restored: Option<KeyName>,
    /// Keys that were read from both stores in the end, and are equal.
    pub verified: usize,
    /// SHA-256 over those, in order: name, a zero byte, SHA-256 of the value.
    pub digest: Option<[u8; 32]>,
}

impl Report {
    /// Keys that were written.
    #[must_use]
    pub fn written(&self) -> usize {
        self.migrated + self.replaced
    }
}

/// A migration that can be run.
#[derive(Debug)]
pub struct Migration {
    /// Where the keys are.
    pub source: Arc<dyn KeyStore>,
    /// Where they are to be.
    pub target: Arc<dyn KeyStore>,
    /// Which keys: a shell glob.
    pub pattern: Pattern,
    /// What to do with a key that the target has with another value.
    pub conflict: Conflict,
    /// Look and report, but write nothing.
    pub dry_run: bool,
}

/// What is to be done, found by comparing.
#[derive(Debug, Default)]
struct Plan {
    create: Vec<KeyName>,
    replace: Vec<KeyName>,
}

/// How a key stands in both stores.
#[derive(Debug)]
enum Standing {
    Missing,
    Equal([u8; 32]),
    Differs,
    Vanished,
}

impl Migration {
    /// Runs it. A run that failed or was stopped can be run again.
    ///
    /// # Errors
    /// [`MigrateError`]; what was written until then stays, and is skipped by the next run.
    pub async fn run(
        &self,
        journal: &dyn Journal,
        observer: &dyn Observer,
        stop: &Stop,
    ) -> Result<Report, MigrateError> {
        let mut report = Report::default();
        if !self.dry_run {
            report.restored = self.recover(journal).await?;
        }
        let names = self.names().await?;
        self.refuse_what_cannot_be_held(&names)?;

        observer.begin(Phase::Compare, names.len());
        let plan = self.compare(&names, &mut report, observer, stop).await?;
        if self.dry_run {
            report.migrated = plan.create.len();
            report.replaced = plan.replace.len();
            return Ok(report);
        }

        observer.begin(Phase::Copy, plan.create.len() + plan.replace.len());
        let mut replace = self
            .create_all(&plan.create, &mut report, observer, stop)
            .await?;
        replace.extend(plan.replace);
        for name in &replace {
            if stop.is_set() {
                return Err(MigrateError::Stopped {
                    written: report.written(),
                });
            }
            self.replace(name, journal, &mut report).await?;
            observer.advance();
        }
        self.verify(&mut report, observer, stop).await?;
        Ok(report)
    }

    /// All names of the source that the pattern matches, ascending.
    async fn names(&self) -> Result<Vec<KeyName>, MigrateError> {
        let mut names = BTreeSet::new();
        let mut from = None;
        loop {
            let page = self
                .source
                .list("", from.as_ref(), PAGE_NAMES)
                .await
                .map_err(|source| MigrateError::List { source })?;
            let wanted = |name: &KeyName| self.pattern.matches_as_glob(name.as_str());
            names.extend(page.names.into_iter().filter(wanted));
            match page.next {
                // A store that gives the same page for ever must not keep us.
                Some(next) if from.as_ref().is_none_or(|from| *from < next) => from = Some(next),
                Some(next) => return Err(MigrateError::EndlessList { at: next }),
                None => return Ok(names.into_iter().collect()),
            }
        }
    }

    fn refuse_what_cannot_be_held(&self, names: &[KeyName]) -> Result<(), MigrateError> {
        let refused: Vec<(KeyName, String)> = names
            .iter()
            .filter_map(|name| Some((name.clone(), self.target.refuses(name)?)))
            .collect();
        if refused.is_empty() {
            Ok(())
        } else {
            Err(MigrateError::Refused { names: refused })
        }
    }

    async fn compare(
        &self,
        names: &[KeyName],
        report: &mut Report,
        observer: &dyn Observer,
        stop: &Stop,
    ) -> Result<Plan, MigrateError> {
        let mut plan = Plan::default();
        let mut differing = Vec::new();
        self.standings(names, stop, |name, standing| {
            observer.advance();
            match standing {
                Ok(Standing::Missing) => plan.create.push(name),
                Ok(Standing::Equal(_)) => report.equal += 1,
                Ok(Standing::Differs) => differing.push(name),
                Ok(Standing::Vanished) => report.vanished += 1,
                Err(MigrateError::Unusable { reason, .. }) => report.failed.push((name, reason)),
                Err(error) => return Err(error),
            }
            Ok(())
        })
        .await?;
        plan.create.sort_unstable();
        differing.sort_unstable();
        match self.conflict {
            Conflict::Stop if !differing.is_empty() => {
                return Err(MigrateError::Conflict { names: differing });
            }
            Conflict::Stop => {}
            Conflict::Keep => report.kept = differing,
            Conflict::Replace => plan.replace = differing,
        }
        Ok(plan)
    }

    /// Reads each key from both stores, several at once.
    async fn standings(
        &self,
        names: &[KeyName],
        stop: &Stop,
        mut take: impl FnMut(KeyName, Result<Standing, MigrateError>) -> Result<(), MigrateError>,
    ) -> Result<(), MigrateError> {
        let work = |name: KeyName| {
            let (source, target) = (Arc::clone(&self.source), Arc::clone(&self.target));
            async move {
                let standing = standing(&*source, &*target, &name).await;
                (name, standing)
            }
        };
        let is_done = parallel::each(names, AT_ONCE, stop, work, |(name, standing)| {
            take(name, standing)
        })
        .await?;
        if is_done {
            Ok(())
        } else {
            Err(MigrateError::Stopped { written: 0 })
        }
    }

    /// Reads every key of the source again from both stores; keys that were not to be copied need not be equal.
    async fn verify(
        &self,
        report: &mut Report,
        observer: &dyn Observer,
        stop: &Stop,
    ) -> Result<(), MigrateError> {
        let excused: BTreeSet<KeyName> = report
            .kept
            .iter()
            .chain(report.failed.iter().map(|(name, _)| name))
            .cloned()
            .collect();
        let mut names = self.names().await?;
        names.retain(|name| !excused.contains(name));
        observer.begin(Phase::Verify, names.len());
        let mut equal = BTreeMap::new();
        let mut unequal = Vec::new();
        let written = report.written();
        self.standings(&names, stop, |name, standing| {
            observer.advance();
            match standing {
                Ok(Standing::Equal(digest)) => drop(equal.insert(name, digest)),
                Ok(Standing::Vanished) => {}
                Ok(Standing::Missing | Standing::Differs) | Err(MigrateError::Unusable { .. }) => {
                    unequal.push(name);
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })
        .await
        .map_err(|error| match error {
            MigrateError::Stopped { .. } => MigrateError::Stopped { written },
            other => other,
        })?;
        unequal.sort_unstable();
        if !unequal.is_empty() {
            return Err(MigrateError::Unequal { names: unequal });
        }
        report.verified = equal.len();
        report.digest = Some(of_all(&equal));
        Ok(())
    }
}

async fn standing(
    source: &dyn KeyStore,
    target: &dyn KeyStore,
    name: &KeyName,
) -> Result<Standing, MigrateError> {
    let wanted = match source.get(name).await {
        Ok(value) => value,
        Err(StoreError::NotFound) => return Ok(Standing::Vanished),
        Err(error) => return Err(MigrateError::of(Side::Source, name, error)),
    };
    match target.get(name).await {
        Ok(there) if is_same(&there, &wanted) => Ok(Standing::Equal(digest_of(&wanted))),
        Ok(_) => Ok(Standing::Differs),
        Err(StoreError::NotFound) => Ok(Standing::Missing),
        Err(error) => Err(MigrateError::of(Side::Target, name, error)),
    }
}

fn is_same(a: &StoredValue, b: &StoredValue) -> bool {
    a.expose() == b.expose()
}

fn digest_of(value: &StoredValue) -> [u8; 32] {
    sha256(&[value.expose().as_bytes()])
}

fn of_all(values: &BTreeMap<KeyName, [u8; 32]>) -> [u8; 32] {
    let parts: Vec<&[u8]> = values
        .iter()
        .flat_map(|(name, digest)| [name.as_str().as_bytes(), b"\0", digest.as_slice()])
        .collect();
    sha256(&parts)
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut result = [0; 32];
    result.copy_from_slice(context.finish().as_ref());
    result
}
