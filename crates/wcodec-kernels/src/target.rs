//! Where decoded elements go: piece by piece through the caller's hands, then to their rows.

use crate::{Block, LANES, Level, Place};
#[cfg(target_arch = "x86_64")]
use crate::{level::Set, x86_64::stream};
use std::ops::Range;

/// Bytes of a piece: those of all blocks that are decoded side by side take a first-level cache, more or less.
const PIECE: usize = 8 << 10;

/// Decoded elements of a block, in the first-level cache and not yet at their place: whole rows, one behind
/// the other, or part of a row.
pub struct Decoded<'a> {
    /// Number of the block among those that are decoded.
    pub block: usize,
    /// The first row.
    pub row: usize,
    /// The first column.
    pub col: usize,
    /// The elements.
    pub bytes: &'a mut [u8],
}

/// The pieces that the elements of a block, numbered in row-major order, are decoded in: whole rows, or parts
/// of a row. Each is a multiple of 32 elements but what ends with the block.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    /// The first element of the next piece.
    next: usize,
    elements: usize,
    cols: usize,
    /// Elements of a piece.
    len: usize,
    /// Whether pieces are parts of rows.
    parts: bool,
}

impl Pieces {
    pub(crate) fn of(block: &Block<'_>) -> Pieces {
        let (rows, cols) = (block.rows, block.cols);
        let wanted = PIECE / block.element.size();
        let parts = rows == 1 || cols.is_multiple_of(LANES) && cols > wanted;
        // As many rows as make up whole steps.
        let unit = if parts { LANES } else { cols << (5 - cols.trailing_zeros().min(5)) };
        let len = unit * (wanted / unit).max(1);
        Pieces { next: 0, elements: rows * cols, cols, len, parts }
    }

    /// Most elements of a piece.
    pub(crate) fn most(&self) -> usize {
        self.len.min(self.elements)
    }
}

impl Iterator for Pieces {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.next;
        let bound = if self.parts { (start / self.cols + 1) * self.cols } else { self.elements };
        self.next = self.elements.min(bound).min(start + self.len);
        (start < self.next).then_some(start..self.next)
    }
}

/// Takes the pieces of blocks.
pub(crate) struct Target<'t, 'b> {
    pub(crate) level: Level,
    pub(crate) blocks: &'t [Block<'t>],
    pub(crate) buffers: &'t mut [&'b mut [u8]],
    /// What the caller does with each piece.
    pub(crate) each: &'t mut dyn FnMut(Decoded<'_>),
}

impl Drop for Target<'_, '_> {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.blocks.iter().any(|block| block.place.streamed) {
            stream::fence();
        }
    }
}

impl Target<'_, '_> {
    /// Takes whole rows of a block, or part of one, from element `first` on.
    pub(crate) fn take(&mut self, block: usize, first: usize, bytes: &mut [u8]) {
        let of = &self.blocks[block];
        let (row, col) = (first / of.cols, first % of.cols);
        (self.each)(Decoded { block, row, col, bytes });
        let Place { buffer, start, pitch, streamed } = of.place;
        let size = of.element.size();
        let out = &mut self.buffers[buffer][start + row * pitch + col * size..];
        let copy = |from: &[u8], to: &mut [u8]| match (self.level.set(), streamed) {
            #[cfg(target_arch = "x86_64")]
            (Set::Avx2 | Set::Avx512, true) => stream::copy(self.level, from, to),
            _ => to.copy_from_slice(from),
        };
        if pitch == of.cols * size || bytes.len() <= of.cols * size {
            copy(bytes, &mut out[..bytes.len()]);
            return;
        }
        for (out, row) in out.chunks_mut(pitch).zip(bytes.chunks_exact(of.cols * size)) {
            copy(row, &mut out[..row.len()]);
        }
    }
}
