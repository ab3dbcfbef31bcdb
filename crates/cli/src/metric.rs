//! `kes metric`.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use strongroom_kes_client::Metrics;

use crate::duration;
use crate::output::{Colour, header};
use crate::session::{Connect, Server, endpoints};
use crate::shell::Shell;
use crate::status::bytes;

/// Arguments of `kes metric`.
#[derive(Debug, Args)]
pub struct MetricArgs {
    /// How often the metrics are asked for [default: 5s].
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    rate: Option<Duration>,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    server: Server,
}

const RATE: Duration = Duration::from_secs(5);

/// Until somebody stops it. Asks the first server alone: counters of several servers in turns make no sense.
pub(crate) async fn run(args: MetricArgs, shell: &mut Shell<'_>) -> anyhow::Result<()> {
    let mut servers = endpoints(args.server.server.as_deref(), shell)?;
    servers.truncate(1);
    let title = servers.first().map(ToString::to_string).unwrap_or_default();
    let client = args.connect.client_of(servers, shell)?;
    let rate = args.rate.unwrap_or(RATE);
    let mut before: Option<(tokio::time::Instant, Metrics)> = None;
    let mut drawn_lines = 0;
    let mut ticks = tokio::time::interval(rate);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let text = client.metrics().await?;
        let metrics = Metrics::parse(&text)
            .with_context(|| format!("{title} sent metrics that cannot be read"))?;
        let now = tokio::time::Instant::now();
        if shell.stdout_is_terminal {
            let since = before.as_ref().map(|(then, old)| (now - *then, old));
            let title = header(&title, args.color.is_on(shell));
            let table = format!("{title}\n{}", table(&metrics, since));
            // Up to the first line of the last table, and nothing below.
            let clear = match drawn_lines {
                0 => String::new(),
                lines => format!("\u{1b}[{lines}A\u{1b}[J"),
            };
            drawn_lines = table.lines().count();
            shell.print(&(clear + &table))?;
        } else {
            shell.print(&(as_json(&metrics) + "\n"))?;
        }
        shell.stdout.flush()?;
        before = Some((now, metrics));
    }
}

/// As the original, which names each family and gives durations in nanoseconds. All of it is numbers.
fn as_json(m: &Metrics) -> String {
    let mut buckets: Vec<(String, u64)> = m
        .response_time
        .iter()
        .map(|(bound, count)| (bound.as_nanos().to_string(), *count))
        .collect();
    // Sorted as texts there.
    buckets.sort_unstable();
    let buckets: Vec<String> = buckets
        .iter()
        .map(|(bound, count)| format!("\"{bound}\":{count}"))
        .collect();
    format!(
        "{{\"kes_http_request_success\":{},\"kes_http_request_error\":{},\"kes_http_request_failure\":{},\
         \"kes_http_request_active\":{},\"kes_log_audit_events\":{},\"kes_log_error_events\":{},\
         \"kes_http_response_time\":{{{}}},\"kes_system_up_time\":{},\"kes_system_num_cpu\":{},\
         \"kes_system_num_cpu_used\":{},\"kes_system_num_threads\":{},\"kes_system_mem_heap_used\":{},\
         \"kes_system_mem_heap_objects\":{},\"kes_system_mem_stack_used\":{}}}",
        m.request_success,
        m.request_error,
        m.request_failure,
        m.request_active,
        m.audit_events,
        m.error_events,
        buckets.join(","),
        m.up_time.as_nanos(),
        m.num_cpu,
        m.num_cpu_used,
        m.num_threads,
        m.mem_heap_used,
        m.mem_heap_objects,
        m.mem_stack_used,
    )
}

fn table(m: &Metrics, since: Option<(Duration, &Metrics)>) -> String {
    let all = m.request_success + m.request_error + m.request_failure;
    let mut text = String::from("\n");
    let mut row = |section: &str, name: &str, value: &str, share: &str, rate: &str| {
        let line = format!("{section:11} {name:9} {value:>12} {share:>7} {rate:>12}");
        text += line.trim_end();
        text.push('\n');
    };
    for (section, name, count, old) in [
        (
            "Requests",
            "Success",
            m.request_success,
            since.map(|(_, o)| o.request_success),
        ),
        (
            "",
            "Error",
            m.request_error,
            since.map(|(_, o)| o.request_error),
        ),
        (
            "",
            "Failure",
            m.request_failure,
            since.map(|(_, o)| o.request_failure),
        ),
    ] {
        let rate = since
            .zip(old)
            .map(|((time, _), old)| per_second(count, old, time));
        row(
            section,
            name,
            &count.to_string(),
            &share(count, all),
            &rate.unwrap_or_default(),
        );
    }
    row("", "Active", &m.request_active.to_string(), "", "");
    let mut section = "Latency";
    for (bound, count) in &m.response_time {
        let name = format!("<= {}", duration::in_fractions(*bound));
        row(section, &name, &count.to_string(), &share(*count, all), "");
        section = "";
    }
    row("Events", "Audit", &m.audit_events.to_string(), "", "");
    row("", "Error", &m.error_events.to_string(), "", "");
    row("System", "Uptime", &duration::in_words(m.up_time), "", "");
    row(
        "",
        "CPUs",
        &format!("{} of {}", m.num_cpu_used, m.num_cpu),
        "",
        "",
    );
    row("", "Threads", &m.num_threads.to_string(), "", "");
    row("", "Heap", &bytes(m.mem_heap_used), "", "");
    row("", "Objects", &m.mem_heap_objects.to_string(), "", "");
    row("", "Stack", &bytes(m.mem_stack_used), "", "");
    text
}

fn share(part: u64, all: u64) -> String {
    if all == 0 {
        return String::new();
    }
    let tenths = u128::from(part) * 1000 / u128::from(all);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// A counter that went back belongs to a server that was started anew.
fn per_second(count: u64, before: u64, time: Duration) -> String {
    let Some(more) = count.checked_sub(before) else {
        return String::new();
    };
    let tenths = u128::from(more) * 10_000 / time.as_millis().max(1);
    format!("{}.{}/s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_shares_and_rates() {
        let old = Metrics {
            request_success: 100,
            ..Metrics::default()
        };
        let new = Metrics {
            request_success: 150,
            request_error: 50,
            response_time: vec![(Duration::from_millis(10), 199)],
            up_time: Duration::from_secs(7200),
            mem_heap_used: 6_400_000,
            ..Metrics::default()
        };
        let shown = table(&new, Some((Duration::from_secs(5), &old)));
        for line in [
            "Requests    Success            150   75.0%       10.0/s\n",
            "Latency     <= 10ms            199   99.5%\n",
            "System      Uptime         2 hours\n",
            "            Heap             6.4MB\n",
        ] {
            assert!(shown.contains(line), "{line:?} in {shown}");
        }
        assert!(
            !table(&old, Some((Duration::from_secs(5), &new)))
                .contains("Success            100  100.0%       -")
        );
    }
}
