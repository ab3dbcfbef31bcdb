//! The machine as Linux shows it under `/proc`. Elsewhere the numbers that nobody gives are zero.

use std::num::NonZero;

use crate::surroundings::{Machine, MachineSample};

/// This process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisProcess;

impl Machine for ThisProcess {
    fn os(&self) -> &str {
        match std::env::consts::OS {
            "macos" => "darwin",
            os => os,
        }
    }

    fn arch(&self) -> &str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            arch => arch,
        }
    }

    fn sample(&self) -> MachineSample {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        MachineSample {
            num_cpu: cores,
            num_cpu_used: cores,
            num_threads: u32::try_from(number(&status, "Threads:")).unwrap_or(u32::MAX),
            // Resident anonymous memory is what the heap really costs.
            mem_heap_used: number(&status, "RssAnon:") * 1024,
            mem_heap_objects: 0,
            mem_stack_used: number(&status, "VmStk:") * 1024,
        }
    }
}

fn number(status: &str, label: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_label() {
        let status = "Name:\tx\nVmStk:\t     132 kB\nRssAnon:\t    4096 kB\nThreads:\t3\n";
        assert_eq!(number(status, "RssAnon:"), 4096);
        assert_eq!(number(status, "Threads:"), 3);
        assert_eq!(number(status, "Missing:"), 0);
    }
}
