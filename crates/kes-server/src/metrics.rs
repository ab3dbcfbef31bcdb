//! What the server counts, in Prometheus text 0.0.4.
//!
//! Clients of KES fail when a family other than the three request counters has more than one series, so nothing with
//! labels may ever be added here.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::surroundings::MachineSample;

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const BUCKETS_S: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 3.0, 5.0, 10.0];

/// HTTP knows three digits; the first is 1 to 5.
const STATUS_MIN: u16 = 100;
const STATUSES: usize = 500;

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    active: AtomicI64,
    answers: Answers,
    pub(crate) error_events: AtomicU64,
    pub(crate) audit_events: AtomicU64,
}

/// Counted without a lock: a reader may see one answer in one of them and not yet in another.
#[derive(Debug)]
struct Answers {
    /// From [`STATUS_MIN`] on.
    by_status: Box<[AtomicU64]>,
    /// Not cumulative; the last one is everything above.
    by_time: [AtomicU64; BUCKETS_S.len() + 1],
    nanoseconds: AtomicU64,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            by_status: (0..STATUSES).map(|_| AtomicU64::new(0)).collect(),
            by_time: Default::default(),
            nanoseconds: AtomicU64::new(0),
        }
    }
}

impl Answers {
    /// The statuses that were answered, in order, with their counts.
    fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        (STATUS_MIN..)
            .zip(&self.by_status)
            .map(|(status, count)| (status, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }
}

/// A request that has no answer yet; one that is cut off counts as active no longer.
#[derive(Debug)]
pub(crate) struct ActiveRequest<'m>(&'m Metrics);

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn begin(&self) -> ActiveRequest<'_> {
        self.active.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(self)
    }

    pub(crate) fn answered(&self, status: u16, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS_S
            .iter()
            .position(|le| seconds <= *le)
            .unwrap_or(BUCKETS_S.len());
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let Answers {
            by_status,
            by_time,
            nanoseconds: all,
        } = &self.answers;
        if let Some(count) = by_status.get(usize::from(status.saturating_sub(STATUS_MIN))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        by_time[bucket].fetch_add(1, Ordering::Relaxed);
        all.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(crate) fn text(&self, uptime: Duration, machine: &MachineSample) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut text = String::with_capacity(4096);
        let mut one = |name: &str, kind: &str, help: &str, value: String| {
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
            );
        };
        one(
            "kes_http_request_active",
            "gauge",
            "Number of requests in progress.",
            self.active.load(Ordering::Relaxed).max(0).to_string(),
        );
        one(
            "kes_log_audit_events",
            "counter",
            "Number of audit records.",
            count(&self.audit_events).to_string(),
        );
        one(
            "kes_log_error_events",
            "counter",
            "Number of error records.",
            count(&self.error_events).to_string(),
        );
        one(
            "kes_system_mem_heap_objects",
            "gauge",
            "Number of objects on the heap.",
            machine.mem_heap_objects.to_string(),
        );
        one(
            "kes_system_mem_heap_used",
            "gauge",
            "Bytes of heap in use.",
            machine.mem_heap_used.to_string(),
        );
        one(
            "kes_system_mem_stack_used",
            "gauge",
            "Bytes of stack in use.",
            machine.mem_stack_used.to_string(),
        );
        one(
            "kes_system_num_cpu",
            "gauge",
            "Number of cores.",
            machine.num_cpu.to_string(),
        );
        one(
            "kes_system_num_cpu_used",
            "gauge",
            "Number of cores that the server may use.",
            machine.num_cpu_used.to_string(),
        );
        one(
            "kes_system_num_threads",
            "gauge",
            "Number of threads.",
            machine.num_threads.to_string(),
        );
        one(
            "kes_system_up_time",
            "gauge",
            "Seconds since the server started.",
            uptime.as_secs_f64().to_string(),
        );
        push_answers(&mut text, &self.answers);
        text
    }
}

fn push_answers(text: &mut String, answers: &Answers) {
    for (name, help, from, to) in [
        (
            "kes_http_request_success",
            "Number of requests that succeeded.",
            100,
            399,
        ),
        (
            "kes_http_request_error",
            "Number of requests that failed by fault of the client.",
            400,
            499,
        ),
        (
            "kes_http_request_failure",
            "Number of requests that failed by fault of the server.",
            500,
            599,
        ),
    ] {
        let mut series = answers
            .statuses()
            .filter(|(status, _)| (from..=to).contains(status))
            .peekable();
        // A family without series must be left out.
        if series.peek().is_some() {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        }
        for (status, count) in series {
            let _ = writeln!(text, "{name}{{code=\"{status}\"}} {count}");
        }
    }
    let name = "kes_http_response_time";
    let _ = writeln!(
        text,
        "# HELP {name} Seconds from request to answer.\n# TYPE {name} histogram"
    );
    let mut below = 0;
    for (le, count) in BUCKETS_S.iter().zip(&answers.by_time) {
        below += count.load(Ordering::Relaxed);
        let _ = writeln!(text, "{name}_bucket{{le=\"{le}\"}} {below}");
    }
    below += answers.by_time[BUCKETS_S.len()].load(Ordering::Relaxed);
    let seconds = Duration::from_nanos(answers.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
    let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {below}");
    let _ = writeln!(text, "{name}_sum {seconds}\n{name}_count {below}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_but_three_has_one_series() {
        let metrics = Metrics::default();
        let active = metrics.begin();
        for (status, ms) in [(200, 5), (200, 20), (404, 5), (403, 1), (502, 20_000)] {
            metrics.answered(status, Duration::from_millis(ms));
        }
        let text = metrics.text(Duration::from_secs(3), &MachineSample::default());
        drop(active);
        for line in [
            "kes_http_request_success{code=\"200\"} 2",
            "kes_http_request_error{code=\"403\"} 1",
            "kes_http_request_error{code=\"404\"} 1",
            "kes_http_request_failure{code=\"502\"} 1",
            "kes_http_request_active 1",
            "kes_http_response_time_bucket{le=\"0.01\"} 3",
            "kes_http_response_time_bucket{le=\"10\"} 4",
            "kes_http_response_time_bucket{le=\"+Inf\"} 5",
            "kes_http_response_time_count 5",
            "kes_system_up_time 3",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing in\n{text}"
            );
        }
        let labelled = text.lines().filter(|l| l.contains("{code=")).count();
        let buckets = text.lines().filter(|l| l.contains("_bucket{")).count();
        let braces = text.lines().filter(|l| l.contains('{')).count();
        assert_eq!(braces, labelled + buckets);
    }

    #[test]
    fn a_family_without_series_is_left_out() {
        let text = Metrics::default().text(Duration::ZERO, &MachineSample::default());
        assert!(!text.contains("kes_http_request_failure"));
    }
}
