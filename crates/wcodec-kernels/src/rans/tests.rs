//! Every level against a decoder written for clarity, on intact and on damaged streams.

use super::*;
use crate::{TABLE_SIZE, slots};
use proptest::prelude::*;

/// A table with its content by slot: output byte, frequency, position.
struct Oracle {
    table: DecodeTable,
    encoder: EncodeTable,
    slots: Vec<(u8, u32, u32)>,
}

impl Oracle {
    fn new(frequencies: &[u16], first: u16, stride: u16) -> Oracle {
        let symbols: Vec<u16> =
            (0..frequencies.len() as u16).map(|rank| first + rank * stride).collect();
        let table = DecodeTable::new(&symbols, frequencies, first).unwrap();
        let byte = |rank: usize| match table.base() {
            Some(base) => (symbols[rank] - base) as u8,
            None => rank as u8,
        };
        let mut by_slot = vec![(0, 0, 0); TABLE_SIZE];
        slots::for_each_run(frequencies, |run| {
            for k in 0..usize::from(run.len) {
                let position = u32::from(run.position) + k as u32;
                by_slot[run.slot + k] =
                    (byte(run.rank), u32::from(frequencies[run.rank]), position);
            }
        });
        let encoder = EncodeTable::new(frequencies).unwrap();
        Oracle { table, encoder, slots: by_slot }
    }
}

/// The coder as a mathematician would write it: one step after another, no windows.
fn naive_decode(
    oracles: &[Oracle],
    of_step: &[u8],
    stream: &[u8],
    steps: Steps,
) -> Option<Vec<u8>> {
    let mut words = stream.chunks_exact(2).map(|w| u32::from(w[0]) | u32::from(w[1]) << 8);
    let mut next = || words.next();
    let mut states = Vec::new();
    for _ in 0..steps.lanes() {
        let low = next()?;
        states.push(low | next()? << 16);
    }
    if states.iter().any(|s| !(4096..1 << 28).contains(s)) {
        return None;
    }
    let mut out = Vec::new();
    for step in 0..steps.count() {
        let oracle = &oracles[of_step.get(step).map_or(0, |&class| usize::from(class))];
        let active = if step < steps.full() { steps.lanes() } else { steps.tail_lanes() };
        for state in &mut states[..active] {
            let (byte, frequency, position) = oracle.slots[(*state % 4096) as usize];
            out.push(byte);
            *state = frequency * (*state / 4096) + position;
            if *state < 4096 {
                *state = *state * 65536 + next()?;
            }
        }
    }
    (next().is_none() && stream.len().is_multiple_of(2) && states.iter().all(|&s| s == 4096))
        .then_some(out)
}

fn normalised(weights: &[u32]) -> Vec<u16> {
    let total: u32 = weights.iter().sum();
    let spare = TABLE_SIZE as u32 - weights.len() as u32;
    let mut f: Vec<u16> = weights.iter().map(|w| 1 + (w * spare / total) as u16).collect();
    let sum: u32 = f.iter().map(|&x| u32::from(x)).sum();
    f[0] += (TABLE_SIZE as u32 - sum) as u16;
    f
}

fn frequencies() -> impl Strategy<Value = Vec<u16>> {
    let weights = prop_oneof![
        prop::collection::vec(1u32..2000, 1..=256),
        prop::collection::vec(1u32..2000, 1..=64),
        // Steep: most words are taken by few symbols.
        (2usize..70).prop_map(|n| (0..n).map(|k| 1 + (1u32 << 20 >> k.min(20))).collect()),
    ];
    weights.prop_map(|weights| normalised(&weights))
}

fn steps() -> impl Strategy<Value = Steps> {
    prop_oneof![
        (0usize..3000).prop_map(Steps::linear),
        (0usize..300).prop_map(Steps::single_lane),
        (1usize..100, 1usize..60).prop_map(|(r, c)| Steps::strips(r, c)),
    ]
}

fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut x = seed | 1;
    move |below| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 20) as usize % below
    }
}

/// Tables by class, the class of each step, bytes, and steps.
type Stream = (Vec<Oracle>, Vec<u8>, Vec<u8>, Steps);

