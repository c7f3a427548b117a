//! How a segment is cut: a view of rows x columns plus a tail, blocks, bands of blocks, groups of
//! bands. FORMAT.md section 3 is normative.

use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use std::ops::Range;
pub use wcodec_kernels::Scan;

/// Most bytes that one block may decode to.
pub(crate) const MAX_BLOCK_BYTES: u64 = 4 << 20;
/// Most bytes that one band may decode to: it bounds what a reader must hold.
pub(crate) const MAX_BAND_BYTES: u64 = 64 << 20;

/// Size of the tiles that share a predictor, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileConfig {
    /// Rows of a tile, from 1.
    pub rows: u16,
    /// Columns of a tile, from 1.
    pub cols: u16,
}

impl Default for TileConfig {
    fn default() -> TileConfig {
        TileConfig { rows: 16, cols: 16 }
    }
}

/// The cut of one segment. All products are known to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) element: ElementType,
    pub(crate) elements: u64,
    /// Rows and columns of the view; `rows * cols <= elements`, the rest is the tail.
    pub(crate) rows: u64,
    pub(crate) cols: u64,
    pub(crate) block_rows: u32,
    pub(crate) block_cols: u32,
    /// Bands that share a side block.
    pub(crate) group_bands: u32,
}

/// A block's rectangle. The tail is a rectangle of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    /// Position of the first element in the segment.
    pub(crate) start: u64,
    /// Elements from one row of the rectangle to the next.
    pub(crate) stride: u64,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Rect {
    pub(crate) fn elements(&self) -> usize {
        self.rows * self.cols
    }
}

impl Geometry {
    /// Checks the fields of a segment record.
    pub(crate) fn checked(self) -> Result<Geometry> {
        let size = self.element.size() as u64;
        let bytes = self.elements.checked_mul(size).filter(|&b| b <= i64::MAX as u64);
        if bytes.is_none() {
            return Err(corrupt!("segment of {} elements is too large", self.elements));
        }
        let body = self.rows.checked_mul(self.cols).filter(|&body| body <= self.elements);
        let Some(body) = body else {
            let Geometry { rows, cols, elements, .. } = self;
            return Err(corrupt!("view of {rows} x {cols} exceeds {elements} elements"));
        };
        if (self.rows == 0) != (self.cols == 0) {
            return Err(corrupt!("view of {} x {} has one empty side", self.rows, self.cols));
        }
        if self.block_rows == 0 || self.block_cols == 0 || self.group_bands == 0 {
            return Err(corrupt!(
                "block of {} x {} in groups of {} bands, expected at least 1",
                self.block_rows,
                self.block_cols,
                self.group_bands
            ));
        }
        let block = u64::from(self.block_rows) * u64::from(self.block_cols);
        let block_bytes = block.saturating_mul(size);
        let tail_bytes = (self.elements - body) * size;
        if block_bytes.max(tail_bytes) > MAX_BLOCK_BYTES {
            return Err(Error::limit("block size", block_bytes.max(tail_bytes), MAX_BLOCK_BYTES));
        }
        let band_bytes = self
            .rows
            .min(u64::from(self.block_rows))
            .saturating_mul(self.cols)
            .saturating_mul(size);
        if band_bytes > MAX_BAND_BYTES {
            return Err(Error::limit("band size", band_bytes, MAX_BAND_BYTES));
        }
        let blocks = self.rows.div_ceil(u64::from(self.block_rows)) + 1;
        let blocks = blocks.saturating_mul(self.cols.div_ceil(u64::from(self.block_cols)) + 1);
        if blocks > u64::from(u32::MAX) / 2 {
            return Err(Error::limit("blocks of a segment", blocks, u64::from(u32::MAX) / 2));
        }
        Ok(self)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.elements * self.element.size() as u64
    }

    /// Elements behind the view, coded as one block of their own.
    pub(crate) fn tail(&self) -> u64 {
        self.elements - self.rows * self.cols
    }

    fn body_bands(&self) -> u64 {
        self.rows.div_ceil(u64::from(self.block_rows))
    }

