//! What encoding the files of a folder would bring.

use super::{Estimate, Expected, estimate_listed};
use crate::container::footer::SourceKind;
use crate::error::Result;
use crate::folder::part::Part;
use crate::folder::tree::decoded_name;
use crate::folder::walk::{Found, walk};
use crate::options::{EncodeOptions, Observer, go_on, with_threads};
use crate::source;
use std::path::Path;
use std::time::{Duration, Instant};

/// Estimates what [`encode_folder`](crate::encode_folder) would make of each file of a folder, by its path. Files without layers stay
/// as they are.
///
/// # Errors
/// If a file cannot be read, there is something that [`encode_folder`](crate::encode_folder) refuses, an option does not fit, or the observer
/// stops the call.
pub fn estimate_folder(
    input: &Path,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<Vec<(String, Estimate)>> {
    options.check()?;
    let mut all = walk(input, None)?;
    all.retain(|found| !found.is_folder());
    with_threads(options.threads, || {
        let mut files = Vec::with_capacity(all.len());
        for (found, part) in Part::of_found(observer, &all) {
            go_on(observer)?;
            files.push((found.path.clone(), estimate_found(found, options, &part)?));
        }
        Ok(files)
    })
}

fn estimate_found(found: &Found, options: &EncodeOptions, part: &Part<'_>) -> Result<Estimate> {
    let started = Instant::now();
    found.read(|source| {
        let (listing, warning) = source::list_named(&found.place, source)?;
        if let Some(warning) = warning {
            part.warn(&warning);
        }
        let mut estimate = if listing.layers.is_empty() || decoded_name(&found.path).is_some() {
            kept(found.bytes, listing.kind)
        } else {
            estimate_listed(source, &listing, options, part)?
        };
        estimate.elapsed = started.elapsed();
        Ok(estimate)
    })
}

/// A file that stays as it is.
fn kept(bytes: u64, source: SourceKind) -> Estimate {
    let total = Expected {
        original_bytes: bytes,
        expected_bytes: bytes,
        order0_bytes: bytes,
        ..Expected::default()
    };
    Estimate { source, total, layers: Vec::new(), sampled_bytes: 0, elapsed: Duration::ZERO }
}
