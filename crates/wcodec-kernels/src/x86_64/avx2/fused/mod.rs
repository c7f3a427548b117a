//! Row scan and elements of up to four bytes: from streams to elements without buffers of whole blocks in
//! between.

mod finish;
mod plan;
mod row;

use super::step::Stepper;
use super::{SIDE_BY_SIDE, alias, wide};
use crate::blocks::BlockError;
use crate::drive::all_ok;
use crate::level::Set;
use crate::lines::Lines;
use crate::target::Target;
use crate::x86_64::output::Output;
use crate::{Level, StreamError};
use plan::Plan;

/// Verdicts on blocks.
type Verdicts = Vec<Result<(), BlockError>>;

/// Twin of [`crate::decode_blocks`] for the blocks from number `first` on, up to two; `None` if the first
/// one is not of a kind that is known here.
pub(crate) fn decode_fused(
    level: Level,
    first: usize,
    target: &mut Target<'_, '_>,
    space: &mut Lines,
) -> Option<Verdicts> {
    decode_kind::<alias::Lanes<'_, 2>>(level, first, target, space)
        .or_else(|| decode_kind::<alias::Lanes<'_, 4>>(level, first, target, space))
        .or_else(|| decode_kind::<wide::Lanes<'_>>(level, first, target, space))
}

/// With tables of one kind.
fn decode_kind<'t, S: Stepper<'t>>(
    level: Level,
    first: usize,
    target: &mut Target<'t, '_>,
    space: &mut Lines,
) -> Option<Verdicts> {
    assert!(level.set() >= Set::Avx2);
    let blocks = &target.blocks[first..];
    let mut plans = vec![Plan::of::<S>(&blocks[0])?];
    for block in blocks.iter().take(SIDE_BY_SIDE).skip(1) {
        match Plan::of::<S>(block) {
            Some(plan) if plan.goes_with(&plans[0]) => plans.push(plan),
            _ => break,
        }
    }
    // SAFETY: the level says that the processor has the instructions.
    let verdicts = unsafe {
        match plans.as_slice() {
            [a, b] => decode_group::<S, _>([a, b], first, target, space).to_vec(),
            [a, ..] => decode_group::<S, _>([a], first, target, space).to_vec(),
            [] => Vec::new(),
        }
    };
    let place =
        |verdict: Result<(), StreamError>| verdict.map_err(|error| BlockError { plane: 0, error });
    Some(verdicts.into_iter().map(place).collect())
}

/// Decodes `N` blocks of one kind and shape side by side, those from number `first` on.
#[target_feature(enable = "avx2,popcnt")]
fn decode_group<'a, S: Stepper<'a>, const N: usize>(
    plans: [&Plan<'a, S::Table>; N],
    first: usize,
    target: &mut Target<'_, '_>,
    space: &mut Lines,
) -> [Result<(), StreamError>; N] {
    // SAFETY: this function has the same instructions.
    let starts = plans.map(|plan| unsafe { S::begin(plan.stream) });
    let mut lanes = match all_ok(starts) {
        Ok(lanes) => lanes,
        Err(error) if N == 1 => return [Err(error); N],
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) => {
            return std::array::from_fn(|n| {
                decode_group::<S, 1>([plans[n]], first + n, target, space)[0]
            });
        }
    };
    let pieces = &plans[0].pieces;
    row::decode(plans, &mut lanes, &mut Output::new(pieces, first, target, space));
    // SAFETY: as above.
    lanes.map(|lanes| unsafe { lanes.end() })
}
