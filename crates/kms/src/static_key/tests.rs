use super::*;
use crate::contract;

const GUIDE_HEX: &str = "6368616e676520746869732070617373776f726420746f206120736563726574";
const VECTOR_BASE64: &str = "my-key:eEm+JI9/q4JhH8QwKvf3LKo4DEBl6QbfvAl1CAbMIv8=";
const OBJECT: &[u8] = br#"{"bkt":"bkt/dir/obj"}"#;

/// Random bytes that are all `first`, then all `first + 1`, and so on with each call.
fn counting(first: u8) -> Entropy {
    let next = std::sync::atomic::AtomicU8::new(first);
    Arc::new(move |bytes| {
        bytes.fill(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Ok(())
    })
}

fn b64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn kms(text: &str) -> StaticKey {
    StaticKey::new(
        NamedKey::parse_base64(text, false).unwrap(),
        None,
        counting(1),
    )
}

#[tokio::test]
async fn the_contract_holds() {
    contract::run(&kms(VECTOR_BASE64), contract::Creates::Nothing).await;
}

#[tokio::test]
async fn minio_json_ciphertexts_open() {
    let kms = kms(VECTOR_BASE64);
    let cases = [
        (
            "{}",
            r#"{"aead":"ChaCha20Poly1305","iv":"JbI+vwvYww1lCb5VpkAFuQ==","nonce":"ARjIjJxBSD541Gz8","bytes":"KCbEc2sA0TLvA7aWTWa23AdccVfJMpOxwgG8hm+4PaNrxYfy1xFWZg2gEenVrOgv"}"#,
            "zmS7NrG765UZ0ZN85oPjybelxqVvpz01vxsSpOISy2M=",
        ),
        (
            r#"{"key":"value"}"#,
            r#"{"aead":"ChaCha20Poly1305","iv":"r4+yfiVbVIYR0Z2I9Fq+6g==","nonce":"2YpwGwE59GcVraI3","bytes":"k/svMglOU7/Kgwv73heG38NWW575XLcFp3SaxQHDMjJGYyRI3Fiygu2OeutGPXNL"}"#,
            "UnPWsZgVI+T4L9WGNzFlP1PsP1Z6hn2Fx8ISeZfDGnA=",
        ),
    ];
    for (context, sealed, expected) in cases {
        let opened = kms
            .open_data_key("my-key", None, sealed.as_bytes(), context.as_bytes())
            .await
            .unwrap();
        assert_eq!(opened.expose().as_slice(), b64(expected));
    }
}

#[tokio::test]
async fn a_data_key_is_sealed_as_minio_seals_it() {
    let filled = std::sync::atomic::AtomicBool::new(false);
    let entropy: Entropy = Arc::new(move |bytes| {
        if filled.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let (iv, nonce) = bytes.split_at_mut(16);
            iv.fill(0x77);
            nonce.fill(0x88);
        } else {
            bytes.fill(0x11);
        }
        Ok(())
    });
    let kms = StaticKey::new(
        NamedKey::parse_base64(VECTOR_BASE64, false).unwrap(),
        None,
        entropy,
    );
    let new = kms.new_data_key(None, OBJECT).await.unwrap();
    assert_eq!(new.plaintext.expose(), &[0x11; 32]);
    let expected = "bC2C9uNQ+MqimycvPpuh214Hxbo/4xQ5JZazLeD659V+0aN7PWoztExaD0keEWpqd3d3d3d3d3d3d3d3d3d3d4iIiIiIiIiIiIiIiA==";
    assert_eq!(new.sealed, b64(expected));
}

