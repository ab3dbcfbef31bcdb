//! All that the server takes from outside: time, randomness, the machine, and where its records go. The binary brings
//! the real ones, tests their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::log::LogSink;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// By the calendar, for records.
    fn now(&self) -> Timestamp;
    /// Since some fixed moment, never going back: for expiry and durations.
    fn elapsed(&self) -> Duration;
}

/// Draws cryptographic random bytes.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    ///
    /// # Errors
    /// [`NoEntropy`] when the system has none; the buffer must not be used then.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoEntropy;

/// Looks at the process and the machine.
pub trait Machine: Send + Sync {
    /// `linux`, `darwin`, `windows`, …
    fn os(&self) -> &str;
    /// As Go spells it: `amd64`, `arm64`, …
    fn arch(&self) -> &str;
    /// A look at what changes.
    fn sample(&self) -> MachineSample;
}

/// What a [`Machine`] saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineSample {
    /// Cores of the machine.
    pub num_cpu: u32,
    /// Cores that the process may use.
    pub num_cpu_used: u32,
    /// Threads of the process.
    pub num_threads: u32,
    /// Heap in use, bytes.
    pub mem_heap_used: u64,
    /// Objects on the heap, where the allocator counts them.
    pub mem_heap_objects: u64,
    /// Stacks, bytes.
    pub mem_stack_used: u64,
}

/// What the binary was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// A stamp such as `2025-03-12T09-35-18Z`.
    pub version: String,
    /// Commit.
    pub commit: String,
}

/// Everything together.
#[derive(Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The machine.
    pub machine: Arc<dyn Machine>,
    /// Where audit and error records go.
    pub log: Arc<dyn LogSink>,
    /// What runs.
    pub build: Build,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("build", &self.build)
            .finish_non_exhaustive()
    }
}