    /// Bands of blocks; the tail is a band of one block.
    pub(crate) fn bands(&self) -> u64 {
        self.body_bands() + u64::from(self.tail() > 0)
    }

    fn blocks_across(&self) -> u64 {
        self.cols.div_ceil(u64::from(self.block_cols))
    }

    /// Blocks of a band.
    pub(crate) fn blocks_in_band(&self, band: u64) -> u64 {
        if band < self.body_bands() { self.blocks_across() } else { 1 }
    }

    /// Elements of the segment that a band covers: always contiguous.
    pub(crate) fn band_elements(&self, band: u64) -> Range<u64> {
        let row = |band: u64| (band * u64::from(self.block_rows)).min(self.rows) * self.cols;
        if band < self.body_bands() { row(band)..row(band + 1) } else { row(band)..self.elements }
    }

    /// Bytes of the segment that a run of bands covers.
    pub(crate) fn bands_bytes(&self, bands: &Range<u64>) -> Range<u64> {
        if bands.is_empty() {
            return 0..0;
        }
        let size = self.element.size() as u64;
        self.band_elements(bands.start).start * size..self.band_elements(bands.end - 1).end * size
    }

    pub(crate) fn groups(&self) -> u64 {
        self.bands().div_ceil(u64::from(self.group_bands))
    }

    pub(crate) fn group_of(&self, band: u64) -> u64 {
        band / u64::from(self.group_bands)
    }

    pub(crate) fn group_range(&self, group: u64) -> Range<u64> {
        let bands = u64::from(self.group_bands);
        group * bands..((group + 1) * bands).min(self.bands())
    }

    /// Rows and columns of the view that belong to a group.
    pub(crate) fn group_shape(&self, group: u64) -> (u64, u64) {
        let bands = self.group_range(group);
        let row = |band: u64| (band * u64::from(self.block_rows)).min(self.rows);
        (row(bands.end) - row(bands.start), self.cols)
    }

    /// First row, counted from that of the group, and first column of a block; `None` for the tail.
    pub(crate) fn corner(&self, band: u64, across: u64) -> Option<(usize, usize)> {
        let first = self.group_range(self.group_of(band)).start;
        let row = (band - first) * u64::from(self.block_rows);
        let col = across * u64::from(self.block_cols);
        (band < self.body_bands()).then_some((row as usize, col as usize))
    }

    /// Number of a block in its segment. `side` tells whether every group ends with a side block.
    pub(crate) fn block_number(&self, band: u64, across: u64, side: bool) -> u64 {
        band * self.blocks_across().max(u64::from(self.rows == 0))
            + across
            + self.group_of(band) * u64::from(side)
    }

    /// Number of the side block of a group.
    pub(crate) fn side_number(&self, group: u64) -> u64 {
        let last = self.group_range(group).end - 1;
        self.block_number(last, self.blocks_in_band(last) - 1, true) + 1
    }

    /// Blocks of the segment.
    pub(crate) fn blocks(&self, side: bool) -> u64 {
        match self.bands() {
            0 => 0,
            bands => {
                self.block_number(bands - 1, self.blocks_in_band(bands - 1) - 1, side)
                    + 1
                    + u64::from(side)
            }
        }
    }

    /// The blocks that hold elements `first..=last`, as bands with ranges across. Elements of
    /// several rows may bring a few blocks more than needed.
    pub(crate) fn blocks_of(
        &self,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = (u64, Range<u64>)> {
        let geometry = *self;
        let body = self.rows * self.cols;
        let place = |element: u64| match element.checked_div(self.cols) {
            Some(row) if element < body => (row / u64::from(self.block_rows), row),
            _ => (self.body_bands(), self.rows),
        };
        let ((first_band, first_row), (last_band, last_row)) = (place(first), place(last));
        let one_row = first_row == last_row && first_row < self.rows;
        let column = move |element: u64| element % geometry.cols / u64::from(geometry.block_cols);
        (first_band..=last_band).map(move |band| {
            if one_row {
                (band, column(first)..column(last) + 1)
            } else {
                (band, 0..geometry.blocks_in_band(band))
            }
        })
    }

    /// The rectangle of a block.
    pub(crate) fn rect(&self, band: u64, across: u64) -> Rect {
        let elements = self.band_elements(band);
        if band >= self.body_bands() {
            let cols = elements.end - elements.start;
            return Rect { start: elements.start, stride: cols, rows: 1, cols: cols as usize };
        }
        let rows = (elements.end - elements.start) / self.cols;
        let col = across * u64::from(self.block_cols);
        let cols = (self.cols - col).min(u64::from(self.block_cols));
        Rect {
            start: elements.start + col,
            stride: self.cols,
            rows: rows as usize,
            cols: cols as usize,
        }
    }
}

/// Chooses the cut of a layer.
pub(crate) mod plan {
    use super::{ElementType, Geometry, MAX_BAND_BYTES, Scan};
    use wcodec_kernels::STREAMS_AT_ONCE;

