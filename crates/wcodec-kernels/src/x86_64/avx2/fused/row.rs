//! Row scan: a step is 32 elements of a row.

use super::finish::Finish;
use super::{Beside, Task};
use crate::slots::SplitTable;
use crate::x86_64::avx2::alias::{self, Lanes};
use crate::x86_64::avx512::Cursor;

/// Decodes blocks to their places.
///
/// # Safety
/// The rows of each plan must be writable from its `out` on.
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn decode<const QUARTERS: usize, const N: usize>(
    tasks: [&Task<'_>; N],
    lanes: &mut [Lanes<'_, QUARTERS>; N],
    out: [*mut u8; N],
) {
    // SAFETY: the caller's promise.
    unsafe {
        if tasks.iter().all(|task| task.plan.of_step.is_empty()) {
            // Known to the compiler: no look-up of classes in the loop.
            let tables = tasks.map(|task| task.tables[0]);
            decode_with(tasks, lanes, out, |n, _| (0, tables[n]));
        } else {
            decode_with(tasks, lanes, out, |n, step| {
                (tasks[n].plan.class(step), tasks[n].table(step))
            });
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
    tasks: [&Task<'_>; N],
    all_lanes: &mut [Lanes<'_, QUARTERS>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> (usize, &'t SplitTable),
) {
    // Its own copy: a compiler keeps it in registers.
    let mut lanes = *all_lanes;
    let plans = tasks.map(|task| &task.plan);
    let has_beside = !plans[0].beside.widths.is_empty();
    let mut beside = Beside::of(&tasks);
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
