//! One of the two files that are compared: its layers, and its bytes in ranges.

use crate::base::matching;
use crate::base::original::Content;
use crate::container::entries::Entry;
use crate::container::footer::SourceKind;
use crate::container::read_at::{ReadAt, read_with};
use crate::container::reader::Reader;
use crate::dtype::ElementType;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::options::{DecodeOptions, Observer};
use crate::source::{Listing, Located};
use std::ops::Range;
use std::path::Path;

pub(super) struct Side<'a> {
    path: &'a Path,
    content: Content<&'a dyn ReadAt>,
    pub(super) kind: SourceKind,
    /// Of an archive.
    entries: Vec<Entry>,
    /// Sorted by position.
    pub(super) layers: Vec<Located>,
    /// Of the original.
    pub(super) bytes: u64,
}

impl<'a> Side<'a> {
    pub(super) fn open(
        (path, source): (&'a Path, &'a dyn ReadAt),
        options: &DecodeOptions,
        observer: &dyn Observer,
    ) -> Result<Side<'a>> {
        Side::find(path, source, options, observer).map_err(|error| error.in_file(path))
    }

    fn find(
        path: &'a Path,
        source: &'a dyn ReadAt,
        options: &DecodeOptions,
        observer: &dyn Observer,
    ) -> Result<Side<'a>> {
        let (content, bytes) = match Reader::open_if_coded(&source, &options.limits)? {
            Some(mut reader) => {
                reader.find_bases(&options.limits, &options.bases)?;
                let bytes = reader.original_len();
                (Content::Coded(Box::new(reader)), bytes)
            }
            None => (Content::Plain(source), source.size()?),
        };
        let (Listing { kind, mut layers, entries }, warning) = content.listing()?;
        if let Some(warning) = warning {
            observer.warn(&format!("{}: {warning}", path.display()));
        }
        layers.sort_by_key(|located| located.at);
        Ok(Side { path, content, kind, entries, layers, bytes })
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
        let bytes = match &self.content {
            Content::Plain(source) => {
                read_with(source, range.start, range.end - range.start, buffer).map_err(Error::from)
            }
            Content::Coded(reader) => reader.decode_range(range).map(|bytes| {
                *buffer = bytes;
                &buffer[..]
            }),
        };
        bytes.map_err(|error| error.in_file(self.path))
    }

    /// Bytes that are best read together, from byte `at` on.
    pub(super) fn unit_bytes(&self, at: u64) -> Result<u64> {
        match &self.content {
            Content::Plain(_) => Ok(1),
            Content::Coded(reader) => reader.unit_bytes(at),
        }
    }

    /// What the layer of this number is compared by before its partner is known.
    pub(super) fn sample(&self, number: usize) -> Result<Vec<u8>> {
        let Located { layer, at, .. } = &self.layers[number];
        matching::sample(layer.bytes, element_of(layer), |offset, len| {
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

/// Bytes, if the codec does not know the dtype.
pub(super) fn element_of(layer: &Layer) -> ElementType {
    layer.element().unwrap_or(ElementType::Bytes)
}
