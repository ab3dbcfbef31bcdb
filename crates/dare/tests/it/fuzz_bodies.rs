//! The fuzz targets' bodies, on a seeded generator: what the fuzzer hunts for is also checked by every `cargo test`.

#[expect(unreachable_pub, reason = "the fuzz targets use it from another crate")]
#[path = "../../../../fuzz/src/dare.rs"]
mod dare;

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

    fn bytes(&mut self, length_max: u64) -> Vec<u8> {
        let length = self.next() % (length_max + 1);
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut random = SplitMix(1);
    for _ in 0..20_000 {
        let mut data = random.bytes(200);
        // Noise alone rarely gets past the version byte.
        if let Some(version) = data.get_mut(3) {
            *version = [0x10, 0x20, *version][(random.next() % 3) as usize];
        }
        if let Some(cipher) = data.get_mut(4) {
            *cipher &= 3;
        }
        dare::open_arbitrary(&data);
    }
}

#[test]
fn mutated_streams_never_open() {
    let mut random = SplitMix(2);
    for _ in 0..3_000 {
        dare::open_mutated(&random.bytes(40));
    }
}
