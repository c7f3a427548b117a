//! AVX2: tables of up to 64 symbols are looked up in registers, 16 bytes at a time; larger ones by
//! gathers.

mod alias;
mod column;
mod encode;
mod fused;
mod lookup;
mod step;
mod unpack;
mod wide;

pub(crate) use column::decode_columns;
pub(crate) use fused::decode_fused;

use crate::drive::{Judged, decode_jobs, in_groups};
use crate::level::Set;
use crate::rans::{EncodeSpace, StreamJob, SymbolsJob};
use crate::{EncodeTable, LANES, Level, StreamError, scalar};
use std::arch::x86_64::*;
use step::Stepper;

/// Streams decoded side by side: two fill the registers, and nearly all of the time that a step of one
/// waits for its own results.
const SIDE_BY_SIDE: usize = 2;
/// Most classes of a stream, a power of two.
const MOST_CLASSES: usize = 64;
/// Bytes of the most words that a step can take.
const WINDOW: usize = 2 * LANES;

/// Twin of [`crate::decode`].
pub(crate) fn decode(level: Level, jobs: &mut [StreamJob<'_>]) -> Vec<Result<(), StreamError>> {
    assert!(level.set() >= Set::Avx2);
    decode_jobs(
        jobs,
        |_| true,
        |whole| {
            let (mut few, rest): (Vec<_>, Vec<_>) =
                whole.into_iter().partition(all_of::<alias::Lanes<'_, 2>>);
            let (mut many, mut wide): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(all_of::<alias::Lanes<'_, 4>>);
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

/// Whether all tables of a stream are of this kind.
fn all_of<'a, S: Stepper<'a>>(job: &Judged<'_, '_>) -> bool {
    job.0.classes.tables().all(|table| S::table(table).is_some())
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
