//! Column scan: a step is a column of 32 rows. A strip of them is decoded to a buffer in the first-level
//! cache and turned; its rows go to their places among the fields of the block.

use super::alias::{self, Lanes};
use super::turn::to_rows;
use super::unpack::{MOST_BITS, Placed, start};
use super::{MOST_CLASSES, SIDE_BY_SIDE};
use crate::drive::all_ok;
use crate::level::Set;
use crate::lines::{LINE, Lines};
use crate::slots::AliasTable;
use crate::streams::RowStream;
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
    let mut fitting: Vec<Strips<'_, '_>> = fitting.collect();
    for alike in fitting.chunk_by_mut(|a, b| a.goes_with(b)) {
        for group in alike.chunks_mut(SIDE_BY_SIDE) {
            // SAFETY: the level says that the processor has the instructions.
            unsafe {
                match group {
                    [a, b, c, d] => decode_group([a, b, c, d], space),
                    [a, b, c] => decode_group([a, b, c], space),
                    [a, b] => decode_group([a, b], space),
                    group => group.iter_mut().for_each(|one| decode_group([one], space)),
                }
            }
        }
    }
    verdicts
}

impl Strips<'_, '_> {
    /// Whether both can be decoded side by side.
    fn goes_with(&self, other: &Strips<'_, '_>) -> bool {
        let shape = |strips: &Strips<'_, '_>| {
            let RowStream { rows, cols, coded, .. } = &*strips.stream;
            (*rows, *cols, coded.low.widths.is_empty())
        };
        shape(self) == shape(other)
    }

    /// The number of the table of a step.
    #[inline(always)]
    fn class(&self, step: usize) -> usize {
        self.stream.coded.classes.of_step().get(step).map_or(0, |&class| usize::from(class))
    }

    /// Where the row begins that the scan takes at this position.
    fn row_start(&self, position: usize) -> usize {
        let row = self.stream.coded.order.get(position).map_or(position, |&row| row as usize);
        row * self.stream.cols
    }
}

/// Decodes `N` streams of one shape side by side.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn decode_group<const N: usize>(group: [&mut Strips<'_, '_>; N], space: &mut Lines) {
    let streams: [&[u8]; N] = std::array::from_fn(|n| group[n].stream.coded.stream);
    let mut lanes = match all_ok(streams.map(|stream| Lanes::new(stream))) {
        Ok(lanes) => lanes,
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) if N > 1 => return group.into_iter().for_each(|one| decode_group([one], space)),
        Err(error) => return *group[0].verdict = Some(Err(error)),
    };
    let mut group = group;
    match group[0].stream.coded.low.widths.is_empty() {
        true => decode_strips::<N, false>(&mut group, &mut lanes, space),
        false => decode_strips::<N, true>(&mut group, &mut lanes, space),
    }
    for (strips, lanes) in group.into_iter().zip(lanes) {
        *strips.verdict = Some(lanes.end());
    }
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    /// Of the bits beside the stream, in the first and in the second column of a line.
    beside: &'a [Placed; 2],
}

/// With `BESIDE` some fields have bits beside the stream.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn decode_strips<const N: usize, const BESIDE: bool>(
    group: &mut [&mut Strips<'_, '_>; N],
    lanes: &mut [Lanes<'_>; N],
    space: &mut Lines,
) {
    let unpack: [[Placed; 2]; MOST_BITS as usize + 1] =
        std::array::from_fn(|width| [0, 8].map(|place| Placed::new(width as u32, place)));
    let classes: [[Class<'_>; MOST_CLASSES]; N] = std::array::from_fn(|n| {
        let Strips { stream, tables, .. } = &*group[n];
        std::array::from_fn(|k| {
            let k = k.min(tables.len() - 1);
            let width = stream.coded.low.widths.get(k).map_or(0, |&width| usize::from(width));
            Class { table: tables[k], beside: &unpack[width] }
        })
    });
    let (rows, cols) = (group[0].stream.rows, group[0].stream.cols);
    // Two columns are a line.
    let strip = cols.div_ceil(2) * LINE;
    let coded = space.take(N * strip / LINE);
    let starts: [*const u8; N] = std::array::from_fn(|n| start(group[n].stream.coded.low.packed));
    let mut beside = starts;
    for first in (0..rows / LANES * LANES).step_by(LANES) {
        let start = first / LANES * cols;
        let of_step: [&[u8]; N] = std::array::from_fn(|n| {
            let of_step = group[n].stream.coded.classes.of_step();
            of_step.get(start..start + cols).unwrap_or_default()
        });
        let class = |n: usize, col: usize| {
            let class = of_step[n].get(col).map_or(0, |&class| usize::from(class));
            &classes[n][class % MOST_CLASSES]
        };
        let lines = coded.as_mut_ptr();
        let at: [*mut u8; N] = std::array::from_fn(|n| lines.wrapping_add(n * strip));
        alias::run_in_registers(
            lanes,
            0..cols,
            |n, col| class(n, col).table,
            |n, col, table, ranks| {
                let line = at[n].wrapping_add(col / 2 * LINE);
                let second = col % 2 == 1;
                // SAFETY: the strip has a line for each two columns; tables have 64 bytes.
                let mut fields = unsafe {
                    let values = _mm512_loadu_si512(table.byte.as_ptr().cast());
                    if second {
                        let before = _mm512_loadu_si512(line.cast());
                        _mm512_mask_permutexvar_epi8(before, SECOND, ranks, values)
                    } else {
                        _mm512_permutexvar_epi8(ranks, values)
                    }
                };
                if BESIDE {
                    let bits = &class(n, col).beside[col % 2];
                    // SAFETY: the bit string has as many bits for each element as `bits` takes.
                    fields = _mm512_add_epi8(fields, unsafe { bits.fields(beside[n]) });
                    beside[n] = beside[n].wrapping_add(bits.step);
                }
                // SAFETY: as above.
                unsafe { _mm512_storeu_si512(line.cast(), fields) };
            },
        );
        for (n, strips) in group.iter_mut().enumerate() {
            let starts: [usize; LANES] = std::array::from_fn(|row| strips.row_start(first + row));
            to_rows(&coded[n * strip..][..strip], cols, &starts, strips.stream.out);
        }
    }
    for (n, strips) in group.iter_mut().enumerate().filter(|_| !rows.is_multiple_of(LANES)) {
        let taken = beside[n] as usize - starts[n] as usize;
        decode_tail(strips, &mut lanes[n], 8 * taken, &mut coded[n * strip..][..strip]);
    }
}

/// Decodes the last rows, fewer than 32, whose low bits begin at bit `bit`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
fn decode_tail(strips: &mut Strips<'_, '_>, lanes: &mut Lanes<'_>, bit: usize, space: &mut [u8]) {
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
