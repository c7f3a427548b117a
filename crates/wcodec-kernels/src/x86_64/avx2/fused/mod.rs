//! Row scan and elements of up to four bytes: from streams to elements without buffers of whole blocks in
//! between.

mod finish;
mod kernel;
mod plan;

use super::{alias, wide};
use crate::Level;
use crate::blocks::BlockError;
use crate::level::Set;
use crate::lines::Lines;
use crate::target::Target;

/// Twin of [`crate::decode_blocks`] for the blocks of kinds that are known here; leaves the verdicts of others open.
pub(crate) fn decode_fused(
    level: Level,
    target: &mut Target<'_, '_>,
    space: &mut Lines,
    verdicts: &mut [Option<Result<(), BlockError>>],
) {
    assert!(level.set() >= Set::Avx2);
    // SAFETY: the level says that the processor has the instructions.
    unsafe {
        kernel::decode::<alias::Lanes<'_, 2>>(target, space, verdicts);
        kernel::decode::<alias::Lanes<'_, 4>>(target, space, verdicts);
        kernel::decode::<wide::Lanes<'_>>(target, space, verdicts);
    }
}
