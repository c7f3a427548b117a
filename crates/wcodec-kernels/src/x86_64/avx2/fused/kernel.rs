//! Streams side by side, whose symbols are put together with the bits beside them, 32 elements at a time.

use super::finish::{Finish, Raw};
use super::plan::Plan;
use crate::blocks::BlockError;
use crate::lines::Lines;
use crate::target::Target;
use crate::x86_64::avx2::SIDE_BY_SIDE;
use crate::x86_64::avx2::step::Stepper;
use crate::x86_64::avx2::unpack::{self, Beside, Unpack};
use crate::x86_64::rounds::{self, Turn};
use crate::{LANES, StreamError};

/// Blocks with tables of one kind.
struct Kernel<'p, 'a, S: Stepper<'a>> {
    plans: &'p [Plan<'a, S::Table>],
    /// For bits beside the stream.
    unpack: [Unpack; unpack::MOST_BITS as usize + 1],
}

/// A block between two rounds.
struct Cursor<'p, 'a, S: Stepper<'a>> {
    plan: &'p Plan<'a, S::Table>,
    lanes: S,
    finish: Finish,
    raw: Raw,
    /// Where the bits beside the next step lie.
    beside: *const u8,
    /// The next step.
    step: usize,
}

/// Decodes the blocks with tables of this kind whose verdicts are open, and sets these.
///
/// # Safety
/// The processor must have AVX2 and POPCNT.
pub(super) unsafe fn decode<'t, S: Stepper<'t>>(
    target: &mut Target<'t, '_>,
    space: &mut Lines,
    verdicts: &mut [Option<Result<(), BlockError>>],
) {
    let blocks = target.blocks.iter().zip(&*verdicts).enumerate();
    let open = blocks.filter(|(_, (_, verdict))| verdict.is_none());
    let plans = open.filter_map(|(number, (block, _))| Plan::of::<S>(number, block));
    for plans in rounds::groups(plans, Plan::goes_with) {
        let blocks: Vec<usize> = plans.iter().map(|plan| plan.layout.block).collect();
        // SAFETY: the caller's promise.
        let kernel = Kernel::<S> { plans: &plans, unpack: unsafe { unpack::by_width() } };
        rounds::decode(&kernel, &blocks, target, space, verdicts);
    }
}

impl<'p, 'a, S: Stepper<'a>> rounds::Kernel for Kernel<'p, 'a, S> {
    type Cursor = Cursor<'p, 'a, S>;

    const MOST: usize = SIDE_BY_SIDE;

    fn begin(&self, number: usize) -> Result<Cursor<'p, 'a, S>, StreamError> {
        let plan = &self.plans[number];
        // SAFETY: the processor has the instructions.
        let (lanes, finish) = unsafe { (S::begin(plan.layout.coded.stream)?, Finish::new(plan)) };
        let (raw, beside) = (finish.raw(plan), plan.layout.coded.low.packed.as_ptr());
        Ok(Cursor { plan, lanes, finish, raw, beside, step: 0 })
    }

    fn round(&self, turns: &mut [Turn<'_, Cursor<'p, 'a, S>>], steps: usize) {
        // SAFETY: the processor has the instructions.
        unsafe {
            match turns {
                [a] => round(&self.unpack, [a], steps),
                [a, b] => round(&self.unpack, [a, b], steps),
                _ => unreachable!("one or {SIDE_BY_SIDE} blocks"),
            }
        }
    }

    fn tail(&self, _: &mut Cursor<'p, 'a, S>, _: &mut [u8]) {
        unreachable!("plans are of blocks of full steps")
    }

    fn end(&self, cursor: &Cursor<'p, 'a, S>) -> Result<(), StreamError> {
        // SAFETY: the processor has the instructions.
        unsafe { cursor.lanes.end() }
    }
}

/// Decodes full steps of `N` blocks.
#[target_feature(enable = "avx2,popcnt")]
fn round<'a, S: Stepper<'a>, const N: usize>(
    unpack: &[Unpack; unpack::MOST_BITS as usize + 1],
    mut turns: [&mut Turn<'_, Cursor<'_, 'a, S>>; N],
    steps: usize,
) {
    // The same in all of them.
    let size = turns[0].cursor.plan.layout.element.size();
    let to = turns.each_mut().map(|turn| turn.to(steps, size));
    let mut cursors = turns.map(|turn| &mut turn.cursor);
    let mut lanes = cursors.each_ref().map(|cursor| cursor.lanes);
    let plans = cursors.each_ref().map(|cursor| cursor.plan);
    let first = cursors.each_ref().map(|cursor| cursor.step);
    let widths = plans.map(|plan| plan.layout.coded.low.widths);
    let mut beside = Beside::new(unpack, widths, cursors.each_ref().map(|cursor| cursor.beside));
    let mut raw = cursors.each_ref().map(|cursor| cursor.raw);
    {
        let finish = cursors.each_ref().map(|cursor| &cursor.finish);
        let run = (steps, LANES * size, to);
        if plans.iter().all(|plan| plan.layout.of_step().is_empty()) {
            // Known to the compiler: no look-up of classes in the loop.
            let classes = plans.map(|plan| plan.class(0));
            steps_of(&mut lanes, run, |n, _| classes[n], finish, &mut beside, &mut raw);
        } else {
            let class = |n: usize, step: usize| plans[n].class(first[n] + step);
            steps_of(&mut lanes, run, class, finish, &mut beside, &mut raw);
        }
    }
    for (n, cursor) in cursors.iter_mut().enumerate() {
        (cursor.lanes, cursor.raw, cursor.beside) = (lanes[n], raw[n], beside.at[n]);
        cursor.step += steps;
    }
}

/// `class` tells the class of each step, and its table; a step has `bytes` bytes.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn steps_of<'a, S: Stepper<'a>, const N: usize>(
    lanes: &mut [S; N],
    (steps, bytes, mut to): (usize, usize, [*mut u8; N]),
    class: impl Fn(usize, usize) -> (usize, &'a S::Table),
    finish: [&Finish; N],
    beside: &mut Beside<'_, N>,
    raw: &mut [Raw; N],
) {
    let has_beside = beside.any();
    let sink = |n: usize, step: usize, mut fields| {
        // SAFETY: bit strings and raw planes have bits for each element, and there is room for the
        // elements of a piece.
        unsafe {
            if has_beside {
                fields = beside.add(n, class(n, step).0, fields);
            }
            finish[n].put(fields, &mut raw[n], to[n]);
        }
        to[n] = to[n].wrapping_add(bytes);
    };
    // SAFETY: this function has the same instructions.
    unsafe { S::run(lanes, 0..steps, |n, step| class(n, step).1, sink) };
}