/// What a stream decodes to at every level, alone and beside others; all must agree.
fn decode_everywhere(streams: &[Stream]) -> Vec<Option<Vec<u8>>> {
    let expected: Vec<Option<Vec<u8>>> = streams
        .iter()
        .map(|(oracles, of_step, stream, steps)| naive_decode(oracles, of_step, stream, *steps))
        .collect();
    let mut verdicts = Vec::new();
    for level in Level::variants() {
        let tables: Vec<Vec<&DecodeTable>> = streams
            .iter()
            .map(|(oracles, ..)| oracles.iter().map(|oracle| &oracle.table).collect())
            .collect();
        // Guards on both sides show writes outside.
        const GUARD: usize = 64;
        let mut outs: Vec<Vec<u8>> =
            streams.iter().map(|s| vec![0xa5; s.3.symbols() + 2 * GUARD]).collect();
        let mut jobs: Vec<StreamJob<'_>> = streams
            .iter()
            .zip(&tables)
            .zip(&mut outs)
            .map(|(((_, of_step, stream, steps), tables), out)| StreamJob {
                classes: Classes::per_step(tables, of_step),
                stream,
                steps: *steps,
                out: &mut out[GUARD..][..steps.symbols()],
            })
            .collect();
        let found = decode(level, &mut jobs);
        for (((verdict, out), expected), stream) in
            found.iter().zip(&outs).zip(&expected).zip(streams)
        {
            let (inner, guards) = (&out[GUARD..][..stream.3.symbols()], GUARD);
            assert!(out[..guards].iter().chain(&out[guards + inner.len()..]).all(|&b| b == 0xa5));
            let found = verdict.ok().map(|()| inner.to_vec());
            assert_eq!(&found, expected, "{level:?}");
        }
        verdicts.push(found);
    }
    // Not only whether, but why a stream is refused.
    assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "{verdicts:?}");
    expected
}

fn stream(
    f: &[u16],
    steps: Steps,
    random: &mut impl FnMut(usize) -> usize,
) -> (Vec<u8>, Vec<u8>, Oracle) {
    let (first, stride) = (random(100) as u16, 1 + random(12) as u16);
    let oracle = Oracle::new(f, first, stride);
    // Half of the ranks by frequency, half of them evenly.
    let ranks: Vec<u8> = (0..steps.symbols())
        .map(|k| {
            if k % 2 == 0 {
                return random(f.len()) as u8;
            }
            let mut at = random(TABLE_SIZE) as u16;
            f.iter()
                .position(|&f| {
                    at < f || {
                        at -= f;
                        false
                    }
                })
                .unwrap() as u8
        })
        .collect();
    let mut bytes = Vec::new();
    let classes = Classes::one(&oracle.encoder);
    let job = SymbolsJob { classes, ranks: &ranks, steps, out: &mut bytes };
    encode(Level::SCALAR, &mut [job], &mut EncodeSpace::default());
    let out = ranks
        .iter()
        .map(|&rank| match oracle.table.base() {
            Some(_) => (u16::from(rank) * stride) as u8,
            None => rank,
        })
        .collect();
    (bytes, out, oracle)
}

