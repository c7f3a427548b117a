//! Low bits that lie beside the symbols of a stream, in the order of its steps.

use crate::blocks::LowBits;
use crate::level::compiled_for_levels;
use crate::{LANES, Level, Steps, map_bytes};

impl LowBits<'_> {
    /// Bits of each field of a step.
    fn width(&self, of_step: &[u8], step: usize) -> u32 {
        let class = of_step.get(step).map_or(0, |&class| usize::from(class));
        self.widths.get(class).map_or(0, |&width| u32::from(width))
    }

    /// How many low bits a stream has, of which `of_step` gives the classes (all 0 if it is
    /// empty); `None` if that overflows.
    ///
    /// # Panics
    /// If a width exceeds 8, or `of_step` has neither no class nor one for each step.
    #[must_use]
    pub fn bits(&self, level: Level, steps: Steps, of_step: &[u8]) -> Option<usize> {
        assert!(self.widths.iter().all(|&width| width <= 8), "fields have at most 8 low bits");
        assert!(of_step.is_empty() || of_step.len() == steps.count(), "a class for each step");
        if self.widths.is_empty() {
            return Some(0);
        }
        let (full, tail) = if of_step.is_empty() {
            let width = self.width(of_step, 0) as usize;
            let sum = |steps: usize| steps.checked_mul(width);
            (sum(steps.full())?, sum(steps.count() - steps.full())?)
        } else {
            let mut by_class = [0; 256];
            by_class[..self.widths.len()].copy_from_slice(self.widths);
            let mut widths = Vec::with_capacity(of_step.len());
            map_bytes(level, &by_class, of_step, &mut widths);
            let (full, tail) = widths.split_at(steps.full());
            // In short sums that a compiler puts in vectors.
            let short = |part: &[u8]| usize::from(part.iter().map(|&w| u16::from(w)).sum::<u16>());
            let sum = |widths: &[u8]| widths.chunks(4096).map(short).sum::<usize>();
            (sum(full), sum(tail))
        };
        let full = full.checked_mul(steps.lanes())?;
        full.checked_add(tail.checked_mul(steps.tail_lanes())?)
    }

    /// Adds the low bits to the bytes of the symbols.
    pub(crate) fn add(&self, level: Level, steps: Steps, of_step: &[u8], symbols: &mut [u8]) {
        if self.widths.is_empty() {
            return;
        }
        let mut widths = [0; 256];
        widths[..self.widths.len()].copy_from_slice(self.widths);
        let (mut step, mut at) = (0, 0);
        if steps.lanes() == LANES {
            step = steps.full();
            let (full, _) = symbols[..steps.full_symbols()].as_chunks_mut::<LANES>();
            add_full(level, self.packed, &widths, of_step, full, &mut at);
        }
        self.add_slowly(steps, of_step, step, 8 * at, &mut symbols[step * steps.lanes()..]);
    }

    /// Adds the low bits to the bytes of the steps of fewer lanes, which begin at bit `bit`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no other fused decoder"))]
    pub(crate) fn add_tail(&self, steps: Steps, of_step: &[u8], bit: usize, symbols: &mut [u8]) {
        if !self.widths.is_empty() {
            self.add_slowly(steps, of_step, steps.full(), bit, symbols);
        }
    }

    /// Field after field, from a step on, whose low bits begin at bit `bit`.
    fn add_slowly(
        &self,
        steps: Steps,
        of_step: &[u8],
        first: usize,
        mut bit: usize,
        symbols: &mut [u8],
    ) {
        let mut rest = symbols;
        for step in first..steps.count() {
            let width = self.width(of_step, step) as usize;
            let (now, later) = rest.split_at_mut(steps.lanes_of(step));
            for symbol in now {
                let low = u16::from(self.packed.get(bit / 8).copied().unwrap_or(0));
                let high = u16::from(self.packed.get(bit / 8 + 1).copied().unwrap_or(0));
                let field = (high << 8 | low) >> (bit % 8) & ((1 << width) - 1);
                *symbol = symbol.wrapping_add(field as u8);
                bit += width;
            }
            rest = later;
        }
    }
}

