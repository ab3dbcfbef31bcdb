//! Sealed streams over bodies, in constant memory.
//!
//! [`seal`] turns a verified plaintext into stored bytes and tells the rest (ETag, record) at its end;
//! [`open`] turns stored bytes into plaintext and releases nothing that has not been authenticated.
//! Sealing runs where the bytes pass: 64 KiB take some microseconds, less than handing them to a thread.

pub(crate) mod open;
pub(crate) mod seal;

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "test data and its lengths are small"
)]
mod tests;
