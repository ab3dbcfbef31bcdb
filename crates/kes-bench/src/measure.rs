//! One round: all connections ask as fast as they are answered.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::{Call, Connection};
use crate::process::Process;

/// Requests before the first round: caches fill, buffers grow.
const WARM_UP_REQUESTS: usize = 200;

/// What a round showed.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub cpu_us: f64,
}

pub async fn warm_up(connections: &mut [Connection], call: &Call) -> Result<()> {
    let each = WARM_UP_REQUESTS / connections.len() + 5;
    for connection in connections {
        for _ in 0..each {
            connection.call(call).await?;
        }
    }
    Ok(())
}

pub async fn round(
    connections: &mut Vec<Connection>,
    call: &Call,
    time: Duration,
    server: &Process,
) -> Result<Round> {
    let cpu_before = server.cpu()?;
    let started = Instant::now();
    let tasks: Vec<_> = connections
        .drain(..)
        .map(|mut connection| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut took = Vec::with_capacity(16_384);
                while started.elapsed() < time {
                    let sent = Instant::now();
                    connection.call(&call).await?;
                    took.push(sent.elapsed());
                }
                anyhow::Ok((connection, took))
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        let (connection, took) = task.await??;
        connections.push(connection);
        all.extend(took);
    }
    let wall = started.elapsed();
    let cpu = server.cpu()?.saturating_sub(cpu_before);
    all.sort_unstable();
    let at = |hundredths: usize| {
        let index = (all.len() * hundredths / 100).min(all.len().saturating_sub(1));
        all.get(index).map_or(0.0, |t| t.as_secs_f64() * 1e6)
    };
    let count = all.len().max(1) as f64;
    Ok(Round {
        per_second: count / wall.as_secs_f64(),
        p50_us: at(50),
        p99_us: at(99),
        cpu_us: cpu.as_secs_f64() * 1e6 / count,
    })
}

/// The median of each figure for itself.
pub fn median(rounds: &[Round]) -> Round {
    let of = |figure: fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    };
    Round {
        per_second: of(|r| r.per_second),
        p50_us: of(|r| r.p50_us),
        p99_us: of(|r| r.p99_us),
        cpu_us: of(|r| r.cpu_us),
    }
}
