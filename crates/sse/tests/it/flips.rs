//! Every byte of what is stored matters: changed, it makes a whole GET fail, and never makes it wrong.

use std::collections::BTreeSet;

use s3s::S3Result;
use strongroom_dare::{OVERHEAD_BYTES, SEALED_PACKAGE_BYTES, geometry};

use crate::faults::Stored;
use crate::harness::*;
use crate::multipart::PART;

/// Headers, tags and a few bytes between them of the packages of a stream that begins at `start`.
fn of_stream(start: usize, plain_bytes: usize, packages: &[usize], found: &mut BTreeSet<usize>) {
    let sealed = geometry::sealed_length(plain_bytes as u64).unwrap() as usize;
    for package in packages {
        let begin = package * SEALED_PACKAGE_BYTES;
        let end = sealed.min(begin + SEALED_PACKAGE_BYTES);
        assert!(begin + OVERHEAD_BYTES < end);
        found.extend(start + begin..start + begin + 18);
        found.extend(start + end - 18..start + end);
        found.insert(start + usize::midpoint(begin, end));
    }
}

impl Server {
    /// Flips a bit of each of these bytes in turn.
    async fn flip_each(&self, key: &str, how: How, plain: &[u8], places: BTreeSet<usize>) {
        let Stored {
            bytes,
            envelope,
            etag,
        } = self.stored(key).await;
        for at in places {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            self.plant(key, &bad, &envelope, &etag).await;
            let whole: S3Result<Vec<u8>> = self.get(key, how.to_read()).await;
            assert_eq!(code(whole), "ObjectNotAuthentic", "{how:?}, byte {at}");
            // A range may miss the damage. Then it is right.
            let near = (at as u64).min(plain.len() as u64 - 1);
            let range = self.range(key, near, near, how.to_read()).await;
            assert!(
                range.is_err() || range.unwrap() == plain[near as usize..=near as usize],
                "{how:?}, byte {at}"
            );
        }
        self.plant(key, &bytes, &envelope, &etag).await;
        assert!(self.get(key, how.to_read()).await.unwrap() == plain);
    }
}

#[tokio::test]
async fn lesson_25_no_byte_of_a_plain_put_changes_unnoticed() {
    let server = Server::new().await;
    for how in SCHEMES {
        for size in [1, 65_536, 70_000] {
            let plain = noise(size);
            server.put("key", &plain, how).await.unwrap();
            let (sealed, stored) = (
                geometry::sealed_length(size as u64).unwrap() as usize,
                server.stored("key").await.bytes.len(),
            );
            let mut places: BTreeSet<usize> = (sealed..stored).collect();
            let packages: Vec<usize> = (0..size.div_ceil(65_536)).collect();
            of_stream_or_all(size, &packages, &mut places);
            server.flip_each("key", how, &plain, places).await;
        }
    }
}

fn of_stream_or_all(size: usize, packages: &[usize], places: &mut BTreeSet<usize>) {
    if size < 64 {
        places.extend(0..size + OVERHEAD_BYTES);
    } else {
        of_stream(0, size, packages, places);
    }
}

/// 10 MiB and an unaligned end in three parts: the footer has rows to spare, and padding.
#[tokio::test]
async fn lesson_25_no_byte_of_an_upload_changes_unnoticed() {
    let server = Server::new().await;
    let sizes = [PART, PART + 70_000, 33];
    let upload = server.begin("key", How::Customer(7)).await;
    let (mut plain, mut listed) = (Vec::new(), Vec::new());
    for (number, size) in (1..).zip(sizes) {
        let bytes = noise(size);
        listed.push(upload.part(number, &bytes).await);
        plain.extend_from_slice(&bytes);
    }
    upload.complete(&listed).await.unwrap();

    let (mut places, mut start) = (BTreeSet::new(), 0);
    for size in sizes {
        let last = size.div_ceil(65_536) - 1;
        of_stream(start, size, &[0, last / 2, last], &mut places);
        start += geometry::sealed_length(size as u64).unwrap() as usize;
    }
    let stored = server.stored("key").await.bytes.len();
    assert_eq!(stored - start, 32 + 256 + 3 * 96, "padding and manifest");
    places.extend(start..stored);
    server
        .flip_each("key", How::Customer(7), &plain, places)
        .await;
}
