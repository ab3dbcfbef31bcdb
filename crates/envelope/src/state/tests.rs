use super::*;
use crate::fingerprint::Fingerprint;

fn key() -> StateKey {
    StateKey::from_bytes([0x51; 32])
}

#[test]
fn record_opens_under_its_name_alone() {
    let sealed = key().seal_record("buckets/a", 3, b"settings", [9; 12]);
    assert_eq!(sealed.len(), 8 + RECORD_OVERHEAD_BYTES);
    let opened = key().open_record("buckets/a", &sealed).unwrap();
    assert_eq!(
        (opened.generation, opened.plaintext.as_slice()),
        (3, b"settings".as_slice())
    );
    for (key, name) in [
        (key(), "buckets/b"),
        (key(), "buckets/a/"),
        (StateKey::from_bytes([1; 32]), "buckets/a"),
    ] {
        assert_eq!(
            key.open_record(name, &sealed).unwrap_err(),
            RecordError::NotAuthentic
        );
    }
}

#[test]
fn record_with_any_bit_changed_or_byte_lost_is_refused() {
    let sealed = key().seal_record("n", u64::MAX, b"x", [9; 12]);
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(key().open_record("n", &bad).is_err(), "bit {bit}");
    }
    for cut in 0..sealed.len() {
        assert!(
            key().open_record("n", &sealed[..cut]).is_err(),
            "{cut} bytes"
        );
    }
    let longer = [sealed, vec![0]].concat();
    assert!(key().open_record("n", &longer).is_err());
}

#[test]
fn record_is_the_vector_of_the_format() {
    let sealed = key().seal_record("buckets/a", 3, b"settings", [9; 12]);
    let expected = "01030000000000000009090909090909090909090970965b247be2a0d3b38eeeefe0c983163b43bf4d6134ad98";
    assert_eq!(hex::encode(sealed), expected);
}

#[test]
fn state_key_record_comes_back_and_damage_is_seen() {
    let sealed = StateKeyRecord::Sealed(SealedDataKey {
        key_name: "my-key".to_owned(),
        key_version: None,
        fingerprint: Some(Fingerprint::KeyHmac([5; 16])),
        sealed: vec![6; 76],
        bucket_key: false,
    });
    let bytes = sealed.encode().unwrap();
    let StateKeyRecord::Sealed(back) = StateKeyRecord::decode(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!((back.key_name.as_str(), back.sealed.len()), ("my-key", 76));
    for cut in 0..bytes.len() {
        assert!(
            StateKeyRecord::decode(&bytes[..cut]).is_err(),
            "{cut} bytes"
        );
    }
    let plain = StateKeyRecord::Plain(key());
    assert_eq!(format!("{plain:?}"), "StateKeyRecord::Plain(secret)");
    let StateKeyRecord::Plain(back) = StateKeyRecord::decode(&plain.encode().unwrap()).unwrap()
    else {
        panic!()
    };
    assert_eq!(back, key());
    let longer = [plain.encode().unwrap().as_slice(), &[0]].concat();
    assert_eq!(
        StateKeyRecord::decode(&longer).unwrap_err(),
        DecodeError::Trailing { bytes: 1 }
    );
}

#[test]
fn state_key_whose_key_name_is_empty_or_too_long_is_not_written() {
    for bytes in [0, 256] {
        let key_name = "x".repeat(bytes);
        let (key_version, fingerprint, sealed) = (None, None, vec![1]);
        let data_key = SealedDataKey {
            key_name,
            key_version,
            fingerprint,
            sealed,
            bucket_key: false,
        };
        assert!(
            StateKeyRecord::Sealed(data_key).encode().is_err(),
            "{bytes}"
        );
    }
}
