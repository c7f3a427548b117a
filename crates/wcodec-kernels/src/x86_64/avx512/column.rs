//! Column scan: a step is a column of 32 rows. A strip of them is decoded to a buffer in the first-level
//! cache and turned; its rows go to their places among the fields of the block.

use super::alias::{self, Lanes, upper};
use super::turn::to_rows;
use super::unpack::{MOST_BITS, Placed, start};
use super::{MOST_CLASSES, SIDE_BY_SIDE};
use crate::level::Set;
use crate::lines::{LINE, Lines};
use crate::slots::AliasTable;
use crate::streams::RowStream;
use crate::x86_64::rounds::{self, Rounds};
use crate::{DecodeTable, LANES, Level, Scan, Steps, StreamError};
use std::arch::x86_64::*;

/// The bytes of the second column of a line.
const SECOND: __mmask64 = 0xaaaa_aaaa_aaaa_aaaa;

/// A stream of the column scan, and what its steps decode with.
struct Strips<'j, 'a> {
    stream: &'j mut RowStream<'a>,
    tables: Vec<&'a AliasTable>,
    verdict: &'j mut Option<Result<(), StreamError>>,
}

/// Twin of [`crate::streams::decode_rows`] for streams of the column scan with tables of up to 64 symbols;
/// leaves the verdict of others open.
pub(crate) fn decode_columns(
    level: Level,
    streams: &mut [RowStream<'_>],
    space: &mut Lines,
) -> Vec<Option<Result<(), StreamError>>> {
    assert_eq!(level.set(), Set::Avx512);
    let mut verdicts = vec![None; streams.len()];
    let fitting = streams.iter_mut().zip(&mut verdicts).filter_map(|(stream, verdict)| {
        let low = stream.coded.low.widths;
        let narrow = low.iter().all(|&width| u32::from(width) <= MOST_BITS);
        let tables = stream.coded.classes.tables().map(DecodeTable::alias);
        let tables: Vec<&AliasTable> = tables.collect::<Option<_>>()?;
        let fits = stream.coded.scan == Scan::Column && stream.rows >= LANES;
        (fits && narrow && tables.len() <= MOST_CLASSES).then_some(Strips {
            stream,
            tables,
            verdict,
        })
    });
    let fitting: Vec<Strips<'_, '_>> = fitting.collect();
    let (beside, plain): (Vec<_>, Vec<_>) = fitting.into_iter().partition(Strips::has_beside);
    // SAFETY: the level says that the processor has the instructions.
    unsafe {
        match level.looks_up_numbers() {
            true => {
                decode_strips::<true, false>(plain, space);
                decode_strips::<true, true>(beside, space);
            }
            false => {
                decode_strips::<false, false>(plain, space);
                decode_strips::<false, true>(beside, space);
            }
        }
    }
    verdicts
}

impl<'j, 'a> Strips<'j, 'a> {
    /// Whether some fields have bits beside the stream.
    fn has_beside(&self) -> bool {
        !self.stream.coded.low.widths.is_empty()
    }

    /// Lines of a strip: two columns each.
    fn lines(&self) -> usize {
        self.stream.cols.div_ceil(2)
    }

    /// The number of the table of a step.
    #[inline(always)]
    fn class(&self, step: usize) -> usize {
        self.stream.coded.classes.of_step().get(step).map_or(0, |&class| usize::from(class))
    }

    /// What its steps decode with, by class; the last one again for those that there are not.
    fn classes<'u>(&self, unpack: &'u [[Placed; 2]]) -> [Class<'u>; MOST_CLASSES]
    where
        'a: 'u,
    {
        std::array::from_fn(|k| {
            let k = k.min(self.tables.len() - 1);
            let width = self.stream.coded.low.widths.get(k).map_or(0, |&width| usize::from(width));
            Class { table: self.tables[k], beside: &unpack[width] }
        })
    }

    /// Where the row begins that the scan takes at this position.
    fn row_start(&self, position: usize) -> usize {
        let row = self.stream.coded.order.get(position).map_or(position, |&row| row as usize);
        row * self.stream.cols
    }
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    /// Of the bits beside the stream, in the first and in the second column of a line.
    beside: &'a [Placed; 2],
}

/// A stream between two rounds.
struct Turn<'s, 'j, 'a, const NUMBERS: bool> {
    strips: Strips<'j, 'a>,
    classes: [Class<'s>; MOST_CLASSES],
    lanes: Lanes<'a, NUMBERS>,
    /// The first row of its strip, and the next column.
    row: usize,
    col: usize,
    /// Bytes taken of the bits beside it.
    taken: usize,
    /// Its strip.
    coded: &'s mut [u8],
}

/// Streams of the column scan. With `BESIDE` they have bits beside them.
struct Columns<'s, 'j, 'a, const NUMBERS: bool, const BESIDE: bool> {
    waiting: std::vec::IntoIter<Strips<'j, 'a>>,
    unpack: &'s [[Placed; 2]],
    /// Room for strips.
    rooms: Vec<&'s mut [u8]>,
}

