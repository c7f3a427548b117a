//! The directory: segments, layouts, packings, layers, bases, references to them, copies, entries. FORMAT.md
//! sections 2.4 and 10 to 13.
//!
//! | at | bytes | field of a segment | legal |
//! | --- | --- | --- | --- |
//! | 0 | 1 | element type | 0 to 15 |
//! | 1 | 1 | scan | 0 row, 1 column |
//! | 2 | 1 | side blocks | 0 none, 1 one behind each group |
//! | 3 | 1 | zero | 0 |
//! | 4 | 2 | tile rows | at least 1 |
//! | 6 | 2 | tile columns | at least 1 |
//! | 8 | 4 | block rows | at least 1, blocks of at most 4 MiB |
//! | 12 | 4 | block columns | at least 1 |
//! | 16 | 4 | bands of a group | at least 1 |
//! | 20 | 4 | zero | 0 |
//! | 24 | 8 | elements | |
//! | 32 | 8 | rows of the view | rows x columns at most the elements, bands of at most 64 MiB |
//! | 40 | 8 | columns of the view | 0 if and only if rows are 0 |
//!
//! | at | bytes | field of a layer | legal |
//! | --- | --- | --- | --- |
//! | 0 | 4 | length of the name | |
//! | 4 | 1 | length of the dtype | 1 to 255 |
//! | 5 | 1 | dimensions | |
//! | 6 | 2 | zero | 0 |
//! | 8 | 4 | segment | below their number |
//! | 12 | 4 | zero | 0 |
//! | 16 | 8 | first byte in the segment | behind all layers before; the layer lies in its segment, or is packings |
//! | 24 | 8 | length in bytes | fits the shape, if the dtype is known |
//! | 32 | | name and dtype (UTF-8), 8 bytes a dimension | names differ |

use super::bases::{
    BASE_LEN, REFERENCE_LEN, Reference, check_own, read_bases, read_references, write_base,
};
use super::copies::{COPY_LEN, SegmentCopy, check_contexts, read_copies};
use super::entries::{ENTRY_LEN, Entry, read_entries};
use super::fields::Fields;
use super::footer::{Footer, SourceKind};
use super::layout::{
    LAYOUT_LEN, PACKING_LEN, read_layouts, read_packings, write_layout, write_packing,
};
use crate::base::{Base, BaseRef};
use crate::block::decode::BlockFormat;
use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use crate::geometry::{Geometry, Scan, TileConfig};
use crate::layer::Layer;
use crate::packing::{Layout, Packing};
use std::ops::Range;

pub(crate) const SEGMENT_LEN: usize = 48;
const LAYER_LEN: usize = 32;

/// A contiguous piece of the original and how it is cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) geometry: Geometry,
    pub(crate) scan: Scan,
    pub(crate) tile: TileConfig,
    /// Whether a side block follows each group.
    pub(crate) side: bool,
}

impl Segment {
    pub(crate) fn blocks(&self) -> u64 {
        self.geometry.blocks(self.side)
    }

