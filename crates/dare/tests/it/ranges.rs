//! Length and range arithmetic, against a list of packages made one by one.

use proptest::prelude::*;
use strongroom_dare::geometry::{
    PLAIN_BYTES_MAX, SEALED_BYTES_MAX, package_count, package_range, plain_length, sealed_length,
};
use strongroom_dare::{
    Accept, Cipher, GeometryError, Opener, PACKAGE_BYTES, SEALED_PACKAGE_BYTES, StreamNonce,
    seal_to_vec,
};

use crate::KEY;
use crate::forgeries::{lengths, pattern};

/// The plaintext and sealed bytes of each package, as a writer would lay them down.
fn packages(mut plain_bytes: u64) -> Vec<(u64, u64)> {
    let mut list = Vec::new();
    while plain_bytes > 0 {
        let payload = plain_bytes.min(65_536);
        list.push((payload, 16 + payload + 16));
        plain_bytes -= payload;
    }
    list
}

#[test]
fn lengths_are_as_published() {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let table = [
        (0, 0),
        (1, 33),
        (65_535, 65_567),
        (65_536, 65_568),
        (65_537, 65_601),
        (131_072, 131_136),
        (131_089, 131_185),
        (5 * MIB, 5_245_440),
        (5 * GIB, 5 * GIB + 2_621_440),
        (1 << 48, (1 << 48) + 32 * (1 << 32)),
    ];
    for (plain, sealed) in table {
        assert_eq!(sealed_length(plain), Ok(sealed));
        assert_eq!(plain_length(sealed), Ok(plain));
    }
    assert_eq!(package_count(5 * MIB), 80);
    assert_eq!(package_count(5 * GIB), 81_920);
}

#[test]
fn lengths_that_no_stream_has_are_refused() {
    for sealed_bytes in (1..=32).chain(65_569..=65_600).chain(131_137..=131_168) {
        assert_eq!(
            plain_length(sealed_bytes),
            Err(GeometryError::ImpossibleLength { sealed_bytes })
        );
    }
    for bytes in [PLAIN_BYTES_MAX + 1, u64::MAX] {
        assert_eq!(sealed_length(bytes), Err(GeometryError::TooLong { bytes }));
        assert_eq!(
            package_range(0, 1, bytes),
            Err(GeometryError::TooLong { bytes })
        );
    }
    for bytes in [SEALED_BYTES_MAX + 1, u64::MAX] {
        assert_eq!(plain_length(bytes), Err(GeometryError::TooLong { bytes }));
    }
}

#[test]
fn ranges_outside_the_stream_are_refused() {
    for (offset, length, plain_bytes) in [
        (0, 1, 0),
        (1, 0, 0),
        (0, 11, 10),
        (10, 1, 10),
        (11, 0, 10),
        (u64::MAX, 1, 10),
        (1, u64::MAX, 10),
    ] {
        assert_eq!(
            package_range(offset, length, plain_bytes),
            Err(GeometryError::OutOfRange {
                offset,
                length,
                plain_bytes
            })
        );
    }
}

#[test]
fn an_empty_range_reads_nothing() {
    for (offset, plain_bytes) in [
        (0, 0),
        (0, 10),
        (10, 10),
        (65_536, 65_536),
        (70_000, 131_072),
    ] {
        let range = package_range(offset, 0, plain_bytes).unwrap();
        assert_eq!(
            (range.package_count, range.sealed_bytes(), range.length),
            (0, 0, 0)
        );
        assert!(!range.ends_stream);
    }
}

#[test]
fn the_last_byte_of_the_longest_stream_can_be_found() {
    let range = package_range(PLAIN_BYTES_MAX - 1, 1, PLAIN_BYTES_MAX).unwrap();
    assert_eq!(range.first_package, u64::from(u32::MAX));
    assert_eq!(range.sealed_end, SEALED_BYTES_MAX);
    assert_eq!(range.skip, PACKAGE_BYTES - 1);
    assert!(range.ends_stream);
}

