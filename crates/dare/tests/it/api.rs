//! What the types promise to their callers.

use strongroom_dare::{
    Accept, Cipher, HEADER_BYTES, OVERHEAD_BYTES, OpenError, Opener, PACKAGE_BYTES,
    SEALED_PACKAGE_BYTES, SealError, Sealer, StreamNonce, open_to_vec, seal_to_vec,
};

use crate::KEY;

const NONCE: StreamNonce = StreamNonce::from_bytes([0x55; 12]);

fn sealed(plain_bytes: usize) -> Vec<u8> {
    seal_to_vec(&KEY, Cipher::Aes256Gcm, NONCE, &vec![7; plain_bytes])
}

fn sealer() -> Sealer {
    Sealer::new(&KEY, Cipher::Aes256Gcm, NONCE)
}

fn opener() -> Opener {
    Opener::new(&KEY, Accept::V2Only)
}

#[test]
fn stream_nonce_has_no_final_flag() {
    assert_eq!(StreamNonce::from_bytes([0xff; 12]).as_bytes()[0], 0x7f);
    assert_eq!(
        StreamNonce::from_bytes([0xff; 12]).as_bytes()[1..],
        [0xff; 11]
    );
}

#[test]
fn openers_and_sealers_can_move_between_threads() {
    fn sendable<T: Send + Sync + 'static>() {}
    sendable::<Opener>();
    sendable::<Sealer>();
}

#[test]
fn debug_shows_no_key() {
    let key = [0xa7; 32];
    let mut opener = Opener::new(&key, Accept::Both);
    opener.open(&sealed(1), &mut [0]).unwrap_err();
    let sealer = Sealer::new(&key, Cipher::ChaCha20Poly1305, NONCE);
    for text in [format!("{opener:?}"), format!("{sealer:?}")] {
        assert!(!text.to_lowercase().contains("a7"), "{text}");
        assert!(!text.contains("167"), "{text}");
    }
}

#[test]
fn sealing_in_place_gives_the_same_bytes() {
    let plain = [9; PACKAGE_BYTES];
    let mut apart = vec![0; SEALED_PACKAGE_BYTES];
    let mut within = Box::new([0xee; SEALED_PACKAGE_BYTES]);
    within[HEADER_BYTES..][..PACKAGE_BYTES].copy_from_slice(&plain);
    let (mut first, mut second) = (sealer(), sealer());
    first.seal(&plain, &mut apart).unwrap();
    second.seal_in_place(&mut within).unwrap();
    assert!(apart == *within);

    let mut apart = vec![0; 100 + OVERHEAD_BYTES];
    let mut within = vec![0xee; 100 + OVERHEAD_BYTES];
    within[HEADER_BYTES..][..100].fill(3);
    first.seal_final(&[3; 100], &mut apart).unwrap();
    second.seal_final_in_place(&mut within).unwrap();
    assert_eq!(apart, within);
}

#[test]
fn sealing_wants_an_output_of_exactly_the_sealed_length() {
    let plain = [0; PACKAGE_BYTES];
    for found in [0, SEALED_PACKAGE_BYTES - 1, SEALED_PACKAGE_BYTES + 1] {
        let expected = SEALED_PACKAGE_BYTES;
        assert_eq!(
            sealer().seal(&plain, &mut vec![0; found]),
            Err(SealError::OutputLength { expected, found })
        );
    }
    assert_eq!(
        sealer().seal_final(&[1], &mut [0; 34]),
        Err(SealError::OutputLength {
            expected: 33,
            found: 34
        })
    );
}

#[test]
fn a_refused_call_does_not_use_up_a_place() {
    let mut sealer = sealer();
    let plain = [0; PACKAGE_BYTES];
    sealer.seal(&plain, &mut []).unwrap_err();
    let mut first = vec![0; SEALED_PACKAGE_BYTES];
    sealer.seal(&plain, &mut first).unwrap();
    opener().open(&first, &mut vec![0; PACKAGE_BYTES]).unwrap();
}

#[test]
fn the_final_package_holds_1_to_65536_bytes() {
    for found in [0, PACKAGE_BYTES + 1] {
        let mut sealed = vec![0; found + OVERHEAD_BYTES];
        let refused = Err(SealError::PayloadLength { found });
        assert_eq!(sealer().seal_final(&vec![0; found], &mut sealed), refused);
        assert_eq!(sealer().seal_final_in_place(&mut sealed), refused);
    }
    let short = Err(SealError::PayloadLength { found: 0 });
    assert_eq!(sealer().seal_final_in_place(&mut [0; 31]), short);
    for length in [1, PACKAGE_BYTES] {
        let mut sealed = vec![0; length + OVERHEAD_BYTES];
        sealer().seal_final(&vec![0; length], &mut sealed).unwrap();
        assert_eq!(
            open_to_vec(&KEY, Accept::V2Only, &sealed).unwrap().len(),
            length
        );
    }
}