    pub(crate) fn format(&self) -> BlockFormat {
        BlockFormat { element: self.geometry.element, scan: self.scan, tile: self.tile }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let g = &self.geometry;
        let scan = u8::from(self.scan == Scan::Column);
        out.extend_from_slice(&[g.element.code(), scan, u8::from(self.side), 0]);
        out.extend_from_slice(&self.tile.rows.to_le_bytes());
        out.extend_from_slice(&self.tile.cols.to_le_bytes());
        for field in [g.block_rows, g.block_cols, g.group_bands, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [g.elements, g.rows, g.cols] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }

    fn read(fields: &mut Fields<'_>) -> Result<Segment> {
        let element = ElementType::from_code(fields.u8()?)?;
        let scan = match fields.u8()? {
            0 => Scan::Row,
            1 => Scan::Column,
            scan => return Err(corrupt!("scan is {scan}, at most 1 expected")),
        };
        let side = match fields.u8()? {
            0 => false,
            1 => true,
            side => return Err(corrupt!("side block flag is {side}, at most 1 expected")),
        };
        fields.zero(1)?;
        let tile = TileConfig { rows: fields.u16()?, cols: fields.u16()? };
        if tile.rows == 0 || tile.cols == 0 {
            return Err(corrupt!("tile of {} x {}, expected at least 1", tile.rows, tile.cols));
        }
        let (block_rows, block_cols) = (fields.u32()?, fields.u32()?);
        let group_bands = fields.u32()?;
        fields.zero(4)?;
        let (elements, rows, cols) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let geometry =
            Geometry { element, elements, rows, cols, block_rows, block_cols, group_bands };
        Ok(Segment { geometry: geometry.checked()?, scan, tile, side })
    }
}

/// Where a layer's bytes are.
#[derive(Clone, Debug)]
pub(crate) struct LayerEntry {
    pub(crate) layer: Layer,
    pub(crate) segment: u32,
    /// First byte in the segment.
    pub(crate) offset: u64,
}

impl LayerEntry {
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let layer = &self.layer;
        let name_len = u32::try_from(layer.name.len())
            .map_err(|_| Error::argument("a layer's name is longer than 2^32 bytes"))?;
        let dtype_len = u8::try_from(layer.dtype.len()).ok().filter(|&n| n > 0);
        let dtype_len =
            dtype_len.ok_or_else(|| Error::argument("a dtype's name has 1 to 255 bytes"))?;
        let dims = u8::try_from(layer.shape.len())
            .map_err(|_| Error::argument("a layer has at most 255 dimensions"))?;
        out.extend_from_slice(&name_len.to_le_bytes());
        out.extend_from_slice(&[dtype_len, dims, 0, 0]);
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&layer.bytes.to_le_bytes());
        out.extend_from_slice(layer.name.as_bytes());
        out.extend_from_slice(layer.dtype.as_bytes());
        for dim in &layer.shape {
            out.extend_from_slice(&dim.to_le_bytes());
        }
        Ok(())
    }

    /// Reads a layer that does not lie before `free`, a segment and a byte in it. Returns it and what
    /// is free behind it.
    fn read(
        fields: &mut Fields<'_>,
        directory: &Directory,
        parts: &Parts,
        free: (u32, u64),
    ) -> Result<(LayerEntry, (u32, u64))> {
        let name_len = fields.u32()? as usize;
        let dtype_len = usize::from(fields.u8()?);
        let dims = usize::from(fields.u8()?);
        fields.zero(2)?;
        let segment = fields.u32()?;
        fields.zero(4)?;
        let (offset, bytes) = (fields.u64()?, fields.u64()?);
        let text = |bytes: &[u8], what: &str| {
            let text = std::str::from_utf8(bytes).map_err(|e| corrupt!("{what}: {e}"))?;
            Ok::<_, Error>(text.to_owned())
        };
        let name = text(fields.bytes(name_len)?, "layer name")?;
        let place = |error: Error| error.in_layer(&name);
        let dtype = text(fields.bytes(dtype_len)?, "dtype").map_err(place)?;
        if dtype.is_empty() {
            return Err(place(corrupt!("dtype is empty")));
        }
        let shape = (0..dims).map(|_| fields.u64()).collect::<Result<Vec<u64>>>().map_err(place)?;
        let layer = Layer { name: name.clone(), dtype, shape, bytes };
        layer.check().map_err(place)?;
        if (segment, offset) < free {
            return Err(place(corrupt!("the layer overlaps one before it, or precedes it")));
        }
        let entry = LayerEntry { layer, segment, offset };
        let free = directory.home(parts, &entry).map_err(place)?;
        Ok((entry, free))
    }
}

/// A piece of the original: a segment, or a packing.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The segments that it is made of.
    pub(crate) segments: Range<usize>,
    /// Its bytes in the original.
    pub(crate) bytes: Range<u64>,
    /// Number of the packing, if it is one.
    pub(crate) packing: Option<usize>,
}

/// What the original is put together from, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    parts: Vec<Part>,
    /// Number of the part that a segment belongs to.
    of_segment: Vec<u32>,
}

/// What the file holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    pub(crate) segments: Vec<Segment>,
    pub(crate) layouts: Vec<Layout>,
    pub(crate) packings: Vec<Packing>,
    pub(crate) layers: Vec<LayerEntry>,
    pub(crate) bases: Vec<Base>,
    /// By rising segments.
    pub(crate) references: Vec<Reference>,
    /// By rising segments.
    pub(crate) copies: Vec<SegmentCopy>,
    /// Of an archive.
    pub(crate) entries: Vec<Entry>,
}

impl Directory {
    fn name(&self, layer: u32) -> Option<&str> {
        self.layers.get(layer as usize).map(|entry| entry.layer.name.as_str())
    }

    /// The segment that this one is a copy of.
    pub(crate) fn source_of(&self, segment: u32) -> Option<u32> {
        let place = self.copies.binary_search_by_key(&segment, |copy| copy.segment).ok()?;
        self.copies.get(place).map(|copy| copy.source)
    }