proptest! {
    #[test]
    fn lengths_agree_with_packages_laid_one_by_one(plain_bytes in 0..5_000_000_u64) {
        let list = packages(plain_bytes);
        let sealed: u64 = list.iter().map(|(_, sealed)| sealed).sum();
        prop_assert_eq!(package_count(plain_bytes), list.len() as u64);
        prop_assert_eq!(sealed_length(plain_bytes), Ok(sealed));
        prop_assert_eq!(plain_length(sealed), Ok(plain_bytes));
    }

    #[test]
    fn lengths_invert_up_to_the_limit(plain_bytes in 0..=PLAIN_BYTES_MAX) {
        let sealed = sealed_length(plain_bytes).unwrap();
        prop_assert_eq!(plain_length(sealed), Ok(plain_bytes));
        if plain_bytes < PLAIN_BYTES_MAX {
            prop_assert!(sealed_length(plain_bytes + 1).unwrap() > sealed);
        }
    }

    #[test]
    fn every_possible_sealed_length_is_some_streams_length(sealed in 0..=SEALED_BYTES_MAX) {
        match plain_length(sealed) {
            Ok(plain_bytes) => prop_assert_eq!(sealed_length(plain_bytes), Ok(sealed)),
            Err(error) => prop_assert_eq!(error, GeometryError::ImpossibleLength { sealed_bytes: sealed }),
        }
    }

    #[test]
    fn ranges_cover_what_is_asked_and_no_package_more(
        plain_bytes in 1..2_000_000_u64, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(),
    ) {
        let offset = a.index(plain_bytes as usize) as u64;
        let length = b.index((plain_bytes - offset) as usize) as u64 + 1;
        let range = package_range(offset, length, plain_bytes).unwrap();

        // Walk the packages and keep those that hold a byte of the range.
        let (mut plain_at, mut sealed_at, mut touched) = (0, 0, Vec::new());
        let list = packages(plain_bytes);
        for (index, (payload, sealed)) in list.iter().enumerate() {
            if plain_at < offset + length && offset < plain_at + payload {
                touched.push((index as u64, plain_at, sealed_at, sealed_at + sealed));
            }
            plain_at += payload;
            sealed_at += sealed;
        }
        let (first, last) = (touched[0], touched[touched.len() - 1]);
        prop_assert_eq!(range.first_package, first.0);
        prop_assert_eq!(range.package_count, touched.len() as u64);
        prop_assert_eq!(range.sealed_start, first.2);
        prop_assert_eq!(range.sealed_end, last.3);
        prop_assert_eq!(range.skip as u64, offset - first.1);
        prop_assert_eq!(range.length, length);
        prop_assert_eq!(range.ends_stream, last.0 + 1 == list.len() as u64);
    }

    #[test]
    fn a_range_opens_to_its_bytes(
        plain_bytes in lengths(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(),
    ) {
        let plain_bytes = plain_bytes + 1;
        let offset = a.index(plain_bytes);
        let length = b.index(plain_bytes - offset) + 1;
        let plain = pattern(plain_bytes);
        let nonce = StreamNonce::from_bytes([3; 12]);
        let sealed = seal_to_vec(&KEY, Cipher::Aes256Gcm, nonce, &plain);

        let range = package_range(offset as u64, length as u64, plain_bytes as u64).unwrap();
        let fetched = &sealed[range.sealed_start as usize..range.sealed_end as usize];
        let mut opener = Opener::new(&KEY, Accept::V2Only)
            .expecting_nonce(nonce)
            .starting_at(range.first_package);
        let mut opened = Vec::new();
        for package in fetched.chunks(SEALED_PACKAGE_BYTES) {
            let mut buffer = vec![0; PACKAGE_BYTES];
            let n = opener.open(package, &mut buffer).unwrap().plain_bytes;
            opened.extend_from_slice(&buffer[..n]);
        }
        prop_assert_eq!(opener.next_package(), range.first_package + range.package_count);
        prop_assert_eq!(opener.has_ended(), range.ends_stream);
        prop_assert_eq!(opener.finish().is_ok(), range.ends_stream);
        prop_assert!(opened[range.skip..][..length] == plain[offset..][..length]);
    }
}
