//! Times the steps of the decoder and the encoder alone: streams and symbols stay in the caches.
//!
//! For each level of the machine and some numbers of symbols, it prints the bits of a symbol, the nanoseconds of a step
//! of 32 symbols with one stream, two and four, and those of encoding four.

use std::time::Instant;
use wcodec_kernels::{
    Classes, DecodeTable, EncodeSpace, EncodeTable, LANES, Level, Steps, StreamJob, SymbolsJob,
    TABLE_SIZE, decode, encode,
};

/// Symbols of a stream, and how often each is timed.
const SYMBOLS: usize = 1 << 16;
const RUNS: usize = 60;

fn main() {
    println!("level   symbols  bits  1 stream  2 streams  4 streams  encode 4   (ns a step)");
    for level in Level::available() {
        for count in [8, 20, 40, 64, 200] {
            row(level, count);
        }
    }
}

fn row(level: Level, count: usize) {
    let frequencies = frequencies(count);
    let symbols: Vec<u16> = (0..count as u16).collect();
    let Ok(decoder) = DecodeTable::new(&symbols, &frequencies, 0) else { return };
    let Ok(encoder) = EncodeTable::new(&frequencies) else { return };
    let ranks: Vec<Vec<u8>> = (1..=4).map(|seed| draw(&frequencies, seed)).collect();
    let mut streams = vec![Vec::new(); ranks.len()];
    let mut space = EncodeSpace::default();
    let encoding = best(|| {
        let mut jobs: Vec<SymbolsJob<'_>> = Vec::new();
        for (ranks, out) in ranks.iter().zip(&mut streams) {
            out.clear();
            let (classes, steps) = (Classes::one(&encoder), Steps::linear(SYMBOLS));
            jobs.push(SymbolsJob { classes, ranks, steps, out });
        }
        encode(level, &mut jobs, &mut space);
    });
    let mut decoded = vec![vec![0; SYMBOLS]; ranks.len()];
    let decoding = [1, 2, 4].map(|side_by_side| {
        let seconds = best(|| {
            let mut jobs: Vec<StreamJob<'_>> = Vec::new();
            for (stream, out) in streams.iter().zip(&mut decoded).take(side_by_side) {
                let (classes, steps) = (Classes::one(&decoder), Steps::linear(SYMBOLS));
                jobs.push(StreamJob { classes, stream, steps, out });
            }
            assert!(decode(level, &mut jobs).iter().all(Result::is_ok), "sound streams");
        });
        seconds / side_by_side as f64
    });
    assert_eq!(decoded, ranks);
    let ns = |seconds: f64| 1e9 * seconds * LANES as f64 / SYMBOLS as f64;
    println!(
        "{:7} {count:7} {:5.2} {:9.2} {:10.2} {:10.2} {:9.2}",
        level.name(),
        8.0 * streams[0].len() as f64 / SYMBOLS as f64,
        ns(decoding[0]),
        ns(decoding[1]),
        ns(decoding[2]),
        ns(encoding / 4.0),
    );
}

/// Of a bell curve.
fn frequencies(count: usize) -> Vec<u16> {
    let weight = |k: usize| {
        let x = (k as f64 - count as f64 / 2.0) / (count as f64 / 8.0);
        (-x * x / 2.0).exp()
    };
    let sum: f64 = (0..count).map(weight).sum();
    let mut frequencies: Vec<u16> = (0..count)
        .map(|k| ((weight(k) / sum * (TABLE_SIZE - count) as f64) as u16).max(1))
        .collect();
    let missing = TABLE_SIZE - frequencies.iter().map(|&f| usize::from(f)).sum::<usize>();
    frequencies[count / 2] += missing as u16;
    frequencies
}

/// Ranks with these frequencies.
fn draw(frequencies: &[u16], seed: u64) -> Vec<u8> {
    let ranks: Vec<u8> = (0..)
        .zip(frequencies)
        .flat_map(|(rank, &f)| std::iter::repeat_n(rank, usize::from(f)))
        .collect();
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ranks[(state >> 52) as usize % TABLE_SIZE]
    };
    (0..SYMBOLS).map(|_| next()).collect()
}

/// The shortest of some runs, in seconds.
fn best(mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    (0..RUNS).map(time).fold(f64::INFINITY, f64::min)
}
