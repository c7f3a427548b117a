//! Which scale classes share a table, and how many low bits of a field each table leaves alone.

use super::count::{Counts, added};
use crate::entropy::cost::{self, BIT};
use wcodec_kernels::ALIAS_SYMBOLS;

/// Most tables: decoders keep them all in the first-level cache.
const MAX_TABLES: usize = 24;
/// Most low bits that a table leaves alone.
const MAX_LOW: u32 = 3;
/// About what a table takes: its fixed part, and each of its symbols.
const TABLE_BITS: u64 = 32;
const SYMBOL_BITS: u64 = 6;

/// Classes that share a table.
#[derive(Clone)]
pub(crate) struct Merged {
    pub(crate) classes: usize,
    pub(crate) counts: Box<Counts>,
    pub(crate) price: u64,
    pub(crate) low: u32,
}

/// The number of what each class was merged to.
pub(crate) fn numbered(merged: &[Merged]) -> impl Iterator<Item = u8> {
    (0u8..).zip(merged).flat_map(|(number, merged)| std::iter::repeat_n(number, merged.classes))
}

/// The least price of fields with these counts under one table, and the low bits that it leaves
/// alone. `part` scales what is stored once.
pub(crate) fn price(counts: &Counts, part: impl Fn(u64) -> u64) -> (u64, u32) {
    // Those that occur, in whole groups of all low bits: codes of 4 bits have few.
    let occur = |count: &u32| *count > 0;
    let (Some(first), Some(last)) = (counts.iter().position(occur), counts.iter().rposition(occur))
    else {
        return (0, 0);
    };
    let whole = (1 << MAX_LOW) - 1;
    let mut folded = counts[first & !whole..=last | whole].to_vec();
    let total: u64 = folded.iter().map(|&count| u64::from(count)).sum();
    let mut best = (u64::MAX, MAX_LOW);
    for low in 0..=MAX_LOW {
        if low > 0 {
            folded = folded.as_chunks::<2>().0.iter().map(|[a, b]| a + b).collect();
        }
        let present = folded.iter().filter(|&&count| count > 0).count();
        if present > ALIAS_SYMBOLS {
            continue;
        }
        let table = (TABLE_BITS + SYMBOL_BITS * present as u64) * BIT;
        let bits = cost::entropy(&folded) + total * u64::from(low) * BIT + part(table);
        if bits < best.0 {
            best = (bits, low);
        }
    }
    best
}

/// Lets neighbouring classes share a table unless that makes them larger, by more than this is `worth`.
pub(crate) fn merge(
    counts: Vec<Counts>,
    part: impl Fn(u64) -> u64 + Copy,
    worth: u64,
) -> Vec<Merged> {
    let made = |classes: usize, counts: Counts| {
        let (price, low) = price(&counts, part);
        Merged { classes, counts: Box::new(counts), price, low }
    };
    let joined = |a: &Merged, b: &Merged| made(a.classes + b.classes, added(&a.counts, &b.counts));
    let mut merged: Vec<Merged> = Vec::new();
    for counts in counts {
        let one = made(1, counts);
        match merged.last_mut() {
            // Empty classes go with any other.
            Some(last) if one.price == 0 => last.classes += 1,
            Some(last) if last.price == 0 => *last = Merged { classes: last.classes + 1, ..one },
            _ => merged.push(one),
        }
    }
    let mut pairs: Vec<Merged> = merged.windows(2).map(|w| joined(&w[0], &w[1])).collect();
    // What a pair saves by sharing; it may be negative.
    let saved = |merged: &[Merged], pairs: &[Merged], k: usize| {
        (merged[k].price + merged[k + 1].price) as i64 - pairs[k].price as i64
    };
    while let Some(k) = (0..pairs.len()).max_by_key(|&k| saved(&merged, &pairs, k)) {
        if saved(&merged, &pairs, k) < -(worth as i64) && merged.len() <= MAX_TABLES {
            break;
        }
        merged[k] = pairs.remove(k);
        merged.remove(k + 1);
        if k > 0 {
            pairs[k - 1] = joined(&merged[k - 1], &merged[k]);
        }
        if k < pairs.len() {
            pairs[k] = joined(&merged[k], &merged[k + 1]);
        }
    }
    merged
}
