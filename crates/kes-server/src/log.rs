//! Records for the operator: one audit record for each request that reached authentication, and errors with their cause.
//!
//! Both can be written as the text of newest upstream or as the JSON lines of the log streams. Neither ever holds a body,
//! a context or a key.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use strongroom_kes_api::Identity;
use strongroom_kes_api::body::{AuditEvent, AuditRequest, AuditResponse, ErrorEvent, ToJson as _};

use crate::config::LogConfig;

/// Takes records. Must not block: a slow reader never holds up a request.
pub trait LogSink: Send + Sync {
    /// Goes by a configuration from now on; called at the start and at every reload, which is also when files that were moved
    /// away are opened anew.
    ///
    /// # Errors
    /// The file for audit records cannot be used: the configuration is not taken.
    fn configure(&self, config: &LogConfig) -> io::Result<()> {
        let _ = config;
        Ok(())
    }
    /// Takes an audit record: for the process log when its level says so, and for the file when there is one.
    fn audit(&self, record: &AuditRecord);
    /// Takes an error record that the configuration asks for.
    fn error(&self, record: &ErrorRecord);
}

/// How important a record is, on the scale of Go's `slog`: records below the configured level are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub i32);

impl Level {
    /// For developers.
    pub const DEBUG: Self = Self(-4);
    /// Normal events; audit records have it.
    pub const INFO: Self = Self(0);
    /// To be looked at.
    pub const WARN: Self = Self(4);
    /// Something does not work.
    pub const ERROR: Self = Self(8);
    /// Above everything: nothing is logged.
    pub const OFF: Self = Self(i32::MAX);

    /// Reads `on`, `off`, a name, a name with an offset (`INFO+2`), or a number; empty is `INFO`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let (name, offset) = match upper.find(['+', '-']).filter(|at| *at > 0) {
            Some(at) => (&upper[..at], upper[at..].parse().ok()?),
            None => (upper.as_str(), 0),
        };
        let base = match name {
            "" | "ON" | "INFO" => Self::INFO,
            "OFF" => return Some(Self::OFF),
            "DEBUG" => Self::DEBUG,
            "WARN" => Self::WARN,
            "ERROR" => Self::ERROR,
            number => return number.parse().ok().map(Self),
        };
        base.0.checked_add(offset).map(Self)
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = |f: &mut std::fmt::Formatter<'_>, name: &str, above: i32| match above {
            0 => f.write_str(name),
            above => write!(f, "{name}{above:+}"),
        };
        match self.0 {
            i32::MAX => f.write_str("OFF"),
            level if level < 0 => named(f, "DEBUG", level + 4),
            level if level < 4 => named(f, "INFO", level),
            level if level < 8 => named(f, "WARN", level - 4),
            level => named(f, "ERROR", level - 8),
        }
    }
}

/// Who asked for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// HTTP method.
    pub method: String,
    /// The decoded path, with its argument.
    pub path: String,
    /// Address of the client.
    pub ip: Option<IpAddr>,
    /// The client, when its certificate told.
    pub identity: Option<Identity>,
}

/// One request and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When the request came.
    pub time: Timestamp,
    /// What was asked.
    pub request: RequestInfo,
    /// HTTP status of the answer.
    pub status: u16,
    /// From the request to the answer.
    pub duration: Duration,
}

/// Something that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRecord {
    /// When.
    pub time: Timestamp,
    /// How bad.
    pub level: Level,
    /// What, with its causes, in one line.
    pub message: String,
    /// During which request.
    pub request: Option<RequestInfo>,
}

impl AuditRecord {
    /// The line of `/v1/log/audit`, newline included.
    #[must_use]
    pub fn json_line(&self) -> Vec<u8> {
        let event = AuditEvent {
            time: Some(self.time),
            request: AuditRequest {
                ip: self.request.ip.map(|ip| ip.to_string()),
                path: self.request.path.clone(),
                identity: self
                    .request
                    .identity
                    .map(|i| i.to_string())
                    .unwrap_or_default(),
            },
            response: AuditResponse {
                status: self.status,
                time_ns: u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX),
            },
        };
        event.to_json().to_vec()
    }

    /// A line of key=value text, newline included.
    #[must_use]
    pub fn text_line(&self) -> String {
        let mut line = head(self.time, Level::INFO, "request");
        push_request(&mut line, &self.request);
        let _ = writeln!(
            line,
            " res.code={} res.time={:?}",
            self.status, self.duration
        );
        line
    }
}

