//! Streams that no writer made: nothing may come out of them that the plain model would not give.

use proptest::collection::vec;
use proptest::prelude::*;
use strongroom_dare::{
    Accept, Cipher, OpenError, SEALED_PACKAGE_BYTES, StreamNonce, open_to_vec, seal_to_vec,
};

use crate::KEY;
use crate::model::{self, FULL, Package};

const NONCE: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

fn ciphers() -> impl Strategy<Value = Cipher> {
    prop_oneof![Just(Cipher::Aes256Gcm), Just(Cipher::ChaCha20Poly1305)]
}

/// Lengths on both sides of every edge.
pub(crate) fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..300_usize,
        (0..4_usize, 0..5_usize).prop_map(|(n, d)| (n * FULL + d).max(2) - 2)
    ]
}

pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// Packages each sealed with the right key, in almost the right order: only the rules between them can be broken.
fn packages() -> impl Strategy<Value = Vec<Package>> {
    let flaw = prop_oneof![8 => Just(0_u8), 1 => 1..7_u8];
    let one = (flaw, prop_oneof![3 => Just(FULL), 1 => 1..50_usize]);
    (any::<bool>(), 0..2_u8, vec(one, 1..5)).prop_map(|(is_v1, cipher, list)| {
        let last = list.len() - 1;
        list.into_iter()
            .enumerate()
            .map(|(i, (flaw, length))| {
                let mut package = Package {
                    is_v1,
                    cipher,
                    sequence: u32::try_from(i).unwrap(),
                    nonce: NONCE,
                    is_final: i == last,
                    plain: pattern(length),
                };
                match flaw {
                    1 => package.is_v1 = !is_v1,
                    2 => package.cipher ^= 1,
                    3 => package.sequence ^= 1,
                    4 => package.nonce[11] ^= 1,
                    5 => package.is_final = !package.is_final,
                    6 => package.nonce[0] ^= 1,
                    _ => {}
                }
                package
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_sealed_opens_to_the_same_bytes(length in lengths(), cipher in ciphers(), nonce in any::<[u8; 12]>()) {
        let plain = pattern(length);
        let sealed = seal_to_vec(&KEY, cipher, StreamNonce::from_bytes(nonce), &plain);
        let opened = open_to_vec(&KEY, Accept::V2Only, &sealed).unwrap();
        prop_assert!(*opened == plain);
        prop_assert!(model::open_stream(&KEY, &sealed).as_ref() == Some(&plain));
    }

    #[test]
    fn opener_and_model_agree_on_streams_of_genuine_packages(packages in packages()) {
        let sealed: Vec<u8> =
            packages.iter().flat_map(|package| model::seal_package(&KEY, package)).collect();
        let opened = open_to_vec(&KEY, Accept::Both, &sealed);
        let expected = model::open_stream(&KEY, &sealed);
        match (opened, expected) {
            (Ok(opened), Some(expected)) => prop_assert!(*opened == expected),
            (Err(_), None) => {}
            (Ok(_), None) => prop_assert!(false, "opened what the model refuses"),
            (Err(error), Some(_)) => prop_assert!(false, "refused what the model opens: {error}"),
        }
    }

    #[test]
    fn a_changed_byte_is_found(length in 1..200_000_usize, cipher in ciphers(), at in any::<prop::sample::Index>(), mask in 1..=255_u8) {
        let mut sealed = seal_to_vec(&KEY, cipher, StreamNonce::from_bytes(NONCE), &pattern(length));
        let at = at.index(sealed.len());
        sealed[at] ^= mask;
        let error = open_to_vec(&KEY, Accept::Both, &sealed).unwrap_err();
        // Nothing after the damage is looked at, and nothing before it is blamed.
        prop_assert_eq!(error.index(), (at / SEALED_PACKAGE_BYTES) as u64);
    }

    #[test]
    fn a_cut_is_found(length in 1..200_000_usize, keep in any::<prop::sample::Index>()) {
        let sealed = seal_to_vec(&KEY, Cipher::Aes256Gcm, StreamNonce::from_bytes(NONCE), &pattern(length));
        let keep = keep.index(sealed.len()).max(1);
        prop_assume!(keep < sealed.len());
        let error = open_to_vec(&KEY, Accept::Both, &sealed[..keep]).unwrap_err();
        let is_boundary = keep % SEALED_PACKAGE_BYTES == 0;
        prop_assert_eq!(is_boundary, matches!(error, OpenError::Truncated { .. }));
        prop_assert_eq!(!is_boundary, matches!(error, OpenError::CutPackage { .. }));
        prop_assert_eq!(error.index(), (keep / SEALED_PACKAGE_BYTES) as u64);
    }
}

/// Not a sample: each of the 392 bits, and each length but the right one.
#[test]
fn no_bit_of_a_short_stream_can_change() {
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        let sealed = seal_to_vec(
            &KEY,
            cipher,
            StreamNonce::from_bytes(NONCE),
            b"seventeen octets.",
        );
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open_to_vec(&KEY, Accept::Both, &changed).is_err(),
                "bit {bit}"
            );
        }
        for keep in 1..sealed.len() {
            assert!(
                open_to_vec(&KEY, Accept::Both, &sealed[..keep]).is_err(),
                "cut to {keep}"
            );
        }
        assert!(open_to_vec(&KEY, Accept::Both, &sealed).is_ok());
    }
}
