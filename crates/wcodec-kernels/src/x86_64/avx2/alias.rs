//! Decoding with the alias layout: what a table of up to 64 symbols says is looked up by shuffles of
//! 16 bytes.
//!
//! State `x` is kept as two numbers of 16 bits, `high = x >> 12` and `low`, whose lowest 12 bits are those of
//! `x`; bits above them mean nothing. Eight lanes lie in each half of a vector: lanes 0 to 7 and 16 to 23
//! in the first, 8 to 15 and 24 to 31 in the second, so that packing both gives the lanes in order, as
//! bytes, and unpacking bytes gives both. One step, with `b = slot / 64` the bucket and `t = slot % 64`
//! the place in it:
//!
//! 1. The slot belongs to the symbol of the bucket if `t < cut[b]`, otherwise to `alias[b]`; its
//!    position is `t` or `t + shift[b]`.
//! 2. `16 * frequency * high` has the highest bits of `frequency * high` from bit 16 on, the lowest twelve
//!    below. The position is added there, and its carry to the upper part.
//! 3. Lanes with `x >> 12 == 0` take the next words, in lane order: a shuffle for each eight lanes.

use super::{WINDOW, deal, padded};
use crate::drive::drive;
use crate::rans::{check_end, states};
use crate::slots::{SplitBytes, SplitTable};
use crate::{LANES, StreamError};
use std::arch::x86_64::*;

/// The lanes of one stream between two steps, whose tables have symbols in the first `QUARTERS` of 64.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'a, const QUARTERS: usize> {
    high: [__m256i; 2],
    low: [__m256i; 2],
    words: &'a [u8],
    /// Bytes of words taken; in a stream that is too short, more than it has.
    taken: usize,
}

/// The lane of a number of a vector.
fn lane(vector: usize, number: usize) -> usize {
    8 * vector + number + number / 8 * 8
}

/// An index with 16 taken off once more for each quarter: below zero, a shuffle gives zero.
#[derive(Clone, Copy)]
struct Indices([__m256i; 4]);

impl Indices {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(indices: __m256i) -> Indices {
        let less = |n| _mm256_sub_epi8(indices, _mm256_set1_epi8(n));
        Indices([indices, less(16), less(32), less(48)])
    }

    /// A byte for each index, all of which lie in the first `QUARTERS`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_up<const QUARTERS: usize>(self, table: &SplitBytes) -> __m256i {
        let mut found = _mm256_setzero_si256();
        for k in 0..QUARTERS {
            // SAFETY: a quarter has the 16 bytes that are read.
            let quarter = unsafe { _mm_loadu_si128(table[k].as_ptr().cast()) };
            let quarter = _mm256_broadcastsi128_si256(quarter);
            found = _mm256_xor_si256(found, _mm256_shuffle_epi8(quarter, self.0[k]));
        }
        found
    }

    /// A number of 16 bits for each index, in the order of the lanes of both vectors.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn numbers<const QUARTERS: usize>(self, [low, high]: &[SplitBytes; 2]) -> [__m256i; 2] {
        let (low, high) = (self.look_up::<QUARTERS>(low), self.look_up::<QUARTERS>(high));
        [_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)]
    }
}

/// The output bytes of ranks.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn bytes<const QUARTERS: usize>(table: &SplitTable, ranks: __m256i) -> __m256i {
    Indices::of(ranks).look_up::<QUARTERS>(&table.byte)
}

/// Two vectors of 16 bytes as one.
#[inline]
#[target_feature(enable = "avx2")]
fn join(low: __m128i, high: __m128i) -> __m256i {
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

impl<'a, const QUARTERS: usize> Lanes<'a, QUARTERS> {
    #[target_feature(enable = "avx2")]
    pub(super) fn new(stream: &'a [u8]) -> Result<Self, StreamError> {
        let (states, words) = states(stream, LANES)?;
        let load = |part: &dyn Fn(u32) -> u16, vector: usize| {
            let numbers: [u16; 16] = std::array::from_fn(|k| part(states[lane(vector, k)]));
            // SAFETY: 16 numbers of 16 bits are the 32 bytes that are read.
            unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
        };
        let high = std::array::from_fn(|vector| load(&|x| (x >> 12) as u16, vector));
        let low = std::array::from_fn(|vector| load(&|x| x as u16, vector));
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
        let shifts =
            [_mm256_unpacklo_epi8(shift[0], shift[1]), _mm256_unpackhi_epi8(shift[0], shift[1])];
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
            last = padded(self.words.get(self.taken..).unwrap_or_default());
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
    pub(super) fn end(&self) -> Result<(), StreamError> {
        let Some(left) = self.words.len().checked_sub(self.taken) else {
            return Err(StreamError::Truncated);
        };
        let mut states = [0; LANES];
        for vector in 0..2 {
            let (mut high, mut low) = ([0u16; 16], [0u16; 16]);
            // SAFETY: both arrays have the 32 bytes that are written.
            unsafe {
                _mm256_storeu_si256(high.as_mut_ptr().cast(), self.high[vector]);
                _mm256_storeu_si256(low.as_mut_ptr().cast(), self.low[vector]);
            }
            for (k, (high, low)) in high.into_iter().zip(low).enumerate() {
                states[lane(vector, k)] = u32::from(high) << 12 | u32::from(low & 0xfff);
            }
        }
        check_end(&states, left)
    }
}

/// All bits of the lanes of `active`.
#[target_feature(enable = "avx2")]
fn active_lanes(active: u32) -> [__m256i; 2] {
    let lanes = |vector: usize| {
        let mask: [u16; 16] =
            std::array::from_fn(|k| if active >> lane(vector, k) & 1 == 1 { u16::MAX } else { 0 });
        // SAFETY: 16 numbers of 16 bits are the 32 bytes that are read.
        unsafe { _mm256_loadu_si256(mask.as_ptr().cast()) }
    };
    [lanes(0), lanes(1)]
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
    generic: QUARTERS,
    table: SplitTable,
    of: |table| match table.split() {
        Some(split) => split,
        None => unreachable!("tables that do not fit registers are decoded elsewhere"),
    },
    symbols: __m256i
}