    /// The partner of a segment, if it has one of its own.
    pub(crate) fn reference_of(&self, segment: u32) -> Option<BaseRef> {
        let find = |reference: &Reference| reference.segment;
        let place = self.references.binary_search_by_key(&segment, find).ok()?;
        self.references.get(place).map(|reference| reference.base)
    }

    /// Numbers of the layers in the order of their names.
    pub(crate) fn by_name(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.layers.len() as u32).collect();
        order.sort_unstable_by_key(|&layer| self.name(layer));
        order
    }

    pub(crate) fn write(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.segments.iter().for_each(|segment| segment.write(&mut out));
        self.layouts.iter().for_each(|layout| write_layout(layout, &mut out));
        self.packings.iter().for_each(|packing| write_packing(packing, &mut out));
        self.layers.iter().try_for_each(|layer| layer.write(&mut out))?;
        self.bases.iter().try_for_each(|base| write_base(base, &mut out))?;
        self.references.iter().for_each(|reference| reference.write(&mut out));
        self.copies.iter().for_each(|copy| copy.write(&mut out));
        self.entries.iter().try_for_each(|entry| entry.write(&mut out))?;
        Ok(out)
    }

    /// Reads the directory that a footer announces, which it must fill exactly, and what the original
    /// is put together from.
    pub(crate) fn read(bytes: &[u8], footer: &Footer, minor: u16) -> Result<(Directory, Parts)> {
        let mut fields = Fields::new(bytes, "directory");
        let Footer { segments, layouts, packings, layers, bases, references, .. } = *footer;
        let Footer { copies, entries, source, .. } = *footer;
        // The counts are backed by bytes before anything is reserved for them.
        let counts = [
            (segments, SEGMENT_LEN, "segments"),
            (layouts, LAYOUT_LEN, "layouts"),
            (packings, PACKING_LEN, "packings"),
            (layers, LAYER_LEN, "layers"),
            (bases, BASE_LEN, "bases"),
            (references, REFERENCE_LEN, "references"),
            (copies, COPY_LEN, "copies"),
            (entries, ENTRY_LEN, "entries"),
        ];
        let least: u64 = counts.iter().map(|&(n, len, _)| u64::from(n) * len as u64).sum();
        if least > bytes.len() as u64 {
            let counts = counts.iter().filter(|(n, ..)| *n > 0);
            let counts: Vec<String> = counts.map(|(n, _, what)| format!("{n} {what}")).collect();
            return Err(corrupt!("directory of {} bytes for {}", bytes.len(), counts.join(", ")));
        }
        let segments = (0..segments)
            .map(|number| {
                let segment = Segment::read(&mut fields);
                segment.map_err(|e| e.within(format_args!("segment {number}")))
            })
            .collect::<Result<Vec<Segment>>>()?;
        let layouts = read_layouts(&mut fields, layouts, minor)?;
        let packings = read_packings(&mut fields, packings, &layouts, &segments)?;
        let mut directory = Directory { segments, layouts, packings, ..Directory::default() };
        let parts = directory.parts()?;
        // In order and apart: whoever reads all layers reads no byte twice.
        let mut free = (0, 0);
        directory.layers = (0..layers)
            .map(|_| {
                let (entry, end) = LayerEntry::read(&mut fields, &directory, &parts, free)?;
                free = end;
                Ok(entry)
            })
            .collect::<Result<Vec<LayerEntry>>>()?;
        directory.bases = read_bases(&mut fields, bases)?;
        directory.references = read_references(&mut fields, references, (&directory, &parts))?;
        read_copies(&mut fields, copies, &mut directory)?;
        check_own(&directory, &parts)?;
        check_contexts(&directory, &parts)?;
        if source == SourceKind::Archive {
            directory.entries = read_entries(&mut fields, entries, (&parts, minor))?;
        }
        if fields.remaining() > 0 {
            let left = fields.remaining();
            return Err(corrupt!("{left} bytes behind the contents of the directory"));
        }
        let order = directory.by_name();
        let twice = order.windows(2).filter_map(|pair| match pair {
            [a, b] => Some((directory.name(*a)?, directory.name(*b)?)),
            _ => None,
        });
        match twice.into_iter().find(|(a, b)| a == b) {
            Some((name, _)) => Err(corrupt!("the name occurs twice").in_layer(name)),
            None => Ok((directory, parts)),
        }
    }

    /// What the original is put together from.
    pub(crate) fn parts(&self) -> Result<Parts> {
        let mut parts = Parts::default();
        let mut packings = self.packings.iter().enumerate().peekable();
        let (mut segment, mut at) = (0, 0u64);
        while let Some(first) = self.segments.get(segment) {
            let packing = packings.next_if(|(_, packing)| packing.segment as usize == segment);
            let layout = packing.and_then(|(_, p)| Some((p, self.layouts.get(p.layout as usize)?)));
            let (count, bytes) = match layout {
                Some((packing, layout)) => {
                    (layout.segments(), packing.structs * u64::from(layout.bytes))
                }
                None => (1, first.geometry.bytes()),
            };
            let end = at
                .checked_add(bytes)
                .ok_or_else(|| corrupt!("segments have more than 2^64 blocks or bytes"))?;
            let number = parts.parts.len() as u32;
            parts.of_segment.extend(std::iter::repeat_n(number, count));
            parts.parts.push(Part {
                segments: segment..segment + count,
                bytes: at..end,
                packing: packing.map(|(number, _)| number),
            });
            (segment, at) = (segment + count, end);
        }
        Ok(parts)
    }
}

