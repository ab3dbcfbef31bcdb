//! The fuzz targets' bodies, on a seeded generator: what the fuzzer hunts for is also checked by every `cargo test`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::case::Case;
use crate::files;

#[expect(unreachable_pub, reason = "the fuzz targets reach it")]
#[path = "../../../../fuzz/src/envelope.rs"]
mod envelope;

/// SplitMix64 (Steele, Lea, Flood 2014): reproducible and good enough to choose test inputs.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn bytes(&mut self, length_max: usize) -> Vec<u8> {
        let length = self.below(length_max + 1);
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[test]
fn envelopes_near_good_ones_have_one_encoding_and_never_open() {
    let mut random = SplitMix(1);
    let seeds: Vec<Vec<u8>> = files::names("sealed-object/good")
        .into_iter()
        .map(|name| {
            let text = files::text(&format!("sealed-object/good/{name}"));
            let case: Case = serde_json::from_str(&text).unwrap();
            STANDARD.decode(case.outputs.envelope).unwrap()
        })
        .collect();
    for _ in 0..20_000 {
        let mut data = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(data.len());
            let end = (at + random.below(4)).min(data.len());
            let noise = random.bytes(4);
            data.splice(at..end, noise);
        }
        envelope::decode_envelope(&data);
        envelope::decode_envelope(&random.bytes(200));
    }
}

#[test]
fn changed_envelopes_and_footers_never_open() {
    let mut random = SplitMix(2);
    for _ in 0..3_000 {
        envelope::mutate_envelope(&random.bytes(40));
        let mut data = random.bytes(400);
        // Stored lengths that an object can have.
        if let Some(length) = data.first_chunk_mut() {
            *length = (random.next() >> random.below(64)).to_le_bytes();
        }
        envelope::open_footer(&data);
    }
}

#[test]
fn arbitrary_bytes_are_no_ciphertext() {
    let mut random = SplitMix(3);
    for _ in 0..20_000 {
        let mut data = random.bytes(120);
        if let Some(mark) = data.first_mut() {
            *mark = [0x95, b'{', 0x20, *mark][random.below(4)];
        }
        envelope::open_ciphertext(&data);
    }
}
