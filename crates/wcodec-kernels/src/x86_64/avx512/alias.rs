//! Decoding with the alias layout: a table of up to 64 symbols lies in vector registers.
//!
//! A vector holds the 32 lanes as 16-bit numbers. State `x` is kept as two of them, `high = x >> 12`
//! and `low`, of which the lowest 12 bits are those of `x`: the slot, and the product of the state's update
//! is one of 16 x 16 bits. Numbers of 16 bits are looked up byte by byte, with indices in both bytes of a lane: one
//! instruction for each byte; or with `NUMBERS` by one instruction that some processors take apart
//! ([`Level::looks_up_numbers`](crate::Level)). One step, with `b = slot / 64` the bucket and
//! `t = slot % 64` the place in it:
//!
//! 1. The slot belongs to the alias if `t >= cut[b]`: with `t` and `cut` in the highest six bits of a number
//!    this is one comparison, the bits below decide nothing.
//! 2. The symbol is `alias[b]` or `b`; the position `t + shift[b]` or `t`.
//! 3. `x = frequency[symbol] * high + position`: the lowest 12 bits of the product and the position are
//!    added, what they carry goes to the bits above.
//! 4. Lanes with `x >> 12 == 0` take the next words, in lane order: a load, expanded.

use crate::drive::drive;
use crate::rans::{check_end, states};
use crate::slots::AliasTable;
use crate::{LANES, StreamError};
use std::arch::x86_64::*;

/// Bytes of the most words that a step can take.
const WINDOW: usize = 2 * LANES;

/// Bytes to words that are fetched before they are needed.
const AHEAD: usize = 512;

/// The lanes of one stream between two steps.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'a, const NUMBERS: bool> {
    high: __m512i,
    low: __m512i,
    words: &'a [u8],
    /// Bytes of words taken; in a stream that is too short, more than it has.
    taken: usize,
}

/// Half `half` of the numbers of a table.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn half(table: &[u16; 64], half: usize) -> __m512i {
    let numbers = &table.as_chunks::<32>().0[half];
    // SAFETY: 32 numbers of 16 bits are the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// What moves the bucket of each of four lanes to the lowest bits of both of its bytes.
const BUCKET: i64 = 0x3636_2626_1616_0606;
/// The upper byte of each lane.
const UPPER_BYTES: __mmask64 = 0xaaaa_aaaa_aaaa_aaaa;

/// 64 bytes as a vector.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn vector(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: they are the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// A number for each of the `indices`, which are in the lowest six bits of both bytes of a lane: of its
/// lower and upper bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn two_bytes(bytes: &[[u8; 64]; 2], indices: __m512i) -> __m512i {
    let lower = _mm512_permutexvar_epi8(indices, vector(&bytes[0]));
    _mm512_mask_permutexvar_epi8(lower, UPPER_BYTES, indices, vector(&bytes[1]))
}

/// A number of `table` for each of the 16-bit `indices`, of which the lowest six bits count.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn look_up(table: &[u16; 64], indices: __m512i) -> __m512i {
    _mm512_permutex2var_epi16(half(table, 0), indices, half(table, 1))
}

/// What a step finds for its lanes.
struct Found {
    rank: __m512i,
    position: __m512i,
    frequency: __m512i,
}

/// Looks up bytes. Ranks are in both bytes of a lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2")]
fn by_bytes(table: &AliasTable, low: __m512i) -> Found {
    let bucket = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(BUCKET), low);
    // `t` in the highest six bits, ones below.
    let place = _mm512_shldi_epi16::<10>(low, _mm512_set1_epi16(-1));
    let cut = _mm512_permutexvar_epi8(bucket, vector(&table.cut));
    let aliased = _mm512_cmpge_epu16_mask(place, cut);
    let alias = _mm512_permutexvar_epi8(bucket, vector(&table.alias));
    let rank = _mm512_mask_mov_epi16(bucket, aliased, alias);
    let place = _mm512_and_si512(low, _mm512_set1_epi16(63));
    let shift = two_bytes(&table.shift, bucket);
    let position = _mm512_mask_add_epi16(place, aliased, place, shift);
    let frequency = two_bytes(&table.frequency, rank);
    Found { rank, position, frequency }
}

/// Looks up numbers of 16 bits. Ranks are in the lower bytes alone.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn by_numbers(table: &AliasTable, low: __m512i) -> Found {
    let bucket = _mm512_srli_epi16::<6>(low);
    // `t` in the highest six bits, ones below.
    let place = _mm512_or_si512(_mm512_slli_epi16::<10>(low), _mm512_set1_epi16(0x3ff));
    let cut_and_alias = look_up(&table.bucket_numbers, bucket);
    let aliased = _mm512_cmpge_epu16_mask(place, cut_and_alias);
    let rank = _mm512_mask_mov_epi16(bucket, aliased, cut_and_alias);
    let place = _mm512_and_si512(low, _mm512_set1_epi16(63));
    let shift = look_up(&table.shift_numbers, bucket);
    let position = _mm512_mask_add_epi16(place, aliased, place, shift);
    let frequency = look_up(&table.frequency_numbers, rank);
    Found { rank, position, frequency }
}

