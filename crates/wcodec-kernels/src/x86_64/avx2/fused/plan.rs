//! Which blocks are decoded without stages, and from what.

use crate::blocks::{Block, Coded, Source};
use crate::x86_64::avx2::MOST_CLASSES;
use crate::x86_64::avx2::step::Stepper;
use crate::x86_64::avx2::unpack::MOST_BITS;
use crate::{Element, LANES, LowBits, Scan, Transform};

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

/// A block that can be decoded here.
pub(super) struct Plan<'a, Table> {
    /// Its number.
    pub(super) block: usize,
    pub(super) element: Element,
    pub(super) kind: Kind,
    /// Tables of the classes, the last one again for those that there are not.
    tables: [&'a Table; MOST_CLASSES],
    pub(super) of_step: &'a [u8],
    pub(super) stream: &'a [u8],
    /// Bits of the fields that lie beside the stream.
    pub(super) beside: LowBits<'a>,
    /// Raw planes below the fields, those of the lowest bits first.
    pub(super) raw: [&'a [u8]; 3],
    /// Where the field begins in an element, or in the upper half of a word, before the sign is rotated to
    /// its place.
    pub(super) shift: u32,
    /// What all elements have in common there, the base of the fields among it.
    pub(super) constant: u16,
}

impl<'a, Table> Plan<'a, Table> {
    /// The plan of a block; `None` if it or its tables are of another kind.
    pub(super) fn of<S: Stepper<'a, Table = Table>>(
        number: usize,
        block: &Block<'a>,
    ) -> Option<Self> {
        let element = block.element;
        if block.tiles.is_some() || block.is_sorted() || element.size() > 4 {
            return None;
        }
        let (first, below) = block.planes.split_first()?;
        let Source::Coded(coded) = first.source else { return None };
        let Coded { classes, stream, scan, low: beside, .. } = coded;
        let base = u32::from(classes.base()?);
        // Words are put together from their halves.
        let lowest = if element.size() == 4 { 16 } else { 0 };
        let mut shift = element.bits() - first.width;
        let field_shift = shift.checked_sub(lowest)?;
        let mut constant = base << shift;
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
            (1, _, [raw, 0, 0]) => Kind::Byte { raw },
            (2, Transform::RotateSign, [low, 0, 0]) => Kind::Half { low },
            (2, Transform::RotateSign, [8, high, 0]) => Kind::HalfHigh { high },
            (4, Transform::RotateSign, [8, 8, upper]) => Kind::Word { upper },
            _ => return None,
        };
        let whole = scan == Scan::Row && (block.rows * block.cols).is_multiple_of(LANES);
        let narrow = beside.widths.iter().all(|&width| u32::from(width) <= MOST_BITS);
        if !whole || !narrow {
            return None;
        }
        let tables = S::tables(&classes).filter(|tables| tables.len() <= MOST_CLASSES)?;
        Some(Plan {
            block: number,
            element,
            kind,
            tables: std::array::from_fn(|class| tables[class.min(tables.len() - 1)]),
            of_step: classes.of_step(),
            stream,
            beside,
            raw,
            shift: field_shift,
            constant: (constant >> lowest) as u16,
        })
    }

    /// The class of a step, and its table.
    #[inline(always)]
    pub(super) fn class(&self, step: usize) -> (usize, &'a Table) {
        let class = self.of_step.get(step).map_or(0, |&class| usize::from(class));
        (class, self.tables[class % MOST_CLASSES])
    }

    /// Whether both can be decoded side by side.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        let shape = |plan: &Self| (plan.element, plan.kind, plan.beside.widths.is_empty());
        shape(self) == shape(other)
    }
}