compiled_for_levels! {
    /// Adds low bits to full steps; moves `at` behind the bytes that they took.
    fn add_full[](
        packed: &[u8],
        widths: &[u8; 256],
        of_step: &[u8],
        steps: &mut [[u8; LANES]],
        at: &mut usize,
    )[] {
        for (number, symbols) in steps.iter_mut().enumerate() {
            let class = of_step.get(number).map_or(0, |&class| usize::from(class));
            let width = usize::from(widths[class]);
            if width == 0 {
                continue;
            }
            let rest = packed.get(*at..).unwrap_or_default();
            let mut padded = [0; 4 * 8 + 8];
            // Eight bytes are read at a time, of which up to seven are not used.
            let bytes = match rest.first_chunk::<40>() {
                Some(bytes) => bytes,
                None => {
                    let len = rest.len().min(4 * width);
                    padded[..len].copy_from_slice(&rest[..len]);
                    &padded
                }
            };
            // Four numbers of eight bytes at a time, which a compiler puts in vectors.
            let (mut fields, mut before) = ([0u64; 4], [0u64; 4]);
            for k in 0..4 {
                fields[k] = word(&bytes[k * width..]);
                before[k] = word(&symbols[8 * k..]);
            }
            for k in 0..4 {
                let fields = spread(fields[k], width as u32);
                // Byte by byte: no carry goes from one to the next.
                let sum = (before[k] & !HIGH) + (fields & !HIGH);
                before[k] = sum ^ ((before[k] ^ fields) & HIGH);
            }
            for k in 0..4 {
                symbols[8 * k..][..8].copy_from_slice(&before[k].to_le_bytes());
            }
            *at += 4 * width;
        }
    }
}

/// The first eight bytes as a number.
#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

/// The highest bit of every byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The lowest eight fields of `width` bits (at most 8), each in a byte of its own.
#[inline(always)]
fn spread(word: u64, width: u32) -> u64 {
    let mask = |bits: u32| u64::MAX >> (64 - bits);
    let quarter = mask(4 * width);
    let word = (word & quarter) | (word >> (4 * width) & quarter) << 32;
    let eighth = mask(2 * width) << 32 | mask(2 * width);
    let word = (word & eighth) | (word >> (2 * width) & eighth) << 16;
    let field = mask(width) * 0x0001_0001_0001_0001;
    (word & field) | (word >> width & field) << 8
}

/// The lowest `width` bits (at most 8) of eight bytes, one behind the other: inverse of [`spread`].
#[inline(always)]
fn join(bytes: u64, width: u32) -> u64 {
    let mask = |bits: u32| u64::MAX >> (64 - bits);
    let low = mask(width) * 0x0001_0001_0001_0001;
    let word = (bytes & low) | (bytes >> (8 - width) & low << width);
    let low = mask(2 * width) << 32 | mask(2 * width);
    let word = (word & low) | (word >> (16 - 2 * width) & low << (2 * width));
    let low = mask(4 * width);
    (word & low) | (word >> (32 - 4 * width) & low << (4 * width))
}

/// Packs the lowest bits of fields, which lie in the order of the steps, as [`LowBits`] has them; unused
/// bits of the last byte are zero.
///
/// # Panics
/// If a class has no width, or one above 8.
pub fn pack_low_bits(
    level: Level,
    steps: Steps,
    widths: &[u8],
    of_step: &[u8],
    fields: &[u8],
    out: &mut Vec<u8>,
) {
    let low = LowBits { widths, packed: &[] };
    assert!(of_step.iter().all(|&class| usize::from(class) < widths.len()), "a width for each");
    let bits = low.bits(level, steps, of_step).unwrap_or_else(|| unreachable!("fields exist"));
    let start = out.len();
    // Eight bytes are written at a time, of which up to seven do not count.
    out.resize(start + bits.div_ceil(8) + 8, 0);
    let (mut step, mut at) = (0, start);
    if steps.lanes() == LANES {
        step = steps.full();
        let mut by_class = [0; 256];
        by_class[..widths.len()].copy_from_slice(widths);
        let (full, _) = fields[..steps.full_symbols()].as_chunks();
        pack_full(level, &by_class, of_step, full, out, &mut at);
    }
    out.truncate(at);
    pack_slowly(&low, steps, of_step, step, fields, out);
}

