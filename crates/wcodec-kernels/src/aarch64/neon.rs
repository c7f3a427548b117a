//! NEON: decoding with the alias layout, whose tables of up to 64 entries are looked up as bytes.
//!
//! A step goes as in the kernel for AVX-512: state `x` is kept as two 16-bit numbers,
//! `high = x >> 12` and `low = x & 0xffff` (four bits are in both). With `b = slot / 64` the bucket
//! and `t = slot % 64` the place in it:
//!
//! 1. The slot belongs to the alias if `t >= cut[b]`.
//! 2. The symbol is `alias[b]` or `b`; the position `t + shift[b]` or `t`.
//! 3. `x = frequency[symbol] * high + position`.
//! 4. Lanes with `x >> 12 == 0` take the next words, in lane order: eight lanes at a time, by a
//!    permutation for each of their 256 patterns.
//!
//! Buckets, places and ranks are bytes, so that one look-up serves 16 lanes; numbers of 16 bits
//! take two.

use crate::drive::{decode_jobs, drive, in_groups};
use crate::level::Set;
use crate::rans::{StreamJob, check_end, states};
use crate::slots::{ALIAS_SYMBOLS, AliasTable};
use crate::{DecodeTable, LANES, Level, StreamError};
use std::arch::aarch64::*;

/// Lanes of a vector of 16-bit numbers; a step has four.
const QUARTER: usize = 8;
/// Bytes of the most words that a step can take.
const WINDOW: usize = 2 * LANES;
/// Streams decoded side by side: their states fill half of the registers, look-ups take the rest.
const SIDE_BY_SIDE: usize = 2;

/// For each pattern of lanes that need a word: the two bytes that each lane takes.
static DEALS: [[u8; 2 * QUARTER]; 256] = {
    let mut deals = [[0; 2 * QUARTER]; 256];
    let mut pattern = 0;
    while pattern < 256 {
        let (mut lane, mut byte) = (0, 0);
        while lane < QUARTER {
            deals[pattern][2 * lane] = byte;
            deals[pattern][2 * lane + 1] = byte + 1;
            byte += 2 * (pattern >> lane & 1) as u8;
            lane += 1;
        }
        pattern += 1;
    }
    deals
};

