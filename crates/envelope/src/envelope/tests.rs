use super::*;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::secret::{ClientKey, DataKey};

const PATH: ObjectPath<'_> = ObjectPath::new("bucket", "a/b");

fn data_key() -> DataKey {
    DataKey::from_bytes([0x11; 32])
}

fn client_key() -> ClientKey {
    ClientKey::from_bytes([0x11; 32])
}

fn sealed_data_key() -> SealedDataKey {
    SealedDataKey {
        key_name: "my-key".to_owned(),
        key_version: Some("3".to_owned()),
        fingerprint: Some(Fingerprint::KeyHmac([0xf0; 16])),
        sealed: vec![0xd0; 76],
        bucket_key: true,
    }
}

fn kms() -> Protection {
    let context = Context::from_iter([("a", "1"), ("b", "2")]);
    Protection::SseKms {
        data_key: sealed_data_key(),
        context,
    }
}

fn new(kind: Kind, protection: Protection) -> NewEnvelope<'static> {
    NewEnvelope {
        path: PATH,
        kind,
        protection,
        empty_checksum: None,
        etag_key: EtagKeyId::new(9),
    }
}

fn create<'k>(new: NewEnvelope<'_>, key: impl Into<ExternalKey<'k>>) -> (ObjectKey, Envelope) {
    Envelope::create(new, key, &[0x5a; OBJECT_RANDOM_BYTES]).unwrap()
}

fn single() -> Kind {
    Kind::Single { plain_length: 5 }
}

#[test]
fn envelope_of_each_scheme_and_kind_comes_back() {
    let s3 = || Protection::SseS3 {
        data_key: sealed_data_key(),
    };
    for kind in [single(), Kind::Multipart] {
        for protection in [s3(), kms()] {
            let (object_key, envelope) = create(new(kind, protection), &data_key());
            let back = Envelope::from_base64(&envelope.to_base64()).unwrap();
            assert_eq!(back, envelope);
            assert_eq!(back.open(&PATH, &data_key()).unwrap(), object_key);
        }
        let (object_key, envelope) = create(new(kind, Protection::SseC), &client_key());
        let back = Envelope::decode(&envelope.encode()).unwrap();
        assert_eq!(back.open(&PATH, &client_key()).unwrap(), object_key);
    }
}

#[test]
fn every_bit_of_an_envelope_matters() {
    for (protection, context) in [(kms(), true), (Protection::SseC, false)] {
        let (data, client) = (data_key(), client_key());
        let key = if context {
            ExternalKey::from(&data)
        } else {
            ExternalKey::from(&client)
        };
        let (_, envelope) = create(new(single(), protection), key);
        let bytes = envelope.encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let opened = Envelope::decode(&bad)
                .ok()
                .and_then(|bad| bad.open(&PATH, key).ok());
            assert!(opened.is_none(), "bit {bit}");
        }
    }
}

