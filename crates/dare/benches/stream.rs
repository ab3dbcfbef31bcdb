//! How much of the raw cipher's speed a stream keeps: `cargo bench -p strongroom-dare`.
//!
//! Not Criterion: the result is a ratio, so the raw cipher and the stream must run in turns, in the same process, or a
//! change of clock speed between two groups passes for a difference. Each round measures every row once; the table
//! shows medians over the rounds, and the median of the rounds' own ratios.
//!
//! - *raw*: AWS-LC AES-256-GCM sealing one 64 KiB buffer in place, over and over, which thus never leaves the cache.
//! - *seal*, *open*: streams of 16 packages, from one buffer into another, key set-up included.
//!   *window*: each package goes through the same package-sized output, as a server does that hands it on.
//!   *reused*: the whole stream goes into one long output, written over in each iteration.
//!   *fresh*: that output is allocated and zeroed anew for each stream, page faults included.
//!   *in place*: packages are sealed and opened where they lie, each in its place of the long buffer.
//! - *8 KiB stream*: one short package: what it costs beyond the cipher's own time for the same 8 KiB.
#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "a bench needs a clock")]

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use strongroom_dare::{
    Accept, Cipher, HEADER_BYTES, OVERHEAD_BYTES, Opener, PACKAGE_BYTES, SEALED_PACKAGE_BYTES,
    Sealer, StreamNonce,
};

const KEY: [u8; 32] = [0x42; 32];
const PACKAGES: usize = 16;
const PLAIN_BYTES: usize = PACKAGES * PACKAGE_BYTES;
const SEALED_BYTES: usize = PACKAGES * SEALED_PACKAGE_BYTES;
const SHORT_BYTES: usize = 8 * 1024;
const ROUNDS: usize = 41;
/// Long enough for the clock, short enough that the rows of a round see the same machine.
const STREAMS_PER_ROW: usize = 100;
const SHORT_STREAMS_PER_ROW: usize = 20_000;

const RATIO_WANTED: f64 = 0.85;
const SHORT_NS_WANTED: f64 = 2_000.0;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let (rounds, streams, short_streams) = if is_trial {
        (1, 1, 1)
    } else {
        (ROUNDS, STREAMS_PER_ROW, SHORT_STREAMS_PER_ROW)
    };

    let mut long = Long::new();
    let mut short = Short::new();
    type Row<T> = (&'static str, fn(&mut T));
    let long_rows: [Row<Long>; 8] = [
        ("raw, one 64 KiB buffer", Long::raw),
        ("seal, window", Long::seal_window),
        ("open, window", Long::open_window),
        ("seal, reused output", Long::seal_reused),
        ("open, reused output", Long::open_reused),
        ("seal, fresh output", Long::seal_fresh),
        ("open, fresh output", Long::open_fresh),
        ("open then seal, in place", Long::reseal_in_place),
    ];
    let short_rows: [Row<Short>; 4] = [
        ("raw seal, same buffers", Short::raw_seal),
        ("seal", Short::seal),
        ("raw open, same buffers", Short::raw_open),
        ("open", Short::open),
    ];

    let mut long_ns = vec![Vec::new(); long_rows.len()];
    let mut short_ns = vec![Vec::new(); short_rows.len()];
    for round in 0..=rounds {
        let long_now = long_rows.map(|(_, run)| time(streams, || run(&mut long)));
        let short_now = short_rows.map(|(_, run)| time(short_streams, || run(&mut short)));
        // The first round warms up caches, page tables and the clock.
        if round > 0 {
            long_ns
                .iter_mut()
                .zip(long_now)
                .for_each(|(row, ns)| row.push(ns));
            short_ns
                .iter_mut()
                .zip(short_now)
                .for_each(|(row, ns)| row.push(ns));
        }
    }

    println!("\nAES-256-GCM, streams of {PACKAGES} packages; medians of {rounds} rounds\n");
    println!(
        "| {:<26} | {:>9} | {:>7} | {:>12} |",
        "", "ns/64 KiB", "GB/s", "ratio to raw"
    );
    println!("|{:-<28}|{:->11}|{:->9}|{:->14}|", "", ":", ":", ":");
    for ((name, _), row) in long_rows.iter().zip(&long_ns) {
        // The last row does the work twice.
        let passes = if name.contains("then") { 2.0 } else { 1.0 };
        let ns = median(row) / passes;
        let ratios: Vec<f64> = long_ns[0]
            .iter()
            .zip(row)
            .map(|(raw, ns)| raw / (ns / passes))
            .collect();
        let (per_package, gb_s) = (ns / PACKAGES as f64, PLAIN_BYTES as f64 / ns);
        println!(
            "| {name:<26} | {per_package:>9.0} | {gb_s:>7.2} | {:>12.3} |",
            median(&ratios)
        );
    }

    println!(
        "\n| {:<26} | {:>9} | {:>23} |",
        "8 KiB stream", "ns", "beyond the cipher, ns"
    );
    println!("|{:-<28}|{:->11}|{:->25}|", "", ":", ":");
    for pair in [0, 2] {
        let (raw, ours) = (&short_ns[pair], &short_ns[pair + 1]);
        let beyond: Vec<f64> = raw.iter().zip(ours).map(|(raw, ours)| ours - raw).collect();
        println!(
            "| {:<26} | {:>9.0} | {:>23} |",
            short_rows[pair].0,
            median(raw),
            ""
        );
        println!(
            "| {:<26} | {:>9.0} | {:>23.0} |",
            short_rows[pair + 1].0,
            median(ours),
            median(&beyond)
        );
    }
    println!(
        "\nwanted: ratio of at least {RATIO_WANTED}, fewer than {SHORT_NS_WANTED} ns beyond the cipher"
    );
}

