//! What must hold of envelopes, footers and ciphertexts for any input. The bodies use nothing but the crate, so that
//! its own tests include this file.

use strongroom_envelope::{
    ClientKey, Context, Envelope, Kind, Manifest, MasterCipher, MasterKey, NewEnvelope, ObjectKey,
    ObjectPath, Protection, footer, plain_length_of_stored, stored_length,
};

const PATH: ObjectPath<'_> = ObjectPath::new("bucket", "key");

fn client_key() -> ClientKey {
    ClientKey::from_bytes([0x42; 32])
}

/// What decodes encodes back to itself, and never opens: nobody can make a commitment without the key.
pub fn decode_envelope(data: &[u8]) {
    if let Ok(envelope) = Envelope::decode(data) {
        assert_eq!(envelope.encode(), data, "a second encoding");
        let text = envelope.to_base64();
        assert_eq!(Envelope::from_base64(&text).as_ref(), Ok(&envelope));
        assert!(envelope.open(&PATH, &client_key()).is_err(), "opened");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Envelope::from_base64(text);
        if let Ok(context) = Context::parse_client(text) {
            let json = context.canonical();
            assert_eq!(Context::parse_json(json.as_bytes()), Ok(context));
        }
    }
}

/// An envelope that was made and then changed anywhere does not open.
pub fn mutate_envelope(data: &[u8]) {
    let Some((&[low, high, mask], rest)) = data.split_first_chunk() else {
        return;
    };
    let new = NewEnvelope {
        path: PATH,
        kind: Kind::Single {
            plain_length: rest.len() as u64,
        },
        protection: Protection::SseC,
        empty_checksum: None,
        etag_key: None,
    };
    let Ok((_, envelope)) = Envelope::create(new, &client_key(), &[7; 84]) else {
        return;
    };
    let mut bytes = envelope.encode();
    let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
    bytes[at] ^= mask;
    let opened = Envelope::decode(&bytes).is_ok_and(|bad| bad.open(&PATH, &client_key()).is_ok());
    assert_eq!(opened, mask == 0);
}

/// Arbitrary bytes are no footer, whatever the stored length says; a footer that was made and changed is none either.
pub fn open_footer(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk() else {
        return;
    };
    let stored = u64::from_le_bytes(*length);
    if let Ok(plain) = plain_length_of_stored(stored) {
        assert!(stored == 0 || stored_length(plain) == Ok(stored));
    }
    let key = ObjectKey::from_bytes([0x42; 32]).footer_key();
    assert!(key.open(stored, rest).is_err(), "opened");
    // A plain PUT of few bytes, whose footer has no padding.
    let Ok(small) = stored_length(rest.len() as u64) else {
        return;
    };
    let nonce = strongroom_dare::StreamNonce::from_bytes([1; 12]);
    let Ok(manifest) = Manifest::single(rest.len() as u64, nonce, None) else {
        return;
    };
    let mut sealed = key.seal(&manifest, [2; 12]);
    assert_eq!(
        footer::place(small).map(|place| place.length),
        Ok(sealed.len() as u64)
    );
    let (at, mask) = (
        usize::from(u16::from_le_bytes([length[0], length[1]])),
        length[2],
    );
    let at = at % sealed.len();
    sealed[at] ^= mask;
    assert_eq!(key.open(small, &sealed).is_ok(), mask == 0);
}

/// Arbitrary bytes are no ciphertext of any form.
pub fn open_ciphertext(data: &[u8]) {
    for cipher in [MasterCipher::Aes256, MasterCipher::ChaCha20] {
        let key = MasterKey::from_bytes(cipher, [0x42; 32]);
        assert!(key.open(data, b"").is_err(), "opened");
        assert!(
            key.open_legacy_hex(data, "", &Context::new()).is_err(),
            "opened"
        );
    }
}
