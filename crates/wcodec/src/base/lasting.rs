//! Bases that must not be: what is encoded, and what is predicted from that. Who keeps what is encoded and nothing else could
//! not decode it.

use super::bases::Found;
use super::original::OpenBase;
use crate::container::read_at::ReadAt;
use crate::container::reader::work::Work;
use crate::error::Result;
use crate::limits::Limits;
use crate::options::{EncodeOptions, Observer};
use crate::source::Listing;
use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// The files of `options`.
pub(super) fn given(options: &EncodeOptions, observer: &dyn Observer) -> Result<Found> {
    options.bases.open_given(&Limits::unlimited(), observer)
}

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

/// `options` without the bases that are one of these sources, or are predicted from one.
pub(crate) fn without_own(
    options: &EncodeOptions,
    sources: impl Iterator<Item = Result<File>>,
    observer: &dyn Observer,
) -> Result<EncodeOptions> {
    let (bases, work) = given(options, observer)?;
    let mut own = HashSet::new();
    for source in sources.filter(|_| !bases.is_empty()) {
        let source = source?;
        let all = Listing::opaque().files(source.size()?);
        own.extend(own_content(&source, &all, &bases, &work, observer)?);
    }
    let bases = options.bases.without(&own, &Limits::unlimited())?;
    Ok(EncodeOptions { bases, ..options.clone() })
}
