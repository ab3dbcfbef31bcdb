//! What the server prints when it is up, as operators and scripts of upstream know it.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use strongroom_kes_api::AdminIdentity;

use crate::config::Config;

/// The lines that depend on the program.
#[derive(Clone)]
pub struct BannerFacts<'b> {
    /// As `kes --version` prints it.
    pub version: &'b str,
    /// Compiler and platform.
    pub runtime: &'b str,
    /// Licence.
    pub license: &'b str,
    /// Copyright.
    pub copyright: &'b str,
    /// Where to read on.
    pub docs: &'b str,
    /// The key store, as it describes itself.
    pub keystore: &'b str,
    /// Addresses of this machine, for a server that listens on all of them.
    pub interfaces: &'b [IpAddr],
    /// The admin's API key, in development.
    pub api_key: Option<&'b str>,
    /// Memory is locked.
    pub is_memory_locked: bool,
    /// The last line: `Server is up and running...`.
    pub last_line: &'b str,
}

impl std::fmt::Debug for BannerFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An API key is in here.
        f.debug_struct("BannerFacts")
            .field("version", &self.version)
            .field("keystore", &self.keystore)
            .finish_non_exhaustive()
    }
}

/// The whole banner, without any styling: labels are padded to 11, and a space follows.
#[must_use]
pub fn banner(config: &Config, listening: SocketAddr, facts: &BannerFacts<'_>) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{}", format!("{label:<11} {value}").trim_end());
    };
    line("Version", facts.version);
    line("Runtime", facts.runtime);
    line("License", facts.license);
    line("Copyright", facts.copyright);
    line("", "");
    line("KMS", facts.keystore);
    for (at, address) in addresses(listening, facts.interfaces).iter().enumerate() {
        line(
            if at == 0 { "API" } else { "" },
            &format!("· https://{address}"),
        );
    }
    line("", "");
    line("Docs", facts.docs);
    line("", "");
    if let Some(key) = facts.api_key {
        line("API Key", key);
    }
    match &config.admin {
        AdminIdentity::Identity(identity) => line("Admin", &identity.to_string()),
        AdminIdentity::Disabled(_) => line("Admin", "<disabled>"),
    }
    line("Logs", &format!("error=stderr level={}", config.log.error));
    line("", &format!("audit=stdout level={}", config.log.audit));
    if facts.is_memory_locked {
        line("MLock", "enabled");
    }
    line("", "");
    let _ = writeln!(text, "=> {}", facts.last_line);
    text
}

fn addresses(listening: SocketAddr, interfaces: &[IpAddr]) -> Vec<SocketAddr> {
    if !listening.ip().is_unspecified() || interfaces.is_empty() {
        return vec![listening];
    }
    interfaces
        .iter()
        .filter(|ip| listening.is_ipv6() || ip.is_ipv4())
        .map(|ip| SocketAddr::new(*ip, listening.port()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_is_the_one_that_operators_know() {
        let text = "admin: {identity: disabled}\ntls: {key: k, cert: c}\nlog: {audit: off}\nkeystore: {fs: {path: /keys}}\n";
        let (config, _) = Config::parse(text, &|_| None).unwrap();
        let facts = BannerFacts {
            version: "2026-01-01T00-00-00Z",
            runtime: "rustc 1.95 linux/amd64",
            license: "Apache-2.0",
            copyright: "the Strongroom authors",
            docs: "https://example.org",
            keystore: "Filesystem: /keys",
            interfaces: &[[127, 0, 0, 1].into(), [10, 0, 0, 7].into()],
            api_key: None,
            is_memory_locked: true,
            last_line: "Server is up and running...",
        };
        let expected = "\
Version     2026-01-01T00-00-00Z
Runtime     rustc 1.95 linux/amd64
License     Apache-2.0
Copyright   the Strongroom authors

KMS         Filesystem: /keys
API         · https://127.0.0.1:7373
            · https://10.0.0.7:7373

Docs        https://example.org

Admin       <disabled>
Logs        error=stderr level=INFO
            audit=stdout level=OFF
MLock       enabled

=> Server is up and running...
";
        assert_eq!(banner(&config, config.address, &facts), expected);
    }
}
