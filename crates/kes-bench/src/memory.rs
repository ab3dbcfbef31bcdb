//! Resident memory: idle, under load, and whether it stays.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Operation;
use crate::client::Protocol;
use crate::servers::Server;

const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Soak {
    pub minutes: f64,
    pub requests: u64,
    /// After a tenth of the time, when all buffers have been in use.
    pub early: f64,
    pub last: f64,
    pub highest: f64,
}

/// Half of the connections over each protocol, generating and decrypting in turn.
pub async fn soak(server: &Server, connections: usize, minutes: f64) -> Result<Soak> {
    let time = Duration::from_secs_f64(minutes * 60.0);
    let started = Instant::now();
    let mut tasks = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for mut connection in server.connect(protocol, connections / 2).await? {
            let calls = [Operation::Generate, Operation::Decrypt].map(|o| server.call(o).clone());
            tasks.push(tokio::spawn(async move {
                let mut requests = 0_u64;
                while started.elapsed() < time {
                    for call in &calls {
                        connection.call(call).await?;
                        requests += 1;
                    }
                }
                anyhow::Ok(requests)
            }));
        }
    }
    let mut soak = Soak {
        minutes,
        ..Soak::default()
    };
    while started.elapsed() < time {
        tokio::time::sleep(SAMPLE_EVERY).await;
        let (now, _) = server.process.resident_mib()?;
        soak.last = now;
        soak.highest = soak.highest.max(now);
        if started.elapsed() < time / 10 || soak.early == 0.0 {
            soak.early = now;
        }
    }
    for task in tasks {
        soak.requests += task.await??;
    }
    Ok(soak)
}
