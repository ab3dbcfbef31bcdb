use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use proptest::prelude::*;
use s3s::S3Result;
use s3s::dto::StreamingBlob;
use strongroom_backend::body;
use strongroom_backend::integrity::{Expectations, VerifiedBody};
use strongroom_backend::put::{Finish, FinishSlot};
use strongroom_dare::{SEALED_PACKAGE_BYTES, StreamNonce};
use strongroom_envelope::{BodyLayout, Manifest, ObjectKey};

use super::open::{OpeningStream, Tail};
use super::seal::{Ending, sealed_body};

const NONCE: [u8; 12] = [7; 12];

fn key() -> ObjectKey {
    ObjectKey::from_bytes([3; 32])
}

fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn pieces(bytes: &[u8], sizes: &[usize]) -> StreamingBlob {
    let (mut rest, mut chunks, mut turn) = (bytes, Vec::new(), 0);
    while !rest.is_empty() {
        let size = sizes[turn % sizes.len()].clamp(1, rest.len());
        let (chunk, after) = rest.split_at(size);
        chunks.push(Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)));
        (rest, turn) = (after, turn + 1);
    }
    StreamingBlob::wrap(futures::stream::iter(chunks))
}

async fn seal(plain: &[u8], sizes: &[usize], length_known: bool) -> Vec<u8> {
    let length = plain.len() as u64;
    let finish = FinishSlot::new();
    let nonce = StreamNonce::from_bytes(NONCE);
    let body = sealed_body(
        VerifiedBody::new(Some(pieces(plain, sizes)), Expectations::default(), true),
        length_known.then_some(length),
        &key().part_key(1),
        nonce,
        finish.clone(),
        move |digests| -> S3Result<Ending> {
            assert_eq!(digests.length, length);
            assert!(digests.md5.is_some());
            let manifest = Manifest::single(length, nonce, None).unwrap();
            let footer = key().footer_key().seal(&manifest, [5; 12]);
            Ok(Ending {
                footer,
                finish: Finish {
                    etag: "e".into(),
                    ..Finish::default()
                },
            })
        },
    );
    let pieces: Vec<Bytes> = body.map_err(body::error).try_collect().await.unwrap();
    assert!(finish.get().is_some());
    // No piece is ever much larger than a batch, whatever comes in: memory is bounded.
    assert!(
        pieces
            .iter()
            .all(|piece| piece.len() <= 4 * SEALED_PACKAGE_BYTES + 4096)
    );
    pieces.concat()
}

async fn open(
    stored: &[u8],
    plain_length: u64,
    offset: u64,
    length: u64,
    sizes: &[usize],
) -> (Vec<u8>, Option<String>) {
    let layout = BodyLayout::single(plain_length).unwrap();
    let reads = layout.read(offset, length).unwrap();
    let whole = length == plain_length;
    let verify = whole.then(|| Tail::Footer {
        stored_length: stored.len() as u64,
        plain_length,
        offset: layout.sealed_length(),
    });
    let start = reads[0].stored_start as usize;
    let end = if whole {
        stored.len()
    } else {
        reads[reads.len() - 1].stored_end as usize
    };
    let mut stream =
        OpeningStream::new(pieces(&stored[start..end], sizes), key(), reads, verify).unwrap();
    let mut plain = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(bytes) => plain.extend_from_slice(&bytes),
            Err(error) => return (plain, Some(body::error(error).code().as_str().to_owned())),
        }
    }
    (plain, None)
}

const EDGES: [usize; 10] = [
    1,
    2,
    65_535,
    65_536,
    65_537,
    131_071,
    131_072,
    131_073,
    4 * 65_536,
    300_001,
];

#[tokio::test]
async fn what_is_sealed_opens_at_every_edge_and_in_every_piece() {
    for length in EDGES {
        let plain = noise(length);
        let whole = seal(&plain, &[length], true).await;
        assert_eq!(
            whole.len() as u64,
            strongroom_envelope::stored_length(length as u64).unwrap()
        );
        for sizes in [&[1_000, 1, 65_536][..], &[65_535], &[262_144], &[8_192]] {
            for known in [true, false] {
                assert_eq!(seal(&plain, sizes, known).await, whole);
            }
            let (opened, error) = open(&whole, length as u64, 0, length as u64, sizes).await;
            assert_eq!((opened == plain, error), (true, None), "{length}");
        }
    }
}

#[tokio::test]
async fn ranges_are_those_of_the_plaintext() {
    let plain = noise(200_000);
    let stored = seal(&plain, &[9_000], true).await;
    let edges = [0, 1, 65_535, 65_536, 65_537, 131_072, 199_998, 199_999];
    for from in edges {
        for to in edges
            .map(|edge| edge + 1)
            .into_iter()
            .filter(|to| *to > from)
        {
            let length = (to - from) as u64;
            let (opened, error) = open(&stored, 200_000, from as u64, length, &[50_000]).await;
            assert_eq!(
                (&opened[..], error),
                (&plain[from..to], None),
                "{from}..{to}"
            );
        }
    }
}

