//! What each block of a group is predicted by: nothing, the difference from the base, or XOR.

use crate::block::fields::BlockBytes;
use crate::dtype::ElementType;
use crate::entropy::cost::{self, BIT};
use crate::entropy::count;
use crate::entropy::table::Table;
use crate::geometry::Rect;
use crate::planes::extract;
use rayon::prelude::*;
use std::ops::RangeInclusive;
use wcodec_kernels::{ALIAS_SYMBOLS, ByteCounts, Level, Prediction, extract_bytes, subtract_base};

/// A prediction must save more than one part in this of what a block takes.
const GAIN: u64 = 500;
/// A plane of more symbols than an alias table has must save more than one part in this.
const WIDE_GAIN: u64 = 200;
/// And one part in this of all bits: it takes as long however little it has.
const WIDE_LEAST: u64 = 2000;
/// About what a table takes for each of its symbols.
const SYMBOL_BITS: u64 = 6;
/// Elements whose fields are taken at a time.
const PIECE: usize = 1 << 12;
/// So many pieces of a block tell what it takes.
const PIECES: usize = 8;

/// The partners of a group's elements.
#[derive(Clone, Copy)]
pub(crate) struct GroupBase<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) flip: bool,
}

/// What the predictions of the blocks leave of a group.
pub(crate) struct Residual {
    /// The elements, or residuals of their type.
    pub(crate) bytes: Vec<u8>,
    /// Of each block.
    pub(crate) predictions: Vec<Option<Prediction>>,
    /// Whether there is so little left that coding without the base need not be tried.
    pub(crate) sure: bool,
}

/// Chooses what each of these blocks is predicted by; `None` if no block gains. The first element of the
/// group is number `first`.
pub(crate) fn choose(
    level: Level,
    element: ElementType,
    (bytes, first): (&[u8], u64),
    base: GroupBase<'_>,
    rects: &[Rect],
) -> Option<Residual> {
    let size = element.size();
    let choices: Vec<Choice> = rects
        .par_iter()
        .map(|&rect| {
            let gather = |bytes| BlockBytes::new(bytes, first, rect, size).gathered();
            Choice::of(level, element, &gather(bytes), (&gather(base.bytes), base.flip))
        })
        .collect();
    let sum = |of: fn(&Choice) -> u64| choices.iter().map(of).sum::<u64>();
    let (plain, best) = (sum(|choice| choice.plain), sum(|choice| choice.best));
    if best == plain {
        return None;
    }
    let mut residual =
        Residual { bytes: bytes.to_vec(), predictions: Vec::new(), sure: best < plain / 4 * 3 };
    for (choice, rect) in choices.into_iter().zip(rects) {
        residual.predictions.push(choice.prediction);
        let (start, pitch) = ((rect.start - first) as usize * size, rect.stride as usize * size);
        let rows = residual.bytes[start..].chunks_mut(pitch.max(1));
        for (row, left) in rows.zip(choice.left.chunks_exact(rect.cols * size)) {
            row[..left.len()].copy_from_slice(left);
        }
    }
    Some(residual)
}

/// What a block is predicted by.
struct Choice {
    prediction: Option<Prediction>,
    /// What that leaves of its elements; empty for no prediction.
    left: Vec<u8>,
    /// What it takes without a prediction, and with this one.
    plain: u64,
    best: u64,
}

impl Choice {
    fn of(
        level: Level,
        element: ElementType,
        elements: &[u8],
        (base, flip): (&[u8], bool),
    ) -> Choice {
        let kernel = element.kernel();
        let size = PIECE * element.size();
        let every = elements.len().div_ceil(size).div_ceil(PIECES);
        let sample = || elements.chunks(size).zip(base.chunks(size)).step_by(every);
        let sampled: usize = sample().map(|(own, _)| own.len()).sum();
        let of_all = |price: u64| {
            (u128::from(price) * elements.len() as u128 / sampled.max(1) as u128) as u64
        };
        let plain = of_all(price(level, element, sample().map(|(own, _)| own)));
        let mut choice = Choice { prediction: None, left: Vec::new(), plain, best: plain };
        let mut left = Vec::with_capacity(sampled);
        for prediction in [Prediction::Difference, Prediction::Xor] {
            left.clear();
            for (own, base) in sample() {
                let start = left.len();
                left.extend_from_slice(own);
                subtract_base(level, kernel, (prediction, flip), base, &mut left[start..]);
            }
            let price = of_all(price(level, element, left.chunks(size)));
            // Without a prediction, nothing is left to be restored.
            let margin = if choice.prediction.is_none() { price / GAIN } else { 0 };
            if price + margin < choice.best {
                choice = Choice { prediction: Some(prediction), best: price, ..choice };
            }
        }
        if let Some(prediction) = choice.prediction {
            let mut left = elements.to_vec();
            subtract_base(level, kernel, (prediction, flip), base, &mut left);
            choice.left = left;
        }
        choice
    }
}

