//! Decoding with the alias layout: what a table of up to 64 symbols says is looked up by shuffles of
//! 16 bytes.
//!
//! State `x` is kept as two numbers of 16 bits, `high = x >> 12` and `low`, whose lowest 12 bits are those of
//! `x`; bits above them mean nothing. One step, with `b = slot / 64` the bucket and `t = slot % 64` the
//! place in it:
//!
//! 1. The slot belongs to the symbol of the bucket if `t < cut[b]`, otherwise to `alias[b]`; its
//!    position is `t` or `t + shift[b]`.
//! 2. `16 * frequency * high` has the highest bits of `frequency * high` from bit 16 on, the lowest twelve
//!    below. The position is added there, and its carry to the upper part.
//! 3. Lanes with `x >> 12 == 0` take the next words, in lane order: a shuffle for each eight lanes.

use super::lookup::{Indices, active_lanes, in_lanes, join, of_lanes, unpack};
use super::step::Stepper;
use super::{WINDOW, deal};
use crate::drive::drive;
use crate::padded::padded;
use crate::rans::{check_end, states};
use crate::slots::SplitTable;
use crate::{DecodeTable, LANES, Steps, StreamError};
use std::arch::x86_64::*;
use std::ops::Range;

/// The lanes of one stream between two steps, whose tables have symbols in the first `QUARTERS` of 64.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'a, const QUARTERS: usize> {
    high: [__m256i; 2],
    low: [__m256i; 2],
    words: &'a [u8],
    /// Bytes of words taken; in a stream that is too short, more than it has.
    taken: usize,
}

/// The output bytes of ranks.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes<const QUARTERS: usize>(table: &SplitTable, ranks: __m256i) -> __m256i {
    Indices::of(ranks).look_up::<QUARTERS>(&table.byte)
}

impl<'a, const QUARTERS: usize> Lanes<'a, QUARTERS> {
    #[target_feature(enable = "avx2")]
    fn new(stream: &'a [u8]) -> Result<Self, StreamError> {
        let (states, words) = states(stream, LANES)?;
        let high = in_lanes(|lane| (states[lane] >> 12) as u16);
        let low = in_lanes(|lane| states[lane] as u16);
        Ok(Lanes { high, low, words, taken: 0 })
    }

    /// Steps that the rest of the words is enough for, whatever they take.
    #[inline(always)]
    fn safe_steps(&self) -> usize {
        self.words.len().saturating_sub(self.taken) / WINDOW
    }

    /// Decodes a symbol in each lane of `active`, and returns its rank, a byte. With `NEAR_END` the
    /// words may end, otherwise a whole window of them must be left.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn step<const NEAR_END: bool>(&mut self, table: &SplitTable, active: u32) -> __m256i {
        let (low, high) = (self.low, self.high);
        let six_bits = _mm256_set1_epi16(63);
        let places = low.map(|low| _mm256_and_si256(low, six_bits));
        let buckets = low.map(|low| _mm256_and_si256(_mm256_srli_epi16::<6>(low), six_bits));
        let place = _mm256_packus_epi16(places[0], places[1]);
        let bucket = _mm256_packus_epi16(buckets[0], buckets[1]);
        let at = Indices::of(bucket);
        let own = _mm256_cmpgt_epi8(at.look_up::<4>(&table.cut), place);
        let other = _mm256_andnot_si256(own, at.look_up::<4>(&table.alias));
        let rank = _mm256_xor_si256(bucket, other);
        let shift = [0, 1].map(|k| _mm256_andnot_si256(own, at.look_up::<4>(&table.shift[k])));
        let shifts = unpack(shift);
        let frequencies = Indices::of(rank).numbers::<QUARTERS>(&table.frequency);

