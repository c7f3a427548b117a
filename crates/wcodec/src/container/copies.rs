//! Copies in the directory: segments whose blocks are those of an earlier one. FORMAT.md section 12.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 4 | segment | those of copies rise |
//! | 4 | 4 | its source | an earlier segment with the same record, no copy itself |

use super::directory::{Directory, Parts, Segment};
use super::fields::Fields;
use crate::context::Context;
use crate::error::{Result, corrupt};
use crate::geometry::Geometry;
use crate::packing::{Layout, Packing};

pub(super) const COPY_LEN: usize = 8;

/// Blocks that copies may have: so many, and more for each copy and for their bytes.
const FREE_BLOCKS: u64 = 1 << 16;
const BLOCKS_PER_COPY: u64 = 8;
const BYTES_PER_BLOCK: u64 = 4096;

/// A segment that has the bytes of an earlier one, and no blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentCopy {
    pub(crate) segment: u32,
    pub(crate) source: u32,
}

impl SegmentCopy {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.source.to_le_bytes());
    }
}

/// What copies have. Readers list blocks before they decode them, so a small file must not have many.
#[derive(Clone, Copy, Default)]
pub(crate) struct Copied {
    copies: u64,
    blocks: u64,
    bytes: u64,
}

impl Copied {
    /// With one more copy that is cut so.
    pub(crate) fn and(self, geometry: &Geometry, side: bool) -> Copied {
        Copied {
            copies: self.copies.saturating_add(1),
            blocks: self.blocks.saturating_add(geometry.blocks(side)),
            bytes: self.bytes.saturating_add(geometry.bytes()),
        }
    }

    fn most_blocks(&self) -> u64 {
        let of_copies = self.copies.saturating_mul(BLOCKS_PER_COPY);
        (FREE_BLOCKS + self.bytes / BYTES_PER_BLOCK).saturating_add(of_copies)
    }

    /// Whether a file may have such copies.
    pub(crate) fn is_legal(&self) -> bool {
        self.blocks <= self.most_blocks()
    }
}

/// Reads the copies of a file, whose segments and references have been read, into its directory.
pub(super) fn read_copies(
    fields: &mut Fields<'_>,
    count: u32,
    directory: &mut Directory,
) -> Result<()> {
    let mut copied = Copied::default();
    for _ in 0..count {
        let copy = SegmentCopy { segment: fields.u32()?, source: fields.u32()? };
        let segment = check(copy, directory)?;
        copied = copied.and(&segment.geometry, segment.side);
        directory.copies.push(copy);
    }
    if !copied.is_legal() {
        let (blocks, most) = (copied.blocks, copied.most_blocks());
        return Err(corrupt!("copies have {blocks} blocks, at most {most} expected"));
    }
    Ok(())
}

/// Checks that units of copies have the contexts that those of their sources have: blocks cannot be decoded without.
pub(super) fn check_contexts(directory: &Directory, parts: &Parts) -> Result<()> {
    // A packing whose codes with a context lie in a segment.
    let packing = |segment: u32| -> Option<(Packing, &Layout, &Context)> {
        let part = parts.starting(segment).first()?;
        let packing = *directory.packings.get(part.packing?)?;
        let layout = directory.layouts.get(packing.layout as usize)?;
        let (stream, context) = layout.context()?;
        let here = packing.segment as usize + stream == segment as usize;
        here.then_some((packing, layout, context))
    };
    let blocks_of = |segment: u32| directory.source_of(segment).unwrap_or(segment);
    for &SegmentCopy { segment, source } in &directory.copies {
        let same = match (packing(segment), packing(source)) {
            (None, None) => true,
            (Some((copy, layout, context)), Some((of, ..))) if copy.layout == of.layout => {
                let streams = (0..).zip(layout.streams());
                let mut needed = streams.filter(|(_, stream)| context.needs(stream));
                needed.all(|(n, _)| blocks_of(copy.segment + n) == blocks_of(of.segment + n))
            }
            _ => false,
        };
        if !same {
            return Err(corrupt!(
                "segment {segment} is a copy of segment {source}, but has other contexts"
            ));
        }
    }
    Ok(())
}

/// Checks a copy that follows those of the directory. Returns its record.
fn check(SegmentCopy { segment, source }: SegmentCopy, directory: &Directory) -> Result<&Segment> {
    let of = |number: u32| directory.segments.get(number as usize);
    let (Some(record), Some(other)) = (of(segment), of(source)) else {
        let text = format!("segment {segment} is a copy of segment {source}");
        return Err(corrupt!("{text}: one does not exist"));
    };
    if directory.copies.last().is_some_and(|before| before.segment >= segment) {
        return Err(corrupt!("copies are not in the order of their segments"));
    }
    if source >= segment || directory.source_of(source).is_some() {
        return Err(corrupt!(
            "segment {segment} is a copy of segment {source}, no earlier original"
        ));
    }
    if record != other {
        return Err(corrupt!("segment {segment} is a copy of segment {source}, but another cut"));
    }
    if directory.reference_of(segment).is_some() {
        return Err(corrupt!("segment {segment} is a copy and refers to a base"));
    }
    Ok(record)
}
