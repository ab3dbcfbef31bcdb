//! Why a migration did not do all of its work.

use std::fmt;
use std::io;

use strongroom_kes_api::KeyName;

use crate::StoreError;

/// Names that an error shows; a thousand of them help nobody.
const NAMES_SHOWN_MAX: usize = 5;

/// One of both stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the keys come from.
    Source,
    /// Where they go.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Variants by what the operator can do about it. What was written before stays, and is skipped by the next run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A task of ours panicked.
    #[error("a part of the migration broke off; run it again: {source}")]
    Broken {
        /// How.
        source: tokio::task::JoinError,
    },
    /// The target has other values. Nothing was written, unless somebody created these keys during the migration.
    #[error(
        "the target has {} with another value: {}; '--merge' leaves the target's values, '--force' replaces them",
        keys(names.len()), Names(names)
    )]
    Conflict {
        /// Which keys.
        names: Vec<KeyName>,
    },
    /// The source gives the same page of names again and again.
    #[error("the source's list of keys does not end: it goes back to {at:?}")]
    EndlessList {
        /// Where.
        at: KeyName,
    },
    /// The journal cannot be read or written.
    #[error("{what}: {source}")]
    Journal {
        /// What was tried, and what that means for the key.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// The source cannot be listed.
    #[error("the keys of the source cannot be listed: {}", source.in_full())]
    List {
        /// Why not.
        source: StoreError,
    },
    /// The journal holds a value for a key that the target has with yet another value.
    #[error(
        "key {name:?} has a value in the target that is neither the one that an interrupted migration replaced nor the \
         source's: somebody else wrote it; the replaced value stays in the journal until you remove that file"
    )]
    ThirdValue {
        /// Which key.
        name: KeyName,
    },
    /// The target cannot hold these names. Nothing was written.
    #[error(
        "the target cannot hold {}: {}",
        keys(names.len()),
        names.first().map(|(name, why)| format!("{name:?}: {why}")).unwrap_or_default()
    )]
    Refused {
        /// Which keys, and why not.
        names: Vec<(KeyName, String)>,
    },
    /// It was asked to stop.
    #[error("stopped; {} written, run the same command again to go on", were(*written))]
    Stopped {
        /// Keys that were written.
        written: usize,
    },
    /// A key was deleted, and neither the new nor the old value could be written.
    #[error(
        "key {name:?} was deleted from the target and could not be created again ({reason}); its old value is in the \
         journal: run the same command again to put it back"
    )]
    Stranded {
        /// Which key.
        name: KeyName,
        /// Why.
        reason: String,
    },
    /// After all was written, these keys are not the same in both stores.
    #[error(
        "{} not the same in both stores: {}; if somebody creates or replaces keys, stop that and run the same command again",
        are(names.len()), Names(names)
    )]
    Unequal {
        /// Which keys.
        names: Vec<KeyName>,
    },
    /// A store does not answer.
    #[error("the {side} failed at key {name:?}: {}", source.in_full())]
    Unreachable {
        /// Which store.
        side: Side,
        /// At which key.
        name: KeyName,
        /// Why.
        source: StoreError,
    },
    /// One key cannot be read or written; others may.
    #[error("key {name:?}: {reason}")]
    Unusable {
        /// Which key.
        name: KeyName,
        /// Why.
        reason: String,
    },
}

impl MigrateError {
    /// The failure of a store at one key.
    pub(super) fn of(side: Side, name: &KeyName, source: StoreError) -> Self {
        let name = name.clone();
        match source {
            StoreError::Unreachable { .. } => Self::Unreachable { side, name, source },
            other => Self::Unusable {
                name,
                reason: format!("the {side} says: {}", other.in_full()),
            },
        }
    }
}

fn keys(count: usize) -> String {
    match count {
        1 => "1 key".to_owned(),
        _ => format!("{count} keys"),
    }
}

fn are(count: usize) -> String {
    match count {
        1 => "1 key is".to_owned(),
        _ => format!("{count} keys are"),
    }
}

fn were(count: usize) -> String {
    match count {
        1 => "1 key was".to_owned(),
        _ => format!("{count} keys were"),
    }
}

struct Names<'n>(&'n [KeyName]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().take(NAMES_SHOWN_MAX).enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { ", " })?;
        }
        if self.0.len() > NAMES_SHOWN_MAX {
            f.write_str(", …")?;
        }
        Ok(())
    }
}
