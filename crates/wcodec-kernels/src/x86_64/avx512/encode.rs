//! Encoding: a step backwards in 32 lanes, as 16-bit numbers.
//!
//! State `x` is kept as `high = x >> 16` and `low = x & 0xffff`. Lanes lie in the vectors backwards and
//! words are written forwards: the whole is turned round at the end. One step:
//!
//! 1. Lanes with `high >= frequency` write `low`, which a compression packs, and keep `high`.
//! 2. Quotient and remainder by the frequency, see the kinds of step.
//! 3. The slot of the symbol's position that the remainder is: `x = quotient << 12 | slot`.
//!
//! The kinds differ in their tables: [`alias`] for up to 64 symbols, [`wide`] for more.

mod alias;
mod wide;

use crate::rans::{Classes, EncodeSpace, SymbolsJob, append_backwards};
use crate::{EncodeTable, LANES, STATE_MIN};
use std::arch::x86_64::*;

/// Bytes of the most words that a step can write.
const WINDOW: usize = 2 * LANES;
/// The lower byte of each lane.
const EVEN_BYTES: __mmask64 = 0x5555_5555_5555_5555;
/// The upper half of each 32 bits.
const ODD_LANES: __mmask32 = 0xaaaa_aaaa;

/// How a step finds quotients and slots.
pub(super) trait Step {
    /// What it looks up.
    type Table;

    /// The table of this kind.
    fn table(table: &EncodeTable) -> &Self::Table;

    /// Encodes the ranks of a step in the lanes of `active`, the lowest bit of which is that of lane 31.
    ///
    /// # Safety
    /// The processor must have the instructions of [`encode_group`].
    unsafe fn step(lanes: &mut Lanes<'_>, table: &Self::Table, ranks: &[u8; LANES], active: u32);
}

/// Up to 64 symbols.
pub(super) struct Alias;
/// Any number of symbols; those of the alias layout are not coded so.
pub(super) struct Wide;

/// The lanes of one stream between two steps, lane 31 first.
pub(super) struct Lanes<'a> {
    low: __m512i,
    high: __m512i,
    /// Words in the order in which they were written.
    words: &'a mut [u8],
    /// Bytes of them so far.
    written: usize,
}

impl<'a> Lanes<'a> {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(space: &'a mut Vec<u8>, symbols: usize) -> Lanes<'a> {
        // Every symbol writes one word at most, and every step a window, of which the next one goes on
        // behind the words.
        let needed = 2 * symbols + WINDOW;
        if space.len() < needed {
            space.resize(needed, 0);
        }
        let low = _mm512_set1_epi16(STATE_MIN as i16);
        Lanes { low, high: _mm512_setzero_si512(), words: space, written: 0 }
    }

    /// Writes the words of lanes that would leave their range with these frequencies; returns the states
    /// without them, upper and lower half.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn emit(&mut self, frequency: __m512i, active: u32) -> (__m512i, __m512i) {
        let emit = _mm512_mask_cmpge_epu16_mask(active, self.high, frequency);
        let words = _mm512_maskz_compress_epi16(emit, self.low);
        let window = &mut self.words[self.written..][..WINDOW];
        // SAFETY: the window has the 64 bytes that are written.
        unsafe { _mm512_storeu_si512(window.as_mut_ptr().cast(), words) };
        self.written += 2 * emit.count_ones() as usize;
        let low = _mm512_mask_mov_epi16(self.low, emit, self.high);
        (_mm512_mask_sub_epi16(self.high, emit, self.high, self.high), low)
    }