#[test]
fn envelope_cut_anywhere_or_with_bytes_after_it_is_refused() {
    let (_, envelope) = create(new(single(), kms()), &data_key());
    let bytes = envelope.encode();
    for cut in 0..bytes.len() {
        assert!(Envelope::decode(&bytes[..cut]).is_err(), "{cut} bytes");
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(
        Envelope::decode(&longer),
        Err(DecodeError::Trailing { bytes: 1 })
    );
}

#[test]
fn envelope_opens_at_its_own_bucket_and_raw_key_alone() {
    let (_, envelope) = create(new(single(), kms()), &data_key());
    // Cleaned, the first three are the same path: the commitment tells them apart.
    for (bucket, key) in [
        ("bucket", "a//b"),
        ("bucket", "a/b/"),
        ("bucket", "./a/b"),
        ("bucket", "a/c"),
        ("bucke", "t/a/b"),
        ("bucket/a", "b"),
    ] {
        let path = ObjectPath::new(bucket, key);
        assert_eq!(
            envelope.open(&path, &data_key()),
            Err(OpenError::Tampered),
            "{bucket} {key}"
        );
    }
}

#[test]
fn failures_are_told_apart_as_far_as_can_be_known() {
    let (_, kms) = create(new(single(), kms()), &data_key());
    let (_, client) = create(new(single(), Protection::SseC), &client_key());
    let scheme = Scheme::SseKms;
    assert_eq!(
        kms.open(&PATH, &client_key()),
        Err(OpenError::SchemeMismatch { scheme })
    );
    let scheme = Scheme::SseC;
    assert_eq!(
        client.open(&PATH, &data_key()),
        Err(OpenError::SchemeMismatch { scheme })
    );
    let other = ClientKey::from_bytes([0x12; 32]);
    assert_eq!(client.open(&PATH, &other), Err(OpenError::WrongClientKey));
    let other = DataKey::from_bytes([0x12; 32]);
    assert_eq!(kms.open(&PATH, &other), Err(OpenError::Tampered));
}

#[test]
fn edited_fingerprint_key_name_or_length_is_tampering() {
    let (_, envelope) = create(new(single(), kms()), &data_key());
    type Edit = fn(&mut Envelope);
    let edits: [Edit; 6] = [
        |e| data_key_of(e).fingerprint = None,
        |e| data_key_of(e).key_name.push('x'),
        |e| data_key_of(e).key_version = None,
        |e| data_key_of(e).bucket_key = false,
        |e| e.kind = Kind::Single { plain_length: 6 },
        |e| e.etag_key = None,
    ];
    for (index, edit) in edits.into_iter().enumerate() {
        let mut bad = envelope.clone();
        edit(&mut bad);
        let bad = Envelope::decode(&bad.encode()).unwrap();
        assert_eq!(
            bad.open(&PATH, &data_key()),
            Err(OpenError::Tampered),
            "edit {index}"
        );
    }
}

fn data_key_of(envelope: &mut Envelope) -> &mut SealedDataKey {
    match &mut envelope.protection {
        Protection::SseKms { data_key, .. } | Protection::SseS3 { data_key } => data_key,
        Protection::SseC => panic!("no data key"),
    }
}

#[test]
fn rewrapping_keeps_the_object_key_and_generation_and_the_old_key_no_longer_opens() {
    let (object_key, envelope) = create(new(Kind::Multipart, Protection::SseC), &client_key());
    let other = ClientKey::from_bytes([0x21; 32]);
    let random = [0x6b; REWRAP_RANDOM_BYTES];
    let rewrapped = envelope
        .rewrap(&object_key, &PATH, Protection::SseC, &other, &random)
        .unwrap();
    assert_eq!(rewrapped.generation(), envelope.generation());
    assert_eq!(rewrapped.etag_key(), envelope.etag_key());
    assert_eq!(rewrapped.open(&PATH, &other).unwrap(), object_key);
    assert_eq!(
        rewrapped.open(&PATH, &client_key()),
        Err(OpenError::WrongClientKey)
    );
}

#[test]
fn copy_has_the_object_key_at_another_place_and_its_own_generation() {
    let (object_key, envelope) = create(new(single(), kms()), &data_key());
    let (there, random) = (ObjectPath::new("other", "key"), [0x6b; COPY_RANDOM_BYTES]);
    let copy = envelope
        .copy(
            &object_key,
            &there,
            kms(),
            &data_key(),
            EtagKeyId::new(2),
            &random,
        )
        .unwrap();
    assert_ne!(copy.generation(), envelope.generation());
    assert_eq!(copy.open(&there, &data_key()).unwrap(), object_key);
    assert_eq!(copy.open(&PATH, &data_key()), Err(OpenError::Tampered));
    assert_eq!(
        (copy.kind(), copy.etag_key()),
        (single(), EtagKeyId::new(2))
    );
}

#[test]
fn values_over_their_limits_cannot_be_made() {
    let checksum = || {
        let checksum = Checksum::new(ChecksumAlgorithm::Crc32, &[0; 4]).unwrap();
        Some(ObjectChecksum {
            checksum,
            kind: ChecksumType::FullObject,
        })
    };
    let try_new = |new| Envelope::create(new, &data_key(), &[0; OBJECT_RANDOM_BYTES]);
    type Edit = fn(&mut SealedDataKey);
    let edits: [Edit; 6] = [
        |key| key.key_name.clear(),
        |key| key.key_name = "x".repeat(KEY_NAME_BYTES_MAX + 1),
        |key| key.key_version = Some(String::new()),
        |key| key.sealed.clear(),
        |key| key.sealed = vec![0; SEALED_DATA_KEY_BYTES_MAX + 1],
        |key| key.fingerprint = Some(Fingerprint::KesCreatedAt("x".repeat(65))),
    ];
    for edit in edits {
        let mut data_key = sealed_data_key();
        edit(&mut data_key);
        let refused = try_new(new(single(), Protection::SseS3 { data_key }));
        assert!(matches!(refused, Err(CreateError::OutOfBounds { .. })));
    }
    let reserved = Context::from_iter([("strongroom:x", "")]);
    let protection = Protection::SseKms {
        data_key: sealed_data_key(),
        context: reserved,
    };
    assert!(matches!(
        try_new(new(single(), protection)),
        Err(CreateError::Context(_))
    ));
    let misplaced = NewEnvelope {
        empty_checksum: checksum(),
        ..new(single(), kms())
    };
    assert_eq!(
        try_new(misplaced).unwrap_err(),
        CreateError::ChecksumNotEmpty
    );
    let empty = Kind::Single { plain_length: 0 };
    let placed = NewEnvelope {
        empty_checksum: checksum(),
        ..new(empty, kms())
    };
    assert_eq!(
        try_new(placed).unwrap().1.empty_checksum(),
        checksum().as_ref()
    );
    let long = Kind::Single {
        plain_length: PLAIN_LENGTH_MAX + 1,
    };
    assert!(try_new(new(long, kms())).is_err());
}

#[test]
fn largest_envelope_is_within_the_limit() {
    let value = "v".repeat(crate::context::CONTEXT_BYTES_MAX - r#"{"k":""}"#.len());
    let protection = Protection::SseKms {
        data_key: SealedDataKey {
            key_name: "x".repeat(KEY_NAME_BYTES_MAX),
            key_version: Some("x".repeat(KEY_VERSION_BYTES_MAX)),
            fingerprint: Some(Fingerprint::KesCreatedAt(
                "x".repeat(FINGERPRINT_TEXT_BYTES_MAX),
            )),
            sealed: vec![0; SEALED_DATA_KEY_BYTES_MAX],
            bucket_key: true,
        },
        context: Context::from_iter([("k", value)]),
    };
    let (_, envelope) = create(new(single(), protection), &data_key());
    assert_eq!(Envelope::from_base64(&envelope.to_base64()), Ok(envelope));
}

#[test]
fn stored_length_of_a_plain_put_is_known_from_its_envelope() {
    let length = |kind| {
        create(new(kind, Protection::SseC), &client_key())
            .1
            .stored_length()
    };
    assert_eq!(length(Kind::Single { plain_length: 0 }), Some(0));
    assert_eq!(length(Kind::Single { plain_length: 1 }), Some(385));
    assert_eq!(length(Kind::Multipart), None);
}
