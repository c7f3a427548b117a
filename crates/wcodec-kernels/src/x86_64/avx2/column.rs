//! Column scan: a step is a column of 32 rows. A strip of them is decoded to a buffer in the first-level
//! cache and turned; its rows go to their places among the fields of the block.

use super::step::Stepper;
use super::unpack::{self, Beside, MOST_BITS};
use super::{MOST_CLASSES, SIDE_BY_SIDE, alias, wide};
use crate::drive::all_ok;
use crate::level::Set;
use crate::lines::{LINE, Lines};
use crate::streams::RowStream;
use crate::turn::transpose;
use crate::x86_64::turn::to_rows_avx2;
use crate::{LANES, Level, Scan, Steps, StreamError};
use std::arch::x86_64::*;

/// What is known of a stream.
type Verdict = Option<Result<(), StreamError>>;

/// A stream of the column scan, and what its steps decode with.
struct Strips<'j, 'a, Table> {
    stream: &'j mut RowStream<'a>,
    tables: Vec<&'a Table>,
    verdict: &'j mut Verdict,
}

/// Twin of [`crate::streams::decode_rows`] for streams of the column scan; leaves the verdict of others open.
pub(crate) fn decode_columns(
    level: Level,
    streams: &mut [RowStream<'_>],
    space: &mut Lines,
) -> Vec<Verdict> {
    assert!(level.set() >= Set::Avx2);
    let mut verdicts = vec![None; streams.len()];
    decode_kind::<alias::Lanes<'_, 2>>(level, streams, &mut verdicts, space);
    decode_kind::<alias::Lanes<'_, 4>>(level, streams, &mut verdicts, space);
    decode_kind::<wide::Lanes<'_>>(level, streams, &mut verdicts, space);
    verdicts
}

/// Decodes streams with tables of one kind whose verdict is open.
fn decode_kind<'a, S: Stepper<'a>>(
    level: Level,
    streams: &mut [RowStream<'a>],
    verdicts: &mut [Verdict],
    space: &mut Lines,
) {
    assert!(level.set() >= Set::Avx2);
    let open = streams.iter_mut().zip(verdicts).filter(|(_, verdict)| verdict.is_none());
    let fitting = open.filter_map(|(stream, verdict)| {
        let low = stream.coded.low.widths;
        let narrow = low.iter().all(|&width| u32::from(width) <= MOST_BITS);
        if stream.coded.scan != Scan::Column || stream.rows < LANES || !narrow {
            return None;
        }
        let tables = S::tables(&stream.coded.classes).filter(|all| all.len() <= MOST_CLASSES)?;
        Some(Strips { stream, tables, verdict })
    });
    let mut fitting: Vec<Strips<'_, 'a, S::Table>> = fitting.collect();
    for alike in fitting.chunk_by_mut(|a, b| a.goes_with(b)) {
        for group in alike.chunks_mut(SIDE_BY_SIDE) {
            // SAFETY: the level says that the processor has the instructions.
            unsafe {
                match group {
                    [a, b] => decode_group::<S, _>([a, b], space),
                    group => group.iter_mut().for_each(|one| decode_group::<S, _>([one], space)),
                }
            }
        }
    }
}

impl<'a, Table> Strips<'_, 'a, Table> {
    /// Whether both can be decoded side by side.
    fn goes_with(&self, other: &Self) -> bool {
        let shape = |strips: &Self| {
            let RowStream { rows, cols, coded, .. } = &*strips.stream;
            (*rows, *cols, coded.low.widths.is_empty())
        };
        shape(self) == shape(other)
    }

    /// The class of a step, and its table.
    #[inline(always)]
    fn class(&self, step: usize) -> (usize, &'a Table) {
        let of_step = self.stream.coded.classes.of_step();
        let class = of_step.get(step).map_or(0, |&class| usize::from(class));
        (class, self.tables[class])
    }

    /// The row that the scan takes at this position, among the fields of the block.
    fn row(&mut self, position: usize) -> &mut [u8] {
        let RowStream { coded, cols, out, .. } = &mut *self.stream;
        let row = coded.order.get(position).map_or(position, |&row| row as usize);
        &mut out[row * *cols..][..*cols]
    }
}

/// Decodes `N` streams of one shape side by side.
#[target_feature(enable = "avx2,popcnt")]
fn decode_group<'a, S: Stepper<'a>, const N: usize>(
    mut group: [&mut Strips<'_, 'a, S::Table>; N],
    space: &mut Lines,
) {
    let streams: [&[u8]; N] = std::array::from_fn(|n| group[n].stream.coded.stream);
    // SAFETY: this function has the same instructions.
    let mut lanes = match all_ok(streams.map(|stream| unsafe { S::begin(stream) })) {
        Ok(lanes) => lanes,
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) if N > 1 => {
            return group.into_iter().for_each(|one| decode_group::<S, 1>([one], space));
        }
        Err(error) => return *group[0].verdict = Some(Err(error)),
    };
    decode_strips(&mut group, &mut lanes, space);
    for (strips, lanes) in group.into_iter().zip(lanes) {
        // SAFETY: as above.
        *strips.verdict = Some(unsafe { lanes.end() });
    }
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn decode_strips<'a, S: Stepper<'a>, const N: usize>(
    group: &mut [&mut Strips<'_, 'a, S::Table>; N],
    lanes: &mut [S; N],
    space: &mut Lines,
) {
    let low = std::array::from_fn::<_, N, _>(|n| group[n].stream.coded.low);
    let unpack = unpack::by_width();
    let starts = low.map(|low| low.packed.as_ptr());
    let mut beside = Beside::new(&unpack, low.map(|low| low.widths), starts);
    let has_beside = beside.any();
    let (rows, cols) = (group[0].stream.rows, group[0].stream.cols);
    let strip = LANES * cols;
    let all = &mut space.take(((N + 1) * strip).div_ceil(LINE))[..(N + 1) * strip];
    let (coded, turned) = all.split_at_mut(N * strip);
    for first in (0..rows / LANES * LANES).step_by(LANES) {
        let start = first / LANES * cols;
        let lines = coded.as_mut_ptr();
        let at: [*mut u8; N] = std::array::from_fn(|n| lines.wrapping_add(n * strip));
        let class = |n: usize, col: usize| group[n].class(start + col);
        let sink = |n: usize, col: usize, mut fields| {
            // SAFETY: the bit strings have bits for each element, and a strip of `coded` 32 bytes for each
            // column.
            unsafe {
                if has_beside {
                    fields = beside.add(n, class(n, col).0, fields);
                }
                _mm256_storeu_si256(at[n].add(LANES * col).cast(), fields);
            }
        };
        // SAFETY: this function has the same instructions.
        unsafe { S::run(lanes, 0..cols, |n, col| class(n, col).1, sink) };
        for (strips, coded) in group.iter_mut().zip(coded.chunks_exact(strip)) {
            to_rows_avx2(coded, cols, turned);
            transpose(coded, LANES, cols / 16 * 16..cols, turned);
            for (position, fields) in (first..).zip(turned.chunks_exact(cols)) {
                strips.row(position).copy_from_slice(fields);
            }
        }
    }
    let height = rows % LANES;
    let steps = Steps::of(Scan::Column, rows, cols);
    for (n, strips) in group.iter_mut().enumerate().filter(|_| height > 0) {
        let fields = &mut coded[n * strip..][..height * cols];
        // SAFETY: as above.
        unsafe { lanes[n].tail(steps, |step| strips.class(step).1, fields) };
        let taken = beside.at[n] as usize - starts[n] as usize;
        low[n].add_tail(steps, strips.stream.coded.classes.of_step(), 8 * taken, fields);
        transpose(fields, height, 0..cols, &mut turned[..height * cols]);
        for (position, fields) in (rows - height..).zip(turned.chunks_exact(cols).take(height)) {
            strips.row(position).copy_from_slice(fields);
        }
    }
}
