//! AVX-512 with VBMI and VBMI2: Ice Lake, Zen 4 and later.

mod alias;
mod column;
mod encode;
mod fused;
mod merge;
mod sorted;
mod turn;
mod unpack;
mod wide;

pub(crate) use column::decode_columns;
pub(crate) use fused::decode_fused;
pub(crate) use merge::Merge;
pub(crate) use sorted::{sort, unsort};

use crate::drive::{Judged, decode_jobs, in_groups};
use crate::level::Set;
use crate::rans::{EncodeSpace, StreamJob, SymbolsJob};
use crate::{EncodeTable, Level, StreamError, scalar};

/// Streams decoded side by side: a step of one waits some 45 cycles for its own results, four fill
/// that time.
const SIDE_BY_SIDE: usize = crate::STREAMS_AT_ONCE;
/// Most classes of a stream, a power of two.
const MOST_CLASSES: usize = 64;

/// Twin of [`crate::decode`].
pub(crate) fn decode(level: Level, jobs: &mut [StreamJob<'_>]) -> Vec<Result<(), StreamError>> {
    assert_eq!(level.set(), Set::Avx512);
    decode_jobs(
        jobs,
        |_| true,
        |whole| {
            let (mut aliased, mut wide): (Vec<Judged<'_, '_>>, Vec<_>) = whole
                .into_iter()
                .partition(|job| job.0.classes.tables().all(|table| table.alias().is_some()));
            // SAFETY: the level says that the processor has the instructions.
            in_groups::<SIDE_BY_SIDE, _>(&mut aliased, |group| unsafe {
                match level.looks_up_numbers() {
                    true => decode_aliased::<true>(group),
                    false => decode_aliased::<false>(group),
                }
            });
            in_groups::<SIDE_BY_SIDE, _>(&mut wide, |group| {
                // SAFETY: as above.
                unsafe {
                    match group {
                        [a, b, c, d] => wide::decode_group([a, b, c, d]),
                        [a, b] => wide::decode_group([a, b]),
                        _ => group.iter_mut().for_each(|job| wide::decode_group([job])),
                    }
                }
            });
        },
    )
}

/// Decodes streams with alias tables.
///
/// # Safety
/// The processor must have the instructions.
unsafe fn decode_aliased<const NUMBERS: bool>(group: &mut [Judged<'_, '_>]) {
    // SAFETY: as the caller promises.
    unsafe {
        match group {
            [a, b, c, d] => alias::decode_group::<NUMBERS, 4>([a, b, c, d]),
            [a, b] => alias::decode_group::<NUMBERS, 2>([a, b]),
            _ => group.iter_mut().for_each(|job| alias::decode_group::<NUMBERS, 1>([job])),
        }
    }
}

/// Twin of [`crate::encode`].
pub(crate) fn encode(level: Level, jobs: &mut [SymbolsJob<'_>], space: &mut EncodeSpace) {
    assert_eq!(level.set(), Set::Avx512);
    // Streams of one kind go side by side; a step that gathers has less to wait for.
    let (mut narrow, mut wide) = (Vec::new(), Vec::new());
    for job in jobs {
        let aliased = |table: &EncodeTable| table.alias().is_some();
        if job.steps.lanes() < crate::LANES {
            scalar::rans::encode(job, space);
        } else if job.classes.tables().all(aliased) {
            narrow.push(job);
        } else if job.classes.tables().any(aliased) {
            // Of no use so far.
            scalar::rans::encode(job, space);
        } else {
            wide.push(job);
        }
    }
    in_groups::<4, _>(&mut narrow, |group| {
        // SAFETY: the level says that the processor has the instructions.
        unsafe { encode_streams::<encode::Alias>(group, space) }
    });
    in_groups::<2, _>(&mut wide, |group| {
        // SAFETY: as above.
        unsafe { encode_streams::<encode::Wide>(group, space) }
    });
}

/// Encodes streams side by side.
///
/// # Safety
/// The processor must have the instructions.
unsafe fn encode_streams<S: encode::Step>(
    group: &mut [&mut SymbolsJob<'_>],
    space: &mut EncodeSpace,
) {
    // SAFETY: as the caller promises.
    unsafe {
        match group {
            [a, b, c, d] => encode::encode_group::<4, S>([a, b, c, d], space),
            [a, b] => encode::encode_group::<2, S>([a, b], space),
            _ => group.iter_mut().for_each(|job| encode::encode_group::<1, S>([job], space)),
        }
    }
}
