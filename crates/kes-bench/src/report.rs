//! The table.

use std::fmt::Write as _;

use crate::Operation;
use crate::client::Protocol;
use crate::measure::Round;
use crate::memory::Soak;

/// One load, and what each server made of it: the key server, the bare one, and OpenBao where it ran.
pub struct Row {
    pub protocol: Protocol,
    pub connections: usize,
    pub operation: Operation,
    pub figures: Vec<Round>,
}

/// MiB.
pub struct Memory {
    pub idle: f64,
    pub highest: f64,
    pub soak: Soak,
    pub others: Vec<(&'static str, f64)>,
}

pub struct Report {
    pub rows: Vec<Row>,
    pub memory: Memory,
    pub rounds: usize,
    pub seconds: f64,
    pub audit: bool,
}

impl Row {
    fn load(&self) -> String {
        format!(
            "{} | {} | {}",
            self.protocol.name(),
            self.connections,
            self.operation.name()
        )
    }

    /// For whoever watches.
    pub fn line(&self) -> String {
        let mut line = self.load();
        for round in &self.figures {
            let _ = write!(
                line,
                " | {:.0}/s p50 {:.0} p99 {:.0} cpu {:.2} µs",
                round.per_second, round.p50_us, round.p99_us, round.cpu_us
            );
        }
        line
    }
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Report {
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# Benchmark: the key server\n\nMade by `cargo xtask bench kes --write`.\n\n\
             Processor time of the server per request, in its own code and in the kernel, µs:\n\n\
             | protocol | connections | operation | Strongroom | OpenBao | OpenBao / Strongroom | bare server | Strongroom / bare |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let [kes, bare, rest @ ..] = row.figures.as_slice() else {
                continue;
            };
            let (bao, ratio) = rest.first().map_or_else(Default::default, |bao| {
                (
                    format!("{:.1}", bao.cpu_us),
                    format!("**{:.1}**", bao.cpu_us / kes.cpu_us),
                )
            });
            let _ = writeln!(
                text,
                "| {} | {:.1} | {bao} | {ratio} | {:.1} | **{:.2}** |",
                row.load(),
                kes.cpu_us,
                bare.cpu_us,
                kes.cpu_us / bare.cpu_us
            );
        }
        text.push_str(
            "\nRequests per second and latency, as the client saw them (it takes one of the cores):\n\n\
             | protocol | connections | operation | Strongroom /s | p50 µs | p99 µs | OpenBao /s | p50 µs | p99 µs | p99 OpenBao / Strongroom |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let [kes, _, rest @ ..] = row.figures.as_slice() else {
                continue;
            };
            let three = |r: &Round| {
                [r.per_second, r.p50_us, r.p99_us]
                    .map(thousands)
                    .join(" | ")
            };
            let (bao, ratio) = rest.first().map_or_else(
                || (" | | ".to_owned(), String::new()),
                |bao| (three(bao), format!("**{:.1}**", bao.p99_us / kes.p99_us)),
            );
            let _ = writeln!(
                text,
                "| {} | {} | {bao} | {ratio} |",
                row.load(),
                three(kes)
            );
        }
        self.push_memory(&mut text);
        text
    }

    fn push_memory(&self, text: &mut String) {
        let Memory {
            idle,
            highest,
            soak,
            others,
        } = &self.memory;
        let _ = writeln!(
            text,
            "\nResident memory of the server: {idle:.1} MiB idle; {:.1} MiB early in {} minutes of load by 64 connections, {:.1} MiB at their end, \
             {:.1} MiB at most ({} requests); {highest:.1} MiB at most in the whole run. {}.",
            soak.early,
            soak.minutes,
            soak.last,
            soak.highest,
            thousands(soak.requests as f64),
            others
                .iter()
                .map(|(name, mib)| format!("The highest of {name}: {mib:.1} MiB"))
                .collect::<Vec<_>>()
                .join(". ")
        );
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let audit = if self.audit { "on" } else { "off" };
        let _ = writeln!(
            text,
            "\nMedians of {} alternating rounds of {} s, {cores} cores ({}), client and servers on the same machine, TLS 1.3 with client certificates, one request \
             at a time on each connection, audit log {audit}, keys remembered in memory. The bare server is hyper and rustls with the same settings that reads and answers \
             bodies of the same sizes. OpenBao answers `transit/datakey/plaintext` and `transit/decrypt` to an application's token, from memory.",
            self.rounds,
            self.seconds,
            std::env::consts::ARCH
        );
    }
}
