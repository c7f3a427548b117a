//! Bases that must not be: what is encoded, and what is predicted from that. Who keeps what is encoded and nothing else could
//! not decode it.

use super::bases::Bases;
use super::original::OpenBase;
use crate::container::read_at::ReadAt;
use crate::container::reader::work::Work;
use crate::error::Result;
use crate::limits::Limits;
use crate::options::Observer;
use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// The BLAKE3s of the bases that these parts of `source` are, or that are predicted from one. Warns of each.
pub(super) fn own_content(
    source: &(impl ReadAt + ?Sized),
    parts: &[Range<u64>],
    bases: &[Arc<OpenBase>],
    work: &Work,
    observer: &dyn Observer,
) -> Result<HashSet<[u8; 32]>> {
    let mut own = HashSet::new();
    for base in bases {
        for link in base.chain() {
            work.allow(link.base.len);
            let same = |part: &Range<u64>| link.equals(source, part.clone(), observer);
            let found = parts.iter().map(same).find(|same| !matches!(same, Ok(false)));
            if found.transpose()?.is_some() && own.insert(base.base.blake3) {
                let what = if link.depth == base.depth { "is" } else { "is predicted from" };
                let name = &base.base.name;
                observer.warn(&format!("base {name:?} {what} what is encoded, and is left out"));
            }
        }
    }
    Ok(own)
}

/// `bases` without those that are one of these sources, or are predicted from one.
pub(crate) fn without_own(
    bases: &Bases,
    sources: impl Iterator<Item = Result<File>>,
    observer: &dyn Observer,
) -> Result<Bases> {
    let (open, work) = bases.open_given(&Limits::unlimited(), observer)?;
    let mut own = HashSet::new();
    if !open.is_empty() {
        for source in sources {
            let source = source?;
            let all = 0..source.size()?;
            own.extend(own_content(&source, std::slice::from_ref(&all), &open, &work, observer)?);
        }
    }
    Ok(bases.without(&open, &own))
}