compiled_for_levels! {
    /// Packs the low bits of full steps; moves `at` behind them.
    fn pack_full[](
        widths: &[u8; 256],
        of_step: &[u8],
        steps: &[[u8; LANES]],
        out: &mut [u8],
        at: &mut usize,
    )[] {
        for (number, fields) in steps.iter().enumerate() {
            let class = of_step.get(number).map_or(0, |&class| usize::from(class));
            let width = usize::from(widths[class]);
            if width == 0 {
                continue;
            }
            // Four numbers of eight bytes at a time, which a compiler puts in vectors.
            let mut words = [0u64; 4];
            for k in 0..4 {
                words[k] = join(word(&fields[8 * k..]), width as u32);
            }
            let out = &mut out[*at..][..3 * width + 8];
            for k in 0..4 {
                out[k * width..][..8].copy_from_slice(&words[k].to_le_bytes());
            }
            *at += 4 * width;
        }
    }
}

/// Field after field, from a step on.
fn pack_slowly(
    low: &LowBits<'_>,
    steps: Steps,
    of_step: &[u8],
    first: usize,
    fields: &[u8],
    out: &mut Vec<u8>,
) {
    let (mut word, mut held) = (0u64, 0);
    for (step, fields) in steps.chunks(fields).enumerate().skip(first) {
        let width = low.width(of_step, step);
        for &field in fields {
            word |= (u64::from(field) & ((1 << width) - 1)) << held;
            held += width;
            if held >= 8 {
                out.push(word as u8);
                word >>= 8;
                held -= 8;
            }
        }
    }
    if held > 0 {
        out.push(word as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scan;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn low_bits_come_back(rows in 1usize..70, cols in 1usize..70, column: bool, widths in prop::collection::vec(0u8..=8, 1..6), seed: u64) {
            let steps = Steps::of(if column { Scan::Column } else { Scan::Row }, rows, cols);
            let random = |i: usize| (seed | 1).wrapping_mul(i as u64 * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let of_step: Vec<u8> = (0..steps.count()).map(|s| (random(s) % widths.len() as u64) as u8).collect();
            let lanes = |step| if step < steps.full() { steps.lanes() } else { steps.tail_lanes() };
            let width_of: Vec<u8> = (0..steps.count()).flat_map(|s| vec![widths[usize::from(of_step[s])]; lanes(s)]).collect();
            let fields: Vec<u8> = (0..rows * cols).map(|i| random(i + 99) as u8).collect();
            let mut packed = Vec::new();
            pack_low_bits(Level::SCALAR, steps, &widths, &of_step, &fields, &mut packed);
            let low = LowBits { widths: &widths, packed: &packed };
            prop_assert_eq!(low.bits(Level::SCALAR, steps, &of_step).map(|bits| bits.div_ceil(8)), Some(packed.len()));
            let mask = |width: u8| ((1u16 << width) - 1) as u8;
            let high: Vec<u8> = fields.iter().zip(&width_of).map(|(f, &w)| f & !mask(w)).collect();
            for level in Level::available() {
                let mut again = vec![1];
                pack_low_bits(level, steps, &widths, &of_step, &fields, &mut again);
                prop_assert_eq!(&again[1..], &packed, "{:?}", level);
                let mut symbols = high.clone();
                low.add(level, steps, &of_step, &mut symbols);
                prop_assert_eq!(&symbols, &fields);
            }
        }
    }
}
