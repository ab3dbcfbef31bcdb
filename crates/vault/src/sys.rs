//! What Vault tells of itself: <https://openbao.org/api-docs/system/>.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::client::{Client, Payload, Request, Verb};
use crate::error::VaultError;
use crate::kv::KvVersion;
use crate::path::{Mount, Namespace, Path};
use crate::session::Session;

/// Every state is answered with the same status: the body tells it.
const ALL_STATES_ANSWER: &[(&str, &str)] = &[
    ("standbyok", "true"),
    ("perfstandbyok", "true"),
    ("activecode", "299"),
    ("standbycode", "299"),
    ("drsecondarycode", "299"),
    ("performancestandbycode", "299"),
    ("sealedcode", "299"),
    ("uninitcode", "299"),
];
/// Room for a list of paths.
const PATHS_BYTES_SPARE: usize = 256;

/// How Vault is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// Has it been set up?
    pub initialized: bool,
    /// Does it wait to be unsealed?
    pub sealed: bool,
    /// Is another node the active one? That is fine: requests are passed on.
    #[serde(default)]
    pub standby: bool,
    /// Its clock, seconds since 1970.
    #[serde(default)]
    pub server_time_utc: i64,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// `secondary`: it answers nobody until it is promoted.
    #[serde(default)]
    pub replication_dr_mode: String,
}

impl Health {
    /// Can it answer requests?
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.initialized && !self.sealed && self.replication_dr_mode != "secondary"
    }
}

/// What a token may do, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(HashMap<String, Vec<String>>);

impl Capabilities {
    /// Which of `wanted` the token may not do at `path`.
    #[must_use]
    pub fn missing(&self, path: &str, wanted: &[&'static str]) -> Vec<&'static str> {
        let held = self.0.get(path).map(Vec::as_slice).unwrap_or_default();
        if held.iter().any(|c| c == "root") {
            return Vec::new();
        }
        let is_missing = |want: &&&str| !held.iter().any(|c| c == **want);
        wanted.iter().filter(is_missing).copied().collect()
    }
}

#[derive(Serialize)]
struct Paths<'a> {
    paths: &'a [String],
}

#[derive(Deserialize)]
struct MountInfo {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    options: Option<HashMap<String, String>>,
}

impl Client {
    /// Asks how Vault is. Needs no token, and lies in the root namespace only.
    ///
    /// # Errors
    /// It does not answer, or not as Vault does.
    pub async fn health(&self) -> Result<Health, VaultError> {
        let path = Path::of(&["sys", "health"]);
        let request = Request::new(Verb::Read, &Namespace::ROOT, &path).query(ALL_STATES_ANSWER);
        let answer = self.send_as_is(request, None).await?;
        match answer.parse() {
            Ok(health) => Ok(health),
            // A proxy's error page, or a refusal: that has its own words.
            Err(garbage) => Err(answer.checked(self.endpoint()).err().unwrap_or(garbage)),
        }
    }

    /// Can Vault answer requests?
    ///
    /// # Errors
    /// In a sentence, why not.
    pub async fn usable(&self) -> Result<Health, VaultError> {
        let health = self.health().await?;
        let endpoint = self.endpoint();
        if !health.initialized {
            return Err(VaultError::Unreachable(format!(
                "Vault at {endpoint} is not initialized: set it up first"
            )));
        }
        if health.sealed {
            return Err(VaultError::Sealed {
                endpoint: endpoint.to_owned(),
            });
        }
        if !health.is_usable() {
            return Err(VaultError::Unreachable(format!(
                "Vault at {endpoint} is a disaster recovery secondary, which answers nobody: use the primary"
            )));
        }
        Ok(health)
    }
}

impl Session {
    /// What the session may do at each of `paths` of a namespace.
    ///
    /// # Errors
    /// It may not even ask that: the policy `default` of Vault allows it.
    pub async fn capabilities(
        &self,
        namespace: &Namespace,
        paths: &[String],
    ) -> Result<Capabilities, VaultError> {
        let path = Path::of(&["sys", "capabilities-self"]);
        let size = paths.iter().map(|p| p.len() + 8).sum::<usize>() + PATHS_BYTES_SPARE;
        let payload = Payload::json(&Paths { paths }, size)?;
        let request = Request::new(Verb::Post, namespace, &path).body(&payload);
        let answer = self.call(request).await?;
        // Beside the paths lie other things in newer versions: what is no list is passed over.
        let all: HashMap<String, serde_json::Value> = answer.found()?;
        let held = all.into_iter().filter_map(|(path, value)| {
            serde_json::from_value(value).ok().map(|list| (path, list))
        });
        Ok(Capabilities(held.collect()))
    }

    /// Which K/V engine is mounted there. None where Vault does not tell: old versions, or a token without any right there.
    ///
    /// # Errors
    /// Vault does not answer, or it is no K/V engine.
    pub async fn kv_version(&self, mount: &Mount) -> Result<Option<KvVersion>, VaultError> {
        let path = Path::of(&["sys", "internal", "ui", "mounts"]).join(&mount.path);
        let request = Request::new(Verb::Read, &mount.namespace, &path);
        let info: MountInfo = match self.call(request).await {
            Ok(answer) if !answer.is_missing() => answer.data()?,
            Ok(_) | Err(VaultError::Denied { .. }) => return Ok(None),
            // The caller remembers that Vault does not tell, so an error that passes must not look like it.
            Err(VaultError::Refused { status, .. }) if status < 500 => return Ok(None),
            Err(error) => return Err(error),
        };
        // `generic` is what the engine was called before it had versions; cubbyholes and others are none.
        if !matches!(info.kind.as_str(), "kv" | "generic") {
            return Err(VaultError::Config(format!(
                "the engine at '{}' of Vault is of type '{}': keys need one of type 'kv'",
                mount.path, info.kind
            )));
        }
        let version = info.options.and_then(|mut o| o.remove("version"));
        Ok(Some(match version.as_deref() {
            Some("2") => KvVersion::V2,
            _ => KvVersion::V1,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_lacks_is_told_and_root_lacks_nothing() {
        let held = |list: &[&str]| {
            let list = list.iter().map(|c| (*c).to_owned()).collect();
            Capabilities(HashMap::from([("p".to_owned(), list)]))
        };
        assert_eq!(
            held(&["read"]).missing("p", &["create", "read"]),
            ["create"]
        );
        assert!(held(&["root"]).missing("p", &["create"]).is_empty());
        assert_eq!(held(&["deny"]).missing("p", &["list"]), ["list"]);
        assert_eq!(held(&["read"]).missing("elsewhere", &["read"]), ["read"]);
    }

    #[test]
    fn a_standby_is_usable_and_a_sealed_one_is_not() {
        let health = |text| serde_json::from_str::<Health>(text).unwrap();
        assert!(health(r#"{"initialized":true,"sealed":false,"standby":true}"#).is_usable());
        assert!(!health(r#"{"initialized":true,"sealed":true,"standby":true}"#).is_usable());
        assert!(!health(r#"{"initialized":false,"sealed":true}"#).is_usable());
        let secondary = r#"{"initialized":true,"sealed":false,"replication_dr_mode":"secondary"}"#;
        assert!(!health(secondary).is_usable());
    }
}