/// Twin of [`crate::decode`].
pub(crate) fn decode(level: Level, jobs: &mut [StreamJob<'_>]) -> Vec<Result<(), StreamError>> {
    assert_eq!(level.set(), Set::Neon);
    let narrow = |job: &StreamJob<'_>| job.classes.tables().all(|table| table.alias().is_some());
    decode_jobs(jobs, narrow, |mut aliased| {
        in_groups::<SIDE_BY_SIDE, _>(&mut aliased, |group| {
            // SAFETY: the level says that the processor has the instructions.
            unsafe {
                match group {
                    [a, b] => decode_group([a, b]),
                    _ => group.iter_mut().for_each(|job| decode_group([job])),
                }
            }
        });
    })
}

/// The alias layout in bytes.
#[repr(align(64))]
pub(super) struct ByteTable {
    /// Of each bucket; as in [`AliasTable`], a full one has cut 0 and itself as alias.
    cut: [u8; ALIAS_SYMBOLS],
    alias: [u8; ALIAS_SYMBOLS],
    /// Low bytes, then high bytes.
    shift: [[u8; ALIAS_SYMBOLS]; 2],
    /// Of each rank, as are the others.
    frequency: [[u8; ALIAS_SYMBOLS]; 2],
    byte: [u8; ALIAS_SYMBOLS],
}

impl ByteTable {
    fn of(table: &DecodeTable) -> ByteTable {
        let Some(AliasTable { cut, alias, shift, frequency, byte, .. }) = table.alias() else {
            unreachable!("tables of more than 64 symbols are decoded elsewhere")
        };
        ByteTable {
            cut: cut.map(|cut| cut >> 2),
            alias: *alias,
            shift: *shift,
            frequency: *frequency,
            byte: *byte,
        }
    }
}

/// A byte of `table` for each of the `indices`, which are below 64.
#[inline]
#[target_feature(enable = "neon")]
fn look_up(table: &[u8; ALIAS_SYMBOLS], indices: uint8x16_t) -> uint8x16_t {
    // SAFETY: the table has the 64 bytes that are read.
    vqtbl4q_u8(unsafe { vld1q_u8_x4(table.as_ptr()) }, indices)
}

/// Numbers of 16 bits from their low and their high bytes.
#[inline]
#[target_feature(enable = "neon")]
fn join([low, high]: [uint8x16_t; 2]) -> [uint16x8_t; 2] {
    [vreinterpretq_u16_u8(vzip1q_u8(low, high)), vreinterpretq_u16_u8(vzip2q_u8(low, high))]
}

/// Half of the lanes behind a symbol, before they take words.
struct Moved {
    rank: uint8x16_t,
    /// The lowest 16 bits of each state, and what is above the lowest 12.
    low: [uint16x8_t; 2],
    high: [uint16x8_t; 2],
}

/// Moves half of the lanes one symbol on.
#[inline]
#[target_feature(enable = "neon")]
fn advance(table: &ByteTable, low: [uint16x8_t; 2], high: [uint16x8_t; 2]) -> Moved {
    let six_bits = vdupq_n_u8(63);
    let bucket = vshrn_high_n_u16::<6>(vshrn_n_u16::<6>(low[0]), low[1]);
    let bucket = vandq_u8(bucket, six_bits);
    let place = vuzp1q_u8(vreinterpretq_u8_u16(low[0]), vreinterpretq_u8_u16(low[1]));
    let place = vandq_u8(place, six_bits);
    let aliased = vcgeq_u8(place, look_up(&table.cut, bucket));
    let rank = vbslq_u8(aliased, look_up(&table.alias, bucket), bucket);
    let shift = [&table.shift[0], &table.shift[1]].map(|s| vandq_u8(look_up(s, bucket), aliased));
    let [first, second] = join(shift);
    let position = [vaddw_u8(first, vget_low_u8(place)), vaddw_high_u8(second, place)];
    let frequency = join([look_up(&table.frequency[0], rank), look_up(&table.frequency[1], rank)]);
    let (mut new_low, mut new_high) = (low, high);
    for k in 0..2 {
        let (f, high, position) = (frequency[k], high[k], position[k]);
        let wide = vmovl_u16(vget_low_u16(position));
        let first = vmlal_u16(wide, vget_low_u16(f), vget_low_u16(high));
        let second = vmlal_high_u16(vmovl_high_u16(position), f, high);
        new_low[k] = vuzp1q_u16(vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(second));
        new_high[k] = vshrn_high_n_u32::<12>(vshrn_n_u32::<12>(first), second);
    }
    Moved { rank, low: new_low, high: new_high }
}

/// The bit of each lane in the pattern of a quarter.
static BITS: [u8; 2 * QUARTER] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// The patterns of the quarters whose lanes are all ones or all zeros, and how many bytes of words
/// they take, each with those before it; as 16-bit parts of a number.
#[inline]
#[target_feature(enable = "neon")]
fn patterns(lanes: [uint16x8_t; 4]) -> (u64, u64) {
    // SAFETY: the array has the 16 bytes that are read.
    let bits = unsafe { vld1q_u8(BITS.as_ptr()) };
    let [a, b, c, d] = lanes.map(|lanes| vreinterpretq_u8_u16(lanes));
    let (first, second) = (vandq_u8(vuzp1q_u8(a, b), bits), vandq_u8(vuzp1q_u8(c, d), bits));
    // Three sums of neighbours leave the bits of eight lanes in a number. The first one widens, so
    // that the compiler does not see bits that never meet and take three instructions for a sum.
    let fours = vpaddq_u16(vpaddlq_u8(first), vpaddlq_u8(second));
    let patterns = vreinterpretq_u8_u16(vpaddq_u16(fours, fours));
    let counts = vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vcntq_u8(patterns)));
    let patterns = vgetq_lane_u64::<0>(vreinterpretq_u64_u8(patterns));
    // A product with twos has running sums of the parts.
    (patterns, counts.wrapping_mul(0x0002_0002_0002_0002))
}

/// The lanes of one stream between two steps.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'a> {
    low: [uint16x8_t; 4],
    high: [uint16x8_t; 4],
    words: &'a [u8],
    /// Bytes of words taken; in a stream that is too short, more than it has.
    taken: usize,
}

