//! A file as layers and other bytes.

mod npy;
mod safetensors;

pub use npy::write_npy;

use crate::container::footer::SourceKind;
use crate::container::read_at::{ReadAt, read};
use crate::error::Result;
use crate::layer::Layer;

/// A layer and where its bytes begin in the original.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) layer: Layer,
    pub(crate) at: u64,
}

/// The layers of an original, sorted by position and not overlapping. Everything between them is
/// kept as it is.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) kind: SourceKind,
    pub(crate) layers: Vec<Located>,
}

impl Listing {
    pub(crate) fn opaque() -> Listing {
        Listing { kind: SourceKind::Opaque, layers: Vec::new() }
    }
}

/// Finds the layers of a file by its content. A file that looks like a known format but breaks its
/// rules is opaque, and the reason is given for a warning.
pub(crate) fn list(source: &impl ReadAt) -> Result<(Listing, Option<String>)> {
    let size = source.size()?;
    let start = read(source, 0, size.min(16))?;
    if let Some(header) = safetensors::header(source, size, &start)? {
        return Ok(match safetensors::list(&header, size) {
            Ok(listing) => (listing, None),
            Err(reason) => {
                (Listing::opaque(), Some(format!("not a valid safetensors file: {reason}")))
            }
        });
    }
    if let Some(header) = npy::header(source, size, &start)? {
        return Ok(match npy::list(&header, size) {
            Ok(listing) => (listing, None),
            Err(reason) => (Listing::opaque(), Some(format!("not a valid npy file: {reason}"))),
        });
    }
    Ok((Listing::opaque(), None))
}

/// Sorts layers by position and refuses overlaps and bytes outside `data..size`.
fn arrange(
    mut layers: Vec<Located>,
    data: u64,
    size: u64,
) -> std::result::Result<Vec<Located>, String> {
    layers.sort_by_key(|a| (a.at, a.layer.bytes));
    let mut end = data;
    for Located { layer, at } in &layers {
        let name = &layer.name;
        if *at < end {
            return Err(format!("tensor {name:?} overlaps what lies before it"));
        }
        end = at
            .checked_add(layer.bytes)
            .filter(|&end| end <= size)
            .ok_or_else(|| format!("tensor {name:?} ends behind the end of the file"))?;
    }
    Ok(layers)
}
