//! Encoding: a step backwards in 32 lanes, as two vectors of 32-bit states.
//!
//! The quotient of the state's update is a product with a reciprocal that is a little too small;
//! it is right or one too small, which the remainder tells. Slots are looked up by a gather.
//! Words are written from the end of their space towards its beginning, those of a step in lane order.

use crate::rans::{EncodeSpace, SymbolsJob, append_stream};
use crate::slots::EncodeTable;
use crate::{LANES, STATE_MIN};
use std::arch::x86_64::*;

/// Lanes of a vector; a step has two.
const HALF: usize = LANES / 2;

/// The lanes of one stream between two steps.
struct Lanes<'a> {
    states: [__m512i; 2],
    words: &'a mut [u8],
    /// Where the words written so far begin.
    at: usize,
}

impl Lanes<'_> {
    /// Encodes the ranks of a step in the lanes of `active`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx512vl,bmi2,popcnt")]
    fn step<const NARROW: bool>(
        &mut self,
        table: &EncodeTable,
        ranks: &[u8; LANES],
        active: __mmask32,
    ) {
        let (halves, _) = ranks.as_chunks::<HALF>();
        let mut moved = [_mm512_setzero_si512(); 2];
        let mut emit = 0;
        for half in 0..2 {
            let state = self.states[half];
            // SAFETY: half the ranks are the 16 bytes that are read.
            let ranks = unsafe { _mm_loadu_si128(halves[half].as_ptr().cast()) };
            let ranks = _mm512_cvtepu8_epi32(ranks);
            let (frequency, base, reciprocal) = look_up::<NARROW>(table, ranks);
            let lanes = (active >> (HALF * half)) as __mmask16;
            let high = _mm512_srli_epi32::<16>(state);
            let full = _mm512_mask_cmpge_epu32_mask(lanes, high, frequency);
            emit |= u32::from(full) << (HALF * half);
            let state = _mm512_mask_mov_epi32(state, full, high);
            let estimate = _mm512_mul_ps(_mm512_cvtepu32_ps(state), reciprocal);
            let quotient = _mm512_cvttps_epu32(estimate);
            let rest = _mm512_sub_epi32(state, _mm512_mullo_epi32(quotient, frequency));
            let short = _mm512_cmpge_epu32_mask(rest, frequency);
            let rest = _mm512_mask_sub_epi32(rest, short, rest, frequency);
            let quotient = _mm512_mask_add_epi32(quotient, short, quotient, _mm512_set1_epi32(1));
            // Ranks outside the table (which the caller must not have) stay inside its slots.
            let index = _mm512_and_si512(_mm512_add_epi32(base, rest), _mm512_set1_epi32(0xfff));
            // SAFETY: the index is below 4,096, and the slots have one entry more than that, since
            // four bytes are read for each.
            let slot = unsafe { _mm512_i32gather_epi32::<2>(index, table.slots.as_ptr().cast()) };
            let slot = _mm512_and_si512(slot, _mm512_set1_epi32(0xffff));
            moved[half] = _mm512_mask_add_epi32(
                self.states[half],
                lanes,
                _mm512_slli_epi32::<12>(quotient),
                slot,
            );
        }
        // The lower halves of all states, in lane order.
        let even = _mm512_add_epi16(lane_numbers(), lane_numbers());
        let low = _mm512_permutex2var_epi16(self.states[0], even, self.states[1]);
        let count = emit.count_ones();
        self.at -= 2 * count as usize;
        let out = self.words[self.at..][..2 * count as usize].as_mut_ptr();
        let words = _mm512_maskz_compress_epi16(emit, low);
        // SAFETY: the mask has as many bits as there are words to write.
        unsafe { _mm512_mask_storeu_epi16(out.cast(), _bzhi_u32(u32::MAX, count), words) };
        self.states = moved;
    }
}

/// 0 to 31.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn lane_numbers() -> __m512i {
    const NUMBERS: [u16; LANES] = {
        let mut numbers = [0; LANES];
        let mut lane = 0;
        while lane < LANES {
            numbers[lane] = lane as u16;
            lane += 1;
        }
        numbers
    };
    // SAFETY: the numbers are the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) }
}