/// Nanoseconds for one run, of `times`.
fn time(times: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        run();
    }
    start.elapsed().as_nanos() as f64 / times as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn raw_key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap())
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([7; 12])
}

fn sealer() -> Sealer {
    Sealer::new(
        black_box(&KEY),
        Cipher::Aes256Gcm,
        StreamNonce::from_bytes([7; 12]),
    )
}

fn opener() -> Opener {
    Opener::new(black_box(&KEY), Accept::V2Only)
}

/// The buffers of a stream of full packages.
struct Long {
    raw_key: LessSafeKey,
    raw: Vec<u8>,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    reused_sealed: Vec<u8>,
    reused_plain: Vec<u8>,
    window: Vec<u8>,
}

impl Long {
    fn new() -> Self {
        let plain = vec![1; PLAIN_BYTES];
        let mut sealed = vec![0; SEALED_BYTES];
        seal_stream(&plain, &mut sealed);
        Self {
            raw_key: raw_key(),
            raw: vec![1; PACKAGE_BYTES],
            plain,
            reused_sealed: sealed.clone(),
            sealed,
            reused_plain: vec![0; PLAIN_BYTES],
            window: vec![0; SEALED_PACKAGE_BYTES],
        }
    }

    fn raw(&mut self) {
        for _ in 0..PACKAGES {
            let tag = self
                .raw_key
                .seal_in_place_separate_tag(nonce(), Aad::from([0; 4]), &mut self.raw)
                .unwrap();
            black_box(tag.as_ref());
        }
    }

    fn seal_window(&mut self) {
        let mut sealer = sealer();
        let (last, full) = self.plain.as_chunks().0.split_last().unwrap();
        for plain in full {
            sealer.seal(plain, &mut self.window).unwrap();
            black_box(&mut self.window);
        }
        sealer.seal_final(last, &mut self.window).unwrap();
        black_box(&mut self.window);
    }

    fn open_window(&mut self) {
        let mut opener = opener();
        for sealed in self.sealed.chunks(SEALED_PACKAGE_BYTES) {
            opener.open(sealed, &mut self.window).unwrap();
            black_box(&mut self.window);
        }
        opener.finish().unwrap();
    }

