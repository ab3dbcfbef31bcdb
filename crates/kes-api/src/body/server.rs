//! Bodies that describe the server itself.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeSeed as _, MapAccess};
use zeroize::Zeroizing;

use super::json::{self, BodyError, FromJson, Members, Objects, ToJson};
use super::key::writes_json;

/// `/version`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VersionResponse {
    /// Build stamp.
    pub version: String,
    /// Commit.
    pub commit: String,
}

impl Members for VersionResponse {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "version" => self.version = json::text(map)?,
            "commit" => self.commit = json::text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// `/v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StatusResponse {
    /// Build stamp.
    pub version: String,
    /// `linux`, `darwin`, `windows`, …
    pub os: String,
    /// As Go spells it: `amd64`, `arm64`.
    pub arch: String,
    /// Whole seconds.
    #[serde(rename = "uptime")]
    pub uptime_s: u64,
    /// Cores of the machine.
    pub num_cpu: u32,
    /// Cores that the server may use.
    pub num_cpu_used: u32,
    /// Bytes.
    pub mem_heap_used: u64,
    /// Bytes.
    pub mem_stack_used: u64,
    /// Nanoseconds, which clients show rightly, though newest upstream sends milliseconds. Left out when 0.
    #[serde(rename = "keystore_latency", skip_serializing_if = "is_zero")]
    pub keystore_latency_ns: u64,
    /// The key store cannot be reached. Clients refuse the whole answer unless `keystore_unavailable` is true as well:
    /// [`StatusResponse::with_keystore_down`] sets both.
    #[serde(skip_serializing_if = "is_false")]
    pub keystore_unreachable: bool,
    /// The key store does not work.
    #[serde(skip_serializing_if = "is_false")]
    pub keystore_unavailable: bool,
}

/// More seconds than this (31 years) are nanoseconds: servers before 2023-10 sent those.
const UPTIME_S_MAX: f64 = 1e9;

impl StatusResponse {
    /// Says that the key store does not work, and perhaps that it cannot even be reached.
    #[must_use]
    pub fn with_keystore_down(mut self, is_unreachable: bool) -> Self {
        self.keystore_unavailable = true;
        self.keystore_unreachable = is_unreachable;
        self
    }

    /// Time since start.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        Duration::from_secs(self.uptime_s)
    }
}

impl Members for StatusResponse {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "version" => self.version = json::text(map)?,
            "os" => self.os = json::text(map)?,
            "arch" => self.arch = json::text(map)?,
            "uptime" => {
                let sent: f64 = json::plain(map)?;
                let seconds = if sent > UPTIME_S_MAX {
                    sent / 1e9
                } else {
                    sent
                };
                self.uptime_s = Duration::try_from_secs_f64(seconds)
                    .unwrap_or_default()
                    .as_secs();
            }
            "num_cpu" => self.num_cpu = json::plain(map)?,
            "num_cpu_used" => self.num_cpu_used = json::plain(map)?,
            "mem_heap_used" => self.mem_heap_used = json::plain(map)?,
            "mem_stack_used" => self.mem_stack_used = json::plain(map)?,
            "keystore_latency" => self.keystore_latency_ns = json::plain(map)?,
            "keystore_unreachable" => self.keystore_unreachable = json::plain(map)?,
            "keystore_unavailable" => self.keystore_unavailable = json::plain(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// One route of `/v1/api`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApiRoute {
    /// The declared method; POST serves wherever PUT is declared.
    pub method: String,
    /// The route, with its final `/` if it has one.
    pub path: String,
    /// Bytes.
    pub max_body: u64,
    /// Seconds; 0 is no limit.
    #[serde(rename = "timeout")]
    pub timeout_s: u64,
}

impl Members for ApiRoute {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "method" => self.method = json::text(map)?,
            "path" => self.path = json::text(map)?,
            "max_body" => self.max_body = json::plain(map)?,
            "timeout" => self.timeout_s = json::plain(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `/v1/api`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ApiRoutes {
    /// In any order.
    pub routes: Vec<ApiRoute>,
}

/// More routes than any server has.
const API_ROUTES_MAX: usize = 1024;

impl FromJson for ApiRoutes {
    fn from_json(body: &[u8]) -> Result<Self, BodyError> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let objects = Objects {
            max: API_ROUTES_MAX,
            of: PhantomData,
        };
        objects
            .deserialize(&mut reader)
            .map(|routes| Self { routes })
            .map_err(BodyError::Json)
    }
}

writes_json!(VersionResponse, StatusResponse, ApiRoute, ApiRoutes);