/// Bits of the first plane of residuals of two bytes: where both planes together take least. A plane of more
/// symbols than one alias table has decodes slower, and must save something.
pub(crate) fn first_width(
    level: Level,
    element: ElementType,
    sample: &[u8],
    (elements, blocks): (usize, usize),
    widths: RangeInclusive<u32>,
) -> u32 {
    let sampled = sample.len() / element.size();
    // The sample's part of the tables, of which about half of the blocks have some of their own.
    let tables = |bytes: usize| {
        let bits = (1 + blocks / 2) as u64 * bytes as u64 * 8 * BIT;
        (u128::from(bits) * sampled as u128 / elements.max(1) as u128) as u64
    };
    let plane = |shift: u32, width: u32| {
        let counts = count(&extract(level, element, sample, shift, width), width);
        let present = counts.iter().filter(|&&count| count > 0).count();
        let flat = sampled as u64 * u64::from(width) * BIT;
        // Rare symbols take more of a table than their entropy tells.
        let coded = Table::from_counts(&counts)
            .and_then(|table| Some(table.cost(&counts)? + tables(table.written_len(width))));
        let price = coded.map_or(flat, |price| price.min(flat));
        (price, u64::from(present > ALIAS_SYMBOLS && price < flat))
    };
    let price = |width: u32| {
        let low = element.bits() - width;
        let ((first, is_wide), (second, second_is_wide)) = (plane(low, width), plane(0, low));
        let all = sampled as u64 * u64::from(element.bits()) * BIT;
        let least = (first + second) / WIDE_GAIN + all / WIDE_LEAST;
        first + second + (is_wide + second_is_wide) * least
    };
    let first = *widths.start();
    widths.min_by_key(|&width| price(width)).unwrap_or(first)
}

/// About what a plane of so many bytes takes, by how often each byte occurs.
pub(crate) fn plane_price<C: Copy + Into<u64>>(counts: &[C; 256], bytes: u64) -> u64 {
    let symbols = counts.iter().filter(|&&count| count.into() > 0).count() as u64;
    let table = if symbols > 1 { symbols * SYMBOL_BITS * BIT } else { 0 };
    (cost::entropy(counts) + table).min(bytes * 8 * BIT)
}

/// About what elements take, which come in pieces, by the entropies of their bytes as planes.
pub(crate) fn price<'a>(
    level: Level,
    element: ElementType,
    pieces: impl Iterator<Item = &'a [u8]> + Clone,
) -> u64 {
    let kernel = element.kernel();
    let mut fields = Vec::with_capacity(PIECE);
    let mut plane = |shift: u32| {
        let (mut counts, mut elements) = (ByteCounts::default(), 0);
        for piece in pieces.clone() {
            fields.clear();
            extract_bytes(level, kernel, piece, shift, 8, &mut fields);
            counts.add(&fields);
            elements += fields.len() as u64;
        }
        plane_price(&counts.counts(), elements)
    };
    (0..element.bits()).step_by(8).map(&mut plane).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_takes_what_suits_it() {
        let noise = |k: u32| {
            let mixed = k.wrapping_mul(0x9e37_79b9);
            ((mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) >> 23) as u8
        };
        let base: Vec<u8> = (0..4096).map(noise).collect();
        let elements: Vec<u8> = (0..4096u32)
            .map(|k| match k / 1024 {
                0 => base[k as usize],
                1 => base[k as usize].wrapping_add((k % 3) as u8),
                2 => base[k as usize] ^ (0x10 << (k % 4)),
                _ => (k % 2) as u8,
            })
            .collect();
        let rects: Vec<Rect> =
            (0..4).map(|k| Rect { start: 1024 * k, stride: 32, rows: 32, cols: 32 }).collect();
        let given = GroupBase { bytes: &base, flip: false };
        let chosen =
            choose(Level::detect(), ElementType::U8, (&elements, 0), given, &rects).unwrap();
        let difference = Some(Prediction::Difference);
        assert_eq!(chosen.predictions, [difference, difference, Some(Prediction::Xor), None]);
        assert!(chosen.bytes[..1024].iter().all(|&b| b == 0x80));
        assert_eq!(chosen.bytes[3072..], elements[3072..]);
        let other: Vec<u8> = (0..4096).map(|k| noise(k + 5000)).collect();
        let given = GroupBase { bytes: &other, flip: false };
        assert!(choose(Level::detect(), ElementType::U8, (&base, 0), given, &rects).is_none());
    }
}