        let (mut sums, mut moved, mut short) = (low, high, high);
        for k in 0..2 {
            let position = _mm256_add_epi16(places[k], shifts[k]);
            let product = _mm256_mullo_epi16(frequencies[k], high[k]);
            sums[k] = _mm256_add_epi16(_mm256_srli_epi16::<4>(product), position);
            let carry = _mm256_srli_epi16::<12>(sums[k]);
            moved[k] = _mm256_add_epi16(_mm256_mulhi_epu16(frequencies[k], high[k]), carry);
            short[k] = _mm256_cmpeq_epi16(moved[k], _mm256_setzero_si256());
        }
        let mut pattern = _mm256_movemask_epi8(_mm256_packs_epi16(short[0], short[1])) as u32;
        if NEAR_END {
            pattern &= active;
            let active = active_lanes(active);
            short = [0, 1].map(|k| _mm256_and_si256(short[k], active[k]));
        }
        let words = self.deal::<NEAR_END>(pattern);
        for k in 0..2 {
            let new_low = _mm256_or_si256(_mm256_andnot_si256(short[k], sums[k]), words[k]);
            let taken = _mm256_and_si256(short[k], _mm256_slli_epi16::<4>(sums[k]));
            let taken = _mm256_or_si256(taken, _mm256_srli_epi16::<12>(words[k]));
            let new_high = _mm256_or_si256(moved[k], taken);
            (self.low[k], self.high[k]) = (new_low, new_high);
        }
        if NEAR_END {
            let active = active_lanes(active);
            for k in 0..2 {
                self.low[k] = _mm256_blendv_epi8(low[k], self.low[k], active[k]);
                self.high[k] = _mm256_blendv_epi8(high[k], self.high[k], active[k]);
            }
        }
        rank
    }

    /// Takes words for the lanes of `pattern`; the others get zero.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn deal<const NEAR_END: bool>(&mut self, pattern: u32) -> [__m256i; 2] {
        let last;
        let words = if NEAR_END {
            last = padded::<_, WINDOW>(self.words.get(self.taken..).unwrap_or_default());
            last.as_ptr()
        } else {
            debug_assert!(self.safe_steps() > 0);
            self.words.as_ptr().wrapping_add(self.taken)
        };
        self.taken += 2 * pattern.count_ones() as usize;
        let eight = |k: u32| {
            let before = (pattern & ((1u32 << (8 * k)) - 1)).count_ones() as usize;
            // SAFETY: the window has 64 bytes, and the lanes before these take at most 16 for each eight.
            let words = unsafe { _mm_loadu_si128(words.wrapping_add(2 * before).cast()) };
            (words, deal((pattern >> (8 * k)) as u8))
        };
        let two = |a: u32, b: u32| {
            let ((low, low_deal), (high, high_deal)) = (eight(a), eight(b));
            _mm256_shuffle_epi8(join(low, high), join(low_deal, high_deal))
        };
        [two(0, 2), two(1, 3)]
    }

    /// The verdict behind the last step.
    #[target_feature(enable = "avx2")]
    fn end(&self) -> Result<(), StreamError> {
        let Some(left) = self.words.len().checked_sub(self.taken) else {
            return Err(StreamError::Truncated);
        };
        let (high, low) = (of_lanes(self.high), of_lanes(self.low));
        let state = |lane: usize| u32::from(high[lane]) << 12 | u32::from(low[lane] & 0xfff);
        check_end(&std::array::from_fn(state), left)
    }
}

impl<'a, const QUARTERS: usize> Stepper<'a> for Lanes<'a, QUARTERS> {
    type Table = SplitTable;

    fn table(table: &DecodeTable) -> Option<&SplitTable> {
        table.split().filter(|split| split.quarters() <= QUARTERS)
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn begin(stream: &'a [u8]) -> Result<Self, StreamError> {
        Lanes::new(stream)
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn run<'t, const N: usize>(
        lanes: &mut [Self; N],
        steps: Range<usize>,
        table: impl Fn(usize, usize) -> &'t SplitTable,
        mut sink: impl FnMut(usize, usize, __m256i),
    ) {
        run(lanes, steps, table, |n, step, table, ranks| {
            sink(n, step, bytes::<QUARTERS>(table, ranks));
        });
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn tail<'t>(
        &mut self,
        steps: Steps,
        table: impl Fn(usize) -> &'t SplitTable,
        out: &mut [u8],
    ) {
        tail(self, steps, table, out);
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn end(&self) -> Result<(), StreamError> {
        Lanes::end(self)
    }
}

/// Writes the output bytes of the ranks of a step.
///
/// # Safety
/// 32 bytes must be writable at `out`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store<const QUARTERS: usize>(out: *mut u8, table: &SplitTable, ranks: __m256i) {
    // SAFETY: the caller's promise.
    unsafe { _mm256_storeu_si256(out.cast(), bytes::<QUARTERS>(table, ranks)) };
}

drive! {
    features: "avx2,popcnt",
    generic: QUARTERS: usize,
    table: SplitTable,
    of: |table| match table.split() {
        Some(split) => split,
        None => unreachable!("tables that do not fit registers are decoded elsewhere"),
    },
    symbols: __m256i
}