impl Parts {
    /// All parts.
    pub(crate) fn all(&self) -> &[Part] {
        &self.parts
    }

    /// The parts that have some of these bytes of the original.
    pub(crate) fn within(&self, bytes: Range<u64>) -> &[Part] {
        let first = self.parts.partition_point(|part| part.bytes.end <= bytes.start);
        let behind = self.parts.partition_point(|part| part.bytes.start < bytes.end);
        self.parts.get(first..behind).unwrap_or_default()
    }

    /// Whether one part ends, or the first one begins, at this byte of the original.
    pub(crate) fn end_at(&self, at: u64) -> bool {
        at == 0 || self.parts.binary_search_by_key(&at, |part| part.bytes.end).is_ok()
    }

    /// Bytes of the original.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.bytes.end)
    }

    /// The parts from that of a segment on.
    pub(crate) fn starting(&self, segment: u32) -> &[Part] {
        let part = self.of_segment.get(segment as usize);
        part.and_then(|&part| self.parts.get(part as usize..)).unwrap_or_default()
    }

    /// The packings that a layer consists of; none if it lies in a segment.
    pub(crate) fn packings_of(&self, entry: &LayerEntry) -> &[Part] {
        let parts = self.starting(entry.segment);
        let Some(start) = parts.first().filter(|p| p.packing.is_some()).map(|p| p.bytes.start)
        else {
            return &[];
        };
        let end = start.saturating_add(entry.layer.bytes);
        parts.get(..parts.partition_point(|part| part.bytes.start < end)).unwrap_or_default()
    }
}

impl Directory {
    /// Checks that a layer has a place; returns the first segment and byte behind it.
    fn home(&self, parts: &Parts, entry: &LayerEntry) -> Result<(u32, u64)> {
        let LayerEntry { ref layer, segment, offset } = *entry;
        let Some(home) = self.segments.get(segment as usize) else {
            let count = self.segments.len();
            return Err(corrupt!("segment {segment} of {count} does not exist"));
        };
        let bytes = layer.bytes;
        let first = parts.starting(segment).first();
        let Some(packing) = first.and_then(|part| self.packings.get(part.packing?)) else {
            let end = offset.checked_add(bytes).filter(|&end| end <= home.geometry.bytes());
            let end = end.ok_or_else(|| {
                let size = home.geometry.bytes();
                corrupt!("{bytes} bytes at {offset} exceed segment {segment} of {size} bytes")
            })?;
            return Ok((segment, end));
        };
        let packed = parts.packings_of(entry);
        let same = packed.iter().all(|part| {
            let other = part.packing.and_then(|number| self.packings.get(number));
            other.is_some_and(|other| other.layout == packing.layout)
        });
        let sum: u64 = packed.iter().map(|part| part.bytes.end - part.bytes.start).sum();
        if packing.segment != segment || offset != 0 || !same || sum != bytes || bytes == 0 {
            return Err(corrupt!(
                "{bytes} bytes at {offset} of segment {segment} are no whole packings of one layout"
            ));
        }
        if let Some(layout) = self.layouts.get(packing.layout as usize) {
            layout.structs(layer)?;
        }
        Ok((packed.last().map_or(segment, |part| part.segments.end as u32), 0))
    }
}
