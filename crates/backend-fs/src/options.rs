//! What a store is handed when it is opened.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::disk::Watch;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Gives sixteen random bytes, never the same twice: names of data files and generations.
pub type Entropy = Arc<dyn Fn() -> [u8; 16] + Send + Sync>;

/// How long an unreferenced data file is left alone by [`LocalStore::sweep`](crate::LocalStore::sweep). The
/// sweep is exact without it; an hour gives an operator who moves files by hand time to notice.
const SWEEP_GRACE: Duration = Duration::from_secs(3600);

/// Whether an answer waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Data, roots and folders are synced before a write is answered.
    #[default]
    Full,
    /// **Nothing is synced: a power cut loses or damages recent objects.** For tests and for measuring
    /// what syncing costs, never for data.
    RelaxedLosesDataOnPowerCut,
}

/// What a store is handed when it is opened.
#[derive(Clone)]
pub struct Options {
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) durability: Durability,
    pub(crate) compat_etags: bool,
    pub(crate) sweep_grace: Duration,
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

impl Options {
    /// The safe defaults with this clock and this source of randomness.
    #[must_use]
    pub fn new(clock: Clock, entropy: Entropy) -> Self {
        Self {
            clock,
            entropy,
            durability: Durability::Full,
            compat_etags: true,
            sweep_grace: SWEEP_GRACE,
            watch: None,
        }
    }

    /// Whether answers wait for the disk.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether the ETag of a plain object is the MD5 of its bytes, as S3's is (the default), or opaque.
    #[must_use]
    pub fn compat_etags(mut self, compat_etags: bool) -> Self {
        self.compat_etags = compat_etags;
        self
    }

    /// How old an unreferenced data file must be for the sweep to remove it.
    #[must_use]
    pub fn sweep_grace(mut self, grace: Duration) -> Self {
        self.sweep_grace = grace;
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("durability", &self.durability)
            .field("compat_etags", &self.compat_etags)
            .field("sweep_grace", &self.sweep_grace)
            .finish_non_exhaustive()
    }
}
