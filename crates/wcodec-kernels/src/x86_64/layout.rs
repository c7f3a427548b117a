//! Blocks that kernels decode without stages, and what their elements are put together from.

use crate::blocks::{Block, Coded, Source};
use crate::{Element, LANES, Scan, Steps, Transform};

/// What the elements of a block are put together from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One byte: a field, below it 0 to 7 raw bits.
    Byte { raw: u32 },
    /// Two bytes whose sign is rotated: a field, below it 0 to 8 raw bits.
    Half { low: u32 },
    /// The same with 8 raw bits, and 1 to 7 more above them.
    HalfHigh { high: u32 },
    /// Four bytes whose sign is rotated: a field, below it 0 to 8 raw bits, then two bytes.
    Word { upper: u32 },
}

/// A block of the row scan whose first plane alone is coded.
pub(super) struct Layout<'a> {
    /// The number of the block.
    pub(super) block: usize,
    pub(super) element: Element,
    pub(super) kind: Kind,
    /// The first plane.
    pub(super) coded: Coded<'a>,
    pub(super) steps: Steps,
    /// Raw planes below the fields, the lowest bits first, and the bits of a field in each.
    pub(super) raw: [&'a [u8]; 3],
    pub(super) widths: [u32; 3],
    /// Where the field begins in an element, or in the upper half of a word, before the sign is rotated to its
    /// place.
    pub(super) shift: u32,
    /// What all elements have in common there.
    pub(super) constant: u16,
}

impl<'a> Layout<'a> {
    /// Of the block of this number; `None` if it is of another kind.
    pub(super) fn of(number: usize, block: &Block<'a>) -> Option<Layout<'a>> {
        let element = block.element;
        if block.tiles.is_some() || block.is_sorted() || element.size() > 4 {
            return None;
        }
        let (first, below) = block.planes.split_first()?;
        let Source::Coded(coded) = first.source else { return None };
        let steps = Steps::of(coded.scan, block.rows, block.cols);
        if coded.scan != Scan::Row || steps.lanes() < LANES {
            return None;
        }
        // Words are put together from their halves.
        let lowest = if element.size() == 4 { 16 } else { 0 };
        let mut place = element.bits() - first.width;
        let shift = place.checked_sub(lowest)?;
        let (mut constant, mut raw, mut widths) = (0, [&[][..]; 3], [0; 3]);
        for plane in below {
            place -= plane.width;
            match plane.source {
                Source::Constant(value) => constant |= u32::from(value) << place,
                Source::Packed(bits) if place.is_multiple_of(8) && place <= 16 => {
                    let k = place as usize / 8;
                    (raw[k], widths[k]) = (bits, plane.width);
                }
                _ => return None,
            }
        }
        let kind = match (element.size(), element.transform(), widths) {
            (1, _, [raw, 0, 0]) => Kind::Byte { raw },
            (2, Transform::RotateSign, [low, 0, 0]) => Kind::Half { low },
            (2, Transform::RotateSign, [8, high, 0]) => Kind::HalfHigh { high },
            (4, Transform::RotateSign, [8, 8, upper]) => Kind::Word { upper },
            _ => return None,
        };
        let constant = (constant >> lowest) as u16;
        Some(Layout { block: number, element, kind, coded, steps, raw, widths, shift, constant })
    }

    /// Whether some fields have bits beside the stream.
    pub(super) fn has_beside(&self) -> bool {
        !self.coded.low.widths.is_empty()
    }

    /// Whether no fields have more bits beside the stream.
    pub(super) fn has_at_most(&self, bits: u32) -> bool {
        self.coded.low.widths.iter().all(|&width| u32::from(width) <= bits)
    }

    /// The class of each step; empty if there is only one.
    pub(super) fn of_step(&self) -> &'a [u8] {
        self.coded.classes.of_step()
    }
}