    fn seal_reused(&mut self) {
        seal_stream(&self.plain, &mut self.reused_sealed);
        black_box(&mut self.reused_sealed);
    }

    fn open_reused(&mut self) {
        open_stream(&self.sealed, &mut self.reused_plain);
        black_box(&mut self.reused_plain);
    }

    fn seal_fresh(&mut self) {
        let mut sealed = vec![0; SEALED_BYTES];
        seal_stream(&self.plain, &mut sealed);
        black_box(&mut sealed);
    }

    fn open_fresh(&mut self) {
        let mut plain = vec![0; PLAIN_BYTES];
        open_stream(&self.sealed, &mut plain);
        black_box(&mut plain);
    }

    fn reseal_in_place(&mut self) {
        let mut opener = opener();
        let mut sealer = sealer();
        let (last, full) = self
            .reused_sealed
            .as_chunks_mut()
            .0
            .split_last_mut()
            .unwrap();
        for package in full {
            opener.open_in_place(package).unwrap();
            sealer.seal_in_place(package).unwrap();
        }
        opener.open_in_place(last).unwrap();
        sealer.seal_final_in_place(last).unwrap();
        opener.finish().unwrap();
    }
}

fn seal_stream(plain: &[u8], sealed: &mut [u8]) {
    let mut sealer = sealer();
    let (last, full) = plain.as_chunks().0.split_last().unwrap();
    let mut packages = sealed.chunks_mut(SEALED_PACKAGE_BYTES);
    for plain in full {
        sealer.seal(plain, packages.next().unwrap()).unwrap();
    }
    sealer.seal_final(last, packages.next().unwrap()).unwrap();
}

fn open_stream(sealed: &[u8], plain: &mut [u8]) {
    let mut opener = opener();
    for (sealed, plain) in sealed
        .chunks(SEALED_PACKAGE_BYTES)
        .zip(plain.chunks_mut(PACKAGE_BYTES))
    {
        opener.open(sealed, plain).unwrap();
    }
    opener.finish().unwrap();
}

/// The buffers of a stream of one short package.
struct Short {
    raw_key: LessSafeKey,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    raw_body: Vec<u8>,
    raw_tag: [u8; 16],
    out: Vec<u8>,
}

impl Short {
    fn new() -> Self {
        let plain = vec![1; SHORT_BYTES];
        let mut sealed = vec![0; SHORT_BYTES + OVERHEAD_BYTES];
        sealer().seal_final(&plain, &mut sealed).unwrap();
        let mut raw_body = plain.clone();
        let raw_key = raw_key();
        let tag = raw_key
            .seal_in_place_separate_tag(nonce(), Aad::from([0; 4]), &mut raw_body)
            .unwrap();
        let raw_tag = tag.as_ref().try_into().unwrap();
        Self {
            raw_key,
            plain,
            out: sealed.clone(),
            sealed,
            raw_body,
            raw_tag,
        }
    }

    fn raw_seal(&mut self) {
        let (body, tag) = self.out[HEADER_BYTES..].split_at_mut(SHORT_BYTES);
        self.raw_key
            .seal_out_of_place_scatter(nonce(), Aad::from([0; 4]), &self.plain, body, &[], tag)
            .unwrap();
        black_box(&mut self.out);
    }

    fn seal(&mut self) {
        sealer().seal_final(&self.plain, &mut self.out).unwrap();
        black_box(&mut self.out);
    }

    fn raw_open(&mut self) {
        let out = &mut self.out[..SHORT_BYTES];
        self.raw_key
            .open_separate_gather(
                nonce(),
                Aad::from([0; 4]),
                &self.raw_body,
                &self.raw_tag,
                out,
            )
            .unwrap();
        black_box(&mut self.out);
    }

    fn open(&mut self) {
        let mut opener = opener();
        opener.open(&self.sealed, &mut self.out).unwrap();
        opener.finish().unwrap();
        black_box(&mut self.out);
    }
}
