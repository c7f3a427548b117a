//! AVX-512 with VBMI and VBMI2: Ice Lake, Zen 4 and later.

mod alias;
mod encode;
mod fused;
mod wide;

pub(crate) use fused::decode_fused;

use crate::drive::{Judged, decode_jobs, in_groups};
use crate::level::Set;
use crate::rans::{EncodeSpace, StreamJob, SymbolsJob};
use crate::{Level, StreamError, scalar};

/// Streams decoded side by side: a step of one waits some 45 cycles for its own results, four fill
/// that time.
const SIDE_BY_SIDE: usize = crate::STREAMS_AT_ONCE;

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
            in_groups::<SIDE_BY_SIDE, _>(&mut aliased, |group| {
                // SAFETY: the level says that the processor has the instructions.
                unsafe {
                    match group {
                        [a, b, c, d] => alias::decode_group([a, b, c, d]),
                        [a, b] => alias::decode_group([a, b]),
                        _ => group.iter_mut().for_each(|job| alias::decode_group([job])),
                    }
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

/// Twin of [`crate::encode`].
pub(crate) fn encode(level: Level, jobs: &mut [SymbolsJob<'_>], space: &mut EncodeSpace) {
    assert_eq!(level.set(), Set::Avx512);
    let mut whole = Vec::new();
    for job in jobs {
        if job.steps.lanes() < crate::LANES {
            scalar::rans::encode(job, space);
        } else {
            whole.push(job);
        }
    }
    // Streams of one kind go side by side.
    let narrow = |job: &&mut SymbolsJob<'_>| {
        job.classes.tables().all(|table| table.ranks <= crate::ALIAS_SYMBOLS)
    };
    let (mut wide, mut narrow): (Vec<_>, Vec<_>) = whole.into_iter().partition(|job| !narrow(job));
    // SAFETY: the level says that the processor has the instructions.
    let mut go = |group: &mut [&mut SymbolsJob<'_>], narrow: bool| unsafe {
        match (group, narrow) {
            ([a, b], true) => encode::encode_group::<2, true>([a, b], space),
            ([a, b], false) => encode::encode_group::<2, false>([a, b], space),
            ([a], true) => encode::encode_group::<1, true>([a], space),
            ([a], false) => encode::encode_group::<1, false>([a], space),
            _ => unreachable!("groups of one or two"),
        }
    };
    in_groups::<2, _>(&mut narrow, |group| go(group, true));
    in_groups::<2, _>(&mut wide, |group| go(group, false));
}
