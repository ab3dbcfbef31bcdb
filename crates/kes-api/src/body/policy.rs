//! Bodies of the policy and identity routes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::MapAccess;
use zeroize::Zeroizing;

use super::json::{self, Members, ToJson};
use super::key::writes_json;

/// `policy/describe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyInfo {
    /// The policy.
    pub name: String,
    /// Start of the server that took it from its configuration.
    #[serde(serialize_with = "json::write_time")]
    pub created_at: Option<Timestamp>,
    /// The admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

impl Members for PolicyInfo {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "name" => self.name = json::text(map)?,
            "created_at" => self.created_at = json::time(map)?,
            "created_by" => self.created_by = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `policy/read`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyDocument {
    /// The policy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Allowed patterns.
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        serialize_with = "json::write_patterns"
    )]
    pub allow: BTreeSet<String>,
    /// Denied patterns.
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        serialize_with = "json::write_patterns"
    )]
    pub deny: BTreeSet<String>,
    /// Start of the server that took it from its configuration.
    #[serde(serialize_with = "json::write_time")]
    pub created_at: Option<Timestamp>,
    /// The admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

impl Members for PolicyDocument {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "name" => self.name = json::text(map)?,
            "allow" => self.allow = json::patterns(map)?,
            "deny" => self.deny = json::patterns(map)?,
            "created_at" => self.created_at = json::time(map)?,
            "created_by" => self.created_by = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// `identity/describe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IdentityInfo {
    /// It is the admin, who has no policy.
    #[serde(skip_serializing_if = "is_false")]
    pub admin: bool,
    /// Its policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Start of the server that took it from its configuration.
    #[serde(serialize_with = "json::write_time")]
    pub created_at: Option<Timestamp>,
    /// The admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

impl Members for IdentityInfo {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "admin" => self.admin = json::plain(map)?,
            "policy" => self.policy = json::optional_text(map)?,
            "created_at" => self.created_at = json::time(map)?,
            "created_by" => self.created_by = json::optional_text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `identity/self/describe`, in the flat form that clients decode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SelfInfo {
    /// The caller.
    pub identity: String,
    /// The caller is the admin.
    #[serde(skip_serializing_if = "is_false")]
    pub admin: bool,
    /// Name of the caller's policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Start of the server that took it from its configuration.
    #[serde(serialize_with = "json::write_time")]
    pub created_at: Option<Timestamp>,
    /// The admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Allowed patterns.
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        serialize_with = "json::write_patterns"
    )]
    pub allow: BTreeSet<String>,
    /// Denied patterns.
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        serialize_with = "json::write_patterns"
    )]
    pub deny: BTreeSet<String>,
}

impl Members for SelfInfo {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "identity" => self.identity = json::text(map)?,
            "admin" => self.admin = json::plain(map)?,
            "policy" | "policy_name" => self.read_policy(map)?,
            "created_at" => self.created_at = json::time(map)?,
            "created_by" => self.created_by = json::optional_text(map)?,
            "allow" => self.allow = json::patterns(map)?,
            "deny" => self.deny = json::patterns(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl SelfInfo {
    /// `policy` is a name in the flat form; servers of 2022 put its patterns there and the name beside it.
    fn read_policy<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        match map.next_value::<serde_json::Value>()? {
            serde_json::Value::String(name) if !name.is_empty() => self.policy = Some(name),
            serde_json::Value::Object(nested) => {
                let patterns = |member: &str| -> BTreeSet<String> {
                    match nested.get(member) {
                        Some(serde_json::Value::Array(list)) => list
                            .iter()
                            .filter_map(|p| p.as_str().map(str::to_owned))
                            .collect(),
                        Some(serde_json::Value::Object(set)) => set.keys().cloned().collect(),
                        _ => BTreeSet::new(),
                    }
                };
                self.allow.extend(patterns("allow"));
                self.deny.extend(patterns("deny"));
            }
            _ => {}
        }
        Ok(())
    }
}

writes_json!(PolicyInfo, PolicyDocument, IdentityInfo, SelfInfo);
