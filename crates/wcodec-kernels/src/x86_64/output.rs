//! Where kernels put the elements of blocks that they decode side by side.

use crate::lines::{LINE, Lines};
use crate::target::{Pieces, Target};
use std::ops::Range;

/// Takes the pieces of `N` blocks.
pub(super) struct Output<'s, 't, 'b, const N: usize> {
    /// Number of the first block.
    first: usize,
    target: &'s mut Target<'t, 'b>,
    /// Room for a piece of each block.
    room: [&'s mut [u8]; N],
    size: usize,
}

impl<'s, 't, 'b, const N: usize> Output<'s, 't, 'b, N> {
    pub(super) fn new(
        pieces: &Pieces,
        first: usize,
        target: &'s mut Target<'t, 'b>,
        space: &'s mut Lines,
    ) -> Output<'s, 't, 'b, N> {
        let size = target.blocks[first].element.size();
        let lines = (pieces.most() * size).div_ceil(LINE);
        let mut rooms = space.take(N * lines).chunks_exact_mut(lines * LINE);
        let room = std::array::from_fn(|_| match rooms.next() {
            Some(room) => room,
            None => unreachable!("there is room for all pieces"),
        });
        Output { first, target, room, size }
    }

    /// Where the elements of the next piece go, for each block.
    #[inline(always)]
    pub(super) fn room(&mut self) -> [*mut u8; N] {
        self.room.each_mut().map(|room| room.as_mut_ptr())
    }

    /// These elements of all blocks are in their room.
    pub(super) fn take(&mut self, elements: Range<usize>) {
        for (n, room) in self.room.iter_mut().enumerate() {
            let bytes = &mut room[..elements.len() * self.size];
            self.target.take(self.first + n, elements.start, bytes);
        }
    }
}
