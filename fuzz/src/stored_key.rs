//! Keys as a key store holds them.

use strongroom_kes_api::base64;
use strongroom_kes_server::fuzzing::stored_key;

/// What reads is written in one form, which reads as the same key. Keys from before HMAC have no newer form: nothing
/// ever writes them again.
pub fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(written) = stored_key(text) else {
        return;
    };
    let is_json = text.trim_start().starts_with('{');
    let is_bare = base64::decode(text.trim()).is_ok_and(|bytes| bytes.len() == 32);
    match stored_key(&written) {
        Some(again) => assert_eq!(*written, *again, "a second reading is another key"),
        None => assert!(is_json || is_bare, "what was written does not read"),
    }
}