/// Decodes streams, and sets their verdicts.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn decode_strips<const NUMBERS: bool, const BESIDE: bool>(
    streams: Vec<Strips<'_, '_>>,
    space: &mut Lines,
) {
    if streams.is_empty() {
        return;
    }
    let unpack: [[Placed; 2]; MOST_BITS as usize + 1] =
        std::array::from_fn(|width| [0, 8].map(|place| Placed::new(width as u32, place)));
    let lines = streams.iter().map(Strips::lines).max().unwrap_or(1);
    let rooms = space.take(SIDE_BY_SIDE * lines).chunks_exact_mut(lines * LINE).collect();
    let waiting = streams.into_iter();
    rounds::run(&mut Columns::<NUMBERS, BESIDE> { waiting, unpack: &unpack, rooms });
}

impl<'s, 'j, 'a: 's, const NUMBERS: bool, const BESIDE: bool> Rounds
    for Columns<'s, 'j, 'a, NUMBERS, BESIDE>
{
    type Turn = Turn<'s, 'j, 'a, NUMBERS>;

    const MOST: usize = SIDE_BY_SIDE;

    fn begin(&mut self) -> Option<Self::Turn> {
        loop {
            let strips = self.waiting.next()?;
            // SAFETY: the processor has the instructions.
            match unsafe { Lanes::new(strips.stream.coded.stream) } {
                Ok(lanes) => {
                    let (classes, coded) = (strips.classes(self.unpack), self.rooms.pop()?);
                    return Some(Turn { strips, classes, lanes, row: 0, col: 0, taken: 0, coded });
                }
                Err(error) => *strips.verdict = Some(Err(error)),
            }
        }
    }

    fn left(turn: &Self::Turn) -> usize {
        turn.strips.stream.cols - turn.col
    }

    fn round(&mut self, turns: &mut [Self::Turn], cols: usize) {
        // SAFETY: the processor has the instructions.
        unsafe {
            match turns {
                [a] => round::<NUMBERS, BESIDE, 1>([a], cols),
                [a, b] => round::<NUMBERS, BESIDE, 2>([a, b], cols),
                [a, b, c] => round::<NUMBERS, BESIDE, 3>([a, b, c], cols),
                [a, b, c, d] => round::<NUMBERS, BESIDE, 4>([a, b, c, d], cols),
                _ => unreachable!("one to {SIDE_BY_SIDE} streams"),
            }
        }
    }

    fn go_on(&mut self, turn: &mut Self::Turn) -> bool {
        // SAFETY: the processor has the instructions.
        unsafe { turn.next_strip() }
    }

    fn end(&mut self, turn: Self::Turn) {
        // SAFETY: the processor has the instructions.
        *turn.strips.verdict = Some(unsafe { turn.lanes.end() });
        self.rooms.push(turn.coded);
    }
}

