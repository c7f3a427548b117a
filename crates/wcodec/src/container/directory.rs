//! The directory: segments, then layers. FORMAT.md section 2.4.
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
//! | 16 | 8 | first byte in the segment | the layer lies in its segment, behind all before it |
//! | 24 | 8 | length in bytes | fits the shape, if the dtype is known |
//! | 32 | | name and dtype (UTF-8), 8 bytes a dimension | names differ |

use super::fields::Fields;
use crate::block::decode::BlockFormat;
use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use crate::geometry::{Geometry, Scan, TileConfig};
use crate::layer::Layer;

pub(crate) const SEGMENT_LEN: usize = 48;
const LAYER_LEN: usize = 32;

/// A contiguous piece of the original and how it is cut into blocks.
#[derive(Clone, Copy, Debug)]
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

    fn read(fields: &mut Fields<'_>, segments: &[Segment]) -> Result<LayerEntry> {
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
        let Some(home) = usize::try_from(segment).ok().and_then(|s| segments.get(s)) else {
            let count = segments.len();
            return Err(place(corrupt!("segment {segment} of {count} does not exist")));
        };
        let end = offset.checked_add(bytes).filter(|&end| end <= home.geometry.bytes());
        if end.is_none() {
            return Err(place(corrupt!(
                "{bytes} bytes at {offset} exceed segment {segment} of {} bytes",
                home.geometry.bytes()
            )));
        }
        let layer = Layer { name: name.clone(), dtype, shape, bytes };
        layer.check().map_err(place)?;
        Ok(LayerEntry { layer, segment, offset })
    }
}

/// What the file holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    pub(crate) segments: Vec<Segment>,
    pub(crate) layers: Vec<LayerEntry>,
}

impl Directory {
    fn name(&self, layer: u32) -> Option<&str> {
        self.layers.get(layer as usize).map(|entry| entry.layer.name.as_str())
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
        self.layers.iter().try_for_each(|layer| layer.write(&mut out))?;
        Ok(out)
    }

    /// Reads a directory of so many segments and layers, which it must fill exactly.
    pub(crate) fn read(bytes: &[u8], segments: u32, layers: u32) -> Result<Directory> {
        let mut fields = Fields::new(bytes, "directory");
        // The counts are backed by bytes before anything is reserved for them.
        let least = u64::from(segments) * SEGMENT_LEN as u64 + u64::from(layers) * LAYER_LEN as u64;
        if least > bytes.len() as u64 {
            let have = bytes.len();
            return Err(corrupt!(
                "directory of {have} bytes for {segments} segments and {layers} layers"
            ));
        }
        let segments = (0..segments)
            .map(|number| {
                Segment::read(&mut fields).map_err(|e| match e.kind() {
                    crate::ErrorKind::Corrupt(text) => corrupt!("segment {number}: {text}"),
                    _ => e,
                })
            })
            .collect::<Result<Vec<Segment>>>()?;
        let layers = (0..layers)
            .map(|_| LayerEntry::read(&mut fields, &segments))
            .collect::<Result<Vec<LayerEntry>>>()?;
        if fields.remaining() > 0 {
            return Err(corrupt!("{} bytes behind the last layer", fields.remaining()));
        }
        // In order and apart: whoever reads all layers reads no byte twice.
        let mut free = (0, 0);
        for entry in &layers {
            if (entry.segment, entry.offset) < free {
                return Err(corrupt!("the layer overlaps one before it, or precedes it")
                    .in_layer(&entry.layer.name));
            }
            free = (entry.segment, entry.offset + entry.layer.bytes);
        }
        let directory = Directory { segments, layers };
        let order = directory.by_name();
        let twice = order.windows(2).filter_map(|pair| match pair {
            [a, b] => Some((directory.name(*a)?, directory.name(*b)?)),
            _ => None,
        });
        match twice.into_iter().find(|(a, b)| a == b) {
            Some((name, _)) => Err(corrupt!("the name occurs twice").in_layer(name)),
            None => Ok(directory),
        }
    }
}
