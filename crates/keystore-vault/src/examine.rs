//! The way to the keys, step by step, for `kes doctor`.

use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_keystore::{Finding, KeyStore as _};
use strongroom_vault::{Health, KvVersion, Namespace, Path, VaultError};

use crate::VaultStore;

/// Clocks further apart than this confuse certificates, service account tokens and whoever reads the logs.
const CLOCK_DIFFERENCE_MAX_SECONDS: u64 = 30;
/// A key name to ask permissions for. It is not created.
const SOME_KEY: &str = "some-key";

/// A path and what a key server does there.
struct Need {
    path: Path,
    /// How a policy names the path: with a star for all keys.
    pattern: String,
    capabilities: &'static [&'static str],
    purpose: &'static str,
}

impl VaultStore {
    /// Stops at the first step that the ones behind it need.
    pub(crate) async fn look_at_everything(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let endpoint = self.session.client().endpoint();
        let reach = format!("reach Vault at {endpoint}");
        let health = match self.session.client().health().await {
            Ok(health) => health,
            Err(error) => {
                findings.push(Finding::bad(reach, error.to_string()));
                return findings;
            }
        };
        let seen = match health.version.as_str() {
            "" => "it answers".to_owned(),
            version => format!("it answers; version {version}"),
        };
        findings.push(Finding::good(reach, seen));
        findings.push(clock(&health, SystemTime::now()));
        match self.session.client().usable().await {
            Ok(health) if health.standby => findings.push(Finding::good(
                "seal state",
                "unsealed; this node is a standby that passes requests on",
            )),
            Ok(_) => findings.push(Finding::good("seal state", "unsealed")),
            Err(error) => {
                findings.push(Finding::bad("seal state", error.to_string()));
                return findings;
            }
        }
        if let Err(error) = self.session.log_in().await {
            let text = format!("{error}: {}", self.about_login(&error));
            findings.push(Finding::bad(self.login_step(), text));
            return findings;
        }
        findings.push(Finding::good(self.login_step(), "accepted"));
        findings.push(self.engine().await);
        findings.extend(self.permissions().await);
        findings.push(match self.list("", None, 1).await {
            Ok(page) if page.names.is_empty() => {
                Finding::good("list keys", "allowed; there are none yet")
            }
            Ok(_) => Finding::good("list keys", "allowed; there are keys"),
            Err(error) => Finding::bad("list keys", error.in_full()),
        });
        findings
    }

    fn login_step(&self) -> String {
        format!("log in {}, {}", self.login, in_words(&self.login_namespace))
    }

