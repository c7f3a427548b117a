//! One of the two files that are compared: its layers, and its bytes in ranges. It may be part of an archive.

use crate::base::matching;
use crate::base::original::Content;
use crate::container::entries::{Entry, FileEnds};
use crate::container::footer::SourceKind;
use crate::container::read_at::{ReadAt, read_with};
use crate::container::reader::Reader;
use crate::container::reader::work::Work;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::options::{DecodeOptions, Observer};
use crate::source::{Listing, Located};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a unit that is kept: as many as those of layers that share a segment have.
const KEPT_BYTES: u64 = 1 << 20;

/// A unit that was decoded last.
#[derive(Clone, Default)]
struct Decoded {
    range: Range<u64>,
    bytes: Arc<[u8]>,
}

#[derive(Clone)]
pub(super) struct Side<'a> {
    path: &'a Path,
    content: Arc<Content<&'a dyn ReadAt>>,
    last: Arc<Mutex<Decoded>>,
    /// Where it begins in the content's original.
    start: u64,
    pub(super) kind: SourceKind,
    /// Of an archive.
    pub(super) entries: Vec<Entry>,
    /// Sorted by position.
    pub(super) layers: Vec<Located>,
    /// Of the original.
    pub(super) bytes: u64,
}

impl<'a> Side<'a> {
    /// A file, or the original of a `.wcodec` file. What its bases decode is counted in `work`.
    pub(super) fn open(
        (path, source): (&'a Path, &'a dyn ReadAt),
        (options, work): (&DecodeOptions, &Arc<Work>),
        observer: &dyn Observer,
    ) -> Result<Side<'a>> {
        let coded = Reader::open_if_coded(&source, &options.limits).and_then(|coded| {
            let Some(mut reader) = coded else { return Ok(None) };
            let among = (&options.limits, &options.bases);
            reader.look_for_bases(among, Arc::clone(work), observer)?;
            let bytes = reader.original_len();
            work.allow_more(bytes);
            Side::of(path, Content::Coded(Box::new(reader)), bytes, observer).map(Some)
        });
        match coded.map_err(|error| error.in_file(path))? {
            Some(side) => Ok(side),
            None => Side::open_plain((path, source), observer),
        }
    }

    /// A file, whatever it holds.
    pub(super) fn open_plain(
        (path, source): (&'a Path, &'a dyn ReadAt),
        observer: &dyn Observer,
    ) -> Result<Side<'a>> {
        let open = || Side::of(path, Content::Plain(source), source.size()?, observer);
        open().map_err(|error| error.in_file(path))
    }

    fn of(
        path: &'a Path,
        content: Content<&'a dyn ReadAt>,
        bytes: u64,
        observer: &dyn Observer,
    ) -> Result<Side<'a>> {
        let (Listing { kind, mut layers, entries }, warning) = content.listing()?;
        if let Some(warning) = warning {
            observer.warn(&format!("{}: {warning}", path.display()));
        }
        layers.sort_by_key(|located| located.at);
        let (content, last) = (Arc::new(content), Arc::default());
        Ok(Side { path, content, last, start: 0, kind, entries, layers, bytes })
    }

    /// The files of an archive, each with its layers as they are called in it.
    pub(super) fn files(&self) -> Vec<Side<'a>> {
        let ends = FileEnds::of(&self.entries);
        let mut files: Vec<Side<'a>> = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let start = files.last().map_or(0, |before| before.start + before.bytes);
            files.push(Side {
                path: self.path,
                content: Arc::clone(&self.content),
                last: Arc::clone(&self.last),
                start,
                kind: entry.source.unwrap_or(SourceKind::Opaque),
                entries: Vec::new(),
                layers: Vec::new(),
                bytes: entry.bytes,
            });
        }
        for Located { layer, at, structs } in &self.layers {
            let (number, name) = ends.place(*at, &layer.name);
            let layer = Layer { name: name.to_owned(), ..layer.clone() };
            let end = at.saturating_add(layer.bytes);
            let file = files.get_mut(number).filter(|file| end <= file.start + file.bytes);
            if let Some(file) = file {
                let at = at - file.start;
                file.layers.push(Located { layer, at, structs: structs.clone() });
            }
        }
        files
    }

    /// Whether both have the same files and empty folders, whatever the files hold.
    pub(super) fn same_entries(&self, other: &Side<'_>) -> bool {
        let all = |side: &Side<'_>| {
            let of = |e: &Entry| (e.path.clone(), e.bytes, e.executable, e.is_folder());
            side.entries.iter().map(of).collect::<Vec<_>>()
        };
        all(self) == all(other)
    }

    /// Some bytes of the original.
    pub(super) fn read<'b>(
        &'b self,
        range: Range<u64>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8]> {
        let range = self.start + range.start..self.start + range.end;
        let bytes = match &*self.content {
            Content::Plain(source) => {
                read_with(source, range.start, range.end - range.start, buffer).map_err(Error::from)
            }
            Content::Coded(reader) => self.decode(reader, range, buffer).map(|()| &buffer[..]),
        };
        bytes.map_err(|error| error.in_file(self.path))
    }

    /// Part of a unit is taken out of the whole, which is kept: many small layers may lie in one.
    fn decode(
        &self,
        reader: &Reader<&'a dyn ReadAt>,
        range: Range<u64>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let unit = reader.unit_at(range.start)?;
        let within = unit.start <= range.start && range.end <= unit.end && range != unit;
        if !within || unit.end - unit.start > KEPT_BYTES {
            *buffer = reader.decode_allowed(range)?;
            return Ok(());
        }
        // Nothing is decoded while it is locked: threads that decode take other work meanwhile.
        let lock = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        let decoded = match known.range == unit {
            true => known,
            false => Decoded { bytes: reader.decode_allowed(unit.clone())?.into(), range: unit },
        };
        let place = |at: u64| (at - decoded.range.start) as usize;
        buffer.clear();
        buffer.extend_from_slice(&decoded.bytes[place(range.start)..place(range.end)]);
        *lock() = decoded;
        Ok(())
    }

    /// Bytes that are best read together, from byte `at` on.
    pub(super) fn unit_bytes(&self, at: u64) -> Result<u64> {
        match &*self.content {
            Content::Plain(_) => Ok(1),
            Content::Coded(reader) => {
                reader.unit_at(self.start + at).map(|unit| unit.end - unit.start)
            }
        }
    }

    /// What the layer of this number is compared by before its partner is known.
    pub(super) fn sample(&self, number: usize) -> Result<Vec<u8>> {
        let Located { layer, at, .. } = &self.layers[number];
        matching::sample(layer.bytes, layer.element_or_bytes(), |offset, len| {
            let start = at + offset;
            let mut buffer = Vec::new();
            Ok(self.read(start..start + len, &mut buffer)?.to_vec())
        })
    }

    /// The bytes that belong to no layer.
    pub(super) fn outside(&self) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        let mut covered = 0;
        let ends = [(self.bytes, self.bytes)];
        let layers =
            self.layers.iter().map(|located| (located.at, located.at + located.layer.bytes));
        for (start, end) in layers.chain(ends) {
            if start > covered {
                ranges.push(covered..start);
            }
            covered = covered.max(end);
        }
        ranges
    }
}
