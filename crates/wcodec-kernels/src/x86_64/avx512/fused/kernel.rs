//! What all kinds of elements have in common: streams side by side, whose symbols are put together with the bits beside
//! them.

use super::Plan;
use crate::blocks::BlockError;
use crate::level::Set;
use crate::lines::Lines;
use crate::padded::padded;
use crate::slots::AliasTable;
use crate::target::Target;
use crate::x86_64::avx512::alias::{self, Lanes, look_up};
use crate::x86_64::avx512::unpack::{Placed, start};
use crate::x86_64::avx512::{MOST_CLASSES, SIDE_BY_SIDE};
use crate::x86_64::layout::Layout;
use crate::x86_64::rounds::{self, Turn};
use crate::{LANES, Level, StreamError};
use std::arch::x86_64::*;

/// Bytes of the longest bit string of a step, and of its elements.
const MOST_RAW: usize = LANES;
const MOST_BYTES: usize = 4 * LANES;

/// How the symbols of a step become elements.
///
/// # Safety
/// The processor must have the instructions of [`round`] whenever a function marked `unsafe` is called.
pub(super) trait Put {
    /// What a symbol adds to an element.
    type Value: Copy;
    /// How bits beside the stream are unpacked.
    type Bits;
    /// What a block needs besides, the same for all of its steps.
    type Own: Copy;

    /// Bytes of an element.
    const SIZE: usize;

    /// What a symbol of a block adds to its elements.
    fn value(plan: &Plan<'_>, symbol: u16) -> Self::Value;

    /// How the bits beside the steps of a class are unpacked.
    fn bits(&self, plan: &Plan<'_>, class: usize) -> &Self::Bits;

    /// What this block needs besides.
    unsafe fn own(plan: &Plan<'_>) -> Self::Own;

    /// Writes the elements of a step, of which `ranks_of` tells the number, counted from where the planes of `raw` begin,
    /// and the ranks.
    ///
    /// # Safety
    /// The bits beside it must be readable, and the elements writable at `to`.
    unsafe fn put(
        &self,
        class: Class<'_, Self>,
        own: &Self::Own,
        raw: &mut Raw,
        ranks_of: (usize, __m512i),
        to: *mut u8,
    );

    /// Decodes some of the next so many steps, but not those near the end of a stream, in a way that takes several at once.
    /// Returns their number.
    ///
    /// # Safety
    /// As [`Put::put`], for all of these steps.
    #[inline(always)]
    unsafe fn several<'t, const NUMBERS: bool, const N: usize>(
        &self,
        _: &mut [Lanes<'_, NUMBERS>; N],
        _: usize,
        _: impl Fn(usize, usize) -> Class<'t, Self>,
        _: &[Self::Own; N],
        _: &mut [Raw; N],
        _: [*mut u8; N],
    ) -> usize
    where
        Self: 't,
    {
        0
    }
}

/// Where bits beside the stream lie.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    /// Of fields, from the next step on; of bytes whose fields have none, of the plane below.
    pub(super) beside: *const u8,
    /// Of the raw planes, from the first step of a round on.
    pub(super) planes: [*const u8; 3],
}

/// What a step decodes with.
pub(super) struct Class<'a, P: Put + ?Sized> {
    pub(super) table: &'a AliasTable,
    /// By rank.
    pub(super) values: &'a [P::Value; 64],
    pub(super) bits: &'a P::Bits,
}

impl<P: Put + ?Sized> Clone for Class<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Put + ?Sized> Copy for Class<'_, P> {}

impl<P: Put<Value = u16, Bits = Placed>> Class<'_, P> {
    /// What the symbols of a step add to its elements, with `BESIDE` the bits beside them too.
    ///
    /// # Safety
    /// As [`Put::put`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    pub(super) unsafe fn fields<const BESIDE: bool>(
        &self,
        raw: &mut Raw,
        ranks: __m512i,
    ) -> __m512i {
        let fields = look_up(self.values, ranks);
        if !BESIDE {
            return fields;
        }
        // SAFETY: the caller's promise.
        let fields = unsafe { self.bits.put(raw.beside, fields) };
        raw.beside = raw.beside.wrapping_add(self.bits.step);
        fields
    }
}

/// Blocks, and how they are decoded.
struct Kernel<'p, 'a, P: Put, const NUMBERS: bool> {
    plans: &'p [Plan<'a>],
    put: &'p P,
    /// Values by class and rank, of each block.
    values: Vec<&'p [[P::Value; 64]]>,
}

