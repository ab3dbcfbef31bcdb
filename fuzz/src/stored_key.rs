//! Keys as a key store holds them.

use strongroom_kes_server::fuzzing::stored_key;

/// What reads, of whatever age, is written in one form, which reads as the same key.
pub fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(written) = stored_key(text) {
        let again = stored_key(&written).expect("what was written reads");
        assert_eq!(*written, *again, "a second reading is another key");
    }
}
