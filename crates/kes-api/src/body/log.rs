//! Lines of the log streams.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::MapAccess;
use std::marker::PhantomData;
use zeroize::Zeroizing;

use super::json::{self, Members, Object, ToJson};
use super::key::writes_json;

/// A line of `/v1/log/error`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErrorEvent {
    /// One log line, without newline.
    pub message: String,
}

impl Members for ErrorEvent {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "message" => self.message = json::text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A line of `/v1/log/audit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditEvent {
    /// When the request came.
    #[serde(serialize_with = "json::write_time")]
    pub time: Option<Timestamp>,
    /// Who asked for what.
    pub request: AuditRequest,
    /// What came of it.
    pub response: AuditResponse,
}

impl Members for AuditEvent {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "time" => self.time = json::time(map)?,
            "request" => self.request = map.next_value_seed(Object(PhantomData))?,
            "response" => self.response = map.next_value_seed(Object(PhantomData))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The request of an [`AuditEvent`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditRequest {
    /// Address of the client, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The decoded path.
    pub path: String,
    /// Identity of the client.
    pub identity: String,
}

impl Members for AuditRequest {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "ip" => self.ip = json::optional_text(map)?,
            "path" => self.path = json::text(map)?,
            "identity" => self.identity = json::text(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The answer of an [`AuditEvent`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditResponse {
    /// HTTP status.
    #[serde(rename = "code")]
    pub status: u16,
    /// Nanoseconds, as clients decode it.
    #[serde(rename = "time")]
    pub time_ns: u64,
}

impl Members for AuditResponse {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "code" => self.status = json::plain(map)?,
            "time" => self.time_ns = json::plain(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

writes_json!(ErrorEvent, AuditEvent);
