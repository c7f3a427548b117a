//! Decoding blocks: streams to symbols, residuals to symbols, symbols and raw bits to elements,
//! straight into the caller's memory.

use crate::lines::{LINE, Lines};
use crate::merge::{Fields, Merge};
use crate::predict::{Tiling, restore};
use crate::sorted::{PADDING, Sorted};
use crate::streams::{RowStream, StreamSpace, decode_rows};
use crate::target::{Decoded, Pieces, Target};
use crate::{
    Classes, DecodeTable, Element, Level, Predictor, Scan, Steps, StreamError, packed_len,
};
#[cfg(target_arch = "x86_64")]
use crate::{level::Set, x86_64};
use std::ops::Range;

/// Where the fields of a plane come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// All are the same.
    Constant(u16),
    /// A bit string, in row-major order.
    Packed(&'a [u8]),
    /// A stream of symbols.
    Coded(Coded<'a>),
}

/// A coded plane.
#[derive(Clone, Copy)]
pub struct Coded<'a> {
    /// Tables of the stream, whose symbols are fields without the bits in `low`.
    pub classes: Classes<'a, DecodeTable>,
    /// States and words.
    pub stream: &'a [u8],
    /// The order of its symbols.
    pub scan: Scan,
    /// The rows of the block in the order in which the column scan takes them; empty for their own.
    pub order: &'a [u32],
    /// Low bits of the fields that are not coded.
    pub low: LowBits<'a>,
    /// How the elements are sorted, whose symbols the row scan then takes in this order; `None` for their own.
    pub sorted: Option<&'a Sorted>,
}

/// The lowest bits of fields, stored beside the symbols of a stream, as many as the class of the step
/// says. A bit string: step after step, in each of them lane after lane.
#[derive(Clone, Copy, Default)]
pub struct LowBits<'a> {
    /// Bits of a field by class, 0 to 8; empty if no class has any.
    pub widths: &'a [u8],
    /// The bit string.
    pub packed: &'a [u8],
}

/// A plane: one bit field of every element.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    /// Bits of a field, 1 to 12; packed fields have at most 8.
    pub width: u32,
    /// Where the fields come from.
    pub source: Source<'a>,
}

/// How the tiles of a block were predicted.
#[derive(Clone, Copy)]
pub struct Tiles<'a> {
    /// The tiles.
    pub tiling: Tiling,
    /// The predictor of each.
    pub predictors: &'a [Predictor],
}

/// Where the elements of a block go.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Number of the buffer.
    pub buffer: usize,
    /// First byte in it.
    pub start: usize,
    /// Bytes from one row to the next.
    pub pitch: usize,
    /// Whether the elements will not be read soon: then they go around the caches, where that can be done.
    pub streamed: bool,
}

/// A block to be decoded.
pub struct Block<'a> {
    /// What its elements are.
    pub element: Element,
    /// Rows, at least 1.
    pub rows: usize,
    /// Columns, at least 1.
    pub cols: usize,
    /// From the highest bits of an element to its lowest.
    pub planes: Vec<Plane<'a>>,
    /// Prediction of the first plane, which is then a coded one.
    pub tiles: Option<Tiles<'a>>,
    /// Where it goes.
    pub place: Place,
}

/// Why a block was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockError {
    /// Number of the plane.
    pub plane: usize,
    /// What is wrong with its stream.
    pub error: StreamError,
}

/// Memory to be used again. Its content does not matter.
#[derive(Default)]
pub struct DecodeSpace {
    symbols: Vec<Vec<u8>>,
    streams: StreamSpace,
    wide: Vec<u16>,
    unpacked: Vec<Vec<u8>>,
    /// Fields of planes that were sorted.
    unsorted: Vec<Vec<u8>>,
    /// Elements of pieces.
    pieces: Lines,
}

impl<'a> Block<'a> {
    fn elements(&self) -> usize {
        self.rows * self.cols
    }

    fn steps(&self, coded: &Coded<'_>) -> Steps {
        Steps::of(coded.scan, self.rows, self.cols)
    }

