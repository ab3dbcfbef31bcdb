//! Where diagnostics go: standard error, for a person or for a machine.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// What is logged unless `STRONGROOM_LOG` says otherwise. The protocol layer reports each refused request as an error and shows
/// strings to sign: it is off, and what matters of it is logged by our own service.
const DEFAULT_FILTER: &str =
    "info,s3s=off,s3s_sigv4=off,s3s_sigv2=off,hyper=warn,h2=warn,rustls=warn";

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Human,
    Json,
}

/// Starts logging, panics included. `filter` is the value of `STRONGROOM_LOG`.
pub(crate) fn start(format: Format, filter: Option<&str>) -> anyhow::Result<()> {
    let filter = match filter {
        // The default stays underneath, so that asking for our own details does not open the network layers.
        Some(text) => EnvFilter::try_new(format!("{DEFAULT_FILTER},{text}")).map_err(|error| {
            anyhow::anyhow!(
                "STRONGROOM_LOG is {text:?}, which is no filter (such as debug): {error}"
            )
        })?,
        None => EnvFilter::new(DEFAULT_FILTER),
    };
    // Whatever is asked for: the protocol layer's details hold customer keys.
    let silence = filter_fn(|metadata| !metadata.target().starts_with("s3s"));
    let registry = tracing_subscriber::registry().with(filter).with(silence);
    match format {
        Format::Json => {
            let layer = fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()?;
        }
        Format::Human => {
            let layer = fmt::layer()
                .compact()
                .with_target(false)
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()?;
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(
            place,
            message,
            "a task panicked: this is a defect, please report it"
        );
    }));
    Ok(())
}
