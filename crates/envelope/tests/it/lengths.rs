//! Swaps of parts, attempts and objects that are too large for golden files.

use strongroom_dare::{Cipher, StreamNonce, seal_to_vec};
use strongroom_envelope::{
    BodyKind, ClientKey, Envelope, Kind, Manifest, NewEnvelope, ObjectKey, ObjectPath, PartEntry,
    Protection,
};

use crate::reader::{Refused, read};

const PATH: ObjectPath<'_> = ObjectPath::new("bucket", "key");
const PART: usize = 5 << 20;

fn client_key() -> ClientKey {
    ClientKey::from_bytes([0x33; 32])
}

fn created() -> (ObjectKey, String) {
    let new = NewEnvelope {
        path: PATH,
        kind: Kind::Multipart,
        protection: Protection::SseC,
        empty_checksum: None,
        etag_key: None,
    };
    let (key, envelope) = Envelope::create(new, &client_key(), &[0x5a; 84]).unwrap();
    (key, envelope.to_base64())
}

fn stream(key: &ObjectKey, number: u32, nonce: u8, plain: &[u8]) -> Vec<u8> {
    let nonce = StreamNonce::from_bytes([nonce; 12]);
    seal_to_vec(
        key.part_key(number).expose(),
        Cipher::Aes256Gcm,
        nonce,
        plain,
    )
}

/// Seals three parts of one length and returns their streams and the footer.
fn parts(key: &ObjectKey) -> (Vec<Vec<u8>>, Vec<u8>) {
    let streams = (1..=3)
        .map(|number| stream(key, number, 7, &vec![0xab; PART]))
        .collect();
    let entry = |number| PartEntry {
        number,
        plain_length: PART as u64,
        nonce: StreamNonce::from_bytes([7; 12]),
        checksum: None,
    };
    let entries = (1..=3).map(entry).collect();
    let manifest = Manifest::new(BodyKind::Multipart, entries, None).unwrap();
    (streams, key.footer_key().seal(&manifest, [9; 12]))
}

fn outcome(envelope: &str, streams: &[Vec<u8>], footer: &[u8]) -> Result<usize, Refused> {
    let stored = [streams.concat().as_slice(), footer].concat();
    read(&PATH, (&client_key()).into(), envelope, &stored).map(|plain| plain.len())
}

#[test]
fn parts_swapped_repeated_or_of_another_attempt_are_refused() {
    let (key, envelope) = created();
    let (streams, footer) = parts(&key);
    assert_eq!(outcome(&envelope, &streams, &footer), Ok(3 * PART));

    let mut swapped = streams.clone();
    swapped.swap(0, 1);
    assert!(outcome(&envelope, &swapped, &footer).is_err());

    let mut repeated = streams.clone();
    repeated[1] = repeated[0].clone();
    assert!(outcome(&envelope, &repeated, &footer).is_err());

    let mut other_attempt = streams.clone();
    other_attempt[2] = stream(&key, 3, 8, &vec![0xcd; PART]);
    let refused = outcome(&envelope, &other_attempt, &footer);
    assert_eq!(refused, Err(Refused("body".to_owned())));

    // A whole part less or more: a length of an object, and not of this one.
    assert!(outcome(&envelope, &streams[..2], &footer).is_err());
    let more = [streams.as_slice(), &streams[2..]].concat();
    assert!(outcome(&envelope, &more, &footer).is_err());
}