#[test]
fn nothing_of_a_bad_package_is_released() {
    let mut bad = sealed(100);
    bad[50] ^= 1;
    let mut plain = [0xee; 200];
    assert_eq!(
        opener().open(&bad, &mut plain),
        Err(OpenError::NotAuthentic { index: 0 })
    );
    assert_eq!(plain, [0; 200]);
    assert_eq!(
        opener().open_in_place(&mut bad),
        Err(OpenError::NotAuthentic { index: 0 })
    );
    assert!(bad.iter().all(|&byte| byte == 0));

    let mut plain = [0xee; 200];
    opener().open(&[0x99; 100], &mut plain).unwrap_err();
    assert_eq!(plain, [0; 200]);
}

#[test]
fn a_failed_opener_stays_failed() {
    let stream = sealed(PACKAGE_BYTES + 1);
    let (first, second) = stream.split_at(SEALED_PACKAGE_BYTES);
    let mut bad = first.to_vec();
    bad[100] ^= 1;
    let mut plain = vec![0; PACKAGE_BYTES];
    let mut opener = opener();
    let error = OpenError::NotAuthentic { index: 0 };
    assert_eq!(opener.open(&bad, &mut plain), Err(error));
    // The good packages come too late.
    assert_eq!(opener.open(first, &mut plain), Err(error));
    assert_eq!(opener.open_in_place(&mut second.to_vec()), Err(error));
    assert_eq!(
        opener.declared_sealed_length(first.first_chunk().unwrap()),
        Err(error)
    );
    assert!(!opener.has_ended());
    assert_eq!(opener.finish(), Err(error));
}

#[test]
fn data_after_the_final_package_spoils_the_end() {
    let stream = sealed(10);
    for extra in [stream.as_slice(), &[0][..], &[]] {
        let mut opener = opener();
        assert!(opener.open(&stream, &mut [0; 10]).unwrap().is_final);
        assert!(opener.has_ended());
        let error = OpenError::DataAfterFinal { index: 1 };
        assert_eq!(opener.open(extra, &mut [0; 10]), Err(error));
        assert!(!opener.has_ended());
        assert_eq!(opener.finish(), Err(error));
    }
}

#[test]
fn a_package_must_have_its_declared_length() {
    let stream = sealed(10);
    let mut plain = [0; 20];
    for found in 0..16 {
        assert_eq!(
            opener().open(&stream[..found], &mut plain),
            Err(OpenError::CutPackage {
                index: 0,
                expected: 33,
                found
            })
        );
    }
    for found in 16..42 {
        assert_eq!(
            opener().open(&stream[..found], &mut plain),
            Err(OpenError::CutPackage {
                index: 0,
                expected: 42,
                found
            })
        );
    }
    let longer = [stream.as_slice(), &[0]].concat();
    assert_eq!(
        opener().open(&longer, &mut plain),
        Err(OpenError::SurplusBytes {
            index: 0,
            expected: 42,
            found: 43
        })
    );
}

#[test]
fn output_may_be_longer_than_the_payload_but_not_shorter() {
    let stream = sealed(10);
    assert_eq!(
        opener().open(&stream, &mut [0; 9]),
        Err(OpenError::OutputTooSmall {
            index: 0,
            expected: 10,
            found: 9
        })
    );
    let mut plain = [0xee; 20];
    assert_eq!(opener().open(&stream, &mut plain).unwrap().plain_bytes, 10);
    assert_eq!(plain, [[7; 10], [0xee; 10]].as_flattened());
}

#[test]
fn a_stream_without_any_package_is_truncated_for_every_version() {
    for accept in [Accept::Both, Accept::V1Only, Accept::V2Only] {
        assert_eq!(
            Opener::new(&KEY, accept).finish(),
            Err(OpenError::Truncated { index: 0 })
        );
    }
}

#[test]
fn messages_name_the_package() {
    let error = OpenError::Truncated { index: 8 };
    assert_eq!(
        error.to_string(),
        "stream ends before package 8 without a final package"
    );
}
