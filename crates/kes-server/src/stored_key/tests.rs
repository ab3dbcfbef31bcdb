use super::*;

const CREATOR: &str = "ea9826089311fe44d7590408ede9150f7c637b6cab0a91ee6fe1aa5d9fb366f6";
const STORED_AES256: &str = "CiQKIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fEAESJAogICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8QARoMCMCa7LIGEIDKte4BIkBlYTk4MjYwODkzMTFmZTQ0ZDc1OTA0MDhlZGU5MTUwZjdjNjM3YjZjYWIwYTkxZWU2ZmUxYWE1ZDlmYjM2NmY2";

fn sequence(from: u8) -> [u8; 32] {
    std::array::from_fn(|i| from + u8::try_from(i).unwrap())
}

fn key(cipher: MasterCipher) -> Key {
    Key {
        master: MasterKey::from_bytes(cipher, sequence(0)),
        hmac: Some(HmacKey::from_bytes(sequence(0x20))),
        created_at: Some("2024-06-01T12:00:00.5Z".parse().unwrap()),
        created_by: Some(CREATOR.to_owned()),
    }
}

fn read(text: &str) -> Result<Key, UnreadableKey> {
    let text = Zeroizing::new(text.to_owned());
    Key::from_stored(&StoredValue::new(text).unwrap())
}

#[test]
fn the_newest_form_is_written_byte_for_byte() {
    assert_eq!(*key(MasterCipher::Aes256).to_stored(), STORED_AES256);
    let chacha = STORED_AES256.replacen("HR4fEAESJAog", "HR4fEAISJAog", 1);
    assert_eq!(*key(MasterCipher::ChaCha20).to_stored(), chacha);
    assert_eq!(chacha.len(), 208);
}

#[test]
fn what_is_written_is_read() {
    for cipher in [MasterCipher::Aes256, MasterCipher::ChaCha20] {
        let written = key(cipher);
        let found = read(&written.to_stored()).unwrap();
        assert_eq!(found.master.expose(), written.master.expose());
        assert_eq!(found.master.cipher(), cipher);
        assert!(found.hmac == written.hmac);
        assert_eq!(found.created_at, written.created_at);
        assert_eq!(found.created_by, written.created_by);
    }
}

#[test]
fn times_before_1970_and_unknown_ones_survive() {
    for time in [None, Some("1969-12-31T23:59:59.25Z".parse().unwrap())] {
        let written = Key {
            created_at: time,
            created_by: None,
            ..key(MasterCipher::Aes256)
        };
        let found = read(&written.to_stored()).unwrap();
        assert_eq!((found.created_at, found.created_by), (time, None));
    }
}

#[test]
fn every_older_form_is_read() {
    let b64 = base64::encode(&sequence(0));
    for (text, cipher, is_dated) in [
        (
            format!("{{\"bytes\":\"{b64}\"}}"),
            MasterCipher::Aes256,
            false,
        ),
        (
            format!("{{\"name\":\"x\",\"secret\":\"{b64}\"}}"),
            MasterCipher::Aes256,
            false,
        ),
        (b64.clone(), MasterCipher::Aes256, false),
        (format!("{b64}\n"), MasterCipher::Aes256, false),
        (
            format!(
                "{{\"bytes\":\"{b64}\",\"algorithm\":\"\",\"created_at\":\"0001-01-01T00:00:00Z\"}}"
            ),
            MasterCipher::Aes256,
            false,
        ),
        (
            format!(
                "{{\"version\":\"v1\",\"bytes\":\"{b64}\",\"algorithm\":\"XCHACHA20-POLY1305\",\"created_at\":\"2023-01-02T03:04:05.678Z\",\"created_by\":\"{CREATOR}\",\"new\":1}}"
            ),
            MasterCipher::ChaCha20,
            true,
        ),
    ] {
        let found = read(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(found.master.expose(), &sequence(0), "{text}");
        assert_eq!(found.master.cipher(), cipher, "{text}");
        assert_eq!(found.created_at.is_some(), is_dated, "{text}");
        assert!(found.hmac.is_none(), "{text}");
    }
}

#[test]
fn lesson_51_empty_and_broken_values_are_typed_errors_that_show_nothing_of_the_value() {
    let secret = base64::encode(&sequence(0));
    let without_hmac = {
        let mut message = Writer::new();
        message.message(1, &material(&sequence(0), AES256));
        base64::encode(message.as_bytes())
    };
    for text in [
        "",
        "\n",
        "{",
        "{}",
        "{\"bytes\":5}",
        "{\"bytes\":\"AAAA\"}",
        &format!("{{\"bytes\":\"{secret}\",\"algorithm\":\"DES\"}}"),
        &format!("{{\"bytes\":\"{secret}\""),
        "AAAA",
        "not base64!",
        &without_hmac,
        &STORED_AES256[..100],
        "vault:v1:AAAA",
    ] {
        let error = read(text).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains(&secret[..8]),
            "{error}"
        );
    }
    assert_eq!(read("").unwrap_err(), UnreadableKey::Empty);
}

proptest::proptest! {
    #[test]
    fn no_text_crashes_the_reader(text in ".*", bytes: Vec<u8>) {
        let _ = read(&text);
        let _ = read(&base64::encode(&bytes));
        let _ = from_message(&bytes);
    }
}
