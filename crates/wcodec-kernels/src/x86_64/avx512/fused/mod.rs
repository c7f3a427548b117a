//! Alias tables and elements of one or two bytes: from streams to elements without buffers of whole
//! blocks in between.

mod column;
mod row;
mod unpack;

use super::SIDE_BY_SIDE;
use super::alias::Lanes;
use crate::blocks::{Block, BlockError, Coded, Source};
use crate::drive::all_ok;
use crate::level::Set;
use crate::merge::Rows;
use crate::slots::AliasTable;
use crate::{DecodeTable, Element, LANES, Level, LowBits, Scan, StreamError, Transform};
use unpack::MOST_BITS;

/// Most classes of a block, a power of two.
const MOST_CLASSES: usize = 64;

/// What the elements of a block are put together from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One byte: a field, below it 0 to 4 raw bits.
    Byte { raw: u32 },
    /// Two bytes whose sign is rotated: a field, below it 0 to 8 raw bits.
    Half { low: u32 },
    /// The same with 8 raw bits, and 1 to 7 more above them.
    HalfHigh { high: u32 },
}

/// A block that can be decoded here.
struct Plan<'a> {
    element: Element,
    kind: Kind,
    scan: Scan,
    cols: usize,
    /// The rows; for the row scan as one if they lie one behind the other.
    rows: Rows,
    tables: Vec<&'a AliasTable>,
    of_step: &'a [u8],
    stream: &'a [u8],
    /// The rows in the order of the column scan; empty for their own.
    order: &'a [u32],
    /// Bits of the fields that lie beside the stream.
    beside: LowBits<'a>,
    /// Raw planes below the fields.
    low: &'a [u8],
    high: &'a [u8],
    /// Where the field begins in an element before the sign is rotated to its place.
    shift: u32,
    /// What all elements have in common there.
    constant: u16,
    /// What the bytes of the tables are distances from.
    base: u16,
}

impl<'a> Plan<'a> {
    /// The plan of a block; `None` if it is of another kind.
    fn of(block: &Block<'a>) -> Option<Plan<'a>> {
        let element = block.element;
        if block.tiles.is_some() || element.size() > 2 {
            return None;
        }
        let (first, below) = block.planes.split_first()?;
        let Source::Coded(coded) = first.source else { return None };
        let Coded { classes, stream, scan, order, low: beside } = coded;
        let tables = classes.tables().map(DecodeTable::alias).collect::<Option<Vec<_>>>()?;
        let mut shift = element.bits() - first.width;
        let field_shift = shift;
        let (mut constant, mut low, mut high) = (0, (0, &[][..]), (0, &[][..]));
        for plane in below {
            shift -= plane.width;
            match (plane.source, shift) {
                (Source::Constant(value), _) => constant |= value << shift,
                (Source::Packed(bits), 0) => low = (plane.width, bits),
                (Source::Packed(bits), 8) => high = (plane.width, bits),
                _ => return None,
            }
        }
        let kind = match (element.size(), element.transform(), low.0, high.0) {
            (1, _, raw @ 0..=4, 0) => Kind::Byte { raw },
            (2, Transform::RotateSign, low, 0) => Kind::Half { low },
            (2, Transform::RotateSign, 8, high) => Kind::HalfHigh { high },
            _ => return None,
        };
        let rows = block.place_rows();
        let fits = match scan {
            Scan::Row => {
                // Raw bits of one kind are enough.
                let row = rows.joined().width / element.size();
                let one_kind = low.0 == 0 || beside.widths.is_empty() || element.size() == 2;
                let high = matches!(kind, Kind::HalfHigh { .. });
                row.is_multiple_of(LANES) && one_kind && (!high || beside.widths.is_empty())
            }
            Scan::Column => {
                let whole = block.cols.is_multiple_of(LANES) && block.rows >= LANES;
                whole && !matches!(kind, Kind::HalfHigh { .. }) && coded.classes.base().is_some()
            }
        };
        let few = tables.len() <= MOST_CLASSES;
        let narrow = beside.widths.iter().all(|&width| u32::from(width) <= MOST_BITS);
        (fits && few && narrow).then_some(Plan {
            element,
            kind,
            scan,
            cols: block.cols,
            rows: if scan == Scan::Row { rows.joined() } else { rows },
            tables,
            of_step: classes.of_step(),
            stream,
            order,
            beside,
            low: low.1,
            high: high.1,
            shift: field_shift,
            constant,
            base: classes.base().unwrap_or(0),
        })
    }

    /// The number of the table of a step.
    #[inline(always)]
    fn class(&self, step: usize) -> usize {
        self.of_step.get(step).map_or(0, |&class| usize::from(class))
    }

    /// The row that the column scan takes at this position.
    fn row(&self, position: usize) -> usize {
        self.order.get(position).map_or(position, |&row| row as usize)
    }

    /// Whether both can be decoded side by side.
    fn goes_with(&self, other: &Plan<'_>) -> bool {
        let shape = |plan: &Plan<'_>| {
            let Rows { rows, width, .. } = plan.rows;
            let beside = plan.beside.widths.is_empty();
            (plan.element, plan.kind, plan.scan, plan.shift, plan.cols, rows, width, beside)
        };
        shape(self) == shape(other)
    }
}

