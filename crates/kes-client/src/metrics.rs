//! The metrics of a server: from Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats) to
//! numbers.

use std::time::Duration;

/// What a server counts. What it does not tell is zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// Requests that were answered with 200.
    pub request_success: u64,
    /// Requests that were answered with 4xx.
    pub request_error: u64,
    /// Requests that were answered with 5xx.
    pub request_failure: u64,
    /// Requests without an answer yet.
    pub request_active: u64,
    /// Audit events.
    pub audit_events: u64,
    /// Error events.
    pub error_events: u64,
    /// How many answers took at most so long; ascending, each count includes those before it.
    pub response_time: Vec<(Duration, u64)>,
    /// How long the server runs.
    pub up_time: Duration,
    /// Processors of the machine.
    pub num_cpu: u64,
    /// Processors that the server may use.
    pub num_cpu_used: u64,
    /// Threads of the process.
    pub num_threads: u64,
    /// Bytes on the heap.
    pub mem_heap_used: u64,
    /// Objects on the heap.
    pub mem_heap_objects: u64,
    /// Bytes on stacks.
    pub mem_stack_used: u64,
}

/// A line that is no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics is no sample in the text format of Prometheus")]
pub struct MetricsError {
    /// From 1.
    pub line: usize,
}

impl Metrics {
    /// Reads the answer of the metrics route. Unknown families are passed over; series of one family that differ in
    /// labels only (status codes) are added up.
    ///
    /// # Errors
    /// [`MetricsError`] for text of another form.
    pub fn parse(text: &str) -> Result<Self, MetricsError> {
        let mut metrics = Self::default();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, labels, value) = sample(line).ok_or(MetricsError { line: i + 1 })?;
            metrics.take(name, labels, value);
        }
        metrics.response_time.sort_unstable();
        Ok(metrics)
    }

    fn take(&mut self, name: &str, labels: &str, value: f64) {
        let place = match name {
            "kes_http_request_success" => &mut self.request_success,
            "kes_http_request_error" => &mut self.request_error,
            "kes_http_request_failure" => &mut self.request_failure,
            "kes_http_request_active" => &mut self.request_active,
            "kes_log_audit_events" => &mut self.audit_events,
            "kes_log_error_events" => &mut self.error_events,
            "kes_http_response_time_bucket" => {
                // `+Inf` is no duration, and the count of all is the sum of the three counters.
                let bound = label(labels, "le").and_then(|le| le.parse().ok());
                if let Some(bound) = bound.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
                    self.response_time.push((bound, count(value)));
                }
                return;
            }
            "kes_system_up_time" => {
                self.up_time = Duration::try_from_secs_f64(value).unwrap_or_default();
                return;
            }
            "kes_system_num_cpu" => &mut self.num_cpu,
            "kes_system_num_cpu_used" => &mut self.num_cpu_used,
            "kes_system_num_threads" => &mut self.num_threads,
            "kes_system_mem_heap_used" => &mut self.mem_heap_used,
            "kes_system_mem_heap_objects" => &mut self.mem_heap_objects,
            "kes_system_mem_stack_used" => &mut self.mem_stack_used,
            _ => return,
        };
        *place = place.saturating_add(count(value));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest whole number that there is; NaN and negative ones become zero"
)]
fn count(value: f64) -> u64 {
    value.round() as u64
}

/// `name{labels} value [timestamp]`.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let name_ends = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(name_ends);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => {
            let end = labels_end(inside)?;
            (&inside[..end], &inside[end + 1..])
        }
        None => ("", rest),
    };
    let value = rest.split_whitespace().next()?;
    Some((name, labels, value.parse().ok()?))
}

/// Where the closing brace is: braces in quotes do not count.
fn labels_end(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted => return Some(i),
            _ => {}
        }
    }
    None
}

fn label<'t>(labels: &'t str, name: &str) -> Option<&'t str> {
    labels.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_up_over_status_codes_and_unknown_families_are_passed_over() {
        let text = "# HELP kes_http_request_error x\n# TYPE kes_http_request_error counter\n\
            kes_http_request_error{code=\"403\"} 3\nkes_http_request_error{code=\"404\"} 4\n\
            kes_new{a=\"}\\\"\",b=\"x\"} NaN 1700000000\n\nkes_system_up_time 8.5\nkes_system_mem_heap_used 6.4e+06\n\
            kes_http_response_time_bucket{le=\"0.5\"} 7\nkes_http_response_time_bucket{le=\"0.01\"} 5\n\
            kes_http_response_time_bucket{le=\"+Inf\"} 9\nkes_http_response_time_sum 1.5\n";
        let expected = Metrics {
            request_error: 7,
            up_time: Duration::from_millis(8500),
            mem_heap_used: 6_400_000,
            response_time: vec![
                (Duration::from_millis(10), 5),
                (Duration::from_millis(500), 7),
            ],
            ..Metrics::default()
        };
        assert_eq!(Metrics::parse(text), Ok(expected));
    }

    #[test]
    fn other_texts_are_refused_with_their_line() {
        for (text, line) in [
            ("kes_x 1\n<html>", 2),
            ("kes_x{a=\"1\" 1", 1),
            ("kes_x one", 1),
        ] {
            assert_eq!(Metrics::parse(text), Err(MetricsError { line }), "{text}");
        }
    }
}