#[tokio::test]
async fn a_bit_that_flips_anywhere_is_never_data() {
    for length in [1, 65_536, 65_537, 200_000] {
        let plain = noise(length);
        let stored = seal(&plain, &[length], true).await;
        // Every byte of headers, tags and footer; of ciphertext some.
        let regions = (0..stored.len()).filter(|at| {
            let within = at % SEALED_PACKAGE_BYTES;
            !(20..SEALED_PACKAGE_BYTES - 20).contains(&within)
                || *at + 400 > stored.len()
                || at % 9_973 == 0
        });
        for at in regions {
            let mut bad = stored.clone();
            bad[at] ^= 0x10;
            let (opened, error) = open(&bad, length as u64, 0, length as u64, &[70_000]).await;
            assert_eq!(
                error.as_deref(),
                Some("ObjectNotAuthentic"),
                "{length} at {at}"
            );
            // What went out before the fault is right, and it is never all.
            assert!(
                plain.starts_with(&opened) && opened.len() < plain.len(),
                "{length} at {at}"
            );
        }
    }
}

#[tokio::test]
async fn lesson_25_cut_exchanged_and_repeated_packages_are_never_data() {
    let plain = noise(4 * 65_536);
    let stored = seal(&plain, &[65_536], true).await;
    let package =
        |n: usize| stored[n * SEALED_PACKAGE_BYTES..(n + 1) * SEALED_PACKAGE_BYTES].to_vec();
    let footer = stored[4 * SEALED_PACKAGE_BYTES..].to_vec();
    let build = |order: &[usize]| {
        let mut bytes: Vec<u8> = order.iter().flat_map(|n| package(*n)).collect();
        bytes.extend_from_slice(&footer);
        bytes
    };
    for order in [
        [1, 0, 2, 3],
        [0, 0, 2, 3],
        [0, 2, 1, 3],
        [0, 1, 3, 2],
        [3, 1, 2, 0],
    ] {
        let (opened, error) = open(&build(&order), 4 * 65_536, 0, 4 * 65_536, &[99_999]).await;
        assert_eq!(error.as_deref(), Some("ObjectNotAuthentic"), "{order:?}");
        assert!(plain.starts_with(&opened) && opened.len() < plain.len());
    }
    let mut zeroed = stored.clone();
    zeroed[3 * SEALED_PACKAGE_BYTES..].fill(0);
    let (opened, error) = open(&zeroed, 4 * 65_536, 0, 4 * 65_536, &[99_999]).await;
    assert!(error.is_some() && opened.len() == 3 * 65_536);
}

#[tokio::test]
async fn a_range_that_reaches_the_end_demands_the_final_package() {
    // A longer stream, cut on a package boundary, read as an object of the shorter length.
    let stored = seal(&noise(3 * 65_536), &[65_536], true).await;
    let layout = BodyLayout::single(2 * 65_536).unwrap();
    let reads = layout.read(65_536, 65_536).unwrap();
    let bytes = &stored[SEALED_PACKAGE_BYTES..2 * SEALED_PACKAGE_BYTES];
    let mut stream = OpeningStream::new(pieces(bytes, &[1 << 20]), key(), reads, None).unwrap();
    assert!(stream.next().await.unwrap().is_err());
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_never_gets_its_last_package() {
    let plain = noise(3 * 65_536);
    let expected = Expectations {
        content_md5: Some([0; 16]),
        ..Expectations::default()
    };
    let finish = FinishSlot::new();
    let mut body = sealed_body(
        VerifiedBody::new(Some(pieces(&plain, &[10_000])), expected, false),
        Some(plain.len() as u64),
        &key().part_key(1),
        StreamNonce::from_bytes(NONCE),
        finish.clone(),
        |_| panic!("the end was reached"),
    );
    let mut sealed = 0;
    let error = loop {
        match body.next().await.unwrap() {
            Ok(bytes) => sealed += bytes.len(),
            Err(error) => break body::error(error),
        }
    };
    assert_eq!(error.code().as_str(), "BadDigest");
    assert!(sealed <= 2 * SEALED_PACKAGE_BYTES);
    assert!(finish.get().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_length_in_any_pieces_comes_back(
        length in 1_usize..400_000,
        sizes in prop::collection::vec(1_usize..150_000, 1..6),
        from in 0.0_f64..1.0,
        part in 0.0_f64..1.0,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let plain = noise(length);
            let stored = seal(&plain, &sizes, true).await;
            let offset = ((length as f64) * from) as usize;
            let count = (((length - offset) as f64) * part) as usize;
            if count > 0 {
                let (opened, error) = open(&stored, length as u64, offset as u64, count as u64, &sizes).await;
                prop_assert_eq!(error, None);
                prop_assert!(opened == plain[offset..offset + count]);
            }
            Ok(())
        })?;
    }
}
