//! The configuration file, under what the command line says.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use strongroom_kes_server::Config;
use strongroom_kes_server::config::Flags;
use zeroize::Zeroizing;

use crate::cli::KesServerArgs;

/// Reads the configuration file; and what is odd about it, for the operator.
pub(super) fn read(args: &KesServerArgs) -> Result<(Config, Vec<String>)> {
    let Some(path) = &args.config else {
        bail!("no configuration: name one with --config, or try --dev");
    };
    let flags = Flags {
        root: args.root.clone(),
        private_key: args.key.clone(),
        certificate: args.cert.clone(),
        verify_clients: args.auth,
    };
    let text = read_text(path)?;
    let loaded = Config::parse_with(&text, &|name| std::env::var(name).ok(), &flags)
        // The sentence has its cause in it.
        .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    if let (true, Some(warning)) = (args.strict, loaded.warnings.first()) {
        bail!("{}: {warning}", path.display());
    }
    let mut notes: Vec<String> = Vec::new();
    for warning in loaded.warnings {
        notes.push(format!("WARNING: {}: {warning}", path.display()));
    }
    for flag in loaded.unheeded {
        notes.push(format!(
            "WARNING: '{flag}' flag is deprecated and no longer honored. The configuration file says it."
        ));
    }
    Ok((loaded.config, notes))
}

fn read_text(path: &Path) -> Result<Zeroizing<String>> {
    // Keystore sections may hold passwords.
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Zeroizing::new(text))
}
