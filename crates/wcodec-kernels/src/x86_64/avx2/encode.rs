//! Encoding with tables of up to 64 symbols: a step backwards in 32 lanes, as 16-bit numbers.
//!
//! State `x` is kept as `high = x >> 16` and `low = x & 0xffff`; lanes lie as in [`super::lookup`]. One
//! step:
//!
//! 1. Lanes with `high >= frequency` write `low`, and keep `high`. The words of eight lanes are moved to
//!    the end of a vector, which goes in front of the words that are there.
//! 2. The quotient by the frequency `f`, `2^(bits - 1) < f <= 2^bits`: `x >> bits` fits 16 bits, and half
//!    of the quotient is the upper half of its product with `floor(2^(15 + bits) / f)`, or up to two less.
//!    What is left is below `6 f`, and a second product divides that exactly.
//! 3. The slot of the position that the remainder is, from a table in memory: loads one by one, as
//!    gathers are slow on many processors. `x = quotient << 12 | slot`.

use super::lookup::{Indices, active_lanes, join, load, of_lanes, unpack};
use crate::rans::{Classes, EncodeSpace, SymbolsJob, append_stream};
use crate::slots::TABLE_SIZE;
use crate::{EncodeTable, LANES, STATE_MIN, encode_table::SplitEncodeTable};
use std::arch::x86_64::*;

/// Bytes in front of the words that a step may write: those of all lanes, and a vector's that do not count.
const WINDOW: usize = 2 * LANES + 16;

/// For each pattern of eight lanes that write a word: the bytes of their words, at the end.
#[repr(C, align(64))]
struct Packs([[u8; 16]; 256]);

static PACKS: Packs = Packs({
    let mut packs = [[0x80; 16]; 256];
    let mut pattern = 0usize;
    while pattern < 256 {
        let (mut lane, mut byte) = (0, 16 - 2 * pattern.count_ones() as usize);
        while lane < 8 {
            if pattern >> lane & 1 == 1 {
                packs[pattern][byte] = 2 * lane as u8;
                packs[pattern][byte + 1] = 2 * lane as u8 + 1;
                byte += 2;
            }
            lane += 1;
        }
        pattern += 1;
    }
    packs
});

/// Lower and upper bytes of `2^(exponent - bits)`, by `bits`; 0 if that exceeds 16 bits.
const fn powers(exponent: u32) -> [[u8; 16]; 2] {
    let mut bytes = [[0; 16]; 2];
    let mut bits = 0;
    while bits <= 12 {
        let [low, high, ..] = (1u32 << (exponent - bits)).to_le_bytes();
        bytes[0][bits as usize] = low;
        bytes[1][bits as usize] = high;
        bits += 1;
    }
    bytes
}

const POWERS_16: [[u8; 16]; 2] = powers(16);
const POWERS_12: [[u8; 16]; 2] = powers(12);

/// A power for each number of bits.
#[inline]
#[target_feature(enable = "avx2")]
fn power(powers: &[[u8; 16]; 2], bits: __m256i) -> [__m256i; 2] {
    unpack([0, 1].map(|half| {
        // SAFETY: 16 bytes are read.
        let table = unsafe { _mm_loadu_si128(powers[half].as_ptr().cast()) };
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), bits)
    }))
}

/// The same numbers, of which the compiler does not know where they come from: it would make one
/// multiplication to 32 bits, dearer, of that to the upper half and the doubling.
#[inline]
#[target_feature(enable = "avx2")]
fn opaque(mut numbers: __m256i) -> __m256i {
    // SAFETY: there are no instructions.
    unsafe {
        std::arch::asm!("/* {0} */", inout(ymm_reg) numbers, options(pure, nomem, nostack, preserves_flags));
    }
    numbers
}

/// The lanes of one stream between two steps.
pub(super) struct Lanes<'a> {
    low: [__m256i; 2],
    high: [__m256i; 2],
    /// Words, from byte `free` on.
    words: &'a mut [u8],
    free: usize,
}