/// A block between two rounds.
struct Cursor<'p, P: Put, const NUMBERS: bool> {
    plan: &'p Plan<'p>,
    /// The last one again for those that there are not.
    classes: [Class<'p, P>; MOST_CLASSES],
    own: P::Own,
    lanes: Lanes<'p, NUMBERS>,
    /// The next step.
    step: usize,
    /// Bytes taken of the bits beside the stream.
    taken: usize,
}

/// Decodes blocks that go with each other, and sets their verdicts.
pub(super) fn decode<P: Put>(
    level: Level,
    plans: &[Plan<'_>],
    put: P,
    target: &mut Target<'_, '_>,
    space: &mut Lines,
    verdicts: &mut [Option<Result<(), BlockError>>],
) {
    assert_eq!(level.set(), Set::Avx512);
    // Blocks one behind the other mostly share tables, and what these come to.
    let mut computed: Vec<Vec<[P::Value; 64]>> = Vec::new();
    let mut numbers = Vec::with_capacity(plans.len());
    for (number, plan) in plans.iter().enumerate() {
        if number == 0 || !plan.like(&plans[number - 1]) {
            let values = |table: &&AliasTable| table.symbol.map(|symbol| P::value(plan, symbol));
            computed.push(plan.tables.iter().map(values).collect());
        }
        numbers.push(computed.len() - 1);
    }
    let values = numbers.into_iter().map(|number| &computed[number][..]).collect();
    let blocks: Vec<usize> = plans.iter().map(|plan| plan.layout.block).collect();
    if level.looks_up_numbers() {
        let kernel = Kernel::<P, true> { plans, put: &put, values };
        rounds::decode(&kernel, &blocks, target, space, verdicts);
    } else {
        let kernel = Kernel::<P, false> { plans, put: &put, values };
        rounds::decode(&kernel, &blocks, target, space, verdicts);
    }
}

impl Plan<'_> {
    /// The bits beside the stream; the plane below the fields if these have none.
    fn bits_beside(&self) -> &[u8] {
        let Layout { coded, raw, .. } = &self.layout;
        if self.layout.has_beside() { coded.low.packed } else { raw[0] }
    }

    /// Where the bits of a plane begin for a step.
    fn plane_at(&self, plane: usize, step: usize) -> usize {
        step * LANES / 8 * self.layout.widths[plane] as usize
    }

    /// Bits of a field of a class that lie beside the stream.
    pub(super) fn width_beside(&self, class: usize) -> Option<usize> {
        self.layout.coded.low.widths.get(class).map(|&width| usize::from(width))
    }
}

impl<'p, P: Put, const NUMBERS: bool> Cursor<'p, P, NUMBERS> {
    fn class(&self, step: usize) -> Class<'p, P> {
        let class = self.plan.layout.of_step().get(step).map_or(0, |&class| usize::from(class));
        self.classes[class % MOST_CLASSES]
    }
}

impl<'p, P: Put, const NUMBERS: bool> rounds::Kernel for Kernel<'p, '_, P, NUMBERS> {
    type Cursor = Cursor<'p, P, NUMBERS>;

    const MOST: usize = SIDE_BY_SIDE;

    fn begin(&self, number: usize) -> Result<Cursor<'p, P, NUMBERS>, StreamError> {
        let (plan, put, values) = (&self.plans[number], self.put, self.values[number]);
        let class = |k: usize| {
            let k = k.min(plan.tables.len() - 1);
            Class { table: plan.tables[k], values: &values[k], bits: put.bits(plan, k) }
        };
        let classes = std::array::from_fn(class);
        // SAFETY: the processor has the instructions.
        let (lanes, own) = unsafe { (Lanes::new(plan.layout.coded.stream)?, P::own(plan)) };
        Ok(Cursor { plan, classes, own, lanes, step: 0, taken: 0 })
    }

    fn round(&self, turns: &mut [Turn<'_, Cursor<'p, P, NUMBERS>>], steps: usize) {
        // SAFETY: the processor has the instructions.
        unsafe {
            match turns {
                [a] => round(self.put, [a], steps),
                [a, b] => round(self.put, [a, b], steps),
                [a, b, c] => round(self.put, [a, b, c], steps),
                [a, b, c, d] => round(self.put, [a, b, c, d], steps),
                _ => unreachable!("one to {SIDE_BY_SIDE} blocks"),
            }
        }
    }

    fn tail(&self, cursor: &mut Cursor<'p, P, NUMBERS>, out: &mut [u8]) {
        let Cursor { plan, step, taken, own, .. } = *cursor;
        let class = cursor.class(step);
        let lanes = out.len() / P::SIZE;
        // What the step reads may lie behind the bits.
        let bits =
            |bits: &[u8], at: usize| padded::<_, MOST_RAW>(bits.get(at..).unwrap_or_default());
        let beside = bits(plan.bits_beside(), taken);
        let planes = [0, 1, 2].map(|k| bits(plan.layout.raw[k], plan.plane_at(k, step)));
        let mut raw =
            Raw { beside: beside.as_ptr(), planes: planes.each_ref().map(|plane| plane.as_ptr()) };
        let mut elements = [0; MOST_BYTES];
        // SAFETY: the processor has the instructions; there are bits and room for a whole step.
        unsafe {
            let ranks = cursor.lanes.step::<true>(class.table, (1 << lanes) - 1);
            self.put.put(class, &own, &mut raw, (0, ranks), elements.as_mut_ptr());
        }
        out.copy_from_slice(&elements[..out.len()]);
    }

    fn end(&self, cursor: &Cursor<'p, P, NUMBERS>) -> Result<(), StreamError> {
        // SAFETY: the processor has the instructions.
        unsafe { cursor.lanes.end() }
    }
}