    /// Symbols that a block holds by default: 32 states and a head cost 0.02 bit a symbol in the
    /// smallest, 0.005 in the largest.
    const BLOCK_SYMBOLS: std::ops::RangeInclusive<u64> = 256 * 256..=512 * 512;
    /// Larger elements make no larger blocks.
    const BLOCK_BYTES: u64 = 1 << 20;
    /// Blocks that a layer is cut into before they grow: as many decode side by side.
    const BLOCKS: u64 = STREAMS_AT_ONCE as u64;
    /// Columns of the widest virtual rows.
    const VIRTUAL_COLS: u64 = 256;
    /// Below this many elements a vector is one block; the states of virtual rows would not pay.
    const MIN_VIRTUAL: u64 = 2048;
    const MIN_ROWS: u64 = 32;
    /// A wider row is cut into virtual rows, so that a band stays small.
    const MAX_ROW_BYTES: u64 = 256 << 10;
    const AUTO_BAND_BYTES: u64 = 8 << 20;
    const GROUP_BYTES: u64 = 8 << 20;
    const OPAQUE_PIECE: u64 = 1 << 20;

    /// Cuts bytes of unknown structure into pieces.
    pub(crate) fn opaque(bytes: u64) -> Geometry {
        let rows = bytes / OPAQUE_PIECE;
        Geometry {
            element: ElementType::Bytes,
            elements: bytes,
            rows,
            cols: if rows > 0 { OPAQUE_PIECE } else { 0 },
            block_rows: 1,
            block_cols: OPAQUE_PIECE as u32,
            group_bands: (GROUP_BYTES / OPAQUE_PIECE) as u32,
        }
    }

    /// Rows and columns of the view of a layer: its own where it has at least 32 rows, virtual
    /// rows (equal contiguous pieces) otherwise.
    fn view(element: ElementType, rows: u64, cols: u64) -> (u64, u64) {
        let elements = rows * cols;
        if rows >= MIN_ROWS && cols > 0 && cols * element.size() as u64 <= MAX_ROW_BYTES {
            return (rows, cols);
        }
        if elements < MIN_VIRTUAL {
            return (0, 0);
        }
        let widest = (elements / MIN_ROWS).min(VIRTUAL_COLS);
        // A divisor leaves no tail.
        let cols =
            (widest / 2..=widest).rev().find(|c| elements.is_multiple_of(*c)).unwrap_or(widest);
        (elements / cols, cols)
    }

    /// Cuts `length` into equal parts of about `target`, each a multiple of 32 unless it is whole.
    fn even(length: u64, target: u64) -> u64 {
        let parts = ((length + target / 2) / target.max(1)).max(1);
        if parts == 1 { length } else { length.div_ceil(parts).next_multiple_of(32) }
    }

    fn auto_block(element: ElementType, rows: u64, cols: u64) -> (u64, u64) {
        let most = (*BLOCK_SYMBOLS.end()).min(BLOCK_BYTES / element.size() as u64);
        let symbols = (rows * cols / BLOCKS).clamp(*BLOCK_SYMBOLS.start(), most);
        let side = symbols.isqrt();
        let block_cols =
            if rows < side { even(cols, (symbols / rows).max(1)) } else { even(cols, side) };
        let target = (symbols / block_cols.clamp(1, side)).next_multiple_of(32);
        let block_rows = even(rows, target);
        let most_rows = (AUTO_BAND_BYTES / (cols * element.size() as u64)).max(32) / 32 * 32;
        if block_rows <= most_rows {
            return (block_rows, block_cols);
        }
        (most_rows, even(cols, (symbols / most_rows).max(1)))
    }

