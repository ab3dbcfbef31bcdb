//! Writing: new keys several at once, replacements one after the other.

use std::sync::Arc;
use std::time::Duration;

use strongroom_kes_api::KeyName;

use super::{
    AT_ONCE, Conflict, Journal, MigrateError, Migration, Observer, Report, Side, Stop, is_same,
    parallel,
};
use crate::{KeyStore, StoreError, StoredValue};

/// Pauses before a key that was deleted is created again. Some services refuse a name for a while after its deletion.
const CREATE_AGAIN_AFTER: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

enum Created {
    Written,
    /// The target has this very value by now.
    Equal,
    /// The target has another value by now.
    Differs,
    Vanished,
}

impl Migration {
    /// Creates keys that the target did not have. Gives those that it has by now, with another value, and that are to be
    /// replaced.
    pub(super) async fn create_all(
        &self,
        names: &[KeyName],
        report: &mut Report,
        observer: &dyn Observer,
        stop: &Stop,
    ) -> Result<Vec<KeyName>, MigrateError> {
        let work = |name: KeyName| {
            let (source, target) = (Arc::clone(&self.source), Arc::clone(&self.target));
            async move {
                let created = create(&*source, &*target, &name).await;
                (name, created)
            }
        };
        let mut replace = Vec::new();
        let is_done = parallel::each(names, AT_ONCE, stop, work, |(name, created)| {
            observer.advance();
            match created {
                Ok(Created::Written) => report.migrated += 1,
                Ok(Created::Equal) => report.equal += 1,
                Ok(Created::Vanished) => report.vanished += 1,
                Ok(Created::Differs) => match self.conflict {
                    Conflict::Stop => return Err(MigrateError::Conflict { names: vec![name] }),
                    Conflict::Keep => report.kept.push(name),
                    Conflict::Replace => replace.push(name),
                },
                Err(MigrateError::Unusable { reason, .. }) => report.failed.push((name, reason)),
                Err(error) => return Err(error),
            }
            Ok(())
        })
        .await?;
        if is_done {
            Ok(replace)
        } else {
            Err(MigrateError::Stopped {
                written: report.written(),
            })
        }
    }

    /// Puts the source's value in place of the target's.
    pub(super) async fn replace(
        &self,
        name: &KeyName,
        journal: &dyn Journal,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        let target = &*self.target;
        let new = match self.source.get(name).await {
            Ok(value) => value,
            Err(StoreError::NotFound) => {
                report.vanished += 1;
                return Ok(());
            }
            Err(error) => return Err(MigrateError::of(Side::Source, name, error)),
        };
        // Read again: what was compared may be minutes old.
        let old = match target.get(name).await {
            Ok(old) if is_same(&old, &new) => {
                report.equal += 1;
                return Ok(());
            }
            Ok(old) => Some(old),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(MigrateError::of(Side::Target, name, error)),
        };
        if let Some(old) = &old {
            journal.keep(name, old).map_err(|source| MigrateError::Journal {
                what: format!("key {name:?} was not replaced, since its old value cannot be kept in the journal"),
                source,
            })?;
            if let Err(error) = target.delete(name).await {
                // Whether it is deleted, only the next run can find out.
                return Err(MigrateError::of(Side::Target, name, error));
            }
        }
        match create_again(target, name, &new).await {
            Ok(()) => {
                forget(journal, name)?;
                report.replaced += 1;
                Ok(())
            }
            Err(error) => {
                let reason = error.in_full();
                if let Some(old) = &old
                    && create_again(target, name, old).await.is_err()
                {
                    let name = name.clone();
                    return Err(MigrateError::Stranded { name, reason });
                }
                forget(journal, name)?;
                report.failed.push((
                    name.clone(),
                    format!("the new value was not accepted, the old one is in its place again: {reason}"),
                ));
                Ok(())
            }
        }
    }

    /// Puts the key back that an interrupted migration had deleted.
    ///
    /// # Errors
    /// [`MigrateError`] when the journal or the target cannot be read or written.
    pub async fn recover(&self, journal: &dyn Journal) -> Result<Option<KeyName>, MigrateError> {
        let kept = journal.kept().map_err(|source| MigrateError::Journal {
            what: "the journal of an interrupted migration cannot be read".to_owned(),
            source,
        })?;
        let Some((name, old)) = kept else {
            return Ok(None);
        };
        match self.target.get(&name).await {
            // Not deleted yet.
            Ok(there) if is_same(&there, &old) => forget(journal, &name).map(|()| None),
            Ok(there) => match self.source.get(&name).await {
                // Replaced already.
                Ok(new) if is_same(&there, &new) => forget(journal, &name).map(|()| None),
                Ok(_) | Err(StoreError::NotFound) => Err(MigrateError::ThirdValue { name }),
                Err(error) => Err(MigrateError::of(Side::Source, &name, error)),
            },
            Err(StoreError::NotFound) => {
                if let Err(error) = create_again(&*self.target, &name, &old).await {
                    let reason = error.in_full();
                    return Err(MigrateError::Stranded { name, reason });
                }
                forget(journal, &name)?;
                Ok(Some(name))
            }
            Err(error) => Err(MigrateError::of(Side::Target, &name, error)),
        }
    }
}

fn forget(journal: &dyn Journal, name: &KeyName) -> Result<(), MigrateError> {
    journal.forget().map_err(|source| MigrateError::Journal {
        what: format!(
            "key {name:?} is in its place, but the journal with its old value cannot be removed"
        ),
        source,
    })
}

async fn create(
    source: &dyn KeyStore,
    target: &dyn KeyStore,
    name: &KeyName,
) -> Result<Created, MigrateError> {
    let value = match source.get(name).await {
        Ok(value) => value,
        Err(StoreError::NotFound) => return Ok(Created::Vanished),
        Err(error) => return Err(MigrateError::of(Side::Source, name, error)),
    };
    let error = match target.create(name, value.duplicate()).await {
        Ok(()) => return Ok(Created::Written),
        Err(error) => error,
    };
    // The answer may have been lost behind the write, and somebody else may have been faster.
    match target.get(name).await {
        Ok(there) if is_same(&there, &value) => Ok(match error {
            StoreError::Exists => Created::Equal,
            _ => Created::Written,
        }),
        Ok(_) => Ok(Created::Differs),
        Err(_) => Err(MigrateError::of(Side::Target, name, error)),
    }
}

/// Creates a key whose name was deleted just now, with patience, and reads it back.
async fn create_again(
    target: &dyn KeyStore,
    name: &KeyName,
    value: &StoredValue,
) -> Result<(), StoreError> {
    let mut last = StoreError::Exists;
    for pause in CREATE_AGAIN_AFTER {
        tokio::time::sleep(pause).await;
        let created = target.create(name, value.duplicate()).await;
        // Only what can be read back is there.
        match (created, target.get(name).await) {
            (_, Ok(there)) if is_same(&there, value) => return Ok(()),
            (Err(error), _) | (Ok(()), Err(error)) => last = error,
            (Ok(()), Ok(_)) => {
                return Err(StoreError::other(format!(
                    "the key store gives another value for key '{name}' than it was given"
                )));
            }
        }
    }
    Err(last)
}