    /// Sets the lanes of `active` to `quotient << 12 | slot`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn set(&mut self, quotient: __m512i, slot: __m512i, active: u32) {
        let low = _mm512_or_si512(_mm512_slli_epi16::<12>(quotient), slot);
        let high = _mm512_srli_epi16::<4>(quotient);
        if active == u32::MAX {
            (self.low, self.high) = (low, high);
        } else {
            self.low = _mm512_mask_mov_epi16(self.low, active, low);
            self.high = _mm512_mask_mov_epi16(self.high, active, high);
        }
    }

    /// The states in the order of the lanes.
    #[target_feature(enable = "avx512f")]
    fn states(&self) -> [u32; LANES] {
        let (mut low, mut high) = ([0u16; LANES], [0u16; LANES]);
        // SAFETY: both arrays have the 64 bytes that are written.
        unsafe {
            _mm512_storeu_si512(low.as_mut_ptr().cast(), self.low);
            _mm512_storeu_si512(high.as_mut_ptr().cast(), self.high);
        }
        std::array::from_fn(|lane| {
            let at = LANES - 1 - lane;
            u32::from(high[at]) << 16 | u32::from(low[at])
        })
    }
}

/// 64 bytes as a vector.
#[inline]
#[target_feature(enable = "avx512f")]
fn vector<T: Copy, const N: usize>(numbers: &[T; N]) -> __m512i {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: the numbers are the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// The ranks of a step, lane 31 first, that of lane `PLACES[k]` in byte `k`.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi")]
fn ranks_at(places: &[u8; 64], ranks: &[u8; LANES]) -> __m512i {
    // SAFETY: the ranks are the 32 bytes that are read.
    let ranks = unsafe { _mm256_loadu_si256(ranks.as_ptr().cast()) };
    _mm512_permutexvar_epi8(vector(places), _mm512_castsi256_si512(ranks))
}

/// Encodes `N` streams of 32 lanes side by side.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
pub(super) fn encode_group<const N: usize, S: Step>(
    jobs: [&mut &mut SymbolsJob<'_>; N],
    space: &mut EncodeSpace,
) {
    const { assert!(N <= 4) };
    let tables: [Vec<&S::Table>; N] =
        std::array::from_fn(|n| jobs[n].classes.tables().map(S::table).collect());
    let classes: [Classes<'_, S::Table>; N] =
        std::array::from_fn(|n| Classes::per_step(&tables[n], jobs[n].classes.of_step()));
    let mut spaces = space.words(N).iter_mut();
    let mut lanes: [Lanes<'_>; N] = std::array::from_fn(|n| match spaces.next() {
        Some(space) => Lanes::new(space, jobs[n].ranks.len()),
        None => unreachable!("a space for each stream"),
    });
    let steps: [&[[u8; LANES]]; N] = std::array::from_fn(|n| {
        let full = &jobs[n].ranks[..jobs[n].steps.full_symbols()];
        full.as_chunks().0
    });
    // The longer streams are ahead until as many steps are left of each.
    let common = steps.iter().map(|steps| steps.len()).min().unwrap_or(0);
    for n in 0..N {
        let (lanes, job) = (&mut lanes[n], &jobs[n]);
        let tail = &job.ranks[job.steps.full_symbols()..];
        let width = job.steps.tail_lanes().max(1);
        let active = u32::MAX << (LANES - width);
        for (step, symbols) in tail.chunks_exact(width).enumerate().rev() {
            let mut ranks = [0; LANES];
            ranks[..width].copy_from_slice(symbols);
            let table = classes[n].table(steps[n].len() + step);
            // SAFETY: this function has the same instructions.
            unsafe { S::step(lanes, table, &ranks, active) };
        }
        for (step, ranks) in steps[n].iter().enumerate().skip(common).rev() {
            // SAFETY: as above.
            unsafe { S::step(lanes, classes[n].table(step), ranks, u32::MAX) };
        }
    }
    for step in (0..common).rev() {
        // Written out for each stream: states must stay in registers.
        macro_rules! step_of {
            ($n:literal) => {
                if $n < N {
                    let table = classes[$n].table(step);
                    // SAFETY: as above.
                    unsafe { S::step(&mut lanes[$n], table, &steps[$n][step], u32::MAX) };
                }
            };
        }
        step_of!(0);
        step_of!(1);
        step_of!(2);
        step_of!(3);
    }
    for (lanes, job) in lanes.into_iter().zip(jobs) {
        append_backwards(&lanes.states(), &lanes.words[..lanes.written], job.out);
    }
}
