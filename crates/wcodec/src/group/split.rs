//! The field split of a group: which bits of an element make a plane, by a sample.

use super::GroupJob;
use crate::base::residual;
use crate::block::encode::{Draft, GroupFormat, PlanePlan, Split};
use crate::dtype::ElementType;
use crate::entropy::cost::{self, BIT};
use crate::entropy::count;
use crate::entropy::table::MAX_WIDTH;
use crate::planes::{extract, low_widths, varying_bits};
use crate::predict::PredictorSet;
use std::ops::RangeInclusive;
use wcodec_kernels::{ALIAS_SYMBOLS, Level, MAX_SYMBOLS};

/// Elements looked at before the split is chosen.
const SAMPLE_ELEMENTS: usize = 1 << 15;
const SAMPLE_PIECES: usize = 16;
/// A split whose symbols exceed one alias table must save more than one part in this.
const WIDE_GAIN: u64 = 300;
/// Avoiding wide tables may cost one part in this.
const NARROW_LOSS: u64 = 300;
/// A split that codes more bits than another must save more than one part in this.
const SPLIT_GAIN: u64 = 2000;

impl GroupJob<'_> {
    /// Evenly spaced pieces of the elements of a group.
    fn sample(&self, bytes: &[u8]) -> Vec<u8> {
        let size = self.format.element.size();
        let elements = bytes.len() / size;
        if elements <= SAMPLE_ELEMENTS {
            return bytes.to_vec();
        }
        let piece = SAMPLE_ELEMENTS / SAMPLE_PIECES;
        let mut sample = Vec::with_capacity(SAMPLE_ELEMENTS * size);
        for k in 0..SAMPLE_PIECES {
            let start = (elements - piece) / (SAMPLE_PIECES - 1) * k * size;
            sample.extend_from_slice(&bytes[start..start + piece * size]);
        }
        sample
    }

    /// Cuts elements into planes, the first one of `width` bits or as a sample suggests.
    pub(super) fn choose_split(
        &self,
        group: GroupFormat<'_>,
        width: Option<u32>,
        blocks: usize,
    ) -> Split {
        let (level, element) = (group.level, self.format.element);
        let sample = self.sample(group.coded);
        let first = width.unwrap_or_else(|| {
            let elements = self.bytes.len() / element.size();
            let residuals = !group.predictions.is_empty();
            let widths = first_widths(element, residuals);
            if residuals && element.size() == 2 {
                return residual::first_width(level, element, &sample, (elements, blocks), widths);
            }
            first_width(level, element, &sample, elements, (blocks, widths))
        });
        let varying = varying_bits(level, element, &sample);
        let mut shift = element.bits() - first;
        let mut planes = vec![PlanePlan { width: first, coded: true }];
        for width in low_widths(element, first, varying) {
            shift -= width;
            let symbols = extract(level, element, &sample, shift, width);
            let counts = count(&symbols, width);
            // A flat histogram of a sample still looks a little uneven: about half a bit for
            // each of its cells. What is left must pay for states and tables, and for decoding.
            let noise = BIT << (width - 1);
            let flat = symbols.len() as u64 * u64::from(width) * BIT;
            let coded = cost::entropy(&counts) + noise < flat - flat / 100;
            planes.push(PlanePlan { width, coded });
        }
        Split { planes, predictors: PredictorSet::NONE }
    }
}

/// The width of a narrower first plane that needs no wide tables, if the counted symbols show that it
/// costs next to nothing: a sample does not see the rare symbols that make a table wide. Where other
/// planes are coded too, decoding would gain less.
pub(super) fn narrower(element: ElementType, split: &Split, drafts: &[Draft]) -> Option<u32> {
    let (first, below) = split.planes.split_first()?;
    let widths = first_widths(element, false);
    if below.iter().any(|plane| plane.coded) || widths.start() == widths.end() {
        return None;
    }
    let counted: Vec<&[u32]> =
        drafts.iter().map(Draft::counts_of_values).collect::<Option<Vec<_>>>()?;
    let wide = |counts: &[u32]| counts.iter().filter(|&&c| c > 0).count() > ALIAS_SYMBOLS;
    let now = counted.iter().filter(|counts| wide(counts)).count();
    if now == 0 {
        return None;
    }
    let elements: u64 = counted.iter().flat_map(|c| c.iter()).map(|&c| u64::from(c)).sum();
    let bits = |width: u32| elements * u64::from(element.bits() - width) * BIT;
    let before = bits(first.width) + counted.iter().map(|c| cost::entropy(c)).sum::<u64>();
    (*widths.start()..first.width).rev().find_map(|width| {
        let merged = |counts: &&[u32]| -> Vec<u32> {
            counts.chunks(1 << (first.width - width)).map(|part| part.iter().sum()).collect()
        };
        let merged: Vec<Vec<u32>> = counted.iter().map(merged).collect();
        let price = bits(width) + merged.iter().map(|c| cost::entropy(c)).sum::<u64>();
        if price > before + before / NARROW_LOSS {
            return Some(None);
        }
        // A few blocks may stay wide.
        (merged.iter().filter(|counts| wide(counts)).count() <= now / 8).then_some(Some(width))
    })?
}

/// Widths that the first plane may have. Residuals, if there are any, have no exponents; those of two bytes
/// are cut where both planes have few symbols, outliers of larger ones would make wide planes slow.
pub(super) fn first_widths(element: ElementType, residuals: bool) -> RangeInclusive<u32> {
    use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64, I8, U8};
    match element {
        _ if residuals && element.size() == 2 => 8..=10,
        U8 | I8 | F8E5M2 | F16 => 5..=8,
        F8E4M3 => 4..=8,
        _ if residuals => 8..=8,
        Bf16 | F32 => 8..=10,
        F64 => 11..=MAX_WIDTH,
        _ => 8..=8,
    }
}

/// Bits of the first plane: where coding one bit more no longer pays, by the entropy of the
/// sample and the price of the tables.
fn first_width(
    level: Level,
    element: ElementType,
    sample: &[u8],
    elements: usize,
    (blocks, candidates): (usize, RangeInclusive<u32>),
) -> u32 {
    let widest = *candidates.end();
    if *candidates.start() == widest {
        return widest;
    }
    let symbols = extract(level, element, sample, element.bits() - widest, widest);
    let counts = count(&symbols, widest);
    let scale =
        |bits: u64| (u128::from(bits) * elements as u128 / symbols.len().max(1) as u128) as u64;
    // About half of the blocks take a table of their own, at 6 bits a symbol.
    let tables = 1 + blocks as u64 / 2;
    let mut best: Option<(u64, u32)> = None;
    for width in candidates {
        let shift = widest - width;
        let mut merged = vec![0u32; 1 << width];
        for (symbol, &count) in counts.iter().enumerate() {
            merged[symbol >> shift] += count;
        }
        let present = merged.iter().filter(|&&c| c > 0).count();
        if present > MAX_SYMBOLS && best.is_some() {
            continue;
        }
        let stored = elements as u64 * u64::from(shift) * BIT;
        let price = scale(cost::entropy(&merged)) + stored + tables * present as u64 * 6 * BIT;
        let slack = if present > ALIAS_SYMBOLS { price / WIDE_GAIN } else { price / SPLIT_GAIN };
        if best.is_none_or(|(least, _)| price + slack < least) {
            best = Some((price, width));
        }
    }
    best.map_or(widest, |(_, width)| width)
}
