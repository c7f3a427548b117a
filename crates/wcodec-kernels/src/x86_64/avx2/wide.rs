//! Tables of any size: slots are looked up by gathers.

use super::step::Stepper;
use super::{WINDOW, deal};
use crate::drive::drive;
use crate::padded::padded;
use crate::rans::{check_end, states};
use crate::slots::{Slot, TABLE_SIZE};
use crate::{DecodeTable, LANES, Steps, StreamError};
use std::arch::x86_64::*;
use std::ops::Range;

/// Lanes of a vector; a step has four.
const QUARTER: usize = 8;

type Slots = [Slot; TABLE_SIZE];

/// The lanes of one stream between two steps.
#[derive(Clone, Copy)]
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
        let last;
        let mut words = if NEAR_END {
            last = padded::<_, WINDOW>(self.words.get(self.taken..).unwrap_or_default());
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
            // SAFETY: at most 48 bytes of the window were taken, 16 are left.
            let next = unsafe { _mm_loadu_si128(words.cast()) };
            let dealt = _mm256_cvtepu16_epi32(_mm_shuffle_epi8(next, deal(pattern)));
            let places = _mm256_and_si256(short, _mm256_set1_epi32(16));
            let after = _mm256_or_si256(_mm256_sllv_epi32(moved, places), dealt);
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

/// The output bytes of the slots of a step.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes(slots: [__m256i; 4]) -> __m256i {
    let [a, b, c, d] = slots.map(|slot| _mm256_and_si256(slot, _mm256_set1_epi32(0xff)));
    let packed = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
    // Packing works in halves of a vector; this puts their parts in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_permutevar8x32_epi32(packed, order)
}

impl<'a> Stepper<'a> for Lanes<'a> {
    type Table = Slots;

    fn table(table: &DecodeTable) -> Option<&Slots> {
        Some(table.direct())
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
        table: impl Fn(usize, usize) -> &'t Slots,
        mut sink: impl FnMut(usize, usize, __m256i),
    ) {
        run(lanes, steps, table, |n, step, _, slots| sink(n, step, bytes(slots)));
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn tail<'t>(
        &mut self,
        steps: Steps,
        table: impl Fn(usize) -> &'t Slots,
        out: &mut [u8],
    ) {
        tail(self, steps, table, out);
    }

    #[target_feature(enable = "avx2,popcnt")]
    unsafe fn end(&self) -> Result<(), StreamError> {
        Lanes::end(self)
    }
}

/// Writes the output bytes of the slots of a step.
///
/// # Safety
/// 32 bytes must be writable at `out`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store(out: *mut u8, _table: &Slots, slots: [__m256i; 4]) {
    // SAFETY: the caller's promise.
    unsafe { _mm256_storeu_si256(out.cast(), bytes(slots)) };
}

drive! {
    features: "avx2,popcnt",
    table: Slots,
    of: |table| table.direct(),
    symbols: [__m256i; 4]
}