impl<'a> Lanes<'a> {
    #[target_feature(enable = "neon")]
    fn new(stream: &'a [u8]) -> Result<Lanes<'a>, StreamError> {
        let (states, words) = states(stream, LANES)?;
        // SAFETY: a quarter has the 16 bytes that are read.
        let load = |quarter: [u16; QUARTER]| unsafe { vld1q_u16(quarter.as_ptr()) };
        let quarter = |k: usize| states.as_chunks::<QUARTER>().0[k];
        Ok(Lanes {
            low: std::array::from_fn(|k| load(quarter(k).map(|state| state as u16))),
            high: std::array::from_fn(|k| load(quarter(k).map(|state| (state >> 12) as u16))),
            words,
            taken: 0,
        })
    }

    /// Steps that the rest of the words is enough for, whatever they take.
    #[inline(always)]
    fn safe_steps(&self) -> usize {
        self.words.len().saturating_sub(self.taken) / WINDOW
    }

    /// Decodes a symbol in each lane of `active`, and returns its rank. With `NEAR_END` the words
    /// may end, otherwise a whole window of them must be left.
    #[inline]
    #[target_feature(enable = "neon")]
    fn step<const NEAR_END: bool>(&mut self, table: &ByteTable, active: u32) -> [uint8x16_t; 2] {
        let mut last = [0u8; WINDOW];
        let words = if NEAR_END {
            let left = self.words.get(self.taken..).unwrap_or_default();
            let count = left.len().min(WINDOW);
            last[..count].copy_from_slice(&left[..count]);
            last.as_ptr()
        } else {
            debug_assert!(self.safe_steps() > 0);
            self.words.as_ptr().wrapping_add(self.taken)
        };
        let (low, high) = (self.low, self.high);
        let first = advance(table, [low[0], low[1]], [high[0], high[1]]);
        let second = advance(table, [low[2], low[3]], [high[2], high[3]]);
        let moved_low = [first.low[0], first.low[1], second.low[0], second.low[1]];
        let moved_high = [first.high[0], first.high[1], second.high[0], second.high[1]];
        let mut active_lanes = [vdupq_n_u16(u16::MAX); 4];
        let mut short = moved_high.map(|high| vceqzq_u16(high));
        if NEAR_END {
            // SAFETY: eight bytes of the array are read.
            let bits = vmovl_u8(unsafe { vld1_u8(BITS.as_ptr()) });
            for k in 0..4 {
                active_lanes[k] = vtstq_u16(vdupq_n_u16((active >> (QUARTER * k)) as u16), bits);
                short[k] = vandq_u16(short[k], active_lanes[k]);
            }
        }
        let (patterns, ends) = patterns(short);
        for k in 0..4 {
            let pattern = (patterns >> (16 * k)) as u8;
            let before = (ends << 16 >> (16 * k)) as u8;
            // SAFETY: the quarters before took at most 48 bytes of the window, 16 are left.
            let next = unsafe { vld1q_u8(words.wrapping_add(usize::from(before))) };
            // SAFETY: a row of the deals has the 16 bytes that are read.
            let deal = unsafe { vld1q_u8(DEALS[usize::from(pattern)].as_ptr()) };
            let dealt = vreinterpretq_u16_u8(vqtbl1q_u8(next, deal));
            // The lowest 16 bits and the word, without the lowest 12 of it.
            let filled = vsriq_n_u16::<12>(vshlq_n_u16::<4>(moved_low[k]), dealt);
            let new_low = vbslq_u16(short[k], dealt, moved_low[k]);
            let new_high = vbslq_u16(short[k], filled, moved_high[k]);
            if NEAR_END {
                self.low[k] = vbslq_u16(active_lanes[k], new_low, low[k]);
                self.high[k] = vbslq_u16(active_lanes[k], new_high, high[k]);
            } else {
                (self.low[k], self.high[k]) = (new_low, new_high);
            }
        }
        self.taken += (ends >> 48) as usize;
        [first.rank, second.rank]
    }

    /// The verdict behind the last step.
    #[target_feature(enable = "neon")]
    fn end(&self) -> Result<(), StreamError> {
        let Some(left) = self.words.len().checked_sub(self.taken) else {
            return Err(StreamError::Truncated);
        };
        let mut all = [0u32; LANES];
        let (quarters, _) = all.as_chunks_mut::<QUARTER>();
        for (states, (low, high)) in quarters.iter_mut().zip(self.low.into_iter().zip(self.high)) {
            let (mut lows, mut highs) = ([0u16; QUARTER], [0u16; QUARTER]);
            // SAFETY: both arrays have the 16 bytes that are written.
            unsafe {
                vst1q_u16(lows.as_mut_ptr(), low);
                vst1q_u16(highs.as_mut_ptr(), high);
            }
            for (state, (low, high)) in states.iter_mut().zip(lows.into_iter().zip(highs)) {
                *state = u32::from(high) << 12 | u32::from(low & 0xfff);
            }
        }
        check_end(&all, left)
    }
}

/// Writes the output bytes of the ranks of a step.
///
/// # Safety
/// 32 bytes must be writable at `out`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store(out: *mut u8, table: &ByteTable, ranks: [uint8x16_t; 2]) {
    let [first, second] = ranks.map(|ranks| look_up(&table.byte, ranks));
    // SAFETY: the caller's promise.
    unsafe {
        vst1q_u8(out, first);
        vst1q_u8(out.add(LANES / 2), second);
    }
}

drive! {
    features: "neon",
    table: ByteTable,
    of: ByteTable::of,
    symbols: [uint8x16_t; 2]
}
