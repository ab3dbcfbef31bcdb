use super::*;

/// The format's formulas, written down a second time.
fn f(plain: u64) -> u64 {
    let n = (1 + plain / (5 << 20)).min(10_000);
    plain + 32 * plain.div_ceil(65_536) + 256 + 96 * n + 32 * (n - 1)
}

/// A small generator (SplitMix64): the same cases on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn steps() -> impl Iterator<Item = u64> {
    let packages = (0..400).map(|i| i * 65_536);
    let parts = (0..10_050).map(|i| i * PART_BYTES_MIN);
    let large = [PART_BYTES_MAX, 1 << 40, 5 << 40, PLAIN_LENGTH_MAX];
    packages.chain(parts).chain(large)
}

#[test]
fn stored_length_is_the_formats_formula() {
    for step in steps() {
        for plain in step.saturating_sub(2)..=(step + 2).min(PLAIN_LENGTH_MAX) {
            assert_eq!(stored_length(plain), Ok(f(plain)));
        }
    }
    assert_eq!(stored_length(0), Ok(352));
    assert_eq!(stored_length(1), Ok(385));
}

#[test]
fn stored_length_increases_strictly_and_inverts_around_every_step() {
    for step in steps() {
        for plain in step.saturating_sub(2)..=(step + 2).min(PLAIN_LENGTH_MAX - 1) {
            let (stored, next) = (f(plain), f(plain + 1));
            assert!(stored < next, "{plain}");
            assert_eq!(plain_length_of_stored(stored), Ok(plain));
            for between in (stored + 1)..next {
                assert!(plain_length_of_stored(between).is_err(), "{between}");
            }
        }
    }
    assert_eq!(plain_length_of_stored(0), Ok(0));
}

#[test]
fn lengths_that_no_object_has_are_damage() {
    for stored in (1..352).chain(353..385) {
        assert_eq!(
            plain_length_of_stored(stored),
            Err(LengthError::Impossible { stored })
        );
    }
    let longest = f(PLAIN_LENGTH_MAX);
    assert_eq!(plain_length_of_stored(longest), Ok(PLAIN_LENGTH_MAX));
    assert!(plain_length_of_stored(longest + 1).is_err());
    assert!(plain_length_of_stored(u64::MAX).is_err());
    let plain = PLAIN_LENGTH_MAX + 1;
    assert_eq!(stored_length(plain), Err(LengthError::TooLong { plain }));
}

#[test]
fn any_table_of_parts_is_stored_in_the_length_that_its_sum_gives() {
    let mut random = Random(7);
    for _ in 0..200_000 {
        let n = 1 + random.below(40);
        let parts: Vec<u64> = (1..=n)
            .map(|number| {
                let least = if number < n { PART_BYTES_MIN } else { 0 };
                let spread = [1, 3, 65_536, 65_537, 12 << 20, PART_BYTES_MAX - least]
                    [usize::try_from(random.below(6)).unwrap()];
                least + random.below(spread)
            })
            .collect();
        let plain: u64 = parts.iter().sum();
        let extra = extra_packages(parts.iter().copied());
        let rows = table_rows(plain);
        assert!(extra < n && n <= rows, "{parts:?}");
        let streams: u64 = parts
            .iter()
            .map(|part| strongroom_dare::geometry::sealed_length(*part).unwrap())
            .sum();
        let footer = 32 * (rows - 1 - extra) + manifest_length(plain);
        assert_eq!(streams + footer, f(plain), "{parts:?}");
    }
}