impl ErrorRecord {
    /// A line of JSON for the process log, newline included: the members apart, where the stream has one text.
    #[must_use]
    pub fn json_record(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Record<'r> {
            time: String,
            level: String,
            message: &'r str,
            #[serde(skip_serializing_if = "Option::is_none")]
            request: Option<Request<'r>>,
        }
        #[derive(Serialize)]
        struct Request<'r> {
            method: &'r str,
            path: &'r str,
            #[serde(skip_serializing_if = "Option::is_none")]
            ip: Option<IpAddr>,
            #[serde(skip_serializing_if = "Option::is_none")]
            identity: Option<String>,
        }
        let record = Record {
            time: self.time.to_string(),
            level: self.level.to_string(),
            message: &self.message,
            request: self.request.as_ref().map(|request| Request {
                method: &request.method,
                path: &request.path,
                ip: request.ip,
                identity: request.identity.map(|identity| identity.to_string()),
            }),
        };
        // Texts and numbers alone: nothing that could fail.
        let mut line = serde_json::to_vec(&record).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The line of `/v1/log/error`, newline included.
    #[must_use]
    pub fn json_line(&self) -> Vec<u8> {
        let message = self.text_line().trim_end().to_owned();
        ErrorEvent { message }.to_json().to_vec()
    }

    /// A line of key=value text, newline included.
    #[must_use]
    pub fn text_line(&self) -> String {
        let mut line = head(self.time, self.level, &self.message);
        if let Some(request) = &self.request {
            push_request(&mut line, request);
        }
        line.push('\n');
        line
    }
}

fn head(time: Timestamp, level: Level, message: &str) -> String {
    let time = time
        .to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string();
    format!("time={time} level={level} msg={}", quoted(message))
}

fn push_request(line: &mut String, request: &RequestInfo) {
    let _ = write!(
        line,
        " req.method={} req.path={}",
        quoted(&request.method),
        quoted(&request.path)
    );
    if let Some(ip) = request.ip {
        let _ = write!(line, " req.ip={ip}");
    }
    if let Some(identity) = request.identity {
        let _ = write!(line, " req.identity={identity}");
    }
}

/// A client chooses paths: nothing that it sends may end a line or look like another field.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '=';
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_go_s_slog_reads_them() {
        for (text, level) in [
            ("", 0),
            ("on", 0),
            ("OFF", i32::MAX),
            ("debug", -4),
            ("INFO+2", 2),
            ("ERROR-1", 7),
            ("WARN", 4),
            ("12", 12),
            ("-8", -8),
        ] {
            assert_eq!(Level::parse(text), Some(Level(level)), "{text}");
        }
        assert_eq!(Level::parse("loud"), None);
        assert_eq!(Level(2).to_string(), "INFO+2");
        assert_eq!(Level::ERROR.to_string(), "ERROR");
    }

    #[test]
    fn a_path_cannot_forge_a_line() {
        let record = ErrorRecord {
            time: Timestamp::UNIX_EPOCH,
            level: Level::ERROR,
            message: "failed to read key 'x'".into(),
            request: Some(RequestInfo {
                method: "GET".into(),
                path: "/v1/a\n level=INFO".into(),
                ip: Some([1, 2, 3, 4].into()),
                identity: None,
            }),
        };
        assert_eq!(
            record.text_line(),
            "time=1970-01-01T00:00:00.000Z level=ERROR msg=\"failed to read key 'x'\" req.method=GET req.path=\"/v1/a\\n level=INFO\" req.ip=1.2.3.4\n"
        );
    }

    #[test]
    fn the_json_of_an_error_has_its_members_apart() {
        let mut record = ErrorRecord {
            time: Timestamp::UNIX_EPOCH,
            level: Level::WARN,
            message: "not \"ready\"".into(),
            request: Some(RequestInfo {
                method: "GET".into(),
                path: "/v1/ready\n".into(),
                ip: Some([1, 2, 3, 4].into()),
                identity: None,
            }),
        };
        let line = String::from_utf8(record.json_record()).unwrap();
        assert_eq!(
            line,
            "{\"time\":\"1970-01-01T00:00:00Z\",\"level\":\"WARN\",\"message\":\"not \\\"ready\\\"\",\"request\":{\"method\":\"GET\",\"path\":\"/v1/ready\\n\",\"ip\":\"1.2.3.4\"}}\n"
        );
        record.request = None;
        let line = String::from_utf8(record.json_record()).unwrap();
        assert!(!line.contains("request"), "{line}");
    }

    #[test]
    fn the_audit_line_is_that_of_the_stream() {
        let record = AuditRecord {
            time: Timestamp::UNIX_EPOCH,
            request: RequestInfo {
                method: "PUT".into(),
                path: "/v1/key/create/x".into(),
                ip: None,
                identity: None,
            },
            status: 200,
            duration: Duration::from_micros(5),
        };
        assert_eq!(
            String::from_utf8(record.json_line()).unwrap(),
            "{\"time\":\"1970-01-01T00:00:00Z\",\"request\":{\"path\":\"/v1/key/create/x\",\"identity\":\"\"},\"response\":{\"code\":200,\"time\":5000}}\n"
        );
    }
}
