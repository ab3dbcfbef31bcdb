//! `kes metric`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Surroundings;
use crate::recorded::recording;
use crate::server::{CLIENT_KEY, Reply, Server, json};

/// What newest upstream sends, as the recorded line has it; the success counter grows.
fn text(success: u64) -> String {
    let mut text = format!(
        "# HELP kes_http_request_success x\n# TYPE kes_http_request_success counter\n\
         kes_http_request_success{{code=\"200\"}} {success}\nkes_http_request_error{{code=\"400\"}} 60\n\
         kes_http_request_error{{code=\"404\"}} 3\nkes_http_request_failure{{code=\"502\"}} 2\n\
         kes_http_request_active 0\nkes_log_audit_events 0\nkes_log_error_events 0\nkes_system_up_time 8\n\
         kes_system_num_cpu 2\nkes_system_num_cpu_used 2\nkes_system_num_threads 12\n\
         kes_system_mem_heap_used 3.750072e+06\nkes_system_mem_heap_objects 19891\nkes_system_mem_stack_used 491520\n"
    );
    for le in [
        "0.01", "0.05", "0.1", "0.25", "0.5", "1", "1.5", "3", "5", "10", "+Inf",
    ] {
        text += &format!("kes_http_response_time_bucket{{le=\"{le}\"}} 179\n");
    }
    text + "kes_http_response_time_sum 0.2\nkes_http_response_time_count 179\n"
}

/// A server that answers three times.
async fn server() -> (Server, Surroundings) {
    let asked = AtomicU64::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        n @ 0..3 => Reply {
            content_type: "text/plain; version=0.0.4",
            ..json(200, &text(112 + n))
        },
        _ => json(
            403,
            r#"{"message":"not authorized: insufficient permissions"}"#,
        ),
    })
    .await;
    let shell = Surroundings::default()
        .with("KES_SERVER", &format!("{0},{0}", server.address))
        .with("KES_API_KEY", CLIENT_KEY);
    (server, shell)
}

#[tokio::test]
async fn a_pipe_gets_a_recorded_line_at_each_scrape() {
    let (_server, shell) = server().await;
    let outcome = shell.kes(&["metric", "-k", "--rate", "1ms"]).await;
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (1, "Error: not authorized: insufficient permissions\n")
    );
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], recording(79).stdout.trim_end());
    assert_eq!(lines[2], lines[0].replace(":112,", ":114,"));
}

#[tokio::test]
async fn a_terminal_shows_one_table_that_is_drawn_again() {
    let (server, shell) = server().await;
    let outcome = shell
        .on_terminal()
        .kes(&["metric", "-k", "--rate=1ms"])
        .await;
    let tables: Vec<&str> = outcome.stdout.split("\u{1b}[J").collect();
    assert_eq!(tables.len(), 3, "{}", outcome.stdout);
    let first_lines = tables[0]
        .lines()
        .filter(|line| !line.starts_with("\u{1b}[2"))
        .count();
    assert!(
        tables[0].ends_with(&format!("\u{1b}[{first_lines}A")),
        "{:?}",
        tables[0]
    );
    assert!(
        tables[0].contains(&server.address.to_string()),
        "{}",
        tables[0]
    );
    assert!(
        tables[2].contains("Requests    Success            114   63.6%"),
        "{}",
        tables[2]
    );
}
