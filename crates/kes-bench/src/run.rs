//! The course of a run.

use std::time::Duration;

use anyhow::Result;

use crate::RunArguments;
use crate::client::Protocol;
use crate::measure::{self, Round};
use crate::memory;
use crate::report::{Memory, Report, Row};
use crate::servers::{Ground, Server};

/// Connections under which memory is told.
const MEMORY_CONNECTIONS: usize = 64;

pub async fn run(arguments: &RunArguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ground = Ground::new(folder.path())?;
    let kes = ground
        .kes(arguments.strongroom.as_deref(), arguments.audit)
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (idle, _) = kes.process.resident_mib()?;
    let echo = ground.echo(&kes).await?;
    let mut servers = vec![kes, echo];
    if let Some(program) = &arguments.bao {
        servers.push(ground.bao(program).await?);
    }
    for server in &servers {
        eprintln!("{}: process {}", server.name, server.process.id());
    }

    let mut rows = Vec::new();
    for &protocol in &arguments.protocols {
        for &connections in &arguments.connections {
            for &operation in &arguments.operations {
                let figures = alternate(arguments, &servers, protocol, connections, operation);
                let row = Row {
                    protocol,
                    connections,
                    operation,
                    figures: figures.await?,
                };
                eprintln!("{}", row.line());
                rows.push(row);
            }
        }
    }
    let kes = &servers[0];
    let soak = memory::soak(kes, MEMORY_CONNECTIONS, arguments.soak).await?;
    let (_, highest) = kes.process.resident_mib()?;
    let report = Report {
        rows,
        memory: Memory {
            idle,
            highest,
            soak,
            others: servers[1..]
                .iter()
                .map(|s| Ok((s.name, s.process.resident_mib()?.1)))
                .collect::<Result<_>>()?,
        },
        rounds: arguments.rounds,
        seconds: arguments.seconds,
        audit: arguments.audit,
    };
    let text = report.text();
    print!("{text}");
    if let Some(path) = &arguments.write {
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// One row: the servers take turns, so that a noisy neighbour hits all of them.
async fn alternate(
    arguments: &RunArguments,
    servers: &[Server],
    protocol: Protocol,
    connections: usize,
    operation: crate::Operation,
) -> Result<Vec<Round>> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let mut opened = Vec::new();
    for server in servers {
        let mut all = server.connect(protocol, connections).await?;
        measure::warm_up(&mut all, server.call(operation)).await?;
        opened.push((server, all, Vec::new()));
    }
    for _ in 0..arguments.rounds {
        for (server, all, rounds) in &mut opened {
            let call = server.call(operation);
            rounds.push(measure::round(all, call, time, &server.process).await?);
        }
    }
    Ok(opened
        .iter()
        .map(|(_, _, rounds)| measure::median(rounds))
        .collect())
}