/// Decodes full steps of `N` blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn round<P: Put, const NUMBERS: bool, const N: usize>(
    put: &P,
    mut turns: [&mut Turn<'_, Cursor<'_, P, NUMBERS>>; N],
    steps: usize,
) {
    let to = turns.each_mut().map(|turn| turn.to(steps, P::SIZE));
    let mut cursors = turns.map(|turn| &mut turn.cursor);
    let mut lanes = cursors.each_ref().map(|cursor| cursor.lanes);
    let own = cursors.each_ref().map(|cursor| cursor.own);
    let starts = cursors.each_ref().map(|cursor| start(cursor.plan.bits_beside()));
    let mut raw: [Raw; N] = std::array::from_fn(|n| {
        let Cursor { plan, step, taken, .. } = *cursors[n];
        let plane = |k| start(plan.layout.raw[k]).wrapping_add(plan.plane_at(k, step));
        Raw { beside: starts[n].wrapping_add(taken), planes: [0, 1, 2].map(plane) }
    });
    let first = cursors.each_ref().map(|cursor| cursor.step);
    let of_step: [&[u8]; N] = std::array::from_fn(|n| {
        cursors[n].plan.layout.of_step().get(first[n]..first[n] + steps).unwrap_or_default()
    });
    if of_step.iter().all(|of_step| of_step.is_empty()) {
        // Known to the compiler: no look-up of classes in the loop.
        let only = cursors.each_ref().map(|cursor| cursor.classes[0]);
        steps_of(put, &mut lanes, steps, |n, _| only[n], &own, &mut raw, to);
    } else {
        let classes = cursors.each_ref().map(|cursor| &cursor.classes);
        let class = |n: usize, step: usize| {
            let class = of_step[n].get(step).map_or(0, |&class| usize::from(class));
            classes[n][class % MOST_CLASSES]
        };
        steps_of(put, &mut lanes, steps, class, &own, &mut raw, to);
    }
    for (n, cursor) in cursors.iter_mut().enumerate() {
        cursor.lanes = lanes[n];
        cursor.step += steps;
        cursor.taken = raw[n].beside as usize - starts[n] as usize;
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn steps_of<'t, P: Put + 't, const NUMBERS: bool, const N: usize>(
    put: &P,
    lanes: &mut [Lanes<'_, NUMBERS>; N],
    steps: usize,
    class: impl Fn(usize, usize) -> Class<'t, P>,
    own: &[P::Own; N],
    raw: &mut [Raw; N],
    to: [*mut u8; N],
) {
    let size = P::SIZE * LANES;
    // SAFETY: bit strings have the bits of all elements; there is room for those of a piece.
    let done = unsafe { put.several(lanes, steps, &class, own, raw, to) };
    alias::run(
        lanes,
        done..steps,
        |n, step| class(n, step).table,
        |n, step, _, ranks| {
            // SAFETY: as above.
            unsafe {
                let to = to[n].add(step * size);
                put.put(class(n, step), &own[n], &mut raw[n], (step, ranks), to);
            };
        },
    );
}
