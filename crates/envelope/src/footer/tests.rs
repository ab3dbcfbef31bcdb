use super::*;
use crate::geometry::stored_length;
use crate::secret::ObjectKey;

fn key() -> FooterKey {
    ObjectKey::from_bytes([7; 32]).footer_key()
}

fn nonce(byte: u8) -> StreamNonce {
    StreamNonce::from_bytes([byte; 12])
}

fn sha512() -> Checksum {
    Checksum::new(ChecksumAlgorithm::Sha512, &[0xee; 64]).unwrap()
}

/// `n` parts that end on a package boundary, or one byte after it: X is 0, or as large as it gets.
fn manifest(n: u32, aligned: bool) -> Manifest {
    let odd = u64::from(!aligned);
    let parts = (1..=n)
        .map(|number| PartEntry {
            number,
            plain_length: PART_BYTES_MIN + odd,
            nonce: nonce(1),
            checksum: Some(sha512()),
        })
        .collect();
    let whole = ObjectChecksum {
        checksum: sha512(),
        kind: ChecksumType::Composite,
    };
    Manifest::new(BodyKind::Multipart, parts, Some(whole)).unwrap()
}

fn sealed(manifest: &Manifest) -> (u64, Vec<u8>) {
    let footer = key().seal(manifest, [3; 12]);
    let stored = stored_length(manifest.plain_length()).unwrap();
    let place = place(stored).unwrap();
    let bytes = footer[footer.len() - usize::try_from(place.length).unwrap()..].to_vec();
    (stored, bytes)
}

#[test]
fn footer_fills_the_stored_length_for_few_and_many_parts_with_least_and_most_padding() {
    for n in [1, 2, 1023, 10_000] {
        for aligned in [true, false] {
            let manifest = manifest(n, aligned);
            let lengths = manifest.parts().iter().map(|part| part.plain_length);
            let extra = extra_packages(lengths.clone());
            // A byte over in each part: one package each, of which the whole would need but few.
            assert_eq!(extra == 0, aligned || n == 1, "{n} parts");
            let streams: u64 = lengths
                .map(|length| strongroom_dare::geometry::sealed_length(length).unwrap())
                .sum();
            let footer = key().seal(&manifest, [3; 12]);
            let stored = stored_length(manifest.plain_length()).unwrap();
            assert_eq!(streams + footer.len() as u64, stored);
            assert_eq!(footer.len() as u64, manifest.footer_length());
            let padding = usize::try_from(manifest.padding_length()).unwrap();
            assert!(footer[..padding].iter().all(|byte| *byte == 0));
            let place = place(stored).unwrap();
            assert_eq!(place.offset, streams + manifest.padding_length());
            assert_eq!(place.plain_length, manifest.plain_length());
            assert_eq!(key().open(stored, &footer[padding..]).unwrap(), manifest);
        }
    }
}

#[test]
fn every_bit_of_a_manifest_matters() {
    let (stored, bytes) = sealed(&manifest(2, false));
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(key().open(stored, &bad).is_err(), "bit {bit}");
    }
}

#[test]
fn footer_of_another_object_or_length_is_refused() {
    let (stored, bytes) = sealed(&manifest(2, true));
    let other = ObjectKey::from_bytes([8; 32]).footer_key();
    assert_eq!(other.open(stored, &bytes), Err(FooterError::NotAuthentic));
    // As many rows, another length.
    let longer = stored_length(2 * PART_BYTES_MIN + 1).unwrap();
    assert_eq!(key().open(longer, &bytes), Err(FooterError::Inconsistent));
    let expected = bytes.len() as u64;
    let short = &bytes[1..];
    let wrong = FooterError::WrongBytes {
        bytes: short.len(),
        expected,
    };
    assert_eq!(key().open(stored, short), Err(wrong));
    assert_eq!(key().open(0, &[]), Err(FooterError::EmptyBody));
}

#[test]
fn body_longer_or_shorter_by_a_byte_a_tag_or_a_package_is_damage() {
    for manifest in [manifest(1, true), manifest(2, false), manifest(7, true)] {
        let (stored, bytes) = sealed(&manifest);
        for off in [1, 32, 65_568] {
            for wrong in [stored - off, stored + off] {
                let Ok(place) = place(wrong) else { continue };
                assert_ne!(place.plain_length, manifest.plain_length());
                // Bytes before the manifest lost or added: it is found, and says another length.
                if place.length == bytes.len() as u64 {
                    let refused = key().open(wrong, &bytes).unwrap_err();
                    assert_eq!(refused, FooterError::Inconsistent, "{wrong} for {stored}");
                }
                // Bytes at the end lost or added: what stands there is no trailer.
                let length = usize::try_from(place.length).unwrap();
                let mut shifted = vec![0; length];
                let kept = length
                    .saturating_sub(usize::try_from(off).unwrap())
                    .min(bytes.len());
                shifted[..kept].copy_from_slice(&bytes[bytes.len() - kept..]);
                assert_eq!(key().open(wrong, &shifted), Err(FooterError::NoFooter));
            }
        }
    }
}

