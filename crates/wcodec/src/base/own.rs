//! The partner of each layer of an archive among the layers of earlier files in it.

use super::matching::{Known, Shape, partner, shape_of};
use super::{BaseRef, OWN};
use crate::container::bases::Reference;
use crate::container::directory::{Directory, LayerEntry, Parts};
use crate::container::read_at::{ReadAt, read};
use crate::dtype::ElementType;
use crate::error::Result;
use crate::layer::Layer;
use std::collections::HashMap;
use std::sync::OnceLock;

/// A layer that has a segment of its own.
struct Whole<'a> {
    entry: &'a LayerEntry,
    element: ElementType,
    /// Its first byte in the original.
    at: u64,
    file: usize,
    /// Its name without the path of the file.
    name: &'a str,
}

/// Finds partners for layers of an archive that are neither copies nor predicted from another base. What has a partner is none,
/// so the earliest file of several that are alike is the base of the others.
pub(crate) fn find(source: &impl ReadAt, directory: &mut Directory) -> Result<()> {
    if directory.entries.is_empty() {
        return Ok(());
    }
    let parts = directory.parts()?;
    let mut by_shape: HashMap<Shape, Vec<(usize, Known)>> = HashMap::new();
    let read_own =
        |_: u8, at: u64, len: u64| -> Result<Vec<u8>> { Ok(read(source, at, len)?.into_owned()) };
    let mut references = Vec::new();
    for whole in wholes(directory, &parts) {
        let Whole { entry: LayerEntry { layer, segment, .. }, element, at, file, name } = whole;
        let known = by_shape.entry(shape_of(layer, element)).or_default();
        let named = Layer { name: name.to_owned(), ..layer.clone() };
        let mut others =
            known.iter().filter(|(other, _)| *other != file).map(|(_, known)| known).peekable();
        let found = match others.peek() {
            Some(_) => partner(source, (&named, at, element), others, &read_own)?,
            None => None,
        };
        match found {
            Some(base) => references.push(Reference { segment: *segment, base }),
            None => {
                let sample = OnceLock::new();
                known.push((file, Known { base: OWN, at, layer: named, element, sample }));
            }
        }
    }
    directory.references.append(&mut references);
    directory.references.sort_by_key(|reference| reference.segment);
    Ok(())
}

/// The layers that may have a partner.
fn wholes<'a>(directory: &'a Directory, parts: &'a Parts) -> impl Iterator<Item = Whole<'a>> {
    let mut end = 0;
    let ends: Vec<u64> = directory
        .entries
        .iter()
        .map(|entry| {
            end += entry.bytes;
            end
        })
        .collect();
    directory.layers.iter().filter_map(move |entry| {
        let element = entry.layer.element()?;
        let part = parts.starting(entry.segment).first()?;
        let segment = directory.segments.get(entry.segment as usize)?;
        let whole = part.packing.is_none()
            && part.bytes.end - part.bytes.start == entry.layer.bytes
            && segment.geometry.element == element;
        let free = directory.source_of(entry.segment).is_none()
            && directory.reference_of(entry.segment).is_none();
        let file = ends.partition_point(|&end| end <= part.bytes.start);
        let path = directory.entries.get(file).map_or(0, |file| file.path.len() + 1);
        let name = entry.layer.name.get(path..).unwrap_or_default();
        let at = part.bytes.start;
        (whole && free && entry.layer.bytes > 0).then_some(Whole { entry, element, at, file, name })
    })
}

impl BaseRef {
    /// Whether the partner is in the file's own original.
    pub(crate) fn is_own(&self) -> bool {
        self.base == OWN
    }
}