impl<'a> Lanes<'a> {
    #[target_feature(enable = "avx2")]
    fn new(space: &'a mut Vec<u8>, symbols: usize) -> Lanes<'a> {
        // Every symbol writes one word at most.
        let needed = 2 * symbols + WINDOW;
        if space.len() < needed {
            space.resize(needed, 0);
        }
        let low = [_mm256_set1_epi16(STATE_MIN as i16); 2];
        Lanes { low, high: [_mm256_setzero_si256(); 2], words: &mut space[..needed], free: needed }
    }

    /// Encodes the ranks of a step in the lanes of `active`, which with `WHOLE` are all. Always inlined: states
    /// must stay in registers, and streams overlap.
    ///
    /// # Safety
    /// The caller must be compiled for AVX2 and POPCNT.
    #[inline(always)]
    unsafe fn step<const QUARTERS: usize, const WHOLE: bool>(
        &mut self,
        table: &SplitEncodeTable,
        ranks: &[u8; LANES],
        active: u32,
    ) {
        // SAFETY: the processor has the instructions, as the caller promises.
        unsafe {
            let at = Indices::of(load(ranks));
            let frequency = at.numbers::<QUARTERS>(&table.frequency);
            let reciprocal = at.numbers::<QUARTERS>(&table.reciprocal);
            let base = at.numbers::<QUARTERS>(&table.base);
            let bits = at.look_up::<QUARTERS>(&table.bits);
            let (to_16, to_12) = (power(&POWERS_16, bits), power(&POWERS_12, bits));

            // No closures: they would be compiled without the instructions.
            let mut emit = [_mm256_setzero_si256(); 2];
            for k in 0..2 {
                let high = self.high[k];
                emit[k] = _mm256_cmpeq_epi16(_mm256_max_epu16(high, frequency[k]), high);
                if !WHOLE {
                    emit[k] = _mm256_and_si256(emit[k], active_lanes(active)[k]);
                }
            }
            self.write(_mm256_movemask_epi8(_mm256_packs_epi16(emit[0], emit[1])) as u32);

            let (mut quotients, mut places) = (base, base);
            for k in 0..2 {
                let (f, r) = (frequency[k], reciprocal[k]);
                let low = _mm256_blendv_epi8(self.low[k], self.high[k], emit[k]);
                let high = _mm256_andnot_si256(emit[k], self.high[k]);
                let upper = _mm256_mullo_epi16(high, to_16[k]);
                let lower = _mm256_mulhi_epu16(low, to_16[k]);
                // A frequency of 1 has no bits, and 2^16 is too large.
                let one = _mm256_cmpeq_epi16(to_16[k], _mm256_setzero_si256());
                let upper = _mm256_or_si256(upper, _mm256_and_si256(one, low));
                let half = opaque(_mm256_mulhi_epu16(_mm256_or_si256(upper, lower), r));
                let twice = _mm256_add_epi16(half, half);
                let rest = _mm256_sub_epi16(low, _mm256_mullo_epi16(twice, f));
                let above = _mm256_add_epi16(r, _mm256_set1_epi16(1));
                let scaled = _mm256_mullo_epi16(rest, to_12[k]);
                let more = _mm256_srli_epi16::<11>(_mm256_mulhi_epu16(scaled, above));
                quotients[k] = _mm256_add_epi16(twice, more);
                let position = _mm256_sub_epi16(rest, _mm256_mullo_epi16(more, f));
                places[k] = _mm256_add_epi16(base[k], position);
            }
            let slots = slots_at(&table.slots, places);
            for k in 0..2 {
                let mut low = _mm256_or_si256(_mm256_slli_epi16::<12>(quotients[k]), slots[k]);
                let mut high = _mm256_srli_epi16::<4>(quotients[k]);
                if !WHOLE {
                    let active = active_lanes(active)[k];
                    low = _mm256_blendv_epi8(self.low[k], low, active);
                    high = _mm256_blendv_epi8(self.high[k], high, active);
                }
                (self.low[k], self.high[k]) = (low, high);
            }
        }
    }

    /// Writes the lower halves of the lanes of `pattern` in front of the words that are there.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn write(&mut self, pattern: u32) {
        let pack = |k: u32| {
            let pattern = (pattern >> (8 * k) & 0xff) as usize;
            // SAFETY: each pack has the 16 bytes that are read.
            unsafe { _mm_load_si128(PACKS.0[pattern].as_ptr().cast()) }
        };
        let first = _mm256_shuffle_epi8(self.low[0], join(pack(0), pack(2)));
        let second = _mm256_shuffle_epi8(self.low[1], join(pack(1), pack(3)));
        let window = &mut self.words[self.free - WINDOW..self.free];
        let end = window.as_mut_ptr_range().end;
        let eight = |k: u32, words: __m128i| {
            let behind = (u64::from(pattern) >> (8 * k + 8)).count_ones() as usize;
            // SAFETY: the lanes behind these write at most 48 bytes, so these 16 lie in the window.
            unsafe { _mm_storeu_si128(end.sub(2 * behind + 16).cast(), words) };
        };
        // What stands in front of the words of eight lanes does not count and is overwritten.
        eight(3, _mm256_extracti128_si256::<1>(second));
        eight(2, _mm256_extracti128_si256::<1>(first));
        eight(1, _mm256_castsi256_si128(second));
        eight(0, _mm256_castsi256_si128(first));
        self.free -= 2 * pattern.count_ones() as usize;
    }

