//! Row scan, alias tables and elements of up to four bytes: from streams to elements without buffers of
//! whole blocks in between.

mod bytes;
mod halves;
mod kernel;
mod words;

use super::MOST_CLASSES;
use super::unpack::{MOST_BITS, Unpack};
use crate::blocks::{Block, BlockError, Coded, Source};
use crate::level::Set;
use crate::lines::Lines;
use crate::slots::AliasTable;
use crate::target::Target;
use crate::{DecodeTable, Element, Level, LowBits, Scan, Steps, Transform};

/// What the elements of a block are put together from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One byte: a field, below it 0 to 4 raw bits.
    Byte,
    /// Two bytes whose sign is rotated: a field, below it 0 to 8 raw bits.
    Half { low: u32 },
    /// The same with 8 raw bits, and 1 to 7 more above them.
    HalfHigh { high: u32 },
    /// Four bytes whose sign is rotated: a field, below it 0 to 8 raw bits, then two bytes.
    Word { upper: u32 },
}

/// A block that can be decoded here.
struct Plan<'a> {
    /// Its number.
    block: usize,
    element: Element,
    kind: Kind,
    tables: Vec<&'a AliasTable>,
    of_step: &'a [u8],
    stream: &'a [u8],
    /// Bits of the fields that lie beside the stream.
    beside: LowBits<'a>,
    /// Raw planes below the fields, the lowest bits first, and the bits of a field in each.
    raw: [&'a [u8]; 3],
    widths: [u32; 3],
    /// Where the field begins in an element, or in the upper half of a word, before the sign is rotated to its
    /// place.
    shift: u32,
    /// What all elements have in common there.
    constant: u16,
}

impl<'a> Plan<'a> {
    /// The plan of a block; `None` if it is of another kind.
    fn of(number: usize, block: &Block<'a>) -> Option<Plan<'a>> {
        let element = block.element;
        if block.tiles.is_some() || block.is_sorted() || element.size() > 4 {
            return None;
        }
        let (first, below) = block.planes.split_first()?;
        let Source::Coded(coded) = first.source else { return None };
        let Coded { classes, stream, scan, low: beside, .. } = coded;
        let steps = Steps::of(scan, block.rows, block.cols);
        let tables = classes.tables().map(DecodeTable::alias).collect::<Option<Vec<_>>>()?;
        if scan != Scan::Row || steps.lanes() < crate::LANES || tables.len() > MOST_CLASSES {
            return None;
        }
        let mut shift = element.bits() - first.width;
        let field_shift = shift;
        let mut constant = 0;
        let (mut raw, mut widths) = ([&[][..]; 3], [0; 3]);
        for plane in below {
            shift -= plane.width;
            match plane.source {
                Source::Constant(value) => constant |= u32::from(value) << shift,
                Source::Packed(bits) if shift.is_multiple_of(8) && shift <= 16 => {
                    let k = shift as usize / 8;
                    (raw[k], widths[k]) = (bits, plane.width);
                }
                _ => return None,
            }
        }
        let kind = match (element.size(), element.transform(), widths) {
            (1, _, [0..=Unpack::MOST_BITS, 0, 0]) => Kind::Byte,
            (2, Transform::RotateSign, [low, 0, 0]) => Kind::Half { low },
            (2, Transform::RotateSign, [8, high, 0]) => Kind::HalfHigh { high },
            (4, Transform::RotateSign, [8, 8, upper]) if field_shift >= 16 => Kind::Word { upper },
            _ => return None,
        };
        // Of words, fields are put together with the upper half.
        let below_half = element.bits() - element.bits().min(16);
        // Raw bits of one kind are enough.
        let one_kind = widths[0] == 0 || matches!(kind, Kind::Half { .. } | Kind::Word { .. });
        let most = if kind == Kind::Byte { Unpack::MOST_BITS } else { MOST_BITS };
        let narrow = beside.widths.iter().all(|&width| u32::from(width) <= most);
        (narrow && (one_kind || beside.widths.is_empty())).then_some(Plan {
            block: number,
            element,
            kind,
            tables,
            of_step: classes.of_step(),
            stream,
            beside,
            raw,
            widths,
            shift: field_shift - below_half,
            constant: (constant >> below_half) as u16,
        })
    }

    fn has_beside(&self) -> bool {
        !self.beside.widths.is_empty()
    }

    /// The number of the table of a step.
    #[inline(always)]
    fn class(&self, step: usize) -> usize {
        self.of_step.get(step).map_or(0, |&class| usize::from(class))
    }

    /// Whether both can be decoded side by side.
    fn goes_with(&self, other: &Plan<'_>) -> bool {
        let shape = |plan: &Plan<'_>| (plan.kind, plan.shift, plan.has_beside());
        self.kind == other.kind && (self.kind == Kind::Byte || shape(self) == shape(other))
    }

    /// Whether fields come to the same elements in both.
    fn like(&self, other: &Plan<'_>) -> bool {
        let how = |plan: &Plan<'_>| (plan.element, plan.shift, plan.constant, plan.tables.len());
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
    let plans = target.blocks.iter().enumerate();
    let mut plans: Vec<Plan<'_>> = plans.filter_map(|(n, block)| Plan::of(n, block)).collect();
    while let Some(first) = plans.pop() {
        let (mut alike, others): (Vec<_>, Vec<_>) =
            plans.into_iter().partition(|plan| plan.goes_with(&first));
        alike.push(first);
        plans = others;
        // SAFETY: the level says that the processor has the instructions.
        unsafe { decode_alike(level, &alike, target, space, verdicts) };
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
    let Some(Plan { kind, shift, .. }) = plans.first() else { return };
    match (*kind, plans[0].has_beside()) {
        (Kind::Byte, _) => {
            let bits = |plan: &Plan<'_>| plan.has_beside() || plan.widths[0] > 0;
            match plans.iter().any(bits) {
                true => kernel::decode(
                    level,
                    plans,
                    bytes::Bytes::<true>::new(),
                    target,
                    space,
                    verdicts,
                ),
                false => {
                    kernel::decode(
                        level,
                        plans,
                        bytes::Bytes::<false>::new(),
                        target,
                        space,
                        verdicts,
                    );
                }
            }
        }
        (Kind::Half { low }, false) => {
            let put = halves::Halves::<false, false>::new(*shift, (low, 0));
            kernel::decode(level, plans, put, target, space, verdicts);
        }
        (Kind::Half { low }, true) => {
            let put = halves::Halves::<true, false>::new(*shift, (low, 0));
            kernel::decode(level, plans, put, target, space, verdicts);
        }
        (Kind::HalfHigh { high }, _) => {
            let put = halves::Halves::<false, true>::new(*shift, (8, high));
            kernel::decode(level, plans, put, target, space, verdicts);
        }
        (Kind::Word { upper }, false) => {
            let put = words::Words::<false>::new(*shift, upper);
            kernel::decode(level, plans, put, target, space, verdicts);
        }
        (Kind::Word { upper }, true) => {
            let put = words::Words::<true>::new(*shift, upper);
            kernel::decode(level, plans, put, target, space, verdicts);
        }
    }
}