impl<'a, const NUMBERS: bool> Lanes<'a, NUMBERS> {
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new(stream: &'a [u8]) -> Result<Self, StreamError> {
        let (states, words) = states(stream, LANES)?;
        let high: [u16; LANES] = std::array::from_fn(|lane| (states[lane] >> 12) as u16);
        let low: [u16; LANES] = std::array::from_fn(|lane| states[lane] as u16);
        // SAFETY: both arrays have the 64 bytes that are read.
        let (high, low) = unsafe {
            (_mm512_loadu_si512(high.as_ptr().cast()), _mm512_loadu_si512(low.as_ptr().cast()))
        };
        Ok(Lanes { high, low, words, taken: 0 })
    }

    /// Steps that the rest of the words is enough for, whatever they take.
    #[inline(always)]
    pub(super) fn safe_steps(&self) -> usize {
        self.words.len().saturating_sub(self.taken) / WINDOW
    }

    /// The next words; zeros where there are no more.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi2")]
    fn last_words(&self) -> __m512i {
        let left = self.words.len().saturating_sub(self.taken) / 2;
        let mask = _bzhi_u32(u32::MAX, left.min(LANES) as u32);
        let start = self.words.as_ptr().wrapping_add(self.taken);
        // SAFETY: the mask leaves only words that lie in the stream to be read.
        unsafe { _mm512_maskz_loadu_epi16(mask, start.cast()) }
    }

    /// Decodes a symbol in each lane of `active`. Returns its rank in the lowest six bits of each 16-bit number;
    /// [`upper`] has it in the upper bytes. With `NEAR_END` the words may end, otherwise a whole window of them must
    /// be left.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
    pub(super) fn step<const NEAR_END: bool>(
        &mut self,
        table: &AliasTable,
        active: __mmask32,
    ) -> __m512i {
        let (low, high) = (self.low, self.high);
        let Found { rank, position, frequency } =
            if NUMBERS { by_numbers(table, low) } else { by_bytes(table, low) };
        let product_low = _mm512_mullo_epi16(frequency, high);
        let product_high =
            _mm512_shldi_epi16::<4>(_mm512_mulhi_epu16(frequency, high), product_low);
        let slot = _mm512_and_si512(product_low, _mm512_set1_epi16(0xfff));
        let sum_low = _mm512_add_epi16(slot, position);
        let moved = _mm512_add_epi16(product_high, _mm512_srli_epi16::<12>(sum_low));
        let mut short = _mm512_testn_epi16_mask(moved, moved);
        if NEAR_END {
            short &= active;
        }
        let words = if NEAR_END {
            self.last_words()
        } else {
            debug_assert!(self.safe_steps() > 0);
            let ahead = self.words.as_ptr().wrapping_add(self.taken + AHEAD);
            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            // SAFETY: the caller keeps a whole window of words in front of every step.
            unsafe { _mm512_loadu_si512(self.words.as_ptr().add(self.taken).cast()) }
        };
        self.taken += 2 * short.count_ones() as usize;
        let new_low = _mm512_mask_expand_epi16(sum_low, short, words);
        let new_high = _mm512_mask_shldi_epi16::<4>(moved, short, sum_low, new_low);
        if NEAR_END {
            self.low = _mm512_mask_mov_epi16(low, active, new_low);
            self.high = _mm512_mask_mov_epi16(high, active, new_high);
        } else {
            (self.low, self.high) = (new_low, new_high);
        }
        rank
    }

    /// The verdict behind the last step.
    #[target_feature(enable = "avx512f")]
    pub(super) fn end(&self) -> Result<(), StreamError> {
        let Some(left) = self.words.len().checked_sub(self.taken) else {
            return Err(StreamError::Truncated);
        };
        let (mut high, mut low) = ([0u16; LANES], [0u16; LANES]);
        // SAFETY: both arrays have the 64 bytes that are written.
        unsafe {
            _mm512_storeu_si512(high.as_mut_ptr().cast(), self.high);
            _mm512_storeu_si512(low.as_mut_ptr().cast(), self.low);
        }
        let state = |lane: usize| u32::from(high[lane]) << 12 | u32::from(low[lane] & 0xfff);
        check_end(&std::array::from_fn(state), left)
    }
}

/// Ranks of a step, in the lowest six bits of the upper bytes of 16-bit numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn upper<const NUMBERS: bool>(ranks: __m512i) -> __m512i {
    if NUMBERS { _mm512_slli_epi16::<8>(ranks) } else { ranks }
}

/// A byte of `table` for each of the ranks, in the lower halves of numbers; the upper ones mean nothing.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up_lower(table: &[u8; 64], ranks: __m512i) -> __m512i {
    _mm512_permutexvar_epi8(ranks, vector(table))
}

/// Writes the output bytes of the ranks of a step.
///
/// # Safety
/// 32 bytes must be writable at `out`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
unsafe fn store<const NUMBERS: bool>(out: *mut u8, table: &AliasTable, ranks: __m512i) {
    let bytes = _mm512_cvtepi16_epi8(look_up_lower(&table.byte, ranks));
    // SAFETY: the caller's promise.
    unsafe { _mm256_storeu_si256(out.cast(), bytes) };
}

drive! {
    features: "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt",
    generic: NUMBERS: bool,
    table: AliasTable,
    of: |table| match table.alias() {
        Some(alias) => alias,
        None => unreachable!("tables of more than 64 symbols are decoded elsewhere"),
    },
    symbols: __m512i
}