#[tokio::test]
async fn the_first_master_key_format_opens_under_the_name_that_was_recorded() {
    let sealed = b64(
        "IAAfAJmZmZmZmZmZmZmZmeW9TmV9N23MHg6BE/3gosKJS22ba5Y688P7UkTUaBoxqTVIHkydCq50Z2TmjSd9cQ==",
    );
    let hex = |name: &str| NamedKey::parse_hex(&format!("{name}:{GUIDE_HEX}"), true).unwrap();
    let base64 = || NamedKey::parse_base64(VECTOR_BASE64, false).unwrap();
    let cases = [
        StaticKey::new(hex("my-minio-key"), None, counting(1)),
        StaticKey::new(hex("renamed"), None, counting(1)),
        StaticKey::new(base64(), Some(hex("my-minio-key")), counting(1)),
    ];
    for kms in cases {
        let opened = kms
            .open_data_key("my-minio-key", None, &sealed, OBJECT)
            .await
            .unwrap();
        assert_eq!(opened.expose(), &[0x11; 32], "{kms:?}");
        let other = kms
            .open_data_key("my-minio-key", None, &sealed, b"{}")
            .await;
        assert!(other.is_err(), "{kms:?}");
    }
    // A key that was never used in that format does not try.
    let text = format!(
        "my-minio-key:{}",
        STANDARD.encode(hex::decode(GUIDE_HEX).unwrap())
    );
    let current = NamedKey::parse_base64(&text, true).unwrap();
    let kms = StaticKey::new(current, None, counting(1));
    let refused = kms
        .open_data_key("my-minio-key", None, &sealed, OBJECT)
        .await;
    assert!(
        matches!(refused, Err(KmsError::InvalidCiphertext { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_old_key_opens_and_never_seals() {
    let old = || NamedKey::parse_base64(VECTOR_BASE64, false).unwrap();
    let new =
        || NamedKey::parse_base64(&format!("new:{}", STANDARD.encode([7; 32])), false).unwrap();
    let before = StaticKey::new(old(), None, counting(1))
        .new_data_key(None, OBJECT)
        .await
        .unwrap();
    let kms = StaticKey::new(new(), Some(old()), counting(1));
    let opened = kms
        .open_data_key("my-key", None, &before.sealed, OBJECT)
        .await
        .unwrap();
    assert_eq!(opened, before.plaintext);
    assert_eq!(
        kms.new_data_key(None, OBJECT).await.unwrap().key_name,
        "new"
    );
    let refused = kms.new_data_key(Some("my-key"), OBJECT).await;
    assert!(
        matches!(refused, Err(KmsError::KeyNotFound { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn without_random_bytes_nothing_is_sealed() {
    let entropy: Entropy = Arc::new(|_| Err("the device is gone".to_owned()));
    let kms = StaticKey::new(
        NamedKey::parse_base64(VECTOR_BASE64, false).unwrap(),
        None,
        entropy,
    );
    let error = kms.new_data_key(None, b"{}").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[test]
fn malformed_and_published_keys_are_refused() {
    let zero = format!("k:{}", STANDARD.encode([0; 32]));
    let cases = [
        ("", StaticKeyError::NoName),
        (
            "OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=",
            StaticKeyError::NoName,
        ),
        (
            ":OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=",
            StaticKeyError::NoName,
        ),
        ("k k:AAAA", StaticKeyError::BadName),
        (
            "k:AAA",
            StaticKeyError::BadEncoding {
                expected: "standard base64",
            },
        ),
        ("k:AAAA", StaticKeyError::BadLength { bytes: 3 }),
        (&zero, StaticKeyError::PubliclyKnown),
        (
            "k:OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=",
            StaticKeyError::PubliclyKnown,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            NamedKey::parse_base64(text, false).unwrap_err(),
            expected,
            "{text}"
        );
    }
    NamedKey::parse_base64(&zero, true).unwrap();
    let refused = NamedKey::parse_hex(&format!("k:{GUIDE_HEX}"), false).unwrap_err();
    assert_eq!(refused, StaticKeyError::PubliclyKnown);
    let refused = NamedKey::parse_hex("k:zz", false).unwrap_err();
    assert_eq!(
        refused,
        StaticKeyError::BadEncoding {
            expected: "hexadecimal"
        }
    );
}

#[test]
fn the_key_shows_in_no_debug_output() {
    let shown = format!("{:?}", kms(VECTOR_BASE64));
    assert!(shown.contains("my-key") && !shown.contains("eEm+") && !shown.contains("120, 73"));
}
