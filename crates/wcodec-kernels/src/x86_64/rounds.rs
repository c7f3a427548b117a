//! Streams decoded side by side, whatever their lengths: each goes on by itself, and where one ends, the next begins in
//! its place.

use crate::blocks::BlockError;
use crate::lines::{LINE, Lines};
use crate::target::{Pieces, Target};
use crate::{LANES, StreamError};
use std::ops::Range;

/// Decodes streams in rounds. Each of them comes in parts, and a round ends where the first part does.
pub(super) trait Rounds {
    /// A stream between two rounds.
    type Turn;

    /// The most streams that are decoded side by side.
    const MOST: usize;

    /// Begins with the next stream; `None` if there are no more.
    fn begin(&mut self) -> Option<Self::Turn>;

    /// Full steps that are left of its part.
    fn left(turn: &Self::Turn) -> usize;

    /// Decodes so many full steps of each stream.
    fn round(&mut self, turns: &mut [Self::Turn], steps: usize);

    /// Ends a part, and begins with the next one; tells whether there is one.
    fn go_on(&mut self, turn: &mut Self::Turn) -> bool;

    /// Ends a stream.
    fn end(&mut self, turn: Self::Turn);
}

/// Decodes all streams.
pub(super) fn run<R: Rounds>(rounds: &mut R) {
    let mut turns: Vec<R::Turn> = Vec::with_capacity(R::MOST);
    loop {
        while turns.len() < R::MOST
            && let Some(turn) = rounds.begin()
        {
            turns.push(turn);
        }
        let Some(steps) = turns.iter().map(R::left).min() else { break };
        if steps > 0 {
            rounds.round(&mut turns, steps);
        }
        let mut number = 0;
        while let Some(turn) = turns.get_mut(number) {
            if R::left(turn) > 0 || rounds.go_on(turn) {
                number += 1;
            } else {
                rounds.end(turns.swap_remove(number));
            }
        }
    }
}

/// Decodes blocks of one kind, with elements of one size.
pub(super) trait Kernel {
    /// A block between two rounds.
    type Cursor;

    /// The most blocks that are decoded side by side.
    const MOST: usize;

    /// Begins with a block, which has this number among those of the kernel.
    fn begin(&self, number: usize) -> Result<Self::Cursor, StreamError>;

    /// Decodes so many full steps of each block to where [`Turn::to`] tells.
    fn round(&self, turns: &mut [Turn<'_, Self::Cursor>], steps: usize);

    /// Decodes the last elements, fewer than 32, to `out`.
    fn tail(&self, cursor: &mut Self::Cursor, out: &mut [u8]);

    /// The verdict behind the last element.
    fn end(&self, cursor: &Self::Cursor) -> Result<(), StreamError>;
}

/// A block that is being decoded, piece by piece.
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
    /// Where the next elements go.
    ///
    /// # Panics
    /// If there is no room for those of so many steps, of `size` bytes each.
    pub(super) fn to(&mut self, steps: usize, size: usize) -> *mut u8 {
        self.room[self.done * size..][..steps * LANES * size].as_mut_ptr()
    }

    /// Whether there is another piece, which is then begun.
    fn next_piece(&mut self) -> bool {
        let next = self.pieces.next();
        (self.piece, self.done) = (next.clone().unwrap_or_default(), 0);
        next.is_some()
    }
}

/// Blocks that a kernel decodes.
struct Blocks<'s, 't, 'b, K> {
    kernel: &'s K,
    /// Of each block, its number among all of them.
    numbers: &'s [usize],
    /// How many of them were begun.
    begun: usize,
    rooms: Vec<&'s mut [u8]>,
    target: &'s mut Target<'t, 'b>,
    verdicts: &'s mut [Option<Result<(), BlockError>>],
}

impl<K> Blocks<'_, '_, '_, K> {
    fn set_verdict(&mut self, block: usize, verdict: Result<(), StreamError>) {
        self.verdicts[block] = Some(verdict.map_err(|error| BlockError { plane: 0, error }));
    }
}

impl<'s, K: Kernel> Rounds for Blocks<'s, '_, '_, K> {
    type Turn = Turn<'s, K::Cursor>;

    const MOST: usize = K::MOST;

    fn begin(&mut self) -> Option<Self::Turn> {
        loop {
            let number = self.begun;
            let &block = self.numbers.get(number)?;
            self.begun += 1;
            match self.kernel.begin(number) {
                Ok(cursor) => {
                    let of = &self.target.blocks[block];
                    let (pieces, size) = (Pieces::of(of), of.element.size());
                    let room = self.rooms.pop()?;
                    let mut turn = Turn { cursor, block, pieces, piece: 0..0, done: 0, room, size };
                    turn.next_piece();
                    return Some(turn);
                }
                Err(error) => self.set_verdict(block, Err(error)),
            }
        }
    }

    fn left(turn: &Self::Turn) -> usize {
        (turn.piece.len() - turn.done) / LANES
    }

    fn round(&mut self, turns: &mut [Self::Turn], steps: usize) {
        self.kernel.round(turns, steps);
        turns.iter_mut().for_each(|turn| turn.done += LANES * steps);
    }

    fn go_on(&mut self, turn: &mut Self::Turn) -> bool {
        let bytes = &mut turn.room[..turn.piece.len() * turn.size];
        if turn.done < turn.piece.len() {
            self.kernel.tail(&mut turn.cursor, &mut bytes[turn.done * turn.size..]);
        }
        self.target.take(turn.block, turn.piece.start, bytes);
        turn.next_piece()
    }

    fn end(&mut self, turn: Self::Turn) {
        self.set_verdict(turn.block, self.kernel.end(&turn.cursor));
        self.rooms.push(turn.room);
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
    let bytes = |&number: &usize| {
        let block = &target.blocks[number];
        Pieces::of(block).most() * block.element.size()
    };
    let lines = numbers.iter().map(bytes).max().unwrap_or(0).div_ceil(LINE).max(1);
    let rooms = space.take(K::MOST * lines).chunks_exact_mut(lines * LINE).collect();
    run(&mut Blocks { kernel, numbers, begun: 0, rooms, target, verdicts });
}

/// Groups of plans that go with each other.
pub(super) fn groups<P>(
    plans: impl Iterator<Item = P>,
    goes_with: impl Fn(&P, &P) -> bool,
) -> Vec<Vec<P>> {
    let mut groups: Vec<Vec<P>> = Vec::new();
    for plan in plans {
        match groups.iter_mut().find(|group| goes_with(&group[0], &plan)) {
            Some(group) => group.push(plan),
            None => groups.push(vec![plan]),
        }
    }
    groups
}