/// Decodes columns of `N` strips.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn round<const NUMBERS: bool, const BESIDE: bool, const N: usize>(
    mut turns: [&mut Turn<'_, '_, '_, NUMBERS>; N],
    cols: usize,
) {
    let lines: [*mut u8; N] = turns.each_mut().map(|turn| {
        assert!(turn.strips.lines() * LINE <= turn.coded.len(), "room for a strip");
        assert!(turn.col + cols <= turn.strips.stream.cols, "columns of the strip");
        turn.coded.as_mut_ptr()
    });
    let mut lanes = turns.each_ref().map(|turn| turn.lanes);
    let starts = turns.each_ref().map(|turn| start(turn.strips.stream.coded.low.packed));
    let mut beside: [*const u8; N] =
        std::array::from_fn(|n| starts[n].wrapping_add(turns[n].taken));
    let first = turns.each_ref().map(|turn| turn.col);
    let of_step = turns.each_ref().map(|turn| {
        let step = turn.row / LANES * turn.strips.stream.cols + turn.col;
        turn.strips.stream.coded.classes.of_step().get(step..step + cols).unwrap_or_default()
    });
    let classes = turns.each_ref().map(|turn| &turn.classes);
    let class = |n: usize, step: usize| {
        let class = of_step[n].get(step).map_or(0, |&class| usize::from(class));
        &classes[n][class % MOST_CLASSES]
    };
    alias::run(
        &mut lanes,
        0..cols,
        |n, step| class(n, step).table,
        |n, step, table, ranks| {
            let col = first[n] + step;
            let line = lines[n].wrapping_add(col / 2 * LINE);
            let second = col % 2 == 1;
            // SAFETY: the strip has a line for each two columns; tables have 64 bytes.
            let mut fields = unsafe {
                let values = _mm512_loadu_si512(table.byte.as_ptr().cast());
                if second {
                    let before = _mm512_loadu_si512(line.cast());
                    let ranks = upper::<NUMBERS>(ranks);
                    _mm512_mask_permutexvar_epi8(before, SECOND, ranks, values)
                } else {
                    _mm512_permutexvar_epi8(ranks, values)
                }
            };
            if BESIDE {
                let bits = &class(n, step).beside[col % 2];
                // SAFETY: the bit string has as many bits for each element as `bits` takes.
                fields = _mm512_add_epi8(fields, unsafe { bits.fields(beside[n]) });
                beside[n] = beside[n].wrapping_add(bits.step);
            }
            // SAFETY: as above.
            unsafe { _mm512_storeu_si512(line.cast(), fields) };
        },
    );
    for (n, turn) in turns.into_iter().enumerate() {
        turn.lanes = lanes[n];
        turn.col += cols;
        turn.taken = beside[n] as usize - starts[n] as usize;
    }
}

impl<const NUMBERS: bool> Turn<'_, '_, '_, NUMBERS> {
    /// Puts the strip in its rows, and decodes the rows behind it if they are fewer than 32. Tells whether another strip
    /// follows.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
    fn next_strip(&mut self) -> bool {
        let RowStream { rows, cols, .. } = *self.strips.stream;
        let starts = std::array::from_fn(|row| self.strips.row_start(self.row + row));
        to_rows(&self.coded[..self.strips.lines() * LINE], cols, &starts, self.strips.stream.out);
        (self.row, self.col) = (self.row + LANES, 0);
        let more = self.row + LANES <= rows;
        if !more && self.row < rows {
            decode_tail(&mut self.strips, &mut self.lanes, 8 * self.taken, self.coded);
        }
        more
    }
}

/// Decodes the last rows, fewer than 32, whose low bits begin at bit `bit`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn decode_tail<const NUMBERS: bool>(
    strips: &mut Strips<'_, '_>,
    lanes: &mut Lanes<'_, NUMBERS>,
    bit: usize,
    space: &mut [u8],
) {
    let RowStream { rows, cols, coded, .. } = *strips.stream;
    let (steps, height) = (Steps::of(Scan::Column, rows, cols), rows % LANES);
    let fields = &mut space[..height * cols];
    alias::tail(lanes, steps, |step| strips.tables[strips.class(step)], fields);
    coded.low.add_tail(steps, coded.classes.of_step(), bit, fields);
    for position in rows - height..rows {
        let start = strips.row_start(position);
        let column = fields.iter().skip(position % LANES).step_by(height);
        for (field, out) in column.zip(&mut strips.stream.out[start..start + cols]) {
            *out = *field;
        }
    }
}
