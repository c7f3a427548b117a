//! PyTorch checkpoints: zip archives, or the format before them, with a pickle that names tensors
//! and storages that hold them.
//!
//! The pickle is read, never executed ([`super::pickle`]). A storage whose tensors are contiguous
//! and do not overlap gives these as layers; any other storage is one layer.

mod legacy;
mod search;
mod tensors;
mod zip;

use super::window::Window;
use super::{Found, Listing, Located, MAX_LAYERS, Names, arrange, broken};
use crate::container::footer::SourceKind;
use crate::container::read_at::ReadAt;
use crate::layer::Layer;
use tensors::{Storage, View};

/// A listing, and what the user should know about it.
type Answer = (Listing, Option<String>);

/// The layers of a checkpoint; `None` if the file is none.
pub(super) fn list(window: &mut Window<'_, impl ReadAt>, start: &[u8]) -> Found<Option<Answer>> {
    if start.starts_with(zip::MAGIC) {
        zip::list(window)
    } else if legacy::looks_like(start) {
        legacy::list(window).map(|listing| Some((listing, None)))
    } else {
        Ok(None)
    }
}

/// A storage, where it lies, and the name that it has if it is one layer.
struct Placed {
    storage: Storage,
    at: u64,
    name: String,
}

/// Tensors have their names; `names` sees to it that those of storages are others.
fn listing(placed: Vec<Placed>, mut names: Names, size: u64) -> Found<Listing> {
    let mut layers = Vec::new();
    for Placed { storage, at, name } in placed {
        let Storage { bytes, dtype, .. } = storage;
        let views = match storage.views() {
            Some(views) => views,
            None => {
                let (name, shape) = (names.take(&name)?, vec![bytes / dtype.bytes]);
                vec![View { name, dtype, shape, at: 0, bytes }]
            }
        };
        for View { name, dtype, shape, at: offset, bytes } in views {
            let layer = Layer { name, dtype: dtype.name.to_owned(), shape, bytes };
            layer.check().map_err(|e| broken!("tensor {:?}: {e}", layer.name))?;
            layers.push(Located { layer, at: at + offset, structs: None });
        }
        if layers.len() > MAX_LAYERS {
            return Err(broken!("more than {MAX_LAYERS} tensors"));
        }
    }
    let kind = if layers.is_empty() { SourceKind::Opaque } else { SourceKind::Torch };
    Ok(Listing::new(kind, arrange(layers, 0, size)?))
}
