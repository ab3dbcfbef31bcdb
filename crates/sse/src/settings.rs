//! What a bucket does with writes that ask for nothing: the bucket's encryption configuration.
//!
//! Kept as a record through the backend, sealed under the state key. Settings that cannot be read fail the
//! write: they never mean "none".

mod operations;
mod record;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use s3s::S3Result;
use strongroom_backend::Backend;
use strongroom_backend::object::Generation;
use strongroom_backend::record::RecordName;

use crate::config::Clock;
use crate::error;
use crate::state::Keys;

/// Buckets whose settings are remembered: a few hundred bytes each.
const REMEMBERED_MAX: usize = 10_000;
/// What failures call these.
const WHAT: &str = "the bucket's encryption settings";

/// The default method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DefaultAlgorithm {
    SseS3,
    SseKms {
        /// As the client wrote it; `None`: the default key.
        key: Option<String>,
    },
}

/// A bucket's encryption configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketEncryption {
    pub(crate) algorithm: DefaultAlgorithm,
    pub(crate) bucket_key: Option<bool>,
    /// SSE-C writes are refused: against attackers who re-encrypt a bucket with a key of theirs.
    pub(crate) blocks_customer_keys: bool,
}

/// All buckets' settings.
pub(crate) struct Settings {
    remembered: Mutex<Remembered>,
    lease: Option<Duration>,
    clock: Clock,
}

#[derive(Default)]
struct Remembered {
    buckets: HashMap<String, Entry>,
    /// Counts changes made here: what was read before a change must not be remembered after it.
    changes: u64,
}

struct Entry {
    settings: Option<Arc<BucketEncryption>>,
    /// Highest generation seen. Whoever saw it refuses a lower one: an old record was put back.
    generation: u64,
    read_at: Duration,
    /// Nobody here changed them since.
    fresh: bool,
}

/// A record as it is in the store.
struct Found {
    settings: Option<Arc<BucketEncryption>>,
    generation: u64,
    stored: Option<Generation>,
}

/// A bucket's settings as they were before it was deleted.
pub(crate) enum Before {
    Nothing,
    /// The record is there and does not open.
    Unreadable,
    Set {
        stored: Generation,
        generation: u64,
    },
}

impl Settings {
    pub(crate) fn new(lease: Option<Duration>, clock: Clock) -> Self {
        Self {
            remembered: Mutex::default(),
            lease,
            clock,
        }
    }

    /// The settings of a bucket.
    pub(crate) async fn of(
        &self,
        bucket: &str,
        inner: &impl Backend,
        keys: &Keys,
    ) -> S3Result<Option<Arc<BucketEncryption>>> {
        let now = (self.clock)();
        let changes = {
            let remembered = self.lock();
            if let Some(entry) = remembered.buckets.get(bucket)
                && entry.fresh
                && self
                    .lease
                    .is_none_or(|lease| now.saturating_sub(entry.read_at) < lease)
            {
                return Ok(entry.settings.clone());
            }
            remembered.changes
        };
        let found = self.read(bucket, inner, keys).await?;
        let settings = found.settings.clone();
        self.remember(bucket, &found, now, changes);
        Ok(settings)
    }

    async fn read(&self, bucket: &str, inner: &impl Backend, keys: &Keys) -> S3Result<Found> {
        let name = record_name(bucket)?;
        let stored = inner.read_record(&name).await?;
        let seen = self
            .lock()
            .buckets
            .get(bucket)
            .map_or(0, |entry| entry.generation);
        let Some(stored) = stored else {
            // Clearing the settings or deleting the bucket leaves a record behind: one that was seen and is
            // gone was taken away. Another node may have deleted a bucket whose record it could not read.
            if seen > 0 && self.lease.is_none() {
                return Err(error::state(WHAT, "the record was taken away"));
            }
            return Ok(Found {
                settings: None,
                generation: seen,
                stored: None,
            });
        };
        let opened = keys
            .open(name.as_str(), &stored.bytes)
            .map_err(|e| error::state(WHAT, e))?;
        if opened.generation < seen {
            return Err(error::state(WHAT, "an older record was put back"));
        }
        let settings = record::decode(&opened.plaintext).map_err(|e| error::state(WHAT, e))?;
        Ok(Found {
            settings: settings.map(Arc::new),
            generation: opened.generation,
            stored: Some(stored.generation),
        })
    }

    fn remember(&self, bucket: &str, found: &Found, now: Duration, changes: u64) {
        let mut remembered = self.lock();
        if remembered.changes != changes {
            return;
        }
        if remembered.buckets.len() >= REMEMBERED_MAX && !remembered.buckets.contains_key(bucket) {
            remembered.buckets.clear();
        }
        let entry = Entry {
            settings: found.settings.clone(),
            generation: found.generation,
            read_at: now,
            fresh: true,
        };
        remembered.buckets.insert(bucket.to_owned(), entry);
    }

    /// The settings are being changed here.
    fn outdate(&self, bucket: &str) {
        let mut remembered = self.lock();
        remembered.changes += 1;
        if let Some(entry) = remembered.buckets.get_mut(bucket) {
            entry.fresh = false;
        }
    }

    /// The record is gone with the bucket: one of the same name begins anew.
    fn forget(&self, bucket: &str) {
        let mut remembered = self.lock();
        remembered.changes += 1;
        remembered.buckets.remove(bucket);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn record_name(bucket: &str) -> S3Result<RecordName> {
    RecordName::new(format!("buckets/{bucket}/encryption")).map_err(|e| error::state(WHAT, e))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