proptest! {
    #[test]
    fn decode_inverts_encode(f in frequencies(), steps in steps(), seed: u64) {
        let (bytes, expected, oracle) = stream(&f, steps, &mut random(seed));
        let found = decode_everywhere(&[(vec![oracle], vec![], bytes, steps)]);
        prop_assert_eq!(&found[0], &Some(expected));
    }

    #[test]
    fn levels_agree_on_damage_side_by_side(parts in prop::collection::vec((frequencies(), steps()), 1..10), seed: u64) {
        let mut random = random(seed);
        let mut streams = Vec::new();
        for (f, steps) in &parts {
            let (mut bytes, _, oracle) = stream(f, *steps, &mut random);
            match random(4) {
                0 => {}
                1 => { let at = random(bytes.len()); bytes[at] ^= 1 << random(8); }
                2 => bytes.truncate(bytes.len() - random(bytes.len().min(80) + 1)),
                _ => bytes.extend((0..random(4)).map(|k| k as u8)),
            }
            streams.push((vec![oracle], vec![], bytes, *steps));
        }
        decode_everywhere(&streams);
    }

    #[test]
    fn every_step_takes_the_table_of_its_class(fs in prop::collection::vec(frequencies(), 1..6), shapes in prop::collection::vec(steps(), 1..5), seed: u64, wide: bool) {
        let mut random = random(seed);
        let mut streams = Vec::new();
        for steps in shapes {
            let oracles: Vec<Oracle> = fs.iter().filter(|f| wide || f.len() <= 64).chain([&vec![4096]]).map(|f| Oracle::new(f, 3, 1)).collect();
            let of_step: Vec<u8> = (0..steps.count()).map(|_| random(oracles.len()) as u8).collect();
            // Any bytes of the right form are a stream that can be decoded for a while.
            let states: Vec<u8> = (0..steps.lanes()).flat_map(|_| (4096 + random((1 << 28) - 4096) as u32).to_le_bytes()).collect();
            let words = (0..2 * random(steps.symbols() + 1)).map(|_| random(256) as u8);
            let bytes = states.into_iter().chain(words).collect();
            streams.push((oracles, of_step, bytes, steps));
        }
        decode_everywhere(&streams);
    }

    #[test]
    fn every_level_writes_the_same_streams(fs in prop::collection::vec(frequencies(), 1..6), shapes in prop::collection::vec(steps(), 1..7), seed: u64, narrow: bool, classed: bool) {
        let mut random = random(seed);
        let mut fs: Vec<Vec<u16>> = fs.into_iter().filter(|f| !narrow || f.len() <= 64).collect();
        fs.push(vec![4096]);
        let encoders: Vec<EncodeTable> = fs.iter().map(|f| EncodeTable::new(f).unwrap()).collect();
        let decoders: Vec<DecodeTable> = fs.iter().map(|f| DecodeTable::new(&(0..f.len() as u16).collect::<Vec<_>>(), f, 0).unwrap()).collect();
        let encoders: Vec<&EncodeTable> = encoders.iter().collect();
        let decoders: Vec<&DecodeTable> = decoders.iter().collect();
        let input: Vec<(Steps, Vec<u8>, Vec<u8>)> = shapes.into_iter().map(|steps| {
            let of_step: Vec<u8> = (0..steps.count()).map(|_| if classed { random(fs.len()) as u8 } else { 0 }).collect();
            let lanes = |step| if step < steps.full() { steps.lanes() } else { steps.tail_lanes() };
            let ranks = of_step.iter().enumerate().flat_map(|(step, &class)| vec![fs[usize::from(class)].len(); lanes(step)]).map(|n| random(n) as u8).collect();
            (steps, if classed { of_step } else { Vec::new() }, ranks)
        }).collect();
        let mut expected = Vec::new();
        for level in Level::variants() {
            let mut outs = vec![vec![7u8]; input.len()];
            let mut jobs: Vec<SymbolsJob<'_>> = input.iter().zip(&mut outs).map(|((steps, of_step, ranks), out)| SymbolsJob { classes: Classes::per_step(&encoders, of_step), ranks, steps: *steps, out }).collect();
            encode(level, &mut jobs, &mut EncodeSpace::default());
            if expected.is_empty() {
                for ((steps, of_step, ranks), stream) in input.iter().zip(&outs) {
                    let mut back = vec![0; ranks.len()];
                    let job = StreamJob { classes: Classes::per_step(&decoders, of_step), stream: &stream[1..], steps: *steps, out: &mut back };
                    prop_assert_eq!(decode(level, &mut [job]), vec![Ok(())]);
                    prop_assert_eq!(&back, ranks);
                }
                expected = outs;
            } else {
                prop_assert!(outs == expected, "{:?}", level);
            }
        }
    }
}

#[test]
#[should_panic(expected = "too many symbols")]
fn a_product_that_wraps_is_no_number_of_symbols() {
    let _ = Steps::strips(32, 1 << 59);
}