    /// What the kernels rely on; sizes first, since the others are computed from them.
    fn check(&self, level: Level, buffers: &[&mut [u8]]) {
        let Place { buffer, start, pitch, .. } = self.place;
        assert!(self.rows > 0 && self.cols > 0, "blocks must not be empty");
        let elements = self.rows.checked_mul(self.cols);
        let bytes = elements.and_then(|elements| elements.checked_mul(self.element.size()));
        assert!(bytes.is_some(), "the block is too large");
        let width = self.cols * self.element.size();
        let last = (self.rows - 1).checked_mul(pitch).and_then(|at| at.checked_add(start));
        let end = last.and_then(|at| at.checked_add(width));
        let room = buffers[buffer].len();
        assert!(end.is_some_and(|end| end <= room), "the block must lie in its buffer");
        assert!(self.rows == 1 || pitch >= width, "rows must not overlap");
        let bits: u32 = self.planes.iter().map(|plane| plane.width).sum();
        assert_eq!(bits, self.element.bits(), "planes must make up the element");
        for &Plane { width, source } in &self.planes {
            assert!((1..=12).contains(&width), "a plane has 1 to 12 bits");
            match source {
                Source::Constant(value) => assert_eq!(value >> width, 0, "fields fit the plane"),
                Source::Packed(packed) => {
                    assert!(width <= 8, "packed fields have at most 8 bits");
                    assert_eq!(Some(packed.len()), packed_len(self.elements(), width));
                }
                Source::Coded(coded) => {
                    let Coded { classes, order, low, sorted, .. } = coded;
                    let steps = self.steps(&coded);
                    classes.check_decoding(steps);
                    let fits = |table: &DecodeTable| table.highest() >> width == 0;
                    assert!(classes.tables().all(fits), "symbols fit the plane");
                    assert!(order.is_empty() || coded.scan == Scan::Column, "only columns reorder");
                    assert!(order.is_empty() || order.len() == self.rows, "each row has a place");
                    assert!(order.iter().all(|&row| (row as usize) < self.rows), "rows exist");
                    let base = classes.base().is_some();
                    assert!(low.widths.is_empty() || base, "low bits are added to bytes");
                    let bits = low.bits(level, steps, classes.of_step());
                    let len = bits.map(|bits| bits.div_ceil(8));
                    assert_eq!(len, Some(low.packed.len()), "low bits of each step");
                    let fits = |sorted: &Sorted| {
                        sorted.len() == self.elements() && coded.scan == Scan::Row && base
                    };
                    assert!(sorted.is_none_or(fits), "bytes of all elements are sorted");
                }
            }
        }
        if let Some(tiles) = &self.tiles {
            assert!(matches!(self.planes[0].source, Source::Coded(_)));
            assert_eq!(tiles.predictors.len(), tiles.tiling.count(), "a predictor for each tile");
            assert_eq!((tiles.tiling.rows(), tiles.tiling.cols()), (self.rows, self.cols));
        }
    }

    /// Whether elements are sorted for a plane.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no fused decoder"))]
    pub(crate) fn is_sorted(&self) -> bool {
        self.coded().any(|(_, coded)| coded.sorted.is_some())
    }

    pub(crate) fn coded(&self) -> impl Iterator<Item = (usize, Coded<'a>)> {
        self.planes.iter().enumerate().filter_map(|(k, plane)| match plane.source {
            Source::Coded(coded) => Some((k, coded)),
            Source::Constant(_) | Source::Packed(_) => None,
        })
    }
}

/// Streams that the widest kernel codes side by side, and so the least blocks of one stream each that
/// are worth handing over at once.
pub const STREAMS_AT_ONCE: usize = 4;
/// Most symbols that are kept of several blocks, in bytes.
const MAX_SYMBOLS: usize = 16 << 20;

