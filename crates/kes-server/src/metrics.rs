//! What the server counts, in the exposition formats of Prometheus.
//!
//! Clients of KES fail when a family other than the three request counters has more than one series, so nothing with
//! labels may ever be added here.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::disk_cache::DiskCacheSample;
use crate::surroundings::MachineSample;

mod format;

pub(crate) use format::Format;

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

/// Several series of one name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Family {
    name: &'static str,
    help: &'static str,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Gauge(f64),
    Counter(f64),
    /// By status code.
    Counters(Vec<(u16, u64)>),
    Histogram {
        /// Upper bounds with what lies below each; the one for infinity is `count`.
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
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

    pub(crate) fn families(
        &self,
        uptime: Duration,
        machine: &MachineSample,
        disk: Option<DiskCacheSample>,
    ) -> Vec<Family> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut families = Vec::with_capacity(24);
        if let Some(disk) = disk {
            families.extend([
                gauge(
                    "kes_cache_disk_active",
                    "Whether keys come from the disk cache, since the key store is not reachable.",
                    f64::from(u8::from(disk.is_serving)),
                ),
                gauge(
                    "kes_cache_disk_entries",
                    "Number of keys in the disk cache.",
                    float(disk.entries),
                ),
                counter(
                    "kes_cache_disk_failures_total",
                    "Number of times that the disk cache could not be read or written.",
                    disk.failed,
                ),
                counter(
                    "kes_cache_disk_served_total",
                    "Number of keys read from the disk cache instead of the key store.",
                    disk.served,
                ),
                counter(
                    "kes_cache_disk_written_total",
                    "Number of keys written to the disk cache.",
                    disk.written,
                ),
            ]);
        }
        let active = self.active.load(Ordering::Relaxed).max(0);
        families.push(gauge(
            "kes_http_request_active",
            "Number of requests in progress.",
            float(active.unsigned_abs()),
        ));
        families.extend(of_answers(&self.answers));
        families.extend([
            counter(
                "kes_log_audit_events",
                "Number of audit records.",
                count(&self.audit_events),
            ),
            counter(
                "kes_log_error_events",
                "Number of error records.",
                count(&self.error_events),
            ),
            gauge(
                "kes_system_mem_heap_objects",
                "Number of objects on the heap.",
                float(machine.mem_heap_objects),
            ),
            gauge(
                "kes_system_mem_heap_used",
                "Bytes of heap in use.",
                float(machine.mem_heap_used),
            ),
            gauge(
                "kes_system_mem_stack_used",
                "Bytes of stack in use.",
                float(machine.mem_stack_used),
            ),
            gauge(
                "kes_system_num_cpu",
                "Number of cores.",
                machine.num_cpu.into(),
            ),
            gauge(
                "kes_system_num_cpu_used",
                "Number of cores that the server may use.",
                machine.num_cpu_used.into(),
            ),
            gauge(
                "kes_system_num_threads",
                "Number of threads.",
                machine.num_threads.into(),
            ),
            gauge(
                "kes_system_up_time",
                "Seconds since the server started.",
                uptime.as_secs_f64(),
            ),
        ]);
        families
    }
}

fn gauge(name: &'static str, help: &'static str, value: f64) -> Family {
    let values = Values::Gauge(value);
    Family { name, help, values }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    let values = Values::Counter(float(value));
    Family { name, help, values }
}

/// Prometheus has no other numbers; what is lost begins at 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(value: u64) -> f64 {
    value as f64
}

fn of_answers(answers: &Answers) -> Vec<Family> {
    let mut families = Vec::with_capacity(4);
    for (name, help, from, to) in [
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
        (
            "kes_http_request_success",
            "Number of requests that succeeded.",
            100,
            399,
        ),
    ] {
        let series: Vec<_> = answers
            .statuses()
            .filter(|(status, _)| (from..=to).contains(status))
            .collect();
        // A family without series must be left out.
        if !series.is_empty() {
            let values = Values::Counters(series);
            families.push(Family { name, help, values });
        }
    }
    let by_time = answers
        .by_time
        .each_ref()
        .map(|n| n.load(Ordering::Relaxed));
    let mut below = 0;
    let buckets = BUCKETS_S.iter().zip(by_time).map(|(le, count)| {
        below += count;
        (*le, below)
    });
    let buckets = buckets.collect();
    let sum = Duration::from_nanos(answers.nanoseconds.load(Ordering::Relaxed));
    families.push(Family {
        name: "kes_http_response_time",
        help: "Seconds from request to answer.",
        values: Values::Histogram {
            buckets,
            sum: sum.as_secs_f64(),
            count: by_time.iter().sum(),
        },
    });
    families
}

#[cfg(test)]
mod tests;
