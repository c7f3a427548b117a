//! Row scan, alias tables and elements of up to four bytes: from streams to elements without buffers of
//! whole blocks in between.

mod row;

use super::alias::Lanes;
use super::unpack::MOST_BITS;
use super::{MOST_CLASSES, SIDE_BY_SIDE};
use crate::blocks::{Block, BlockError, Coded, Source};
use crate::drive::all_ok;
use crate::level::Set;
use crate::lines::Lines;
use crate::slots::AliasTable;
use crate::target::{Pieces, Target};
use crate::x86_64::output::Output;
use crate::{DecodeTable, Element, LANES, Level, LowBits, Scan, StreamError, Transform};

/// What the elements of a block are put together from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
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
struct Plan<'a> {
    element: Element,
    kind: Kind,
    rows: usize,
    cols: usize,
    pieces: Pieces,
    tables: Vec<&'a AliasTable>,
    of_step: &'a [u8],
    stream: &'a [u8],
    /// Bits of the fields that lie beside the stream.
    beside: LowBits<'a>,
    /// Raw planes below the fields.
    low: &'a [u8],
    high: &'a [u8],
    upper: &'a [u8],
    /// Where the field begins in an element, or in the upper half of a word, before the sign is rotated to its
    /// place.
    shift: u32,
    /// What all elements have in common there.
    constant: u16,
}

impl<'a> Plan<'a> {
    /// The plan of a block; `None` if it is of another kind.
    fn of(block: &Block<'a>) -> Option<Plan<'a>> {
        let element = block.element;
        if block.tiles.is_some() || block.is_sorted() || element.size() > 4 {
            return None;
        }
        let (first, below) = block.planes.split_first()?;
        let Source::Coded(coded) = first.source else { return None };
        let Coded { classes, stream, scan, low: beside, .. } = coded;
        let tables = classes.tables().map(DecodeTable::alias).collect::<Option<Vec<_>>>()?;
        let mut shift = element.bits() - first.width;
        let field_shift = shift;
        let (mut constant, none) = (0, (0, &[][..]));
        let (mut low, mut high, mut upper) = (none, none, none);
        for plane in below {
            shift -= plane.width;
            match (plane.source, shift) {
                (Source::Constant(value), _) => constant |= u32::from(value) << shift,
                (Source::Packed(bits), 0) => low = (plane.width, bits),
                (Source::Packed(bits), 8) => high = (plane.width, bits),
                (Source::Packed(bits), 16) => upper = (plane.width, bits),
                _ => return None,
            }
        }
        let kind = match (element.size(), element.transform(), low.0, high.0) {
            (1, _, raw, 0) => Kind::Byte { raw },
            (2, Transform::RotateSign, low, 0) => Kind::Half { low },
            (2, Transform::RotateSign, 8, high) => Kind::HalfHigh { high },
            (4, Transform::RotateSign, 8, 8) if field_shift >= 16 => Kind::Word { upper: upper.0 },
            _ => return None,
        };
        // Of words, fields are put together with the upper half.
        let below_half = element.bits() - element.bits().min(16);
        let whole = (block.rows * block.cols).is_multiple_of(LANES);
        // Raw bits of one kind are enough.
        let one_kind = low.0 == 0 || matches!(kind, Kind::Half { .. } | Kind::Word { .. });
        let fits = scan == Scan::Row && whole && (one_kind || beside.widths.is_empty());
        let few = tables.len() <= MOST_CLASSES;
        let narrow = beside.widths.iter().all(|&width| u32::from(width) <= MOST_BITS);
        (fits && few && narrow).then_some(Plan {
            element,
            kind,
            rows: block.rows,
            cols: block.cols,
            pieces: Pieces::of(block),
            tables,
            of_step: classes.of_step(),
            stream,
            beside,
            low: low.1,
            high: high.1,
            upper: upper.1,
            shift: field_shift - below_half,
            constant: (constant >> below_half) as u16,
        })
    }

    /// The number of the table of a step.
    #[inline(always)]
    fn class(&self, step: usize) -> usize {
        self.of_step.get(step).map_or(0, |&class| usize::from(class))
    }

    /// Whether both can be decoded side by side.
    fn goes_with(&self, other: &Plan<'_>) -> bool {
        let shape = |plan: &Plan<'_>| {
            let beside = plan.beside.widths.is_empty();
            (plan.element, plan.kind, plan.shift, plan.rows, plan.cols, beside)
        };
        shape(self) == shape(other)
    }
}

/// How many of the first blocks [`decode_fused`] would decode.
pub(super) fn side_by_side(blocks: &[Block<'_>]) -> usize {
    let mut plans = blocks.iter().take(SIDE_BY_SIDE).map_while(Plan::of);
    let Some(first) = plans.next() else { return 0 };
    1 + plans.take_while(|plan| plan.goes_with(&first)).count()
}

/// Twin of [`crate::decode_blocks`] for up to four blocks from number `first` on; `None` if that one is not of
/// a kind that is known here.
pub(crate) fn decode_fused(
    level: Level,
    first: usize,
    target: &mut Target<'_, '_>,
    space: &mut Lines,
) -> Option<Vec<Result<(), BlockError>>> {
    assert_eq!(level.set(), Set::Avx512);
    let blocks = &target.blocks[first..];
    let mut plans = vec![Plan::of(&blocks[0])?];
    for block in blocks.iter().take(SIDE_BY_SIDE).skip(1) {
        match Plan::of(block) {
            Some(plan) if plan.goes_with(&plans[0]) => plans.push(plan),
            _ => break,
        }
    }
    // SAFETY: the level says that the processor has the instructions.
    let verdicts = unsafe {
        match plans.as_slice() {
            [a, b, c, d] => decode_group([a, b, c, d], first, target, space).to_vec(),
            [a, b, c] => decode_group([a, b, c], first, target, space).to_vec(),
            [a, b] => decode_group([a, b], first, target, space).to_vec(),
            [a, ..] => decode_group([a], first, target, space).to_vec(),
            [] => Vec::new(),
        }
    };
    let place =
        |verdict: Result<(), StreamError>| verdict.map_err(|error| BlockError { plane: 0, error });
    Some(verdicts.into_iter().map(place).collect())
}

/// Decodes `N` blocks of one kind and shape side by side, those from number `first` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn decode_group<const N: usize>(
    plans: [&Plan<'_>; N],
    first: usize,
    target: &mut Target<'_, '_>,
    space: &mut Lines,
) -> [Result<(), StreamError>; N] {
    let mut lanes = match all_ok(plans.map(|plan| Lanes::new(plan.stream))) {
        Ok(lanes) => lanes,
        Err(error) if N == 1 => return [Err(error); N],
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) => {
            return std::array::from_fn(|n| decode_group([plans[n]], first + n, target, space)[0]);
        }
    };
    let pieces = &plans[0].pieces;
    row::decode(plans, &mut lanes, &mut Output::new(pieces, first, target, space));
    lanes.map(|lanes| lanes.end())
}
