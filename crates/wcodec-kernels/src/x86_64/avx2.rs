//! AVX2: slots are looked up by gathers, words dealt to lanes by a permutation for each of the 256
//! patterns of eight lanes.

use crate::drive::{decode_jobs, drive, in_groups};
use crate::level::Set;
use crate::rans::{StreamJob, check_end, states};
use crate::slots::{Slot, TABLE_SIZE};
use crate::{LANES, Level, StreamError};
use std::arch::x86_64::*;

/// Lanes of a vector; a step has four.
const QUARTER: usize = 8;
/// Bytes of the most words that a step can take.
const WINDOW: usize = 2 * LANES;
/// Streams decoded side by side: eight vectors of states fill the registers.
const SIDE_BY_SIDE: usize = 2;

/// For each pattern of lanes that need a word: which word each lane takes.
static DEALS: [[u8; QUARTER]; 256] = {
    let mut deals = [[0; QUARTER]; 256];
    let mut pattern = 0;
    while pattern < 256 {
        let (mut lane, mut word) = (0, 0);
        while lane < QUARTER {
            deals[pattern][lane] = word;
            word += (pattern >> lane & 1) as u8;
            lane += 1;
        }
        pattern += 1;
    }
    deals
};

type Slots = [Slot; TABLE_SIZE];

/// Twin of [`crate::decode`].
pub(crate) fn decode(level: Level, jobs: &mut [StreamJob<'_>]) -> Vec<Result<(), StreamError>> {
    assert!(level.set() >= Set::Avx2);
    decode_jobs(
        jobs,
        |_| true,
        |mut whole| {
            in_groups::<SIDE_BY_SIDE, _>(&mut whole, |group| {
                // SAFETY: the level says that the processor has the instructions.
                unsafe {
                    match group {
                        [a, b] => decode_group([a, b]),
                        _ => group.iter_mut().for_each(|job| decode_group([job])),
                    }
                }
            });
        },
    )
}

/// The lanes of one stream between two steps.
pub(super) struct Lanes<'a> {
    states: [__m256i; 4],
    words: &'a [u8],
    /// Bytes of words taken; in a stream that is too short, more than it has.
    taken: usize,
}

impl<'a> Lanes<'a> {
    #[target_feature(enable = "avx2")]
    fn new(stream: &'a [u8]) -> Result<Lanes<'a>, StreamError> {
        let (states, words) = states(stream, LANES)?;
        let (quarters, _) = states.as_chunks::<QUARTER>();
        // SAFETY: each quarter has the 32 bytes that are read.
        let load = |k: usize| unsafe { _mm256_loadu_si256(quarters[k].as_ptr().cast()) };
        Ok(Lanes { states: std::array::from_fn(load), words, taken: 0 })
    }

    /// Steps that the rest of the words is enough for, whatever they take.
    #[inline(always)]
    fn safe_steps(&self) -> usize {
        self.words.len().saturating_sub(self.taken) / WINDOW
    }

    /// Decodes a symbol in each lane of `active`, and returns its slot. With `NEAR_END` the words
    /// may end, otherwise a whole window of them must be left.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn step<const NEAR_END: bool>(&mut self, table: &Slots, active: u32) -> [__m256i; 4] {
        let mut last = [0u8; WINDOW];
        let mut words = if NEAR_END {
            let left = self.words.get(self.taken..).unwrap_or_default();
            let count = left.len().min(WINDOW);
            last[..count].copy_from_slice(&left[..count]);
            last.as_ptr()
        } else {
            debug_assert!(self.safe_steps() > 0);
            self.words.as_ptr().wrapping_add(self.taken)
        };
        let low_bits = _mm256_set1_epi32(0xfff);
        let mut slots = [_mm256_setzero_si256(); 4];
        for (quarter, (slot, state)) in slots.iter_mut().zip(&mut self.states).enumerate() {
            let before = *state;
            let index = _mm256_and_si256(before, low_bits);
            // SAFETY: the indices are below the size of the table.
            *slot = unsafe { _mm256_i32gather_epi32::<4>(table.as_ptr().cast(), index) };
            let high = _mm256_srli_epi32::<12>(before);
            let position = _mm256_and_si256(_mm256_srli_epi32::<8>(*slot), low_bits);
            let product = _mm256_mullo_epi32(_mm256_srli_epi32::<20>(*slot), high);
            let moved = _mm256_add_epi32(_mm256_add_epi32(product, high), position);
            let mut short = _mm256_cmpgt_epi32(_mm256_set1_epi32(4096), moved);
            let mut still = _mm256_setzero_si256();
            if NEAR_END {
                let bits = _mm256_set1_epi32((active >> (QUARTER * quarter) & 0xff) as i32);
                let lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
                still = _mm256_cmpeq_epi32(_mm256_and_si256(bits, lane), _mm256_setzero_si256());
                short = _mm256_andnot_si256(still, short);
            }
            let pattern = _mm256_movemask_ps(_mm256_castsi256_ps(short)) as u8;
            // SAFETY: at most 48 bytes of the window were taken, 16 are left; a row of the deals
            // has 8 bytes.
            let (next, deal) = unsafe {
                let deal = DEALS[usize::from(pattern)].as_ptr();
                (_mm_loadu_si128(words.cast()), _mm_loadl_epi64(deal.cast()))
            };
            let dealt = _mm256_permutevar8x32_epi32(
                _mm256_cvtepu16_epi32(next),
                _mm256_cvtepu8_epi32(deal),
            );
            let filled = _mm256_or_si256(_mm256_slli_epi32::<16>(moved), dealt);
            let after = _mm256_blendv_epi8(moved, filled, short);
            *state = if NEAR_END { _mm256_blendv_epi8(after, before, still) } else { after };
            let bytes = 2 * pattern.count_ones() as usize;
            words = words.wrapping_add(bytes);
            self.taken += bytes;
        }
        slots
    }

    /// The verdict behind the last step.
    #[target_feature(enable = "avx2")]
    fn end(&self) -> Result<(), StreamError> {
        let Some(left) = self.words.len().checked_sub(self.taken) else {
            return Err(StreamError::Truncated);
        };
        let mut states = [0u32; LANES];
        let (quarters, _) = states.as_chunks_mut::<QUARTER>();
        for (quarter, state) in quarters.iter_mut().zip(self.states) {
            // SAFETY: a quarter of the states has the 32 bytes that are written.
            unsafe { _mm256_storeu_si256(quarter.as_mut_ptr().cast(), state) };
        }
        check_end(&states, left)
    }
}

/// Writes the output bytes of the slots of a step.
///
/// # Safety
/// 32 bytes must be writable at `out`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store(out: *mut u8, _table: &Slots, slots: [__m256i; 4]) {
    let [a, b, c, d] = slots.map(|slot| _mm256_and_si256(slot, _mm256_set1_epi32(0xff)));
    let packed = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
    // Packing works in halves of a vector; this puts their parts in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    // SAFETY: the caller's promise.
    unsafe { _mm256_storeu_si256(out.cast(), _mm256_permutevar8x32_epi32(packed, order)) };
}

drive! {
    features: "avx2,popcnt",
    table: Slots,
    of: |table| table.direct(),
    symbols: [__m256i; 4]
}
