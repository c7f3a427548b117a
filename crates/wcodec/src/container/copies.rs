//! Copies in the directory: segments whose blocks are those of an earlier one. FORMAT.md section 12.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 4 | segment | those of copies rise |
//! | 4 | 4 | its source | an earlier segment with the same record, no copy itself |

use super::directory::Directory;
use super::fields::Fields;
use crate::error::{Result, corrupt};

pub(super) const COPY_LEN: usize = 8;

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

/// Reads the copies of a file, whose segments and references have been read, into its directory.
pub(super) fn read_copies(
    fields: &mut Fields<'_>,
    count: u32,
    directory: &mut Directory,
) -> Result<()> {
    for _ in 0..count {
        let copy = SegmentCopy { segment: fields.u32()?, source: fields.u32()? };
        check(copy, directory)?;
        directory.copies.push(copy);
    }
    Ok(())
}

/// Checks a copy that follows those of the directory.
fn check(SegmentCopy { segment, source }: SegmentCopy, directory: &Directory) -> Result<()> {
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
    Ok(())
}
