//! Row scan, alias tables and elements of up to four bytes: from streams to elements without buffers of
//! whole blocks in between.

mod bytes;
mod halves;
mod kernel;
mod words;

use super::MOST_CLASSES;
use super::unpack::{MOST_BITS, Unpack};
use crate::blocks::{Block, BlockError};
use crate::level::Set;
use crate::lines::Lines;
use crate::slots::AliasTable;
use crate::target::Target;
use crate::x86_64::layout::{Kind, Layout};
use crate::x86_64::rounds::groups;
use crate::{DecodeTable, Level};
use bytes::Bytes;
use halves::Halves;
use words::Words;

/// A block that can be decoded here.
struct Plan<'a> {
    layout: Layout<'a>,
    tables: Vec<&'a AliasTable>,
}

impl<'a> Plan<'a> {
    /// The plan of a block; `None` if it is of another kind.
    fn of(number: usize, block: &Block<'a>) -> Option<Plan<'a>> {
        let layout = Layout::of(number, block)?;
        let tables = layout.coded.classes.tables().map(DecodeTable::alias);
        let tables = tables.collect::<Option<Vec<_>>>()?;
        let (most, one_kind) = match layout.kind {
            Kind::Byte { raw } if raw > Unpack::MOST_BITS => return None,
            // Raw bits of one kind are enough.
            Kind::Byte { raw } => (Unpack::MOST_BITS, raw == 0 || !layout.has_beside()),
            Kind::HalfHigh { .. } => (MOST_BITS, !layout.has_beside()),
            Kind::Half { .. } | Kind::Word { .. } => (MOST_BITS, true),
        };
        let fits = one_kind && layout.has_at_most(most) && tables.len() <= MOST_CLASSES;
        fits.then_some(Plan { layout, tables })
    }

    /// Whether both can be decoded side by side.
    fn goes_with(&self, other: &Plan<'_>) -> bool {
        let how = |plan: &Plan<'_>| (plan.layout.kind, plan.layout.shift, plan.layout.has_beside());
        match (self.layout.kind, other.layout.kind) {
            (Kind::Byte { .. }, Kind::Byte { .. }) => true,
            _ => how(self) == how(other),
        }
    }

    /// Whether fields come to the same elements in both.
    fn like(&self, other: &Plan<'_>) -> bool {
        let how = |plan: &Plan<'_>| {
            let Layout { element, shift, constant, .. } = plan.layout;
            (element, shift, constant, plan.tables.len())
        };
        let same = |(a, b): (&&AliasTable, &&AliasTable)| std::ptr::eq(*a, *b);
        how(self) == how(other) && self.tables.iter().zip(&other.tables).all(same)
    }
}

/// Twin of [`crate::decode_blocks`] for the blocks of kinds that are known here; leaves the verdicts of others open.
pub(crate) fn decode_fused(
    level: Level,
    target: &mut Target<'_, '_>,
    space: &mut Lines,
    verdicts: &mut [Option<Result<(), BlockError>>],
) {
    assert_eq!(level.set(), Set::Avx512);
    let blocks = target.blocks.iter().enumerate();
    let plans = blocks.filter_map(|(number, block)| Plan::of(number, block));
    for plans in groups(plans, Plan::goes_with) {
        // SAFETY: the level says that the processor has the instructions.
        unsafe { decode_alike(level, &plans, target, space, verdicts) };
    }
}

/// Decodes blocks that go with each other.
#[target_feature(enable = "avx512f,avx512bw")]
fn decode_alike(
    level: Level,
    plans: &[Plan<'_>],
    target: &mut Target<'_, '_>,
    space: &mut Lines,
    verdicts: &mut [Option<Result<(), BlockError>>],
) {
    let Some(Plan { layout: Layout { kind, shift, .. }, .. }) = plans.first() else { return };
    let bits = |plan: &Plan<'_>| plan.layout.has_beside() || plan.layout.widths[0] > 0;
    let beside = plans[0].layout.has_beside();
    macro_rules! decode {
        ($put:expr) => {
            kernel::decode(level, plans, $put, target, space, verdicts)
        };
    }
    match *kind {
        Kind::Byte { .. } if plans.iter().any(bits) => decode!(Bytes::<true>::new()),
        Kind::Byte { .. } => decode!(Bytes::<false>::new()),
        Kind::Half { low } if beside => decode!(Halves::<true, false>::new(*shift, (low, 0))),
        Kind::Half { low } => decode!(Halves::<false, false>::new(*shift, (low, 0))),
        Kind::HalfHigh { high } => decode!(Halves::<false, true>::new(*shift, (8, high))),
        Kind::Word { upper } if beside => decode!(Words::<true>::new(*shift, upper)),
        Kind::Word { upper } => decode!(Words::<false>::new(*shift, upper)),
    }
}
