//! Pieces of both files, read and compared side by side.

use super::side::Side;
use super::tally::{Measured, Parts, Space, Sums, Tally};
use crate::error::Result;
use crate::frame;
use crate::options::Watch;
use rayon::prelude::*;
use std::ops::Range;
use wcodec_kernels::Level;

/// Bytes that are read at a time, unless a band of a `.wcodec` file has more.
const PIECE: u64 = 4 << 20;
/// Pieces that wait for each other, for each thread.
const AT_ONCE: usize = 8;
/// Bytes of a piece outside of layers that are compressed to tell what it takes.
const COMPRESSED: usize = 256 << 10;

/// Bytes of B, and those of A that they are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) bytes: u64,
    /// Where they begin.
    pub(super) b: u64,
    pub(super) a: Option<u64>,
    /// Whether the highest bits of A's elements are inverted before.
    pub(super) flip: bool,
    /// Whether they belong to no layer.
    pub(super) outside: bool,
}

impl Task<'_> {
    /// Its pieces, whole bands of `.wcodec` files where they are cut alike.
    fn pieces(&self, work: &Work<'_>) -> Result<impl Iterator<Item = Range<u64>> + use<>> {
        let bytes = self.bytes;
        let mut unit = self.parts.size() as u64;
        if bytes > PIECE {
            let theirs = self.a.map_or(Ok(1), |at| work.a.unit_bytes(at))?;
            let widest = theirs.max(work.b.unit_bytes(self.b)?).min(bytes);
            unit = widest.div_ceil(unit) * unit;
        }
        let piece = (PIECE / unit).max(1) * unit;
        Ok((0..bytes).step_by(piece as usize).map(move |at| at..bytes.min(at + piece)))
    }
}

/// What was measured of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) measured: Measured,
    /// About what bytes outside of layers take.
    pub(super) compressed: f64,
}

pub(super) struct Work<'a> {
    pub(super) a: &'a Side<'a>,
    pub(super) b: &'a Side<'a>,
    pub(super) level: Level,
}

impl Work<'_> {
    /// The outcomes of tasks, in their order.
    pub(super) fn run(&self, tasks: &[Task<'_>], watch: &Watch<'_>) -> Result<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::default(); tasks.len()];
        let pieces = |(number, task): (usize, &Task<'_>)| {
            task.pieces(self).map(|pieces| pieces.map(move |piece| (number, piece)))
        };
        let pieces = tasks.iter().enumerate().map(pieces).collect::<Result<Vec<_>>>()?;
        let mut pieces = pieces.into_iter().flatten();
        // The sums of a task are held until all its pieces have come.
        let mut open: Option<(usize, Sums<'_>)> = None;
        let at_once = AT_ONCE * rayon::current_num_threads();
        loop {
            let batch: Vec<(usize, Range<u64>)> = pieces.by_ref().take(at_once).collect();
            let tallies =
                batch.par_iter().map_init(Buffers::default, |buffers, (number, piece)| {
                    let compare = || self.compare(&tasks[*number], piece, buffers);
                    watch.step(piece.end - piece.start, compare)
                });
            let tallies: Vec<(Tally, f64)> = tallies.collect::<Result<_>>()?;
            let ended = batch.is_empty();
            for ((number, _), (tally, compressed)) in batch.into_iter().zip(tallies) {
                outcomes[number].compressed += compressed;
                if open.as_ref().is_none_or(|open| open.0 != number) {
                    self.close(
                        open.replace((number, Sums::new(tasks[number].parts))),
                        &mut outcomes,
                    );
                }
                if let Some((_, sums)) = &mut open {
                    sums.add(&tally);
                }
            }
            if ended {
                self.close(open.take(), &mut outcomes);
                return Ok(outcomes);
            }
        }
    }

    fn close(&self, open: Option<(usize, Sums<'_>)>, outcomes: &mut [Outcome]) {
        if let Some((number, sums)) = open {
            outcomes[number].measured = sums.measured(self.level);
        }
    }

    /// What is counted of a piece, and about what it takes if it is outside of layers.
    fn compare(
        &self,
        task: &Task<'_>,
        piece: &Range<u64>,
        buffers: &mut Buffers,
    ) -> Result<(Tally, f64)> {
        let Buffers { a, b, space } = buffers;
        let of = |start: u64| start + piece.start..start + piece.end;
        let theirs = task.a.map(|start| self.a.read(of(start), a)).transpose()?;
        let own = self.b.read(of(task.b), b)?;
        let mut tally = Tally::new(task.parts);
        tally.add((self.level, task.parts, task.flip), theirs, own, space);
        if !task.outside {
            return Ok((tally, 0.0));
        }
        let start = &own[..own.len().min(COMPRESSED)];
        let taken = frame::quick_len(start).unwrap_or(start.len()).min(start.len());
        Ok((tally, taken as f64 * own.len() as f64 / start.len() as f64))
    }
}

#[derive(Default)]
struct Buffers {
    a: Vec<u8>,
    b: Vec<u8>,
    space: Space,
}