#[test]
fn trailer_tells_what_is_missing() {
    let (stored, bytes) = sealed(&manifest(1, true));
    let end = bytes.len() - TRAILER_BYTES;
    let with = |offset: usize, byte: u8| {
        let mut bad = bytes.clone();
        bad[end + offset] = byte;
        key().open(stored, &bad)
    };
    assert_eq!(with(0, b'X'), Err(FooterError::NoFooter));
    let newer = DecodeError::UnknownVersion { version: 2 };
    assert_eq!(with(8, 2), Err(FooterError::Newer(newer)));
    assert!(matches!(with(9, 3), Err(FooterError::Newer(_))));
    assert_eq!(with(9, SINGLE), Err(FooterError::NotAuthentic));
    assert_eq!(with(31, 1), Err(FooterError::NotAuthentic));
}

/// Seals a plaintext that no writer makes, as only the holder of the key can.
fn forged(manifest: &Manifest, edit: impl FnOnce(&mut Vec<u8>)) -> Result<Manifest, FooterError> {
    let mut plain = Vec::new();
    manifest.plaintext(&mut plain);
    let length = usize::try_from(manifest_length(manifest.plain_length())).unwrap();
    plain.resize(length - NONCE_BYTES - TAG_BYTES - TRAILER_BYTES, 0);
    edit(&mut plain);
    let (nonce, trailer) = ([4; 12], manifest.trailer());
    let tag = aead::seal_in_place(
        Algorithm::Aes256Gcm,
        key().expose(),
        nonce,
        &trailer,
        &mut plain,
    );
    let bytes = [&nonce[..], &plain, &tag, &trailer].concat();
    key().open(stored_length(manifest.plain_length()).unwrap(), &bytes)
}

#[test]
fn authentic_manifest_that_contradicts_itself_is_refused() {
    let manifest = manifest(2, false);
    assert_eq!(forged(&manifest, |_| ()), Ok(manifest.clone()));
    let row = HEAD_BYTES;
    for (what, offset, byte) in [
        ("length of the object", 0, 9),
        ("number of parts", 8, 1),
        ("more parts than rows", 8, 99),
        ("type of the checksum", 12, 3),
        ("type without a checksum", 12, 0),
        ("algorithm of the checksum", 13, 99),
        ("bytes after a shorter checksum", 13, 1),
        ("reserved bytes of the head", HEAD_BYTES - 1, 1),
        ("length of a part", row, 9),
        ("number of a part", row + 8, 2),
        ("number zero", row + 8, 0),
        ("flag in a nonce", row + 12, 0x81),
        ("algorithm of a part", row + 24, 99),
        ("reserved bytes of a row", row + 95, 1),
        ("unused rows", row + 2 * ROW_BYTES, 1),
    ] {
        let outcome = forged(&manifest, |plain| {
            if let Some(at) = plain.get_mut(offset) {
                *at = byte;
            } else {
                plain.clear();
            }
        });
        assert_eq!(outcome, Err(FooterError::Inconsistent), "{what}");
    }
}

#[test]
fn tables_that_no_object_has_cannot_be_made() {
    let part = |number, plain_length| PartEntry {
        number,
        plain_length,
        nonce: nonce(1),
        checksum: None,
    };
    let new = |kind, parts| Manifest::new(kind, parts, None);
    let multipart = BodyKind::Multipart;
    assert_eq!(new(multipart, vec![]), Err(ManifestError::NoParts));
    assert_eq!(
        new(BodyKind::Single, vec![part(2, 1)]),
        Err(ManifestError::NoParts)
    );
    for number in [0, 10_001] {
        let parts = vec![part(number, 1)];
        assert_eq!(
            new(multipart, parts),
            Err(ManifestError::PartNumber { number })
        );
    }
    let least = PART_BYTES_MIN;
    let again = vec![part(2, least), part(2, 1)];
    assert_eq!(
        new(multipart, again),
        Err(ManifestError::PartNumber { number: 2 })
    );
    let short = vec![part(1, least - 1), part(2, 1)];
    let refused = ManifestError::PartLength {
        number: 1,
        plain_length: least - 1,
    };
    assert_eq!(new(multipart, short), Err(refused));
    assert!(new(multipart, vec![part(1, PART_BYTES_MAX + 1)]).is_err());
    let gaps = vec![part(3, least), part(5, least), part(10_000, 0)];
    assert!(new(multipart, gaps).is_ok());
    assert!(new(multipart, vec![part(1, 0)]).is_ok());
}
