//! Alias tables and elements of one or two bytes: from streams to elements without buffers of whole
//! blocks in between. Which blocks those are is what the AVX-512 twin says ([`Plan`]).

mod column;
mod finish;
mod row;
mod unpack;

use super::alias::Lanes;
use super::{SIDE_BY_SIDE, most_quarters};
use crate::blocks::{Block, BlockError};
use crate::drive::all_ok;
use crate::level::Set;
use crate::slots::SplitTable;
use crate::x86_64::avx512::{MOST_CLASSES, Plan};
use crate::{DecodeTable, Level, Scan, StreamError};
use std::arch::x86_64::*;
use unpack::{MOST_BITS, Unpack};

/// A plan, and the tables of its classes.
struct Task<'a> {
    plan: Plan<'a>,
    tables: [&'a SplitTable; MOST_CLASSES],
    /// Quarters of 64 that the symbols of all tables take.
    quarters: usize,
}

impl<'a> Task<'a> {
    /// The task of a block; `None` if it is of another kind.
    fn of(block: &Block<'a>) -> Option<Task<'a>> {
        let plan = Plan::of(block)?;
        let (_, coded) = block.coded().next()?;
        coded.classes.base()?;
        let quarters = most_quarters(coded.classes.tables())?;
        let of_class: Vec<&SplitTable> =
            coded.classes.tables().filter_map(DecodeTable::split).collect();
        let tables = std::array::from_fn(|class| of_class[class.min(of_class.len() - 1)]);
        Some(Task { plan, tables, quarters })
    }

    /// The table of a step.
    #[inline(always)]
    fn table(&self, step: usize) -> &'a SplitTable {
        self.tables[self.plan.class(step) % MOST_CLASSES]
    }
}

/// Fields of a few bits beside the streams, of blocks that are decoded side by side.
struct Beside<const N: usize> {
    unpack: [Unpack; MOST_BITS as usize + 1],
    /// Bits of a field by class.
    widths: [[u8; MOST_CLASSES]; N],
    /// Those of the next step.
    at: [*const u8; N],
}

impl<const N: usize> Beside<N> {
    #[target_feature(enable = "avx2")]
    fn of(tasks: &[&Task<'_>; N]) -> Beside<N> {
        let widths = |n: usize| {
            let width = |class: usize| tasks[n].plan.beside.widths.get(class);
            std::array::from_fn(|class| width(class).copied().unwrap_or(0))
        };
        Beside {
            unpack: std::array::from_fn(|width| Unpack::new(width as u32)),
            widths: std::array::from_fn(widths),
            at: std::array::from_fn(|n| tasks[n].plan.beside.packed.as_ptr()),
        }
    }

    /// Adds those of the next step of block `n`, which is of this class, to its fields.
    ///
    /// # Safety
    /// The bit strings must have them.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(&mut self, n: usize, class: usize, fields: __m256i) -> __m256i {
        let width = usize::from(self.widths[n][class % MOST_CLASSES]);
        let unpack = &self.unpack[width.min(MOST_BITS as usize)];
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
    let mut tasks = vec![Task::of(&blocks[0])?];
    for block in blocks.iter().take(SIDE_BY_SIDE).skip(1) {
        match Task::of(block) {
            Some(task) if task.plan.goes_with(&tasks[0].plan) => tasks.push(task),
            _ => break,
        }
    }
    let buffers: Vec<*mut u8> = buffers.iter_mut().map(|buffer| buffer.as_mut_ptr()).collect();
    let out = |n: usize| {
        // SAFETY: `Block::check` has seen that the rows of each block lie in its buffer.
        unsafe { buffers[blocks[n].place.buffer].add(tasks[n].plan.rows.start) }
    };
    let few = tasks.iter().all(|task| task.quarters <= 2);
    // SAFETY: the level says that the processor has the instructions; the rows of each plan lie in
    // the buffer of its block.
    let verdicts = unsafe {
        match tasks.as_slice() {
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
    tasks: [&Task<'_>; N],
    out: [*mut u8; N],
    space: &mut Vec<u8>,
) -> [Result<(), StreamError>; N] {
    let starts = tasks.map(|task| Lanes::<'_, QUARTERS>::new(task.plan.stream));
    let mut lanes = match all_ok(starts) {
        Ok(lanes) => lanes,
        Err(error) if N == 1 => return [Err(error); N],
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) => {
            // SAFETY: the caller's promise.
            let alone =
                |n: usize| unsafe { decode_group::<QUARTERS, 1>([tasks[n]], [out[n]], space)[0] };
            return std::array::from_fn(alone);
        }
    };
    // SAFETY: the caller's promise.
    unsafe {
        match tasks[0].plan.scan {
            Scan::Row => row::decode(tasks, &mut lanes, out),
            Scan::Column => column::decode(tasks, &mut lanes, out, space),
        }
    }
    lanes.map(|lanes| lanes.end())
}