/// Decodes blocks into their buffers; a processor works on several at once, so a caller should hand
/// over all that it has. `each` sees, and may change, all elements of every block on their way to their place, in
/// row-major order. Returns a verdict for each block.
///
/// # Errors
/// If a stream is damaged; what `each` gets, if anything, and what the block's place then holds is unspecified but
/// initialised.
///
/// # Panics
/// If a block is not what its fields demand, or does not lie in its buffer.
pub fn decode_blocks(
    level: Level,
    blocks: &[Block<'_>],
    buffers: &mut [&mut [u8]],
    space: &mut DecodeSpace,
    each: &mut dyn FnMut(Decoded<'_>),
) -> Vec<Result<(), BlockError>> {
    blocks.iter().for_each(|block| block.check(level, buffers));
    let mut target = Target { level, blocks, buffers, each };
    let mut verdicts = vec![None; blocks.len()];
    match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => {
            x86_64::avx512::decode_fused(level, &mut target, &mut space.pieces, &mut verdicts);
        }
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => {
            x86_64::avx2::decode_fused(level, &mut target, &mut space.pieces, &mut verdicts);
        }
        _ => {}
    }
    let open: Vec<usize> = (0..blocks.len()).filter(|&number| verdicts[number].is_none()).collect();
    let mut open = &open[..];
    while !open.is_empty() {
        let (now, later) = open.split_at(at_once(blocks, open));
        decode_stepwise(level, now, &mut target, space, &mut verdicts);
        open = later;
    }
    let decided =
        |verdict: Option<_>| verdict.unwrap_or_else(|| unreachable!("every block is decoded"));
    verdicts.into_iter().map(decided).collect()
}

/// How many of the blocks with these numbers are decoded stepwise at once: memory is bounded, whatever planes they have.
fn at_once(blocks: &[Block<'_>], numbers: &[usize]) -> usize {
    let sums = numbers.iter().take(STREAMS_AT_ONCE).scan(0, |sum, &number| {
        let block = &blocks[number];
        *sum += block.coded().count() * block.elements();
        Some(*sum)
    });
    sums.take_while(|&sum| sum <= MAX_SYMBOLS).count().max(1)
}

/// First all streams of the blocks with these numbers, then block after block.
fn decode_stepwise(
    level: Level,
    numbers: &[usize],
    target: &mut Target<'_, '_>,
    space: &mut DecodeSpace,
    verdicts: &mut [Option<Result<(), BlockError>>],
) {
    let blocks = target.blocks;
    let count = numbers.iter().map(|&number| blocks[number].coded().count()).sum();
    if space.symbols.len() < count {
        space.symbols.resize_with(count, Vec::new);
    }
    let mut free = space.symbols.iter_mut();
    let mut streams = Vec::with_capacity(count);
    for &number in numbers {
        let block = &blocks[number];
        let Block { rows, cols, .. } = *block;
        for ((_, coded), out) in block.coded().zip(&mut free) {
            if out.len() < block.elements() + PADDING {
                out.resize(block.elements() + PADDING, 0);
            }
            streams.push(RowStream { coded, rows, cols, out });
        }
    }
    let mut results = decode_rows(level, &mut streams, &mut space.streams).into_iter();
    let mut used = 0;
    for &number in numbers {
        let mut verdict = Ok(());
        let coded = blocks[number].coded().count();
        for ((plane, ..), result) in blocks[number].coded().zip(&mut results) {
            if let Err(error) = result {
                verdict = verdict.and(Err(BlockError { plane, error }));
            }
        }
        if verdict.is_ok() {
            finish(level, number, used..used + coded, target, space);
        }
        used += coded;
        verdicts[number] = Some(verdict);
    }
}

/// Puts a block together whose streams are decoded, to these symbols.
fn finish(
    level: Level,
    number: usize,
    symbols: Range<usize>,
    target: &mut Target<'_, '_>,
    space: &mut DecodeSpace,
) {
    let block = &target.blocks[number];
    let DecodeSpace { symbols: all, wide, unpacked, unsorted, pieces: room, .. } = space;
    let elements = block.elements();
    let streams = &all[symbols];
    unsorted.resize_with(unsorted.len().max(streams.len()), Vec::new);
    unsort(level, block, streams, unsorted);
    let in_rows = block.coded().zip(streams).zip(&*unsorted);
    let mut symbols = in_rows.map(|(((_, coded), symbols), unsorted)| match coded.sorted {
        None => &symbols[..elements],
        Some(_) => &unsorted[..elements],
    });
    let mut planes = Vec::with_capacity(block.planes.len());
    for plane in &block.planes {
        let fields = match plane.source {
            Source::Constant(value) => Fields::Constant(value),
            Source::Packed(packed) => Fields::Packed(packed),
            Source::Coded(Coded { classes, .. }) => {
                let symbols = symbols.next().unwrap_or_default();
                match classes.base() {
                    Some(base) => Fields::Bytes(symbols, base),
                    None => Fields::Ranks(symbols, classes.table(0).symbols()),
                }
            }
        };
        planes.push((plane.width, fields));
    }
    if let Some(Tiles { tiling, predictors }) = block.tiles {
        let (width, fields) = &mut planes[0];
        wide.clear();
        match *fields {
            Fields::Bytes(bytes, base) => wide.extend(bytes.iter().map(|&b| u16::from(b) + base)),
            Fields::Ranks(ranks, symbols) => {
                wide.extend(ranks.iter().map(|&rank| symbols[usize::from(rank)]));
            }
            _ => {}
        }
        restore(level, wide, tiling, *width, predictors);
        *fields = Fields::Wide(wide);
    }
    let (pieces, size) = (Pieces::of(block), block.element.size());
    let room = room.take((pieces.most() * size).div_ceil(LINE));
    let merge = Merge::new(level, block.element, planes);
    for elements in pieces {
        let bytes = &mut room[..elements.len() * size];
        merge.piece(elements.clone(), bytes, unpacked);
        target.take(number, elements.start, bytes);
    }
}

/// Puts the symbols of those of the streams whose elements are sorted in the order of the rows.
fn unsort(level: Level, block: &Block<'_>, streams: &[Vec<u8>], unsorted: &mut [Vec<u8>]) {
    let elements = block.elements();
    let planes = block.coded().zip(streams).zip(unsorted);
    let mut sorted: Vec<(&Sorted, &[u8], &mut [u8])> = planes
        .filter_map(|(((_, coded), symbols), unsorted)| {
            let sorted = coded.sorted?;
            unsorted.resize(unsorted.len().max(elements), 0);
            Some((sorted, &symbols[..elements + PADDING], &mut unsorted[..elements]))
        })
        .collect();
    for planes in sorted.chunks_mut(2) {
        match planes {
            [(sorted, a, out_a), (other, b, out_b)] if std::ptr::eq(*sorted, *other) => {
                sorted.unsort(level, [a, b], [out_a, out_b]);
            }
            _ => planes.iter_mut().for_each(|(sorted, a, out)| sorted.unsort(level, [a], [out])),
        }
    }
}

#[cfg(test)]
mod tests;
