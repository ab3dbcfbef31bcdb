//! The key server without the program around it: for profiles between two builds of the whole.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;
use strongroom_kes_server::machine::ThisProcess;
use strongroom_kes_server::{
    AuditRecord, Build, Clock, Config, Entropy, ErrorRecord, KesServer, LogSink, NoEntropy,
    Surroundings,
};
use strongroom_keystore::MemoryStore;

pub fn serve(config: &Path) -> Result<()> {
    let text = std::fs::read_to_string(config)?;
    let (config, _) = Config::parse(&text, &|_| None)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = strongroom_transport::bind(config.address).await?;
            let store = Arc::new(MemoryStore::new());
            let server = KesServer::start(config, store, surroundings()).await?;
            let (_shutdown, signal) = strongroom_transport::shutdown();
            server.run(listener, signal).await;
            Ok(())
        })
}

fn surroundings() -> Surroundings {
    Surroundings {
        clock: Arc::new(SystemClock(Instant::now())),
        entropy: Arc::new(SystemEntropy),
        machine: Arc::new(ThisProcess),
        log: Arc::new(Lines),
        build: Build {
            version: "bench".to_owned(),
            commit: String::new(),
        },
    }
}

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        aws_lc_rs::rand::fill(buffer).map_err(|_| NoEntropy)
    }
}

struct Lines;

impl LogSink for Lines {
    fn audit(&self, record: &AuditRecord) {
        print!("{}", record.text_line());
    }

    fn error(&self, record: &ErrorRecord) {
        eprint!("{}", record.text_line());
    }
}
