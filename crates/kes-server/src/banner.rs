//! What the server prints when it is up, as operators and scripts of upstream know it.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use strongroom_kes_api::AdminIdentity;

use crate::config::Config;
use crate::log::Level;

/// The lines that depend on the program.
#[derive(Debug, Clone)]
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
    let off_or = |level: Level| {
        if level == Level::OFF {
            "OFF".to_owned()
        } else {
            level.to_string()
        }
    };
    line(
        "Logs",
        &format!("error=stderr level={}", off_or(config.log.error)),
    );
    line(
        "",
        &format!("audit=stdout level={}", off_or(config.log.audit)),
    );
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
