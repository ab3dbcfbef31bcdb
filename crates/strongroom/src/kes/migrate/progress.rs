//! How far a migration is: a bar on a terminal, nothing in a pipe.

use indicatif::{ProgressBar, ProgressStyle};
use strongroom_keystore::migrate::{Observer, Phase};

/// A bar on stderr.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::no_length();
        // The text is ours, so it is well formed; a plain bar would do otherwise.
        if let Ok(style) = ProgressStyle::with_template("{msg:9} [{bar:40}] {pos}/{len} {eta}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Observer for Bar {
    fn begin(&self, phase: Phase, keys: usize) {
        self.0.set_message(match phase {
            Phase::Compare => "Comparing",
            Phase::Copy => "Copying",
            Phase::Verify => "Verifying",
        });
        self.0.set_length(keys as u64);
        self.0.reset();
    }

    fn advance(&self) {
        self.0.inc(1);
    }
}

/// Nobody watches.
pub(super) struct Silent;

impl Observer for Silent {
    fn begin(&self, _: Phase, _: usize) {}
    fn advance(&self) {}
}
