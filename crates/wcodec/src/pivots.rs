//! Whether the pivots of layouts pay for their layers.

use crate::container::read_at::{ReadAt, read};
use crate::entropy::cost;
use crate::error::Result;
use crate::options::{Observer, go_on};
use crate::packing::{Field, Layout, Structs};
use crate::source::Located;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use wcodec_kernels::{ByteCounts, Level};

/// A layer of fewer groups would pay more for the segments of the places than it can gain.
const MIN_GROUPS: u64 = 1 << 11;
/// Bytes looked at at a time.
const PIECE_BYTES: u64 = 4 << 10;
/// Pieces, evenly spread over a layer, that tell what pivots gain.
const SAMPLES: usize = 16;
/// Bytes that tell whether all groups have room for their pivots are read so many at a time.
const READ_BYTES: u64 = 1 << 20;

/// The structs of layers as they are encoded: pivots stay where all groups have room for them, and where
/// they make the codes smaller.
pub(crate) fn settled(
    source: &impl ReadAt,
    layers: &[Located],
    structs: Vec<Option<Structs>>,
    observer: &dyn Observer,
) -> Result<Vec<Option<Structs>>> {
    let settled = |(located, structs): (&Located, Option<Structs>)| {
        go_on(observer)?;
        let Some(Structs { layout, view }) = structs else { return Ok(None) };
        let layout = settled_layout(source, located, &layout, observer)?;
        Ok(Some(Structs { layout, view }))
    };
    layers.par_iter().zip(structs).map(settled).collect()
}

fn settled_layout(
    source: &impl ReadAt,
    located: &Located,
    layout: &Layout,
    observer: &dyn Observer,
) -> Result<Layout> {
    let mut settled = layout.clone();
    let structs = layout.structs(&located.layer)?;
    for field in &mut settled.fields {
        let groups = |group: usize| (field.bits.codes / group) as u64 * structs;
        field.pivots.take_if(|pivots| groups(pivots.group) < MIN_GROUPS);
    }
    if !settled.has_pivots() {
        return Ok(settled);
    }
    let len = u64::from(layout.bytes);
    let structs_of = |structs: Range<u64>| -> Result<Cow<'_, [u8]>> {
        Ok(read(source, located.at + structs.start * len, (structs.end - structs.start) * len)?)
    };
    let samples: Vec<Cow<'_, [u8]>> =
        samples(structs, len).map(structs_of).collect::<Result<_>>()?;
    let samples = samples.concat();
    for number in 0..settled.fields.len() {
        if !pays(&mut settled, number, &samples)? {
            settled.fields[number].pivots = None;
        }
    }
    // What has room whatever the codes are need not be looked at.
    let unsure =
        |field: &Field| field.pivots.as_ref().is_some_and(|p| !p.fit_all(field.bits.width()));
    for number in (0..settled.fields.len()).filter(|&n| unsure(&layout.fields[n])) {
        if settled.fields[number].pivots.is_none() {
            continue;
        }
        let most = (READ_BYTES / len).max(1);
        let fits = (0..structs.div_ceil(most))
            .into_par_iter()
            .map(|piece| -> Result<bool> {
                go_on(observer)?;
                let piece = piece * most..structs.min((piece + 1) * most);
                Ok(settled.gather(Level::detect(), number, &structs_of(piece)?).is_ok())
            })
            .try_reduce(|| true, |a, b| Ok(a && b))?;
        if !fits {
            settled.fields[number].pivots = None;
        }
    }
    Ok(settled)
}

/// Evenly spread pieces of structs of `len` bytes; all of them, if they are few.
fn samples(structs: u64, len: u64) -> impl Iterator<Item = Range<u64>> {
    let piece = (PIECE_BYTES / len).max(1);
    let count = structs.div_ceil(piece).min(SAMPLES as u64);
    let piece = structs.div_ceil(count).min(piece);
    (0..count).map(move |k| {
        // The last one ends with the structs.
        let start = (structs - piece) * k / (count - 1).max(1);
        start..start + piece
    })
}

/// Whether the pivots of a field make its codes smaller in these structs.
fn pays(layout: &mut Layout, field: usize, structs: &[u8]) -> Result<bool> {
    if layout.fields[field].pivots.is_none() {
        return Ok(false);
    }
    let level = Level::detect();
    let Ok(with) = layout.gather(level, field, structs) else { return Ok(false) };
    let pivots = layout.fields[field].pivots.take();
    let without = layout.gather(level, field, structs)?;
    layout.fields[field].pivots = pivots;
    Ok(price(&with) < price(&without))
}

/// The entropy of streams of bytes.
fn price(streams: &[Vec<u8>]) -> u64 {
    let entropy = |stream: &Vec<u8>| {
        let mut counts = ByteCounts::default();
        counts.add(stream);
        cost::entropy(&counts.counts())
    };
    streams.iter().map(entropy).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_within_the_structs() {
        for structs in [1, 5, 100, 3276, 3277, 4000, 52_428, 52_430, 10_000_000] {
            let pieces: Vec<Range<u64>> = samples(structs, 20).collect();
            assert!(pieces.iter().all(|p| p.start < p.end && p.end <= structs), "{structs}");
            assert!(pieces.iter().all(|p| (p.end - p.start) * 20 <= PIECE_BYTES));
            assert!(pieces.is_sorted_by_key(|p| p.start));
            assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (0, structs));
        }
    }
}
