//! The endless logs of a server, line by line.

use bytes::{Bytes, BytesMut};
use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use strongroom_kes_api::body::{AuditEvent, ErrorEvent, FromJson};
use strongroom_kes_api::path;

use crate::endpoint::Endpoint;
use crate::error::{ConnectionError, Error, bad_body};
use crate::transport::{Call, Transport};

/// Longest line; audit records have a few hundred bytes.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What a server logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Requests: lines of [`AuditEvent`].
    Audit,
    /// Errors and warnings: lines of [`ErrorEvent`].
    Error,
}

/// An open log stream. It ends when the server stops; dropping it closes it.
#[derive(Debug)]
pub struct LogStream {
    endpoint: Endpoint,
    route: &'static str,
    body: Incoming,
    read: BytesMut,
}

impl LogStream {
    pub(crate) async fn open(transport: &Transport, log: Log) -> Result<Self, Error> {
        let route = match log {
            Log::Audit => path::LOG_AUDIT,
            Log::Error => path::LOG_ERROR,
        };
        let call = Call {
            method: Method::GET,
            route,
            argument: String::new(),
            body: Bytes::new(),
            response_bytes_max: LINE_BYTES_MAX,
        };
        let (endpoint, body) = transport.open(&call).await?;
        Ok(Self {
            endpoint,
            route,
            body,
            read: BytesMut::new(),
        })
    }

    /// The next line, without its end; `None` when the server closed the stream.
    ///
    /// # Errors
    /// [`Error::Connection`] when the connection breaks, [`Error::BadAnswer`] for a line without end.
    pub async fn next_line(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end + 1).freeze();
                let line = line.slice(..end);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.read.len() > LINE_BYTES_MAX {
                let reason = format!("a line of its log is longer than {LINE_BYTES_MAX} bytes");
                return Err(Error::BadAnswer {
                    endpoint: self.endpoint.clone(),
                    reason,
                });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::Connection {
                        endpoint: self.endpoint.clone(),
                        method: "Get",
                        path: self.route.to_owned(),
                        source: Box::new(ConnectionError::new(error.into())),
                    });
                }
            }
        }
    }

    /// Reads a line of an audit log.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] when it is none.
    pub fn audit_event(&self, line: &[u8]) -> Result<AuditEvent, Error> {
        AuditEvent::from_json(line).map_err(|error| bad_body(&self.endpoint, &error))
    }

    /// Reads a line of an error log.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] when it is none.
    pub fn error_event(&self, line: &[u8]) -> Result<ErrorEvent, Error> {
        ErrorEvent::from_json(line).map_err(|error| bad_body(&self.endpoint, &error))
    }
}
