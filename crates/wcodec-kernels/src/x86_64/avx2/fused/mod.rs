//! Alias tables and elements of up to four bytes: from streams to elements without buffers of whole
//! blocks in between.

mod column;
mod finish;
mod plan;
mod row;
mod unpack;

use super::SIDE_BY_SIDE;
use super::alias::Lanes;
use crate::blocks::{Block, BlockError};
use crate::drive::all_ok;
use crate::level::Set;
use crate::{Level, Scan, StreamError};
use plan::Plan;
use std::arch::x86_64::*;
use unpack::{MOST_BITS, Unpack};

/// Fields of a few bits beside the streams, of blocks that are decoded side by side.
struct Beside<'a, const N: usize> {
    unpack: [Unpack; MOST_BITS as usize + 1],
    /// Bits of a field by class.
    widths: [&'a [u8]; N],
    /// Those of the next step.
    at: [*const u8; N],
}

impl<'a, const N: usize> Beside<'a, N> {
    #[target_feature(enable = "avx2")]
    fn of(plans: &[&Plan<'a>; N]) -> Beside<'a, N> {
        Beside {
            unpack: std::array::from_fn(|width| Unpack::new(width as u32)),
            widths: plans.map(|plan| plan.beside.widths),
            at: plans.map(|plan| plan.beside.packed.as_ptr()),
        }
    }

    /// Adds those of the next step of block `n`, which is of this class, to its fields.
    ///
    /// # Safety
    /// The bit strings must have them.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(&mut self, n: usize, class: usize, fields: __m256i) -> __m256i {
        let width = self.widths[n].get(class).map_or(0, |&width| usize::from(width));
        let unpack = &self.unpack[width];
        // SAFETY: the caller's promise.
        let bits = unsafe { unpack.bytes(self.at[n]) };
        self.at[n] = self.at[n].wrapping_add(unpack.step);
        _mm256_add_epi8(fields, bits)
    }
}

/// Twin of [`crate::decode_blocks`] for the first blocks, up to two; `None` if the first one is not of a
/// kind that is known here.
pub(crate) fn decode_fused(
    level: Level,
    blocks: &[Block<'_>],
    buffers: &mut [&mut [u8]],
    space: &mut Vec<u8>,
) -> Option<Vec<Result<(), BlockError>>> {
    assert!(level.set() >= Set::Avx2);
    let mut plans = vec![Plan::of(&blocks[0])?];
    for block in blocks.iter().take(SIDE_BY_SIDE).skip(1) {
        match Plan::of(block) {
            Some(plan) if plan.goes_with(&plans[0]) => plans.push(plan),
            _ => break,
        }
    }
    let buffers: Vec<*mut u8> = buffers.iter_mut().map(|buffer| buffer.as_mut_ptr()).collect();
    let out = |n: usize| {
        // SAFETY: `Block::check` has seen that the rows of each block lie in its buffer.
        unsafe { buffers[blocks[n].place.buffer].add(plans[n].rows.start) }
    };
    let few = plans.iter().all(|plan| plan.quarters <= 2);
    // SAFETY: the level says that the processor has the instructions; the rows of each plan lie in
    // the buffer of its block.
    let verdicts = unsafe {
        match plans.as_slice() {
            [a, b] if few => decode_group::<2, _>([a, b], [out(0), out(1)], space).to_vec(),
            [a, b] => decode_group::<4, _>([a, b], [out(0), out(1)], space).to_vec(),
            [a, ..] if few => decode_group::<2, _>([a], [out(0)], space).to_vec(),
            [a, ..] => decode_group::<4, _>([a], [out(0)], space).to_vec(),
            [] => Vec::new(),
        }
    };
    let place =
        |verdict: Result<(), StreamError>| verdict.map_err(|error| BlockError { plane: 0, error });
    Some(verdicts.into_iter().map(place).collect())
}

/// Decodes `N` blocks of one kind and shape side by side, each to its place.
///
/// # Safety
/// The rows of each plan must be writable from its `out` on.
#[target_feature(enable = "avx2,popcnt")]
unsafe fn decode_group<const QUARTERS: usize, const N: usize>(
    plans: [&Plan<'_>; N],
    out: [*mut u8; N],
    space: &mut Vec<u8>,
) -> [Result<(), StreamError>; N] {
    let starts = plans.map(|plan| Lanes::<'_, QUARTERS>::new(plan.stream));
    let mut lanes = match all_ok(starts) {
        Ok(lanes) => lanes,
        Err(error) if N == 1 => return [Err(error); N],
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) => {
            // SAFETY: the caller's promise.
            let alone =
                |n: usize| unsafe { decode_group::<QUARTERS, 1>([plans[n]], [out[n]], space)[0] };
            return std::array::from_fn(alone);
        }
    };
    // SAFETY: the caller's promise.
    unsafe {
        match plans[0].scan {
            Scan::Row => row::decode(plans, &mut lanes, out),
            Scan::Column => column::decode(plans, &mut lanes, out, space),
        }
    }
    lanes.map(|lanes| lanes.end())
}
