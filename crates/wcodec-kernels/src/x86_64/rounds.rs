//! Blocks decoded side by side, whatever their shapes: each goes on with pieces of its own, and where one ends, the
//! next begins in its place.

use crate::blocks::BlockError;
use crate::lines::{LINE, Lines};
use crate::target::{Pieces, Target};
use crate::{LANES, StreamError};
use std::ops::Range;

/// Decodes blocks of one kind, with elements of one size, in rounds.
pub(super) trait Kernel {
    /// A block between two rounds.
    type Cursor;

    /// The most blocks that are decoded side by side.
    const MOST: usize;

    /// Begins with a block, which has this number among those of the kernel.
    fn begin(&self, number: usize) -> Result<Self::Cursor, StreamError>;

    /// Decodes so many full steps of each block to where its next elements go.
    fn round(&self, turns: &mut [Turn<'_, Self::Cursor>], steps: usize);

    /// Decodes the last elements, fewer than 32, to `out`.
    fn tail(&self, cursor: &mut Self::Cursor, out: &mut [u8]);

    /// The verdict behind the last element.
    fn end(&self, cursor: &Self::Cursor) -> Result<(), StreamError>;
}

/// A block that is being decoded.
pub(super) struct Turn<'s, C> {
    pub(super) cursor: C,
    /// Its number among all blocks.
    block: usize,
    pieces: Pieces,
    /// The elements of its piece.
    piece: Range<usize>,
    /// Those of them that are decoded.
    done: usize,
    /// Room for a piece.
    room: &'s mut [u8],
    /// Bytes of an element.
    size: usize,
}

impl<C> Turn<'_, C> {
    /// Where the next elements go; there is room for those of a round.
    pub(super) fn to(&mut self) -> *mut u8 {
        self.room[self.done * self.size..].as_mut_ptr()
    }

    /// Full steps that are left of its piece.
    fn steps(&self) -> usize {
        (self.piece.len() - self.done) / LANES
    }

    /// Whether there is another piece, which is then begun.
    fn go_on(&mut self) -> bool {
        let next = self.pieces.next();
        (self.piece, self.done) = (next.clone().unwrap_or_default(), 0);
        next.is_some()
    }
}

/// Decodes blocks, of which `numbers` tells the places among all of them, and sets their verdicts.
pub(super) fn decode<K: Kernel>(
    kernel: &K,
    numbers: &[usize],
    target: &mut Target<'_, '_>,
    space: &mut Lines,
    verdicts: &mut [Option<Result<(), BlockError>>],
) {
    let blocks = target.blocks;
    let bytes = |&number: &usize| {
        let block = &blocks[number];
        Pieces::of(block).most() * block.element.size()
    };
    let lines = numbers.iter().map(bytes).max().unwrap_or(0).div_ceil(LINE).max(1);
    let mut rooms: Vec<&mut [u8]> =
        space.take(K::MOST * lines).chunks_exact_mut(lines * LINE).collect();
    let mut turns: Vec<Turn<'_, K::Cursor>> = Vec::with_capacity(K::MOST);
    let mut waiting = numbers.iter().enumerate();
    let verdict =
        |result: Result<(), StreamError>| result.map_err(|error| BlockError { plane: 0, error });
    loop {
        while let Some(room) = rooms.pop() {
            let Some((number, &block)) = waiting.next() else { break };
            match kernel.begin(number) {
                Ok(cursor) => {
                    let (pieces, size) = (Pieces::of(&blocks[block]), blocks[block].element.size());
                    let mut turn = Turn { cursor, block, pieces, piece: 0..0, done: 0, room, size };
                    turn.go_on();
                    turns.push(turn);
                }
                Err(error) => {
                    verdicts[block] = Some(verdict(Err(error)));
                    rooms.push(room);
                }
            }
        }
        let Some(steps) = turns.iter().map(Turn::steps).min() else { break };
        if steps > 0 {
            kernel.round(&mut turns, steps);
        }
        for turn in &mut turns {
            turn.done += LANES * steps;
        }
        let mut number = 0;
        while let Some(turn) = turns.get_mut(number) {
            if turn.steps() > 0 {
                number += 1;
                continue;
            }
            let Turn { cursor, room, piece, .. } = turn;
            let bytes = &mut room[..piece.len() * turn.size];
            if turn.done < piece.len() {
                kernel.tail(cursor, &mut bytes[turn.done * turn.size..]);
            }
            target.take(turn.block, piece.start, bytes);
            if turn.go_on() {
                number += 1;
            } else {
                let Turn { cursor, block, room, .. } = turns.swap_remove(number);
                verdicts[block] = Some(verdict(kernel.end(&cursor)));
                rooms.push(room);
            }
        }
    }
}
