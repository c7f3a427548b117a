//! Decoding with tables of more than 64 symbols: slots are looked up by gathers.

use crate::drive::drive;
use crate::rans::{check_end, states};
use crate::slots::{Slot, TABLE_SIZE};
use crate::{LANES, StreamError};
use std::arch::x86_64::*;

/// Lanes of a vector; a step has two.
const HALF: usize = LANES / 2;
/// Bytes of the most words that half a step can take.
const WINDOW: usize = 2 * HALF;

/// The lanes of one stream between two steps.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'a> {
    states: [__m512i; 2],
    words: &'a [u8],
    /// Bytes of words taken; in a stream that is too short, more than it has.
    taken: usize,
}

impl<'a> Lanes<'a> {
    #[target_feature(enable = "avx512f")]
    fn new(stream: &'a [u8]) -> Result<Lanes<'a>, StreamError> {
        let (states, words) = states(stream, LANES)?;
        let (halves, _) = states.as_chunks::<HALF>();
        // SAFETY: each half has the 64 bytes that are read.
        let load = |half: &[u32; HALF]| unsafe { _mm512_loadu_si512(half.as_ptr().cast()) };
        Ok(Lanes { states: [load(&halves[0]), load(&halves[1])], words, taken: 0 })
    }

    /// Steps that the rest of the words is enough for, whatever they take.
    #[inline(always)]
    fn safe_steps(&self) -> usize {
        self.words.len().saturating_sub(self.taken) / (2 * WINDOW)
    }

    /// Decodes a symbol in each lane of `active`, and returns its slot. With `NEAR_END` the words
    /// may end, otherwise a whole window of them must be left.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2,popcnt")]
    fn step<const NEAR_END: bool>(&mut self, table: &Slots, active: u32) -> [__m512i; 2] {
        let first = self.half_step::<NEAR_END>(0, table, active as __mmask16);
        [first, self.half_step::<NEAR_END>(1, table, (active >> HALF) as __mmask16)]
    }

    /// As [`Lanes::step`], for half of the lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2,popcnt")]
    fn half_step<const NEAR_END: bool>(
        &mut self,
        half: usize,
        table: &Slots,
        active: __mmask16,
    ) -> __m512i {
        let state = self.states[half];
        let low_bits = _mm512_set1_epi32(0xfff);
        let index = _mm512_and_si512(state, low_bits);
        // SAFETY: the indices are below the size of the table.
        let slot = unsafe { _mm512_i32gather_epi32::<4>(index, table.as_ptr().cast()) };
        let high = _mm512_srli_epi32::<12>(state);
        let position = _mm512_and_si512(_mm512_srli_epi32::<8>(slot), low_bits);
        let product = _mm512_mullo_epi32(_mm512_srli_epi32::<20>(slot), high);
        let moved = _mm512_add_epi32(_mm512_add_epi32(product, high), position);
        let mut short = _mm512_cmplt_epu32_mask(moved, _mm512_set1_epi32(4096));
        if NEAR_END {
            short &= active;
        }
        let words = if NEAR_END {
            let left = self.words.len().saturating_sub(self.taken) / 2;
            let mask = _bzhi_u32(0xffff, left.min(HALF) as u32) as __mmask16;
            let start = self.words.as_ptr().wrapping_add(self.taken);
            // SAFETY: the mask leaves only words that lie in the stream to be read.
            unsafe { _mm256_maskz_loadu_epi16(mask, start.cast()) }
        } else {
            debug_assert!(self.words.len() - self.taken >= WINDOW);
            // SAFETY: the caller keeps a window of words in front of each half of a step.
            unsafe { _mm256_loadu_si256(self.words.as_ptr().add(self.taken).cast()) }
        };
        self.taken += 2 * short.count_ones() as usize;
        let words = _mm512_maskz_expand_epi32(short, _mm512_cvtepu16_epi32(words));
        let next = _mm512_mask_or_epi32(moved, short, _mm512_slli_epi32::<16>(moved), words);
        self.states[half] =
            if NEAR_END { _mm512_mask_mov_epi32(state, active, next) } else { next };
        slot
    }

    /// The verdict behind the last step.
    #[target_feature(enable = "avx512f")]
    fn end(&self) -> Result<(), StreamError> {
        let Some(left) = self.words.len().checked_sub(self.taken) else {
            return Err(StreamError::Truncated);
        };
        let mut states = [0u32; LANES];
        let (halves, _) = states.as_chunks_mut::<HALF>();
        for (half, state) in halves.iter_mut().zip(self.states) {
            // SAFETY: half the states have the 64 bytes that are written.
            unsafe { _mm512_storeu_si512(half.as_mut_ptr().cast(), state) };
        }
        check_end(&states, left)
    }
}

type Slots = [Slot; TABLE_SIZE];

/// Writes the output bytes of the slots of a step.
///
/// # Safety
/// 32 bytes must be writable at `out`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store(out: *mut u8, _table: &Slots, slots: [__m512i; 2]) {
    // SAFETY: the caller's promise.
    unsafe {
        _mm_storeu_si128(out.cast(), _mm512_cvtepi32_epi8(slots[0]));
        _mm_storeu_si128(out.add(HALF).cast(), _mm512_cvtepi32_epi8(slots[1]));
    }
}

drive! {
    features: "avx512f,avx512bw,avx512vl,bmi2,popcnt",
    table: Slots,
    of: |table| table.direct(),
    symbols: [__m512i; 2]
}
