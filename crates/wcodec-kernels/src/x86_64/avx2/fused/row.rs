//! Row scan: a step is 32 elements of a row.

use super::finish::Finish;
use super::plan::Plan;
use crate::LANES;
use crate::x86_64::avx2::step::Stepper;
use crate::x86_64::avx2::unpack::Beside;
use crate::x86_64::output::Output;

/// Decodes blocks, piece by piece.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn decode<'a, S: Stepper<'a>, const N: usize>(
    plans: [&Plan<'a, S::Table>; N],
    lanes: &mut [S; N],
    out: &mut Output<'_, '_, '_, N>,
) {
    if plans.iter().all(|plan| plan.of_step.is_empty()) {
        // Known to the compiler: no look-up of classes in the loop.
        let classes = plans.map(|plan| plan.class(0));
        decode_with(plans, lanes, out, |n, _| classes[n]);
    } else {
        decode_with(plans, lanes, out, |n, step| plans[n].class(step));
    }
}

/// `class` tells the class of each step, and its table.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn decode_with<'a, S: Stepper<'a>, const N: usize>(
    plans: [&Plan<'a, S::Table>; N],
    lanes: &mut [S; N],
    out: &mut Output<'_, '_, '_, N>,
    class: impl Fn(usize, usize) -> (usize, &'a S::Table),
) {
    let has_beside = !plans[0].beside.widths.is_empty();
    let mut beside = Beside::of(plans.map(|plan| &plan.beside));
    let finish: [Finish; N] = std::array::from_fn(|n| Finish::new(plans[n]));
    let mut raw = std::array::from_fn::<_, N, _>(|n| finish[n].raw(plans[n]));
    let step_bytes = LANES * plans[0].element.size();
    for piece in plans[0].pieces.clone() {
        let mut at = out.room();
        let steps = piece.start / LANES..piece.end / LANES;
        let sink = |n: usize, step: usize, mut fields| {
            // SAFETY: bit strings and raw planes have bits for each element, and there is room for the
            // elements of a piece.
            unsafe {
                if has_beside {
                    fields = beside.add(n, class(n, step).0, fields);
                }
                finish[n].put(fields, &mut raw[n], at[n]);
            }
            at[n] = at[n].wrapping_add(step_bytes);
        };
        // SAFETY: this function has the same instructions.
        unsafe { S::run(lanes, steps, |n, step| class(n, step).1, sink) };
        out.take(piece);
    }
}
