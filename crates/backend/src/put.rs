//! Writing an object whose ETag is known only when its body ends.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use s3s::dto::StreamingBlob;

use crate::object::{Checksum, Generation, Location, ObjectHeaders};

/// What must be true of the destination at the moment of commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// No object there (a delete marker counts as none).
    Absent,
    /// The newest version is of this generation.
    Generation(Generation),
}

/// An object to store.
#[derive(Debug)]
pub struct Put {
    /// Where; its version id is ignored.
    pub at: Location,
    /// The client's headers.
    pub headers: ObjectHeaders,
    /// Bytes as they are to be stored.
    pub body: StreamingBlob,
    /// Length of `body` if known: a body of another length is refused.
    pub stored_length: Option<u64>,
    /// The wrapper's envelope; `None` for a plain object.
    pub envelope: Option<Bytes>,
    /// Told by the body before it ends.
    pub finish: FinishSlot,
    /// Checked atomically with the commit.
    pub precondition: Precondition,
}

/// What is known of a body only at its end.
#[derive(Clone, Debug, Default)]
pub struct Finish {
    /// ETag to store, without quotes.
    pub etag: String,
    /// Checksum of a plain object.
    pub checksum: Option<Checksum>,
    /// Of a part: the wrapper's record of this attempt.
    pub record: Bytes,
}

/// Carries a [`Finish`] from the stream that learns it to the store that needs it. The stream sets it
/// before it yields its end; a store that finds it empty then commits nothing.
#[derive(Clone, Debug, Default)]
pub struct FinishSlot(Arc<OnceLock<Finish>>);

impl FinishSlot {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A slot that is filled from the start.
    #[must_use]
    pub fn filled(finish: Finish) -> Self {
        let slot = Self::default();
        slot.set(finish);
        slot
    }

    /// Fills the slot. A second value is ignored: a body ends once.
    pub fn set(&self, finish: Finish) {
        let _ = self.0.set(finish);
    }

    /// What was set.
    #[must_use]
    pub fn get(&self) -> Option<&Finish> {
        self.0.get()
    }
}
