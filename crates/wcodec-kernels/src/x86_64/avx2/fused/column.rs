//! Column scan: a step is a column of 32 rows. A strip of them is decoded to a buffer in the first
//! cache, turned, and its rows put together from there.

use super::finish::Finish;
use super::{Beside, Plan};
use crate::turn::transpose;
use crate::x86_64::avx2::alias::{self, Lanes};
use crate::x86_64::turn::to_rows_avx2;
use crate::{LANES, Scan, Steps};
use std::arch::x86_64::*;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Decodes blocks to their places.
///
/// # Safety
/// The rows of each plan must be writable from its `out` on.
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn decode<const QUARTERS: usize, const N: usize>(
    plans: [&Plan<'_>; N],
    all_lanes: &mut [Lanes<'_, QUARTERS>; N],
    out: [*mut u8; N],
    space: &mut Vec<u8>,
) {
    // Its own copy: a compiler keeps it in registers.
    let mut lanes = *all_lanes;
    let has_beside = !plans[0].beside.widths.is_empty();
    let mut beside = Beside::of(&plans);
    let finish: [Finish; N] = std::array::from_fn(|n| Finish::new(plans[n]));
    let (rows, cols) = (plans[0].rows.rows, plans[0].cols);
    let row_bytes = plans[0].rows.width;
    let strip = LANES * cols;
    if space.len() < (N + 1) * strip {
        space.resize((N + 1) * strip, 0);
    }
    let (coded, turned) = space[..(N + 1) * strip].split_at_mut(N * strip);
    let place = |n: usize, position: usize| {
        out[n].wrapping_add(plans[n].row(position) * plans[n].rows.pitch)
    };
    for first in (0..rows / LANES * LANES).step_by(LANES) {
        let start = first / LANES * cols;
        let to: [[*mut u8; LANES]; N] =
            std::array::from_fn(|n| std::array::from_fn(|row| place(n, first + row)));
        let coded_at: [*mut u8; N] =
            std::array::from_fn(|n| coded.as_mut_ptr().wrapping_add(n * strip));
        alias::run(
            &mut lanes,
            0..cols,
            |n, col| plans[n].class(start + col).1,
            |n, col, table, ranks| {
                let mut fields = alias::bytes::<QUARTERS>(table, ranks);
                if has_beside {
                    // SAFETY: the bit strings have bits for each element.
                    fields = unsafe { beside.add(n, plans[n].class(start + col).0, fields) };
                }
                // Rows lie too far from each other for the processor to guess them.
                let ahead = col / LANES * LINE;
                if ahead < row_bytes {
                    let row = to[n][col % LANES];
                    _mm_prefetch::<_MM_HINT_ET0>(row.wrapping_add(ahead).cast());
                }
                // SAFETY: a strip of `coded` has 32 bytes for each column.
                unsafe { _mm256_storeu_si256(coded_at[n].add(LANES * col).cast(), fields) };
            },
        );
        for n in 0..N {
            to_rows_avx2(&coded[n * strip..][..strip], cols, turned);
            for (position, (fields, &to)) in (first..).zip(turned.chunks_exact(cols).zip(&to[n])) {
                // SAFETY: `to` is that row of the plan.
                unsafe { put_row(&finish[n], plans[n], fields, plans[n].row(position), to) };
            }
        }
    }
    let height = rows % LANES;
    let steps = Steps::of(Scan::Column, rows, cols);
    for n in (0..N).filter(|_| height > 0) {
        let symbols = &mut coded[..height * cols];
        alias::tail(&mut lanes[n], steps, |step| plans[n].class(step).1, symbols);
        let packed = plans[n].beside.packed.as_ptr();
        let taken = beside.at[n] as usize - packed as usize;
        plans[n].beside.add_tail(steps, plans[n].of_step, 8 * taken, symbols);
        transpose(symbols, height, 0..cols, &mut turned[..height * cols]);
        for (position, fields) in (rows - height..).zip(turned.chunks_exact(cols).take(height)) {
            let row = plans[n].row(position);
            // SAFETY: the place is that row of the plan.
            unsafe { put_row(&finish[n], plans[n], fields, row, place(n, position)) };
        }
    }
    *all_lanes = lanes;
}

/// Writes a row of elements.
///
/// # Safety
/// `row` must be a row of the plan, and all of it writable from `to` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn put_row(finish: &Finish, plan: &Plan<'_>, fields: &[u8], row: usize, to: *mut u8) {
    let mut raw = finish.raw(plan, row * fields.len() / LANES);
    let (fields, _) = fields.as_chunks::<LANES>();
    for (k, fields) in fields.iter().enumerate() {
        // SAFETY: 32 fields; the raw planes have bits for each element; a row has 32 elements for
        // each 32 fields.
        unsafe {
            let fields = _mm256_loadu_si256(fields.as_ptr().cast());
            let to = to.add(k * LANES * plan.element.size());
            finish.put(fields, &mut raw, to);
        }
    }
}
