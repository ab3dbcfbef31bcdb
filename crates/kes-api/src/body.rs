//! The bodies of requests and answers.
//!
//! Reading follows the original decoder, since clients lean on it: member names in any case, unknown members ignored,
//! `null` leaves a member at its zero, whatever follows the first JSON value is ignored, bytes are padded standard base64
//! with CR and LF tolerated. Writing ends in a newline and escapes `<`, `>`, `&`, U+2028 and U+2029.

mod json;
mod key;
mod listing;
mod log;
mod policy;
mod server;

pub use json::{BodyError, FromJson, ToJson};
pub(crate) use json::{Members, json_line, text};
pub use key::{
    Algorithm, BULK_DECRYPT_MAX, BulkDecryptRequest, BulkDecryptResponse, DecryptRequest,
    DecryptResponse, EncryptRequest, EncryptResponse, GenerateRequest, GenerateResponse,
    HmacRequest, HmacResponse, ImportKeyRequest, KeyInfo,
};
pub use listing::{IdentityPage, NamePage, NdjsonList, is_ndjson};
pub use log::{AuditEvent, AuditRequest, AuditResponse, ErrorEvent};
pub use policy::{IdentityInfo, PolicyDocument, PolicyInfo, SelfInfo};
pub use server::{ApiRoute, ApiRoutes, StatusResponse, VersionResponse};

/// Most bytes of a request body on the routes that read one: a decimal megabyte.
pub const REQUEST_BYTES_MAX: usize = 1_000_000;
/// Most bytes of a bulk decryption request, as the servers that had the route took them.
pub const BULK_REQUEST_BYTES_MAX: usize = 1 << 20;
/// Most bytes of an answer that clients read.
pub const RESPONSE_BYTES_MAX: usize = 1 << 20;
/// Most bytes of the answers to `/version` and hmac that clients read.
pub const SMALL_RESPONSE_BYTES_MAX: usize = 1 << 10;

/// Content type of JSON bodies and errors.
pub const JSON: &str = "application/json";
/// Content type of log streams, and of listings by servers of 2022 and 2023.
pub const NDJSON: &str = "application/x-ndjson";

#[cfg(test)]
mod tests;