    fn about_login(&self, error: &VaultError) -> &'static str {
        match error {
            VaultError::LoginRefused { status: 404, .. } => {
                "check that the login method is enabled at that path, in that namespace"
            }
            VaultError::LoginRefused { .. } => {
                "check the credentials, whether they have expired or been revoked, and the namespace of the login"
            }
            _ => "the login cannot be judged before this works",
        }
    }

    async fn engine(&self) -> Finding {
        let mount = &self.kv.mount;
        let step = format!(
            "find the engine '{}', {}",
            mount.path,
            in_words(&mount.namespace)
        );
        match self.session.kv_version(mount).await {
            Ok(None) => Finding::good(step, "Vault does not tell this login which version it is"),
            Ok(Some(version)) if version == self.kv.version => {
                Finding::good(step, format!("it is {version}, as configured"))
            }
            Ok(Some(_)) | Err(_) => {
                let error = self.kv.check(&self.session).await.err();
                let text = error.map_or_else(
                    || "it changed while being looked at".to_owned(),
                    |e| e.to_string(),
                );
                Finding::bad(step, text)
            }
        }
    }

    async fn permissions(&self) -> Vec<Finding> {
        let needs = match self.needs() {
            Ok(needs) => needs,
            Err(error) => return vec![Finding::bad("permissions", error.to_string())],
        };
        // A folder is named with its slash, as it is listed.
        let asked: Vec<String> = needs.iter().map(Need::asked).collect();
        let held = self
            .session
            .capabilities(&self.kv.mount.namespace, &asked)
            .await;
        let held = match held {
            Ok(held) => held,
            Err(VaultError::Denied { .. } | VaultError::Refused { .. }) => {
                return vec![Finding::good(
                    "permissions",
                    "cannot be looked at: the login may not use 'sys/capabilities-self', which Vault's policy 'default' allows",
                )];
            }
            Err(error) => return vec![Finding::bad("permissions", error.to_string())],
        };
        let judge = |(need, asked): (&Need, &String)| {
            let step = format!("permission to {} ('{}')", need.purpose, need.pattern);
            let missing = held.missing(asked, need.capabilities);
            if missing.is_empty() {
                return Finding::good(step, need.capabilities.join(", "));
            }
            Finding::bad(
                step,
                format!(
                    "the policies of the login lack {}: add  path \"{}\" {{ capabilities = [{}] }}  to one of them",
                    missing.join(" and "),
                    need.pattern,
                    quoted(need.capabilities)
                ),
            )
        };
        needs.iter().zip(&asked).map(judge).collect()
    }

    fn needs(&self) -> Result<Vec<Need>, VaultError> {
        let key = self.prefix.with(SOME_KEY)?;
        let all = |folder: Path| format!("{folder}/*");
        let (data, metadata) = (
            all(self.kv.data_path(&self.prefix)),
            all(self.kv.metadata_path(&self.prefix)),
        );
        let need = |path, pattern: &str, capabilities, purpose| Need {
            path,
            pattern: pattern.to_owned(),
            capabilities,
            purpose,
        };
        let mut needs = vec![
            need(
                self.kv.data_path(&key),
                &data,
                &["create", "read"][..],
                "create and read keys",
            ),
            need(
                self.kv.metadata_path(&key),
                &metadata,
                &["delete"],
                "delete keys",
            ),
            need(
                self.kv.metadata_path(&self.prefix),
                &metadata,
                &["list"],
                "list keys",
            ),
        ];
        if self.kv.version == KvVersion::V1 {
            // One path has them all: one line of a policy names them all.
            for need in &mut needs {
                need.pattern.clone_from(&data);
            }
        }
        if let Some(transit) = &self.transit {
            for (call, purpose) in [("encrypt", "wrap keys"), ("decrypt", "unwrap keys")] {
                let path = transit.path(call)?;
                let pattern = path.to_string();
                needs.push(need(path, &pattern, &["update"], purpose));
            }
        }
        Ok(needs)
    }
}

impl Need {
    fn asked(&self) -> String {
        if self.capabilities.contains(&"list") {
            format!("{}/", self.path)
        } else {
            self.path.to_string()
        }
    }
}

fn clock(health: &Health, now: SystemTime) -> Finding {
    let step = "compare clocks";
    let ours = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let Some(vaults) = u64::try_from(health.server_time_utc)
        .ok()
        .filter(|t| *t > 0)
    else {
        return Finding::good(step, "Vault does not tell its time");
    };
    let difference = ours.abs_diff(vaults);
    if difference > CLOCK_DIFFERENCE_MAX_SECONDS {
        let way = if ours > vaults { "ahead of" } else { "behind" };
        return Finding::bad(
            step,
            format!(
                "this machine is {difference} s {way} Vault: set both clocks (NTP), or certificates and logins fail at times"
            ),
        );
    }
    Finding::good(step, format!("{difference} s apart"))
}

fn in_words(namespace: &Namespace) -> String {
    namespace.as_deref().map_or_else(
        || "in the root namespace".to_owned(),
        |name| format!("in namespace '{name}'"),
    )
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(vaults: i64, ours: u64) -> Result<String, String> {
        let health = Health {
            initialized: true,
            sealed: false,
            standby: false,
            server_time_utc: vaults,
            version: String::new(),
            replication_dr_mode: String::new(),
        };
        clock(&health, UNIX_EPOCH + Duration::from_secs(ours)).outcome
    }

    #[test]
    fn clocks_that_differ_are_told_with_the_direction() {
        assert!(at(1_000_000, 1_000_010).is_ok());
        assert!(at(1_000_000, 1_000_100).is_err_and(|text| text.contains("100 s ahead of")));
        assert!(at(1_000_100, 1_000_000).is_err_and(|text| text.contains("100 s behind")));
        assert!(at(0, 1_000_000).is_ok_and(|text| text.contains("does not tell")));
    }
}
