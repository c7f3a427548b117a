//! Bases and the references to them in the directory. FORMAT.md section 11.1.
//!
//! | at | bytes | field of a base | legal |
//! | --- | --- | --- | --- |
//! | 0 | 32 | BLAKE3 of its original | those of bases differ |
//! | 32 | 8 | length of its original | |
//! | 40 | 2 | length of the name | at most 1,024 |
//! | 42 | 2 | zero | 0 |
//! | 44 | | name (UTF-8) | |
//!
//! | at | bytes | field of a reference | legal |
//! | --- | --- | --- | --- |
//! | 0 | 4 | segment | those of references rise |
//! | 4 | 1 | base | below their number, or 255: the original itself |
//! | 5 | 1 | flip | 0 or 1 |
//! | 6 | 2 | zero | 0 |
//! | 8 | 8 | position in the base | the segment's bytes from there on lie within the base; the first byte of an earlier segment |

use super::directory::{Directory, Parts};
use super::fields::Fields;
use crate::base::{Base, BaseRef, MAX_BASES, MAX_NAME, OWN};
use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use crate::geometry::Geometry;
use std::collections::HashSet;

pub(super) const BASE_LEN: usize = 44;
pub(super) const REFERENCE_LEN: usize = 16;

/// Reads the bases of a file.
pub(super) fn read_bases(fields: &mut Fields<'_>, count: u32) -> Result<Vec<Base>> {
    if count as usize > MAX_BASES {
        return Err(corrupt!("{count} bases, at most {MAX_BASES} expected"));
    }
    let bases = (0..count).map(|_| read_base(fields)).collect::<Result<Vec<Base>>>()?;
    let mut hashes = HashSet::new();
    if let Some(base) = bases.iter().find(|base| !hashes.insert(base.blake3)) {
        return Err(corrupt!("base {} occurs twice", base.hex()));
    }
    Ok(bases)
}

/// Reads the references of a file, whose segments and bases have been read.
pub(super) fn read_references(
    fields: &mut Fields<'_>,
    count: u32,
    known: (&Directory, &Parts),
) -> Result<Vec<Reference>> {
    let references =
        (0..count).map(|_| Reference::read(fields, known)).collect::<Result<Vec<Reference>>>()?;
    if references.is_sorted_by(|a, b| a.segment < b.segment) {
        return Ok(references);
    }
    Err(corrupt!("references to bases are not in the order of their segments"))
}

/// Checks that references to the file's own original lead to one segment each that is cut alike and has no such
/// reference, so that no block needs more than one other.
pub(super) fn check_own(directory: &Directory, parts: &Parts) -> Result<()> {
    for Reference { segment, base } in directory.references.iter().filter(|r| r.base.is_own()) {
        let cut = |segment: u32| {
            let geometry = directory.segments.get(segment as usize)?.geometry;
            Some((geometry.element.size(), Geometry { element: ElementType::Bytes, ..geometry }))
        };
        let home = parts.within(base.at..base.at.saturating_add(1)).first();
        let fits = home.is_some_and(|home| {
            let own = home.segments.start as u32;
            let source = directory.source_of(own).unwrap_or(own);
            let known = directory.reference_of(source).is_none_or(|r| !r.is_own());
            let place = home.packing.is_none() && home.bytes.start == base.at && own < *segment;
            place && known && cut(own) == cut(*segment)
        });
        if !fits {
            let at = base.at;
            return Err(corrupt!(
                "segment {segment} refers to byte {at}, where none begins that is cut alike and refers to none"
            ));
        }
    }
    Ok(())
}

/// Writes the record of a base.
pub(super) fn write_base(base: &Base, out: &mut Vec<u8>) -> Result<()> {
    let name_len = u16::try_from(base.name.len()).ok().filter(|&n| usize::from(n) <= MAX_NAME);
    let name_len =
        name_len.ok_or_else(|| Error::argument("a base's name is longer than 1,024 bytes"))?;
    out.extend_from_slice(&base.blake3);
    out.extend_from_slice(&base.len.to_le_bytes());
    out.extend_from_slice(&name_len.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(base.name.as_bytes());
    Ok(())
}

fn read_base(fields: &mut Fields<'_>) -> Result<Base> {
    let (blake3, len) = (fields.array()?, fields.u64()?);
    let name_len = usize::from(fields.u16()?);
    fields.zero(2)?;
    if name_len > MAX_NAME {
        return Err(corrupt!("name of a base has {name_len} bytes, at most {MAX_NAME} expected"));
    }
    let name = std::str::from_utf8(fields.bytes(name_len)?);
    let name = name.map_err(|e| corrupt!("name of a base: {e}"))?.to_owned();
    Ok(Base { blake3, len, name })
}

/// The partner of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) segment: u32,
    pub(crate) base: BaseRef,
}

impl Reference {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let BaseRef { base, flip, at } = self.base;
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&[base, u8::from(flip), 0, 0]);
        out.extend_from_slice(&at.to_le_bytes());
    }

    fn read(
        fields: &mut Fields<'_>,
        (directory, parts): (&Directory, &Parts),
    ) -> Result<Reference> {
        let segment = fields.u32()?;
        let base = fields.u8()?;
        let flip = match fields.u8()? {
            0 => false,
            1 => true,
            flip => return Err(corrupt!("flip is {flip}, at most 1 expected")),
        };
        fields.zero(2)?;
        let at = fields.u64()?;
        let home = directory.segments.get(segment as usize);
        let len = match directory.bases.get(usize::from(base)) {
            Some(named) => Some(named.len),
            // What comes before the segment; more is known when all references are.
            None if base == OWN => parts.starting(segment).first().map(|part| part.bytes.start),
            None => None,
        };
        let (Some(home), Some(len)) = (home, len) else {
            return Err(corrupt!("segment {segment} refers to base {base}: one does not exist"));
        };
        if parts.starting(segment).first().is_some_and(|part| part.packing.is_some()) {
            return Err(corrupt!("segment {segment} of a packing refers to a base"));
        }
        let bytes = home.geometry.bytes();
        if at.checked_add(bytes).is_none_or(|end| end > len) {
            return Err(corrupt!(
                "segment {segment}: {bytes} bytes at {at} exceed the base of {len}"
            ));
        }
        Ok(Reference { segment, base: BaseRef { base, flip, at } })
    }
}