/// Twin of [`crate::decode_blocks`] for the first blocks, up to four; `None` if the first one is not of a
/// kind that is known here.
pub(crate) fn decode_fused(
    level: Level,
    blocks: &[Block<'_>],
    buffers: &mut [&mut [u8]],
    space: &mut Vec<u8>,
) -> Option<Vec<Result<(), BlockError>>> {
    assert_eq!(level.set(), Set::Avx512);
    let mut plans = vec![Plan::of(&blocks[0])?];
    for block in blocks.iter().take(SIDE_BY_SIDE).skip(1) {
        match Plan::of(block) {
            Some(plan) if plan.goes_with(&plans[0]) => plans.push(plan),
            _ => break,
        }
    }
    let buffers: Vec<*mut u8> = buffers.iter_mut().map(|buffer| buffer.as_mut_ptr()).collect();
    let out = |n: usize| {
        // SAFETY: `Block::check` has seen that the rows of each block lie in its buffer.
        unsafe { buffers[blocks[n].place.buffer].add(plans[n].rows.start) }
    };
    // SAFETY: the level says that the processor has the instructions; the rows of each plan lie in
    // the buffer of its block.
    let verdicts = unsafe {
        match plans.as_slice() {
            [a, b, c, d] => {
                decode_group([a, b, c, d], [out(0), out(1), out(2), out(3)], space).to_vec()
            }
            [a, b, c] => decode_group([a, b, c], [out(0), out(1), out(2)], space).to_vec(),
            [a, b] => decode_group([a, b], [out(0), out(1)], space).to_vec(),
            [a, ..] => decode_group([a], [out(0)], space).to_vec(),
            [] => Vec::new(),
        }
    };
    let place =
        |verdict: Result<(), StreamError>| verdict.map_err(|error| BlockError { plane: 0, error });
    Some(verdicts.into_iter().map(place).collect())
}

/// Decodes `N` blocks of one kind and shape side by side, each to its place.
///
/// # Safety
/// The rows of each plan must be writable from its `out` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn decode_group<const N: usize>(
    plans: [&Plan<'_>; N],
    out: [*mut u8; N],
    space: &mut Vec<u8>,
) -> [Result<(), StreamError>; N] {
    let mut lanes = match all_ok(plans.map(|plan| Lanes::new(plan.stream))) {
        Ok(lanes) => lanes,
        Err(error) if N == 1 => return [Err(error); N],
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) => {
            // SAFETY: the caller's promise.
            let alone = |n: usize| unsafe { decode_group([plans[n]], [out[n]], space)[0] };
            return std::array::from_fn(alone);
        }
    };
    // SAFETY: the caller's promise.
    unsafe {
        match plans[0].scan {
            Scan::Row => row::decode(plans, &mut lanes, out),
            Scan::Column => column::decode(plans, &mut lanes, out, space),
        }
    }
    lanes.map(|lanes| lanes.end())
}
