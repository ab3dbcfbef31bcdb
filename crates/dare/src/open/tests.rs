//! The published version 1.0 rows as one stream: their cipher alternates, which only the lenient reading allows.

use super::{Accept, OpenError, Opener, open_all};

const ROWS: [&str; 4] = [
    "100000000000000000010203040506077eda3bd68d5fb40f5579e61ff2c94c5b20",
    "10010100010000000001020304050607cbc0fd42bdb3dc957dfb70ebdba13c56b6d6",
    "10000200020000000001020304050607426fb9754fa4a3207e3dcf0e15f27660de6235",
    "10010300030000000001020304050607bf90f9bac4e1b9a0a107595a2079b93e536fdec3",
];

fn opener() -> Opener {
    let mut key = [0; 32];
    hex::decode_to_slice(
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        &mut key,
    )
    .unwrap();
    Opener::new(&key, Accept::V1Only)
}

#[test]
fn lenient_v1_lets_the_cipher_change_and_strict_v1_does_not() {
    let sealed = hex::decode(ROWS.concat()).unwrap();
    assert_eq!(
        *open_all(opener().lenient_v1(), &sealed).unwrap(),
        [0; 1 + 2 + 3 + 4]
    );
    assert_eq!(
        open_all(opener(), &sealed),
        Err(OpenError::CipherChanged { index: 1 })
    );
}

#[test]
fn lenient_v1_still_counts_and_authenticates() {
    let swapped = hex::decode([ROWS[1], ROWS[0]].concat()).unwrap();
    let error = OpenError::WrongSequence { index: 0, found: 1 };
    assert_eq!(open_all(opener().lenient_v1(), &swapped), Err(error));

    let mut changed = hex::decode(ROWS[0]).unwrap();
    changed[12] ^= 1;
    let error = OpenError::NotAuthentic { index: 0 };
    assert_eq!(open_all(opener().lenient_v1(), &changed), Err(error));
}
