//! The format from the outside: published and golden vectors, a slow obvious model, and forgeries.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first surprise"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "patterns and lengths are small"
)]

mod api;
mod forgeries;
mod fuzz_bodies;
mod model;
mod ranges;
mod vectors;

use strongroom_dare::{HEADER_BYTES, OpenError, Opener, PACKAGE_BYTES};

const KEY: [u8; 32] = {
    let mut key = [0; 32];
    let mut i = 0;
    while i < 32 {
        key[i as usize] = i;
        i += 1;
    }
    key
};

/// Reads a stream as a server does: header first, then as many bytes as it declares.
fn read_stream(mut opener: Opener, mut sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut plain = Vec::new();
    let mut buffer = vec![0; PACKAGE_BYTES];
    while !sealed.is_empty() {
        let declared = match sealed.first_chunk::<HEADER_BYTES>() {
            Some(header) => opener.declared_sealed_length(header)?,
            None => sealed.len(),
        };
        let (package, rest) = sealed.split_at(declared.min(sealed.len()));
        let opened = opener.open(package, &mut buffer)?;
        plain.extend_from_slice(&buffer[..opened.plain_bytes]);
        sealed = rest;
    }
    opener.finish()?;
    Ok(plain)
}

/// [`read_stream`], but every package is opened where it lies.
fn read_stream_in_place(mut opener: Opener, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut sealed = sealed.to_vec();
    let mut rest = sealed.as_mut_slice();
    let mut plain = Vec::new();
    while !rest.is_empty() {
        let declared = match rest.first_chunk::<HEADER_BYTES>() {
            Some(header) => opener.declared_sealed_length(header)?,
            None => rest.len(),
        };
        let (package, after) = rest.split_at_mut(declared.min(rest.len()));
        plain.extend_from_slice(opener.open_in_place(package)?);
        rest = after;
    }
    opener.finish()?;
    Ok(plain)
}
