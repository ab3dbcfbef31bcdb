//! What must hold of DARE for any input. The bodies use nothing but the crate, so that its own tests include this file.

use strongroom_dare::{
    Accept, Cipher, OpenError, Opener, PACKAGE_BYTES, SEALED_PACKAGE_BYTES, StreamNonce,
    open_to_vec, seal_to_vec,
};

const KEY: [u8; 32] = [0x42; 32];
const ZEROS: &[u8] = &[0; SEALED_PACKAGE_BYTES];

/// Arbitrary bytes are refused, without a panic, and alike by every way of opening them.
pub fn open_arbitrary(data: &[u8]) {
    let Some((&[accept, start, expect], sealed)) = data.split_first_chunk() else {
        return;
    };
    let accept = match accept % 3 {
        0 => Accept::Both,
        1 => Accept::V1Only,
        _ => Accept::V2Only,
    };
    // The first places, and those around the last.
    let start = if start < 128 {
        u64::from(start)
    } else {
        (1 << 32) - 192 + u64::from(start)
    };
    let opener = || {
        let opener = Opener::new(&KEY, accept).starting_at(start);
        if expect % 4 == 0 {
            opener.expecting_nonce(StreamNonce::from_bytes([expect; 12]))
        } else {
            opener
        }
    };

    let declared = sealed
        .first_chunk()
        .map(|header| opener().declared_sealed_length(header));
    let take = match declared {
        Some(Ok(declared)) => declared.min(sealed.len()),
        _ => sealed.len(),
    };
    let mut package = sealed[..take.min(SEALED_PACKAGE_BYTES)].to_vec();
    let mut plain = vec![0xee; PACKAGE_BYTES];
    let (mut apart, mut within) = (opener(), opener());
    let opened = apart.open(&package, &mut plain);
    let opened_within = within
        .open_in_place(&mut package)
        .map(|plain| plain.to_vec());
    match (opened, opened_within) {
        (Ok(opened), Ok(within)) => assert_eq!(plain[..opened.plain_bytes], within),
        (Err(apart), Err(within)) => {
            assert_eq!(apart, within);
            assert!(plain == ZEROS[..PACKAGE_BYTES], "bytes released");
            assert!(package == ZEROS[..package.len()], "bytes released in place");
            if let Some(Err(declared)) = declared {
                assert_eq!(declared, apart);
            }
        }
        (apart, within) => panic!("opened apart: {apart:?}, in place: {within:?}"),
    }
    assert_eq!(apart.finish(), within.finish());

    if let Ok(plain) = open_to_vec(&KEY, accept, sealed) {
        assert!(plain.len() <= sealed.len());
    }
}

/// A sealed stream that was changed in any way does not open; unchanged it opens to the same plaintext.
pub fn open_mutated(data: &[u8]) {
    let Some((&[cipher, packages, low, high, nonce], mutations)) = data.split_first_chunk() else {
        return;
    };
    let cipher = if cipher % 2 == 0 {
        Cipher::Aes256Gcm
    } else {
        Cipher::ChaCha20Poly1305
    };
    let plain_bytes = match packages % 8 {
        // Mostly short, for speed; else up to three packages, full ones among them.
        0..=3 => usize::from(low),
        4 | 5 => usize::from(packages / 8 % 4) * PACKAGE_BYTES,
        _ => {
            usize::from(packages / 8 % 3) * PACKAGE_BYTES
                + usize::from(u16::from_le_bytes([low, high]))
        }
    };
    let plain: Vec<u8> = (0..plain_bytes).map(|i| (i % 253) as u8).collect();
    let stream = |nonce| seal_to_vec(&KEY, cipher, StreamNonce::from_bytes([nonce; 12]), &plain);
    let sealed = stream(nonce);

    let mut mutated = sealed.clone();
    for &mutation in mutations.as_chunks().0.iter().take(8) {
        mutate(&mut mutated, mutation, || stream(nonce ^ 0x40));
    }
    let opened = open_to_vec(&KEY, Accept::Both, &mutated);
    if mutated == sealed {
        assert!(*opened.expect("an unchanged stream opens") == plain);
    } else if mutated.is_empty() {
        // All that the format cannot see by itself: a stream that is wholly gone.
        assert!(opened.expect("no bytes seal no bytes").is_empty());
    } else if mutated == stream(nonce ^ 0x40) {
        // Another genuine stream in place of this one: only who knows the nonce can tell.
        assert!(*opened.expect("a genuine stream opens") == plain);
        let first = &mutated[..mutated.len().min(SEALED_PACKAGE_BYTES)];
        let mut opener =
            Opener::new(&KEY, Accept::Both).expecting_nonce(StreamNonce::from_bytes([nonce; 12]));
        let refused = opener.open(first, &mut vec![0; PACKAGE_BYTES]);
        assert_eq!(refused, Err(OpenError::UnexpectedStream { index: 0 }));
    } else {
        let error: OpenError = opened.expect_err("a changed stream was opened");
        assert!(error.index() <= (mutated.len() / 33) as u64);
    }
}

fn mutate(sealed: &mut Vec<u8>, mutation: [u8; 6], other: impl Fn() -> Vec<u8>) {
    let [kind, a, b, c, d, value] = mutation;
    let place = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(0);
    let at = place % sealed.len().max(1);
    let mut packages: Vec<Vec<u8>> = sealed
        .chunks(SEALED_PACKAGE_BYTES)
        .map(<[u8]>::to_vec)
        .collect();
    let count = packages.len().max(1);
    let (one, two) = (place % count, usize::from(value) % count);
    match kind % 9 {
        0 if !sealed.is_empty() => sealed[at] ^= value,
        // The header's bytes would else be hit too seldom.
        1 if !sealed.is_empty() => {
            let at = (one * SEALED_PACKAGE_BYTES + usize::from(value % 16)).min(sealed.len() - 1);
            sealed[at] ^= d;
        }
        2 => sealed.truncate(at),
        3 => sealed.truncate(one * SEALED_PACKAGE_BYTES),
        4 => sealed.extend_from_slice(&mutation[..usize::from(value % 7)]),
        5 => sealed.extend_from_slice(&other()),
        6 if !packages.is_empty() => {
            packages.swap(one, two);
            *sealed = packages.concat();
        }
        7 if !packages.is_empty() => {
            packages.insert(two, packages[one].clone());
            *sealed = packages.concat();
        }
        8 if !packages.is_empty() => {
            // A package of another stream under the same key, in the same place.
            let foreign = other();
            if let Some(package) = foreign.chunks(SEALED_PACKAGE_BYTES).nth(one) {
                packages[one] = package.to_vec();
            }
            *sealed = packages.concat();
        }
        _ => {}
    }
}
