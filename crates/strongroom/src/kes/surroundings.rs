//! What the key server takes from outside, as it really is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use strongroom_kes_server::machine::ThisProcess;
use strongroom_kes_server::{Build, Clock, Entropy, LogSink, NoEntropy, Surroundings};

use crate::random;

/// Clock, randomness and machine of this process.
pub(crate) fn surroundings(log: Arc<dyn LogSink>) -> Surroundings {
    Surroundings {
        clock: Arc::new(SystemClock(Instant::now())),
        entropy: Arc::new(SystemEntropy),
        machine: Arc::new(ThisProcess),
        log,
        build: Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: String::new(),
        },
    }
}

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        random::fill(buffer).map_err(|_| NoEntropy)
    }
}