/// Frequency, base and reciprocal of 16 ranks. `NARROW` tables have at most 64 of them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn look_up<const NARROW: bool>(table: &EncodeTable, ranks: __m512i) -> (__m512i, __m512i, __m512) {
    let vector = &*table.vector;
    if NARROW {
        let low_words = 0x5555_5555;
        let number = |table: &[u16]| {
            let (table, _) = table.as_chunks::<32>();
            // SAFETY: 32 numbers of 16 bits are the 64 bytes that are read.
            let half = |k: usize| unsafe { _mm512_loadu_si512(table[k].as_ptr().cast()) };
            _mm512_maskz_permutex2var_epi16(low_words, half(0), ranks, half(1))
        };
        let (reciprocals, _) = vector.reciprocal.as_chunks::<16>();
        // SAFETY: 16 numbers of 32 bits are the 64 bytes that are read.
        let quarter = |k: usize| unsafe { _mm512_loadu_ps(reciprocals[k].as_ptr()) };
        let lower = _mm512_permutex2var_ps(quarter(0), ranks, quarter(1));
        let upper = _mm512_permutex2var_ps(quarter(2), ranks, quarter(3));
        let is_upper = _mm512_test_epi32_mask(ranks, _mm512_set1_epi32(32));
        let reciprocal = _mm512_mask_mov_ps(lower, is_upper, upper);
        return (number(&vector.frequency), number(&vector.base), reciprocal);
    }
    // SAFETY: ranks are bytes, and the table has 256 entries.
    let packed =
        unsafe { _mm512_i32gather_epi32::<4>(ranks, vector.frequency_and_base.as_ptr().cast()) };
    let frequency = _mm512_srli_epi32::<16>(packed);
    let base = _mm512_and_si512(packed, _mm512_set1_epi32(0xffff));
    // One step of Newton's method from an estimate good to 2^-14, which is cheaper than a second
    // gather: with `2 - 2^-20` for 2 it ends 2^-20 below, give or take 2^-23, on every processor.
    let divisor = _mm512_cvtepi32_ps(frequency);
    let estimate = _mm512_rcp14_ps(divisor);
    let two = _mm512_set1_ps(2.0 - 1.0 / 1_048_576.0);
    let reciprocal = _mm512_mul_ps(estimate, _mm512_fnmadd_ps(divisor, estimate, two));
    (frequency, base, reciprocal)
}

/// Encodes `N` streams of 32 lanes side by side.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx512vl,bmi2,popcnt")]
pub(super) fn encode_group<const N: usize, const NARROW: bool>(
    jobs: [&mut &mut SymbolsJob<'_>; N],
    space: &mut EncodeSpace,
) {
    let mut spaces = space.words(N).iter_mut();
    let mut lanes: [Lanes<'_>; N] = std::array::from_fn(|n| {
        let space = spaces.next();
        // Every symbol writes one word at most.
        let needed = 2 * jobs[n].ranks.len();
        let words = space.map_or(&mut [][..], |space| {
            if space.len() < needed {
                space.resize(needed, 0);
            }
            &mut space[..needed]
        });
        let start = _mm512_set1_epi32(STATE_MIN as i32);
        Lanes { states: [start, start], at: words.len(), words }
    });
    for (lanes, job) in lanes.iter_mut().zip(&jobs) {
        let tail = &job.ranks[job.steps.full_symbols()..];
        let width = job.steps.tail_lanes().max(1);
        let active = _bzhi_u32(u32::MAX, width as u32);
        for (step, symbols) in tail.chunks_exact(width).enumerate().rev() {
            let mut ranks = [0; LANES];
            ranks[..width].copy_from_slice(symbols);
            let table = job.classes.table(job.steps.full() + step);
            lanes.step::<NARROW>(table, &ranks, active);
        }
    }
    // The longer streams are ahead until as many steps are left of each.
    let common = jobs.iter().map(|job| job.steps.full()).min().unwrap_or(0);
    let one = |lanes: &mut Lanes<'_>, job: &SymbolsJob<'_>, step: usize| {
        let (steps, _) = job.ranks.as_chunks::<LANES>();
        lanes.step::<NARROW>(job.classes.table(step), &steps[step], u32::MAX);
    };
    for (lanes, job) in lanes.iter_mut().zip(&jobs) {
        (common..job.steps.full()).rev().for_each(|step| one(lanes, job, step));
    }
    for step in (0..common).rev() {
        for n in 0..N {
            one(&mut lanes[n], jobs[n], step);
        }
    }
    for (lanes, job) in lanes.into_iter().zip(jobs) {
        let mut states = [0u32; LANES];
        let (halves, _) = states.as_chunks_mut::<HALF>();
        for (half, state) in halves.iter_mut().zip(lanes.states) {
            // SAFETY: half the states have the 64 bytes that are written.
            unsafe { _mm512_storeu_si512(half.as_mut_ptr().cast(), state) };
        }
        append_stream(&states, &lanes.words[lanes.at..], job.out);
    }
}
