//! GGUF: key-values and a list of tensors, then the tensors' bytes.
//!
//! Every number of the file is compared with the bytes that are left before anything is done with it:
//! a file takes time and memory in proportion to its size, whatever it claims.

mod header;
mod types;

use super::window::Window;
use super::{Fault, Found, Listing, Located, arrange, broken};
use crate::container::footer::SourceKind;
use crate::container::read_at::ReadAt;
use crate::layer::Layer;
use crate::packing::Structs;
use header::{Cursor, TensorInfo};
use std::collections::HashSet;
use types::Content;

pub use types::ggml_type;
pub(crate) use types::layout as ggml_layout;

const MAGIC: &[u8; 4] = b"GGUF";

/// Whether the first bytes of a file are those of GGUF.
pub(super) fn is_gguf(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// The tensors of a file that begins as GGUF does, and a warning about one that is not known.
pub(super) fn list(window: &mut Window<'_, impl ReadAt>) -> Found<(Listing, Option<String>)> {
    let size = window.size();
    let header = header::read(&mut Cursor::new(window))?;
    let mut names = HashSet::new();
    let (mut layers, mut unknown) = (Vec::new(), None);
    for tensor in header.tensors {
        if !names.insert(tensor.name.clone()) {
            return Err(wrong(&tensor.name, "is listed twice"));
        }
        let number = tensor.kind;
        match types::content(number) {
            Some((name, content)) => layers.push(located(tensor, name, content, &header.place)?),
            None => {
                let name = tensor.name;
                unknown.get_or_insert_with(|| {
                    format!("tensor {name:?} has the unknown type {number}; kept as opaque bytes")
                });
            }
        }
    }
    let layers = arrange(layers, header.place.data.min(size), size)?;
    Ok((Listing::new(SourceKind::Gguf, layers), unknown))
}

/// A tensor as a layer. Dimensions are turned round: the slowest first, as everywhere else.
fn located(
    TensorInfo { name, mut shape, offset, .. }: TensorInfo,
    dtype: &str,
    content: Content,
    place: &header::Place,
) -> Found<Located> {
    shape.reverse();
    if !offset.is_multiple_of(place.alignment) {
        return Err(wrong(&name, &format!("begins at {offset}, aligned to {}", place.alignment)));
    }
    let at = place.data.checked_add(offset);
    let at = at.ok_or_else(|| wrong(&name, &format!("begins at {offset}")))?;
    let (values, size) = match &content {
        Content::Elements(element) => (1, element.size() as u64),
        Content::Blocks(layout) => (u64::from(layout.values), u64::from(layout.bytes)),
    };
    let bytes = shape
        .iter()
        .try_fold(1u64, |n, &dim| n.checked_mul(dim))
        .filter(|elements| elements.is_multiple_of(values))
        .and_then(|elements| (elements / values).checked_mul(size))
        .filter(|_| shape.last().copied().unwrap_or(1).is_multiple_of(values));
    let Some(bytes) = bytes else {
        return Err(wrong(&name, &format!("has shape {shape:?} in blocks of {values} values")));
    };
    let structs = match content {
        Content::Blocks(layout) => Some(Structs::of_rows(layout)),
        Content::Elements(_) => None,
    };
    Ok(Located { layer: Layer { name, dtype: dtype.to_owned(), shape, bytes }, at, structs })
}

fn wrong(name: &str, text: &str) -> Fault {
    broken!("tensor {name:?} {text}")
}
