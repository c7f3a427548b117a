//! Row scan: a step is 32 elements of a row.

use super::finish::Finish;
use super::{Beside, Plan};
use crate::LANES;
use crate::slots::SplitTable;
use crate::x86_64::avx2::alias::{self, Lanes};
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Decodes blocks to their places.
///
/// # Safety
/// The rows of each plan must be writable from its `out` on.
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn decode<const QUARTERS: usize, const N: usize>(
    plans: [&Plan<'_>; N],
    lanes: &mut [Lanes<'_, QUARTERS>; N],
    out: [*mut u8; N],
) {
    // SAFETY: the caller's promise.
    unsafe {
        if plans.iter().all(|plan| plan.of_step.is_empty()) {
            // Known to the compiler: no look-up of classes in the loop.
            let classes = plans.map(|plan| plan.class(0));
            decode_with(plans, lanes, out, |n, _| classes[n]);
        } else {
            decode_with(plans, lanes, out, |n, step| plans[n].class(step));
        }
    }
}

/// `class` tells the class of each step, and its table.
///
/// # Safety
/// As [`decode`].
#[inline]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn decode_with<'t, const QUARTERS: usize, const N: usize>(
    plans: [&Plan<'_>; N],
    all_lanes: &mut [Lanes<'_, QUARTERS>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> (usize, &'t SplitTable),
) {
    // Its own copy: a compiler keeps it in registers.
    let mut lanes = *all_lanes;
    let has_beside = !plans[0].beside.widths.is_empty();
    let mut beside = Beside::of(&plans);
    let finish: [Finish; N] = std::array::from_fn(|n| Finish::new(plans[n]));
    let mut raw = std::array::from_fn::<_, N, _>(|n| finish[n].raw(plans[n], 0));
    let mut cursor = Cursor::new(&plans, out);
    let steps = 0..plans[0].rows.rows * cursor.row;
    alias::run(
        &mut lanes,
        steps,
        |n, step| class(n, step).1,
        |n, step, table, ranks| {
            let mut fields = alias::bytes::<QUARTERS>(table, ranks);
            // SAFETY: bit strings and raw planes have bits for each element; the cursor goes over the
            // rows of the plan, which are writable.
            unsafe {
                if has_beside {
                    fields = beside.add(n, class(n, step).0, fields);
                }
                finish[n].put(fields, &mut raw[n], cursor.next(n));
            }
        },
    );
    *all_lanes = lanes;
}

/// Where each of `N` blocks goes on writing.
struct Cursor<const N: usize> {
    at: [*mut u8; N],
    /// Bytes of a step.
    step: usize,
    /// Bytes from the end of a row to the beginning of the next.
    gaps: [usize; N],
    /// Bytes to a place that is written later: the next row, which lies too far away for the
    /// processor to guess.
    ahead: [usize; N],
    /// Steps of a row.
    row: usize,
    left: usize,
}

impl<const N: usize> Cursor<N> {
    fn new(plans: &[&Plan<'_>; N], out: [*mut u8; N]) -> Cursor<N> {
        let width = plans[0].rows.width;
        let step = LANES * plans[0].element.size();
        let gaps = plans.map(|plan| plan.rows.pitch.saturating_sub(width));
        let ahead = plans.map(|plan| if plan.rows.rows > 1 { plan.rows.pitch } else { 1024 });
        Cursor { at: out, step, gaps, ahead, row: width / step, left: width / step }
    }

    /// The place of block `n` for this step; blocks must come in order.
    #[inline(always)]
    fn next(&mut self, n: usize) -> *mut u8 {
        let at = self.at[n];
        // SAFETY: any address may be prefetched.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(self.ahead[n]).cast()) };
        self.at[n] = at.wrapping_add(self.step);
        if n + 1 == N {
            self.left -= 1;
            if self.left == 0 {
                self.left = self.row;
                for (at, gap) in self.at.iter_mut().zip(self.gaps) {
                    *at = at.wrapping_add(gap);
                }
            }
        }
        at
    }
}