    /// The states in the order of the lanes.
    #[target_feature(enable = "avx2")]
    fn states(&self) -> [u32; LANES] {
        let (high, low) = (of_lanes(self.high), of_lanes(self.low));
        std::array::from_fn(|lane| u32::from(high[lane]) << 16 | u32::from(low[lane]))
    }
}

/// The slot of each place.
///
/// # Safety
/// As [`Lanes::step`].
#[inline(always)]
unsafe fn slots_at(table: &[u16; TABLE_SIZE], places: [__m256i; 2]) -> [__m256i; 2] {
    let mut numbers = [[0u16; 16]; 2];
    // SAFETY: 16 numbers have the 32 bytes that are written; places are below the size of the table.
    unsafe {
        for (numbers, places) in numbers.iter_mut().zip(places) {
            let places = _mm256_and_si256(places, _mm256_set1_epi16(TABLE_SIZE as i16 - 1));
            _mm256_storeu_si256(numbers.as_mut_ptr().cast(), places);
            for number in numbers {
                *number = *table.get_unchecked(usize::from(*number));
            }
        }
        [load(&numbers[0]), load(&numbers[1])]
    }
}

/// Encodes `N` streams of 32 lanes side by side, whose tables have symbols in the first `QUARTERS` of 64.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn encode_group<const QUARTERS: usize, const N: usize>(
    jobs: [&mut &mut SymbolsJob<'_>; N],
    space: &mut EncodeSpace,
) {
    const { assert!(N <= 2) };
    let tables: [Vec<&SplitEncodeTable>; N] =
        std::array::from_fn(|n| jobs[n].classes.tables().filter_map(EncodeTable::split).collect());
    let classes: [Classes<'_, SplitEncodeTable>; N] =
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
        let active = !(u32::MAX << (width % LANES));
        for (step, symbols) in tail.chunks_exact(width).enumerate().rev() {
            let mut ranks = [0; LANES];
            ranks[..width].copy_from_slice(symbols);
            let table = classes[n].table(steps[n].len() + step);
            // SAFETY: this function is compiled for the instructions.
            unsafe { lanes.step::<QUARTERS, false>(table, &ranks, active) };
        }
        for (step, ranks) in steps[n].iter().enumerate().skip(common).rev() {
            // SAFETY: as above.
            unsafe { lanes.step::<QUARTERS, true>(classes[n].table(step), ranks, u32::MAX) };
        }
    }
    for step in (0..common).rev() {
        // Written out for each stream: states must stay in registers.
        if N > 0 {
            let table = classes[0].table(step);
            // SAFETY: as above.
            unsafe { lanes[0].step::<QUARTERS, true>(table, &steps[0][step], u32::MAX) };
        }
        if N > 1 {
            let table = classes[1].table(step);
            // SAFETY: as above.
            unsafe { lanes[1].step::<QUARTERS, true>(table, &steps[1][step], u32::MAX) };
        }
    }
    for (lanes, job) in lanes.into_iter().zip(jobs) {
        append_stream(&lanes.states(), &lanes.words[lanes.free..], job.out);
    }
}
