//! Streams, damaged ones most of all: the kernels of every level and a decoder written for clarity
//! agree.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wcodec_kernels::{
    Classes, DecodeTable, EncodeSpace, EncodeTable, Level, Steps, StreamJob, SymbolsJob, decode,
    encode,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    weights: Vec<u8>,
    rows: u8,
    cols: u8,
    linear: bool,
    edits: Vec<(u16, u8)>,
    cut: u8,
    ranks: &'a [u8],
}

fn frequencies(weights: &[u8]) -> Vec<u16> {
    let weights = if weights.is_empty() { &[0][..] } else { &weights[..weights.len().min(256)] };
    let spare = 4096 - weights.len() as u32;
    let total: u32 = weights.iter().map(|&w| u32::from(w)).sum::<u32>().max(1);
    let mut f: Vec<u16> =
        weights.iter().map(|&w| 1 + (u32::from(w) * spare / total) as u16).collect();
    let sum: u32 = f.iter().map(|&x| u32::from(x)).sum();
    f[0] += (4096 - sum) as u16;
    f
}

/// FORMAT.md section 7, word by word, over (rank, frequency, position) by slot.
fn oracle(
    slots: &[(u8, u32, u32)],
    stream: &[u8],
    rows: usize,
    cols: usize,
    linear: bool,
) -> Option<Vec<u8>> {
    let n = rows * cols;
    let lanes = if linear { n.clamp(1, 32) } else { rows.clamp(1, 32) };
    if stream.len() % 2 != 0 || stream.len() < 4 * lanes {
        return None;
    }
    let (heads, words) = stream.split_at(4 * lanes);
    let mut states: Vec<u32> =
        heads.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    if states.iter().any(|x| !(4096..1 << 28).contains(x)) {
        return None;
    }
    let mut words = words.chunks(2).map(|b| u32::from(u16::from_le_bytes(b.try_into().unwrap())));
    let mut out = Vec::new();
    let mut step = |active: usize, out: &mut Vec<u8>| {
        for x in &mut states[..active] {
            let (rank, f, q) = slots[(*x % 4096) as usize];
            out.push(rank);
            *x = f * (*x / 4096) + q;
            if *x < 4096 {
                *x = *x * 65536 + words.next()?;
            }
        }
        Some(())
    };
    if linear {
        while out.len() < n {
            step(lanes.min(n - out.len()), &mut out)?;
        }
    } else {
        let mut row = 0;
        while row < rows {
            for _ in 0..cols {
                step(lanes.min(rows - row), &mut out)?;
            }
            row += lanes;
        }
    }
    (words.next().is_none() && states.iter().all(|&x| x == 4096)).then_some(out)
}

/// The slots that the kernel uses, found by asking it: a lane that starts in state 4096 + slot
/// shows its rank, and the state behind it the position.
fn slots(f: &[u16]) -> Vec<(u8, u32, u32)> {
    let mut left: Vec<u32> = f.iter().map(|&x| u32::from(x)).collect();
    left.resize(64, 0);
    if f.len() > 64 {
        return f
            .iter()
            .enumerate()
            .flat_map(|(r, &x)| (0..u32::from(x)).map(move |q| (r as u8, u32::from(x), q)))
            .collect();
    }
    let mut bucket: Vec<(u32, usize, i64)> = (0..64).map(|k| (left[k], k, 0)).collect();
    let mut under: Vec<usize> = (0..64).filter(|&k| left[k] < 64).collect();
    let mut over: Vec<usize> = (0..64).filter(|&k| left[k] > 64).collect();
    while let (false, Some(&o)) = (under.is_empty(), over.last()) {
        let u = under.pop().unwrap();
        left[o] -= 64 - left[u];
        bucket[u] = (left[u], o, i64::from(left[o]) - i64::from(left[u]));
        if left[o] <= 64 {
            over.pop();
            bucket[o].0 = left[o];
            if left[o] < 64 {
                under.push(o);
            }
        }
    }
    (0..4096u32)
        .map(|s| {
            let (k, t) = ((s / 64) as usize, s % 64);
            let (cut, alias, shift) = bucket[k];
            let (rank, q) = if t < cut { (k, t) } else { (alias, (i64::from(t) + shift) as u32) };
            (rank as u8, u32::from(f[rank]), q)
        })
        .collect()
}

fuzz_target!(|input: Input<'_>| {
    let f = frequencies(&input.weights);
    let (rows, cols) = (usize::from(input.rows) % 80, usize::from(input.cols) % 80);
    let steps = if input.linear { Steps::linear(rows * cols) } else { Steps::strips(rows, cols) };
    let ranks: Vec<u8> = (0..rows * cols)
        .map(|i| {
            input
                .ranks
                .get(i % input.ranks.len().max(1))
                .map_or(0, |&r| (usize::from(r) % f.len()) as u8)
        })
        .collect();
    let table = EncodeTable::new(&f).unwrap();
    let streams: Vec<Vec<u8>> = Level::available()
        .map(|level| {
            let mut out = Vec::new();
            let job =
                SymbolsJob { classes: Classes::one(&table), ranks: &ranks, steps, out: &mut out };
            encode(level, &mut [job], &mut EncodeSpace::default());
            out
        })
        .collect();
    assert!(streams.windows(2).all(|pair| pair[0] == pair[1]));
    let Some(mut stream) = streams.into_iter().next() else { return };
    let intact = input.edits.is_empty() && input.cut == 0;
    for (at, value) in &input.edits {
        let at = usize::from(*at) % stream.len();
        stream[at] ^= value;
    }
    stream.truncate(stream.len() - usize::from(input.cut).min(stream.len()));
    let symbols: Vec<u16> = (0..f.len() as u16).collect();
    let table = DecodeTable::new(&symbols, &f, 0).unwrap();
    let expected = oracle(&slots(&f), &stream, rows, cols, input.linear);
    for level in Level::available() {
        // Side by side with itself, so that wide kernels have something to do.
        let mut outs = vec![vec![0; ranks.len()]; 4];
        let mut jobs: Vec<StreamJob<'_>> = outs
            .iter_mut()
            .map(|out| StreamJob { classes: Classes::one(&table), stream: &stream, steps, out })
            .collect();
        let verdicts = decode(level, &mut jobs);
        for (verdict, out) in verdicts.into_iter().zip(&outs) {
            assert_eq!(verdict.ok().map(|()| out.clone()), expected, "{level:?}");
            if intact {
                assert_eq!(out, &ranks);
            }
        }
    }
});
