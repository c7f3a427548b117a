//! Finding parts of an original that have the same bytes: they are coded once. FORMAT.md section 12.

use crate::container::copies::{Copied, SegmentCopy};
use crate::container::directory::{Directory, Part};
use crate::container::read_at::{ReadAt, read_with};
use crate::error::Result;
use crate::options::{Observer, go_on};
use std::collections::HashMap;
use std::ops::Range;
use twox_hash::XxHash3_64;

/// A smaller part is not worth its record.
const MIN_BYTES: u64 = 64;
/// What parts are told apart by before they are compared: pieces at even distances, so many bytes each.
const PIECES: u64 = 8;
const PIECE: u64 = 256;
/// Parts that a part is compared with, of those whose samples are equal.
const MOST_COMPARED: usize = 8;
/// Bytes that are compared at a time.
const READ_BYTES: u64 = 1 << 20;

/// Makes copies of the parts that have the bytes of an earlier one. They take its cut, and lose their references.
pub(crate) fn find(
    source: &impl ReadAt,
    directory: &mut Directory,
    observer: &dyn Observer,
) -> Result<()> {
    let parts = directory.parts()?;
    let mut of_size: HashMap<u64, u32> = HashMap::new();
    parts.all().iter().for_each(|part| *of_size.entry(len(&part.bytes)).or_default() += 1);
    // By size and sample, those that are no copies.
    let mut alike: HashMap<(u64, u64), Vec<&Part>> = HashMap::new();
    let mut copied = Copied::default();
    for part in parts.all() {
        go_on(observer)?;
        let bytes = len(&part.bytes);
        if bytes < MIN_BYTES || of_size.get(&bytes).is_none_or(|&count| count < 2) {
            continue;
        }
        let known = alike.entry((bytes, sample(source, &part.bytes)?)).or_default();
        match twin(source, (directory, known), part, observer)? {
            Some(twin) => {
                let more = with_copy(copied, directory, twin);
                if more.is_legal() {
                    copy(directory, twin, part);
                    copied = more;
                }
            }
            None if known.len() < MOST_COMPARED => known.push(part),
            None => {}
        }
    }
    let Directory { copies, references, .. } = directory;
    let is_copy = |segment| copies.binary_search_by_key(&segment, |copy| copy.segment).is_ok();
    references.retain(|reference| !is_copy(reference.segment));
    Ok(())
}

/// The part among those known that has the bytes of another one.
fn twin<'a>(
    source: &impl ReadAt,
    (directory, known): (&Directory, &[&'a Part]),
    part: &Part,
    observer: &dyn Observer,
) -> Result<Option<&'a Part>> {
    for &earlier in known.iter().filter(|earlier| fits(directory, earlier, part)) {
        if equal(source, (&earlier.bytes, &part.bytes), observer)? {
            return Ok(Some(earlier));
        }
    }
    Ok(None)
}

fn len(bytes: &Range<u64>) -> u64 {
    bytes.end - bytes.start
}

/// Whether a part may be a copy of another one of its size, if their bytes agree. How a segment is cut does not
/// matter, but structs consist of what their layout says.
fn fits(directory: &Directory, source: &Part, copy: &Part) -> bool {
    let layout = |part: &Part| part.packing.map(|number| directory.packings[number].layout);
    layout(source) == layout(copy)
}

/// What copies have with one more of a part. Whether it will have side blocks is not known yet.
fn with_copy(copied: Copied, directory: &Directory, source: &Part) -> Copied {
    let geometry = |segment: usize| &directory.segments[segment].geometry;
    source.segments.clone().fold(copied, |copied, segment| copied.and(geometry(segment), true))
}

fn copy(directory: &mut Directory, source: &Part, copy: &Part) {
    for (source, copy) in source.segments.clone().zip(copy.segments.clone()) {
        directory.segments[copy] = directory.segments[source];
        directory.copies.push(SegmentCopy { segment: copy as u32, source: source as u32 });
    }
}

fn sample(source: &impl ReadAt, bytes: &Range<u64>) -> Result<u64> {
    let mut buffer = Vec::new();
    let (start, bytes) = (bytes.start, len(bytes));
    if bytes <= PIECES * PIECE {
        return Ok(XxHash3_64::oneshot(read_with(source, start, bytes, &mut buffer)?));
    }
    let step = (bytes - PIECE) / (PIECES - 1);
    let mut hash = 0;
    for piece in 0..PIECES {
        let bytes = read_with(source, start + piece * step, PIECE, &mut buffer)?;
        hash = XxHash3_64::oneshot_with_seed(hash, bytes);
    }
    Ok(hash)
}

fn equal(
    source: &impl ReadAt,
    (a, b): (&Range<u64>, &Range<u64>),
    observer: &dyn Observer,
) -> Result<bool> {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for at in (0..len(a)).step_by(READ_BYTES as usize) {
        go_on(observer)?;
        let bytes = READ_BYTES.min(len(a) - at);
        let of_a = read_with(source, a.start + at, bytes, &mut of_a)?;
        if of_a != read_with(source, b.start + at, bytes, &mut of_b)? {
            return Ok(false);
        }
    }
    Ok(true)
}
