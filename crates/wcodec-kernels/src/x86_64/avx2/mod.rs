//! AVX2: tables of up to 64 symbols are looked up in registers, 16 bytes at a time; larger ones by
//! gathers.

mod alias;
mod encode;
mod fused;
mod lookup;
mod wide;

pub(crate) use fused::decode_fused;

use crate::drive::{Judged, decode_jobs, in_groups};
use crate::level::Set;
use crate::rans::{EncodeSpace, StreamJob, SymbolsJob};
use crate::slots::SplitTable;
use crate::{DecodeTable, EncodeTable, LANES, Level, StreamError, scalar};
use std::arch::x86_64::*;

/// Streams decoded side by side: two fill the registers, and nearly all of the time that a step of one
/// waits for its own results.
const SIDE_BY_SIDE: usize = 2;
/// Bytes of the most words that a step can take.
const WINDOW: usize = 2 * LANES;

/// Twin of [`crate::decode`].
pub(crate) fn decode(level: Level, jobs: &mut [StreamJob<'_>]) -> Vec<Result<(), StreamError>> {
    assert!(level.set() >= Set::Avx2);
    decode_jobs(
        jobs,
        |_| true,
        |whole| {
            let split = |job: &Judged<'_, '_>| most_quarters(job.0.classes.tables());
            let (mut few, rest): (Vec<_>, Vec<_>) =
                whole.into_iter().partition(|job| split(job).is_some_and(|most| most <= 2));
            let (mut many, mut wide): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|job| split(job).is_some());
            // SAFETY: the level says that the processor has the instructions.
            unsafe {
                in_groups::<SIDE_BY_SIDE, _>(&mut few, |group| match group {
                    [a, b] => alias::decode_group::<2, _>([a, b]),
                    _ => group.iter_mut().for_each(|job| alias::decode_group::<2, _>([job])),
                });
                in_groups::<SIDE_BY_SIDE, _>(&mut many, |group| match group {
                    [a, b] => alias::decode_group::<4, _>([a, b]),
                    _ => group.iter_mut().for_each(|job| alias::decode_group::<4, _>([job])),
                });
                in_groups::<SIDE_BY_SIDE, _>(&mut wide, |group| match group {
                    [a, b] => wide::decode_group([a, b]),
                    _ => group.iter_mut().for_each(|job| wide::decode_group([job])),
                });
            }
        },
    )
}

/// Twin of [`crate::encode`].
pub(crate) fn encode(level: Level, jobs: &mut [SymbolsJob<'_>], space: &mut EncodeSpace) {
    assert!(level.set() >= Set::Avx2);
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for job in jobs {
        let most = job.classes.tables().map(EncodeTable::symbols).max().unwrap_or(0);
        match most.div_ceil(16) {
            _ if job.steps.lanes() < LANES => scalar::rans::encode(job, space),
            ..=2 => few.push(job),
            3 | 4 => many.push(job),
            _ => scalar::rans::encode(job, space),
        }
    }
    // SAFETY: the level says that the processor has the instructions.
    unsafe {
        in_groups::<SIDE_BY_SIDE, _>(&mut few, |group| match group {
            [a, b] => encode::encode_group::<2, _>([a, b], space),
            _ => group.iter_mut().for_each(|job| encode::encode_group::<2, _>([job], space)),
        });
        in_groups::<SIDE_BY_SIDE, _>(&mut many, |group| match group {
            [a, b] => encode::encode_group::<4, _>([a, b], space),
            _ => group.iter_mut().for_each(|job| encode::encode_group::<4, _>([job], space)),
        });
    }
}

/// Quarters of a table of 64 that the symbols of all tables take; `None` if one of them is not for
/// registers.
fn most_quarters<'a>(tables: impl Iterator<Item = &'a DecodeTable>) -> Option<usize> {
    tables
        .map(|table| table.split().map(SplitTable::quarters))
        .try_fold(0, |most, quarters| quarters.map(|quarters| most.max(quarters)))
}

/// For each pattern of eight lanes that need a word: the bytes of the word that each lane takes, in
/// numbers of 16 bits. Lanes that need none get zero.
#[repr(C, align(64))]
struct Deals([[u8; 16]; 256]);

static DEALS: Deals = Deals({
    let mut deals = [[0x80; 16]; 256];
    let mut pattern = 0;
    while pattern < 256 {
        let (mut lane, mut word) = (0, 0);
        while lane < 8 {
            if pattern >> lane & 1 == 1 {
                deals[pattern][2 * lane] = 2 * word;
                deals[pattern][2 * lane + 1] = 2 * word + 1;
                word += 1;
            }
            lane += 1;
        }
        pattern += 1;
    }
    deals
});

/// The deal of a pattern.
#[inline]
#[target_feature(enable = "avx2")]
fn deal(pattern: u8) -> __m128i {
    // SAFETY: each deal has the 16 bytes that are read.
    unsafe { _mm_load_si128(DEALS.0[usize::from(pattern)].as_ptr().cast()) }
}

/// 16 bytes that a step may read from `left`, and zeros behind its end.
fn padded(left: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    let count = left.len().min(WINDOW);
    window[..count].copy_from_slice(&left[..count]);
    window
}