    /// Cuts a layer of `rows` x `cols` elements; `block` overrides the block size.
    pub(crate) fn layer(
        element: ElementType,
        rows: u64,
        cols: u64,
        block: Option<(u32, u32)>,
    ) -> Geometry {
        let (view_rows, view_cols) = view(element, rows, cols);
        let size = element.size() as u64;
        let (block_rows, block_cols) = match block {
            _ if view_rows == 0 => (1, 1),
            Some((r, c)) => {
                let most = (MAX_BAND_BYTES / (view_cols * size)).max(1);
                (u64::from(r).min(view_rows).min(most), u64::from(c).min(view_cols))
            }
            None => auto_block(element, view_rows, view_cols),
        };
        let band_bytes = (block_rows * view_cols * size).max(1);
        Geometry {
            element,
            elements: rows * cols,
            rows: view_rows,
            cols: view_cols,
            block_rows: block_rows as u32,
            block_cols: block_cols as u32,
            group_bands: (GROUP_BYTES / band_bytes).max(1) as u32,
        }
    }

    /// The same layer in groups of so many rows, each of one band.
    pub(crate) fn in_groups(geometry: Geometry, together: u64) -> Geometry {
        if geometry.rows == 0 {
            return geometry;
        }
        let rows = together.clamp(1, geometry.rows).min(*BLOCK_SYMBOLS.start());
        let symbols = (*BLOCK_SYMBOLS.start()).max(rows);
        let cols = even(geometry.cols, symbols / rows);
        Geometry { block_rows: rows as u32, block_cols: cols as u32, group_bands: 1, ..geometry }
    }

    /// The scan that fills the lanes: columns narrower than a step would leave most of them idle
    /// once classes are constant per step. Both cost the same bits.
    pub(crate) fn scan(geometry: &Geometry) -> Scan {
        if geometry.rows >= MIN_ROWS && geometry.cols < MIN_ROWS { Scan::Column } else { Scan::Row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(geometry: Geometry) {
        let geometry = geometry.checked().unwrap();
        let mut next_block = 0;
        let mut covered = 0;
        for group in 0..geometry.groups() {
            for band in geometry.group_range(group) {
                assert_eq!(geometry.group_of(band), group);
                let elements = geometry.band_elements(band);
                assert_eq!(elements.start, covered);
                let mut area = 0;
                for across in 0..geometry.blocks_in_band(band) {
                    assert_eq!(geometry.block_number(band, across, true), next_block);
                    next_block += 1;
                    let rect = geometry.rect(band, across);
                    assert!(rect.elements() > 0);
                    area += rect.elements() as u64;
                }
                assert_eq!(area, elements.end - elements.start);
                covered = elements.end;
            }
            assert_eq!(geometry.side_number(group), next_block);
            next_block += 1;
        }
        assert_eq!(covered, geometry.elements);
        assert_eq!(geometry.blocks(true), next_block);
        assert_eq!(geometry.blocks(false), next_block - geometry.groups());
    }

    proptest! {
        #[test]
        fn every_element_lies_in_one_block(rows in 0u64..3000, cols in 0u64..3000, block in prop::option::of((1u32..400, 1u32..400)), wide: bool) {
            let element = if wide { ElementType::F64 } else { ElementType::I8 };
            check(plan::layer(element, rows, cols, block));
        }

        #[test]
        fn wide_and_long_layers_stay_bounded(rows in 1u64..100_000, cols in 1u64..10_000_000) {
            let geometry = plan::layer(ElementType::F32, rows, cols, None);
            prop_assert!(geometry.checked().is_ok(), "{:?}", geometry);
            prop_assert!(geometry.bands_bytes(&geometry.group_range(0)).end <= 16 << 20);
        }

        #[test]
        fn opaque_bytes_are_covered(bytes in 0u64..50_000_000) {
            check(plan::opaque(bytes));
        }
    }
}
