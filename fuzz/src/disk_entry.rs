//! Entries of the key server's disk cache.

use strongroom_kes_api::KeyName;
use strongroom_kes_server::disk_entry::{Sealing, read_salt, write_salt};
use strongroom_keystore::StoredValue;
use zeroize::Zeroizing;

/// Arbitrary bytes are no entry; one that was made opens unchanged, and changed anywhere it does not.
pub fn open(data: &[u8]) {
    let sealing = Sealing::derive(b"private key", &[7; 32]).expect("any key will do");
    let name = KeyName::parse("my-key").expect("a name");
    assert!(sealing.open(&name, data).is_err(), "opened");
    if let Some(salt) = read_salt(data) {
        assert_eq!(write_salt(&salt), data);
    }

    let Some((&[low, high, mask], text)) = data.split_first_chunk() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let value = || StoredValue::new(Zeroizing::new(text.to_owned()));
    let Ok(Ok(mut entry)) = value().map(|value| sealing.seal(&name, 42, &value, [3; 12])) else {
        return;
    };
    let at = usize::from(u16::from_le_bytes([low, high])) % entry.len();
    entry[at] ^= mask;
    match sealing.open(&name, &entry) {
        Ok(opened) => {
            assert_eq!(mask, 0, "a changed entry opens");
            assert_eq!((opened.fetched_at_ms, opened.value.expose()), (42, text));
        }
        Err(_) => assert_ne!(mask, 0, "an unchanged entry does not open"),
    }
    let other = KeyName::parse("other").expect("a name");
    assert!(sealing.open(&other, &entry).is_err(), "under another name");
}
