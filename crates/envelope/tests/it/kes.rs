//! Ciphertexts of key servers: published vectors, and what servers of seven ages recorded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_envelope::{Context, HmacKey, MasterCipher, MasterKey, NotAuthentic};

use crate::files;

const CONTEXT: &[u8] = br#"{"bucket":"bucket/object"}"#;

fn bytes<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|i| from + u8::try_from(i).unwrap())
}

fn key(cipher: MasterCipher) -> MasterKey {
    MasterKey::from_bytes(cipher, bytes(0))
}

fn decode(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn json_form(aead: &str, bytes: &str) -> Vec<u8> {
    let (iv, nonce) = ("QEFCQ0RFRkdISUpLTE1OTw==", "YGFiY2RlZmdoaWpr");
    format!(r#"{{"aead":"{aead}","iv":"{iv}","nonce":"{nonce}","bytes":"{bytes}"}}"#).into_bytes()
}

const AES_BARE: &str = "a44YORDKPEeBkCt0jQW1/t8DikQCzy0SqUpusnra0/drXZWy/cOv/kUCXqoV4pLVQEFCQ0RFRkdISUpLTE1OT2BhYmNkZWZnaGlqaw==";
const CHACHA_BARE: &str = "cr3KPJWrbOTMDy3LwIc46k/szH+nHovyGvHFowUu+6tdxYKmMBTgZQpgLWSu4GntQEFCQ0RFRkdISUpLTE1OT2BhYmNkZWZnaGlqaw==";
const AES_BODY: &str = "a44YORDKPEeBkCt0jQW1/t8DikQCzy0SqUpusnra0/drXZWy/cOv/kUCXqoV4pLV";
const CHACHA_BODY: &str = "cr3KPJWrbOTMDy3LwIc46k/szH+nHovyGvHFowUu+6tdxYKmMBTgZQpgLWSu4Gnt";

#[test]
fn sealing_gives_the_published_ciphertexts() {
    let mut random = [0; 28];
    random[..16].copy_from_slice(&bytes::<16>(0x40));
    random[16..].copy_from_slice(&bytes::<12>(0x60));
    for (cipher, expected) in [
        (MasterCipher::Aes256, AES_BARE),
        (MasterCipher::ChaCha20, CHACHA_BARE),
    ] {
        let sealed = key(cipher).seal(&bytes::<32>(0x80), CONTEXT, random);
        assert_eq!(STANDARD.encode(sealed), expected);
    }
}

/// Form, key it opens under, ciphertext. `None`: the header names the algorithm, so either key opens it.
fn published() -> Vec<(&'static str, Option<MasterCipher>, Vec<u8>)> {
    vec![
        ("A, AES256", Some(MasterCipher::Aes256), decode(AES_BARE)),
        (
            "A, ChaCha20",
            Some(MasterCipher::ChaCha20),
            decode(CHACHA_BARE),
        ),
        (
            "B, AES256-GCM_SHA256",
            None,
            decode(
                "lbFBRVMyNTYtR0NNX1NIQTI1NtkgNjMwZGNkMjk2NmM0MzM2NjkxMTI1NDQ4YmJiMjViNGbEEEBBQkNERUZHSElKS0xNTk/EDGBhYmNkZWZnaGlqa8Qwa44YORDKPEeBkCt0jQW1/t8DikQCzy0SqUpusnra0/drXZWy/cOv/kUCXqoV4pLV",
            ),
        ),
        (
            "B, AES256",
            None,
            decode(
                "laZBRVMyNTbZIDYzMGRjZDI5NjZjNDMzNjY5MTEyNTQ0OGJiYjI1YjRmxBBAQUJDREVGR0hJSktMTU5PxAxgYWJjZGVmZ2hpamvEMGuOGDkQyjxHgZArdI0Ftf7fA4pEAs8tEqlKbrJ62tP3a12Vsv3Dr/5FAl6qFeKS1Q==",
            ),
        ),
        (
            "B, XCHACHA20-POLY1305",
            None,
            decode(
                "lbJYQ0hBQ0hBMjAtUE9MWTEzMDXZIDYzMGRjZDI5NjZjNDMzNjY5MTEyNTQ0OGJiYjI1YjRmxBBAQUJDREVGR0hJSktMTU5PxAxgYWJjZGVmZ2hpamvEMHK9yjyVq2zkzA8ty8CHOOpP7Mx/px6L8hrxxaMFLvurXcWCpjAU4GUKYC1kruBp7Q==",
            ),
        ),
        (
            "B, ChaCha20",
            None,
            decode(
                "lahDaGFDaGEyMNkgNjMwZGNkMjk2NmM0MzM2NjkxMTI1NDQ4YmJiMjViNGbEEEBBQkNERUZHSElKS0xNTk/EDGBhYmNkZWZnaGlqa8Qwcr3KPJWrbOTMDy3LwIc46k/szH+nHovyGvHFowUu+6tdxYKmMBTgZQpgLWSu4Gnt",
            ),
        ),
        (
            "C, AES",
            None,
            json_form("AES-256-GCM-HMAC-SHA-256", AES_BODY),
        ),
        (
            "C, ChaCha20",
            None,
            json_form("ChaCha20Poly1305", CHACHA_BODY),
        ),
        (
            "D",
            None,
            json_form(
                "AES-256-GCM",
                "irqANGpThsYZENivvvMafLB0CzpltEbX21awDCvv/KHznBqNC0tstnANdtcTDf6r",
            ),
        ),
    ]
}

#[test]
fn every_published_form_opens_and_a_header_wins_over_the_keys_type() {
    for (form, only, sealed) in published() {
        for cipher in [MasterCipher::Aes256, MasterCipher::ChaCha20] {
            let opened = key(cipher).open(&sealed, CONTEXT);
            if only.is_none_or(|only| only == cipher) {
                assert_eq!(
                    *opened.unwrap(),
                    bytes::<32>(0x80),
                    "{form} under {cipher:?}"
                );
            } else {
                assert_eq!(opened, Err(NotAuthentic), "{form} under {cipher:?}");
            }
        }
    }
}

#[test]
fn other_key_other_context_or_a_changed_bit_is_not_authentic() {
    for (form, only, sealed) in published() {
        let cipher = only.unwrap_or(MasterCipher::Aes256);
        let other = MasterKey::from_bytes(cipher, bytes(1));
        assert_eq!(other.open(&sealed, CONTEXT), Err(NotAuthentic), "{form}");
        assert_eq!(key(cipher).open(&sealed, b""), Err(NotAuthentic), "{form}");
        for cut in 0..sealed.len() {
            assert_eq!(
                key(cipher).open(&sealed[..cut], CONTEXT),
                Err(NotAuthentic),
                "{form}"
            );
        }
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match key(cipher).open(&bad, CONTEXT) {
                Err(NotAuthentic) => {}
                // Nothing reads the key id or the length of nothing else: the plaintext is the same.
                Ok(plain) => {
                    assert_eq!(*plain, bytes::<32>(0x80), "{form}, bit {bit}");
                    assert!(form.starts_with('B'), "{form}, bit {bit}");
                }
            }
        }
    }
}

#[test]
fn bare_ciphertext_that_starts_like_a_packed_one_still_opens() {
    let key = key(MasterCipher::Aes256);
    for mark in [0x95, b'{'] {
        // The plaintext's first byte moves the ciphertext's through all values.
        let sealed = (0..=u8::MAX)
            .map(|first| key.seal(&[first; 32], CONTEXT, [7; 28]))
            .find(|sealed| sealed[0] == mark)
            .unwrap();
        assert!(key.open(&sealed, CONTEXT).is_ok(), "{mark:#x}");
    }
    let empty = key.seal(b"", b"", [7; 28]);
    assert_eq!(empty.len(), 44);
    assert!(key.open(&empty, b"").unwrap().is_empty());
}

#[test]
fn recorded_ciphertexts_of_seven_ages_open() {
    let mut opened = 0;
    for age in [
        "form-d-v0.5.0",
        "form-d-v0.6.0",
        "v0.10",
        "v0.17",
        "v0.22",
        "v0.23",
        "newest",
    ] {
        for record in files::json(&format!("kes/{age}/ciphertexts.json"))
            .as_array()
            .unwrap()
        {
            let name = record["key"].as_str().unwrap();
            let key = files::stored_key(&format!("kes/{age}/keystore/{name}"));
            let context = files::base64(&record["context"]);
            let sealed = files::base64(&record["ciphertext"]);
            let plain = key
                .open(&sealed, &context)
                .unwrap_or_else(|e| panic!("{age} {name}: {e}"));
            assert_eq!(*plain, files::base64(&record["plaintext"]), "{age} {name}");
            assert_eq!(key.open(&sealed, b"another"), Err(NotAuthentic));
            opened += 1;
        }
    }
    assert_eq!(opened, 151);
}

#[test]
fn hmac_is_the_published_one() {
    let mac = HmacKey::from_bytes(bytes(0x20)).mac(b"root access key");
    let expected = "fcc9b68fa2707b7308b87a6c6edb28e27184680befa0fa893c760dae0c591ae9";
    assert_eq!(hex::encode(mac), expected);
}

fn static_key() -> MasterKey {
    let bytes = decode("eEm+JI9/q4JhH8QwKvf3LKo4DEBl6QbfvAl1CAbMIv8=");
    MasterKey::try_from_slice(MasterCipher::Aes256, &bytes).unwrap()
}

#[test]
fn data_keys_of_minios_static_key_open() {
    let context =
        |members: &[(&str, &str)]| members.iter().copied().collect::<Context>().canonical();
    for (context, sealed, expected) in [
        (
            context(&[]),
            br#"{"aead":"ChaCha20Poly1305","iv":"JbI+vwvYww1lCb5VpkAFuQ==","nonce":"ARjIjJxBSD541Gz8","bytes":"KCbEc2sA0TLvA7aWTWa23AdccVfJMpOxwgG8hm+4PaNrxYfy1xFWZg2gEenVrOgv"}"#.to_vec(),
            decode("zmS7NrG765UZ0ZN85oPjybelxqVvpz01vxsSpOISy2M="),
        ),
        (
            context(&[("key", "value")]),
            br#"{"aead":"ChaCha20Poly1305","iv":"r4+yfiVbVIYR0Z2I9Fq+6g==","nonce":"2YpwGwE59GcVraI3","bytes":"k/svMglOU7/Kgwv73heG38NWW575XLcFp3SaxQHDMjJGYyRI3Fiygu2OeutGPXNL"}"#.to_vec(),
            decode("UnPWsZgVI+T4L9WGNzFlP1PsP1Z6hn2Fx8ISeZfDGnA="),
        ),
        (
            context(&[("bkt", "bkt/dir/obj")]),
            decode("bC2C9uNQ+MqimycvPpuh214Hxbo/4xQ5JZazLeD659V+0aN7PWoztExaD0keEWpqd3d3d3d3d3d3d3d3d3d3d4iIiIiIiIiIiIiIiA=="),
            vec![0x11; 32],
        ),
    ] {
        assert_eq!(*static_key().open(&sealed, context.as_bytes()).unwrap(), expected);
    }
    let mut random = [0x77; 28];
    random[16..].fill(0x88);
    let sealed = static_key().seal(&[0x11; 32], br#"{"bkt":"bkt/dir/obj"}"#, random);
    assert_eq!(
        STANDARD.encode(sealed),
        "bC2C9uNQ+MqimycvPpuh214Hxbo/4xQ5JZazLeD659V+0aN7PWoztExaD0keEWpqd3d3d3d3d3d3d3d3d3d3d4iIiIiIiIiIiIiIiA=="
    );
}

#[test]
fn data_key_of_minios_first_master_key_opens_under_the_name_and_context_it_was_made_for() {
    let key = MasterKey::from_bytes(MasterCipher::Aes256, *b"change this password to a secret");
    let context = Context::from_iter([("bkt", "bkt/dir/obj")]);
    let sealed = decode(
        "IAAfAJmZmZmZmZmZmZmZmeW9TmV9N23MHg6BE/3gosKJS22ba5Y688P7UkTUaBoxqTVIHkydCq50Z2TmjSd9cQ==",
    );
    let opened = key
        .open_legacy_hex(&sealed, "my-minio-key", &context)
        .unwrap();
    assert_eq!(*opened, [0x11; 32]);
    assert_eq!(
        key.open_legacy_hex(&sealed, "other", &context),
        Err(NotAuthentic)
    );
    assert_eq!(
        key.open_legacy_hex(&sealed, "my-minio-key", &Context::new()),
        Err(NotAuthentic)
    );
    let current = key.seal(&[0x11; 32], b"{}", [0x20; 28]);
    assert_eq!(
        key.open_legacy_hex(&current, "my-minio-key", &context),
        Err(NotAuthentic)
    );
}
