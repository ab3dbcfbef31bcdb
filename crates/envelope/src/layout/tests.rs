use super::*;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::footer::{BodyKind, PartEntry};
use crate::geometry::PART_BYTES_MIN;

fn manifest(lengths: &[u64]) -> Manifest {
    let parts = (1..)
        .zip(lengths)
        .map(|(number, plain_length)| PartEntry {
            number: number * 2 - 1,
            plain_length: *plain_length,
            nonce: StreamNonce::from_bytes([u8::try_from(number).unwrap(); 12]),
            checksum: Some(Checksum::new(ChecksumAlgorithm::Crc32, &[0; 4]).unwrap()),
        })
        .collect();
    Manifest::new(BodyKind::Multipart, parts, None).unwrap()
}

/// Byte by byte: which part and package each byte of the range lies in.
fn slow(lengths: &[u64], offset: u64, length: u64) -> Vec<(usize, u64, u64)> {
    let (mut out, mut start, mut stored) = (Vec::new(), 0, 0);
    for (index, part) in lengths.iter().enumerate() {
        let (from, to) = (offset.max(start), (offset + length).min(start + part));
        if from < to {
            let (first, last) = ((from - start) / 65_536, (to - 1 - start) / 65_536);
            let sealed = part + 32 * part.div_ceil(65_536);
            out.push((
                index,
                stored + first * 65_568,
                stored + ((last + 1) * 65_568).min(sealed),
            ));
        }
        start += part;
        stored += part + 32 * part.div_ceil(65_536);
    }
    out
}

#[test]
fn ranges_match_a_slow_model_over_unaligned_and_empty_parts() {
    let lengths = [
        PART_BYTES_MIN + 1,
        PART_BYTES_MIN,
        PART_BYTES_MIN + 70_000,
        0,
    ];
    let layout = BodyLayout::from_manifest(&manifest(&lengths)).unwrap();
    let total = layout.plain_length();
    assert_eq!(total, lengths.iter().sum::<u64>());
    let mut edges = vec![0, 1, 65_535, 65_536, total - 1, total];
    for part in layout.parts() {
        edges.extend([part.plain_offset.saturating_sub(1), part.plain_offset]);
        edges.push((part.plain_offset + 65_536).min(total));
    }
    for &from in &edges {
        for &to in edges.iter().filter(|to| **to >= from) {
            let reads = layout.read(from, to - from).unwrap();
            let places: Vec<_> = reads
                .iter()
                .map(|read| {
                    let index = layout.parts().iter().position(|p| *p == read.part).unwrap();
                    (index, read.stored_start, read.stored_end)
                })
                .collect();
            assert_eq!(places, slow(&lengths, from, to - from), "{from}..{to}");
            let released: u64 = reads.iter().map(|read| read.packages.length).sum();
            assert_eq!(released, to - from);
            assert!(
                reads
                    .windows(2)
                    .all(|pair| pair[0].stored_end == pair[1].stored_start)
            );
            for read in &reads {
                let end = read.part.stored_offset + read.part.sealed_length;
                assert_eq!(read.packages.ends_stream, read.stored_end == end);
            }
        }
    }
    assert!(layout.read(total, 1).is_err());
    assert!(layout.read(1, u64::MAX).is_err());
}

#[test]
fn parts_are_found_by_number_and_the_footer_follows_the_last() {
    let manifest = manifest(&[PART_BYTES_MIN, 3]);
    let layout = BodyLayout::from_manifest(&manifest).unwrap();
    assert!(layout.part(2).is_none());
    let last = layout.part(3).unwrap();
    assert_eq!(
        (last.plain_length, last.nonce),
        (3, Some(manifest.parts()[1].nonce))
    );
    let stored = crate::stored_length(layout.plain_length()).unwrap();
    assert_eq!(layout.sealed_length() + manifest.footer_length(), stored);
}

#[test]
fn plain_put_is_part_one_and_an_empty_one_has_nothing_to_read() {
    let layout = BodyLayout::single(5).unwrap();
    assert_eq!(layout.part(1).unwrap().sealed_length, 37);
    assert!(
        BodyLayout::single(0)
            .unwrap()
            .read(0, 0)
            .unwrap()
            .is_empty()
    );
}
