//! The partner of each layer of an archive among the layers of earlier files in it.

use super::known::{KnownLayers, Named};
use super::{BaseRef, OWN};
use crate::container::bases::Reference;
use crate::container::directory::{Directory, Parts};
use crate::container::entries::FileEnds;
use crate::container::read_at::{ReadAt, read};
use crate::error::Result;
use crate::options::{Observer, go_on};

/// A layer that has a segment of its own.
struct Whole<'a> {
    named: Named<'a>,
    segment: u32,
    file: usize,
}

/// Finds partners for layers of an archive that are neither copies nor predicted from another base. What has a partner is none,
/// so the earliest file of several that are alike is the base of the others.
pub(crate) fn find(
    source: &impl ReadAt,
    directory: &mut Directory,
    observer: &dyn Observer,
) -> Result<()> {
    let mut known = KnownLayers::default();
    let mut references = search(source, directory, &mut known, observer)?;
    directory.references.append(&mut references);
    directory.references.sort_by_key(|reference| reference.segment);
    Ok(())
}

fn search(
    source: &impl ReadAt,
    directory: &Directory,
    known: &mut KnownLayers,
    observer: &dyn Observer,
) -> Result<Vec<Reference>> {
    let mut references = Vec::new();
    if directory.entries.is_empty() {
        return Ok(references);
    }
    let (parts, files) = (directory.parts()?, FileEnds::of(&directory.entries));
    let read_own =
        |_: u8, at: u64, len: u64| -> Result<Vec<u8>> { Ok(read(source, at, len)?.into_owned()) };
    // Those of the file that is looked at come when it ends: layers of one file are not tried.
    let (mut waiting, mut current) = (Vec::new(), 0);
    for Whole { named, segment, file } in wholes(directory, &parts, &files) {
        go_on(observer)?;
        if file != current {
            waiting.drain(..).for_each(|named| known.add(OWN, &named));
            current = file;
        }
        match known.partner(source, &named, &read_own, observer)? {
            Some(base) => references.push(Reference { segment, base }),
            None => waiting.push(named),
        }
    }
    Ok(references)
}

/// The layers that may have a partner, file by file.
fn wholes<'a>(
    directory: &'a Directory,
    parts: &'a Parts,
    files: &'a FileEnds<'a>,
) -> impl Iterator<Item = Whole<'a>> {
    directory.layers.iter().filter_map(move |entry| {
        let layer = &entry.layer;
        let element = layer.element()?;
        let part = parts.starting(entry.segment).first()?;
        let segment = directory.segments.get(entry.segment as usize)?;
        let whole = part.packing.is_none()
            && part.bytes.end - part.bytes.start == layer.bytes
            && segment.geometry.element == element;
        let free = directory.source_of(entry.segment).is_none()
            && directory.reference_of(entry.segment).is_none();
        let at = part.bytes.start;
        let (path, name) = files.split(at, &layer.name);
        let named = Named { layer, element, at, path, name };
        let (segment, file) = (entry.segment, files.number(at));
        (whole && free && layer.bytes > 0).then_some(Whole { named, segment, file })
    })
}

impl BaseRef {
    /// Whether the partner is in the file's own original.
    pub(crate) fn is_own(&self) -> bool {
        self.base == OWN
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::MOST_TRIED;
    use super::*;
    use crate::base::matching::Partners;
    use crate::container::entries::Entry;
    use crate::container::footer::SourceKind;
    use crate::dtype::ElementType;
    use crate::encoder::{Cut, directory};
    use crate::error::ErrorKind;
    use crate::layer::Layer;
    use crate::options::EncodeOptions;
    use crate::source::{Listing, Located};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const BYTES: usize = 512;
    const LAYERS: usize = 1000;

    /// Layers of one shape in files of an archive, each file with names of its own or not, before partners are looked for.
    fn archive(files: &[Vec<u8>], same_names: bool) -> (Vec<u8>, Directory) {
        let entry = |file: usize| Entry {
            path: format!("file-{file}"),
            bytes: (LAYERS * BYTES) as u64,
            blake3: [0; 32],
            executable: false,
            source: Some(SourceKind::Opaque),
        };
        let layer = |file: usize, place: usize| {
            // The second file has the layers of the first in another order.
            let name = if same_names && file % 2 == 1 { LAYERS - 1 - place } else { place };
            let prefix = if same_names { 0 } else { file };
            let name = format!("file-{file}:{prefix}.{name}");
            let layer = Layer::new(name, ElementType::U8, vec![BYTES as u64]);
            Located { layer, at: ((file * LAYERS + place) * BYTES) as u64, structs: None }
        };
        let all = (0..files.len()).flat_map(|file| (0..LAYERS).map(move |place| (file, place)));
        let listing = Listing {
            entries: (0..files.len()).map(entry).collect(),
            ..Listing::new(SourceKind::Archive, all.map(|(f, p)| layer(f, p)).collect())
        };
        let source = files.concat();
        let options = EncodeOptions::default();
        let of = (&Partners::default(), &options);
        let size = source.len() as u64;
        let mut found =
            directory(&source.as_slice(), &listing, size, Cut::Layers, of, &()).unwrap();
        found.references.clear();
        (source, found)
    }

    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut x = seed;
        let next = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    #[test]
    fn thousands_of_layers_of_one_shape_take_bounded_work() {
        let first = noise(1, LAYERS * BYTES);
        // One bit of some bytes differs.
        let backwards = first.chunks(BYTES).rev().flatten().zip(noise(2, first.len()));
        let like_it: Vec<u8> = backwards.map(|(byte, noise)| byte ^ (noise / 250)).collect();
        let search = |source: &Vec<u8>, directory: &Directory| {
            let mut known = KnownLayers::default();
            let found = search(&source.as_slice(), directory, &mut known, &()).unwrap();
            (found, known.compared.into_inner())
        };

        let (source, directory) = archive(&[first.clone(), like_it.clone()], true);
        let (found, compared) = search(&source, &directory);
        assert_eq!((found.len(), compared), (LAYERS, LAYERS));
        for (place, reference) in found.iter().enumerate() {
            let at = (LAYERS - 1 - place) * BYTES;
            assert_eq!(reference.base, BaseRef { base: OWN, flip: false, at: at as u64 });
        }

        let (source, directory) = archive(&[first, like_it, noise(3, LAYERS * BYTES)], false);
        let (found, compared) = search(&source, &directory);
        // The first layers of the first file alone are looked at.
        assert_eq!((found.len(), compared), (MOST_TRIED, 2 * LAYERS * MOST_TRIED));
    }

    #[test]
    fn the_search_can_be_stopped() {
        struct Stop(AtomicUsize);
        impl Observer for Stop {
            fn cancelled(&self) -> bool {
                self.0.fetch_add(1, Ordering::Relaxed) >= LAYERS + 100
            }
        }
        let files = [noise(1, LAYERS * BYTES), noise(2, LAYERS * BYTES)];
        let (source, mut directory) = archive(&files, false);
        let stop = Stop(AtomicUsize::new(0));
        let error = find(&source.as_slice(), &mut directory, &stop).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Interrupted));
        assert_eq!(stop.0.into_inner(), LAYERS + 101);
    }
}
