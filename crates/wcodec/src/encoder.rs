//! From a source to a container: cuts the original into segments and feeds the writer.

use crate::container::directory::{Directory, LayerEntry, Segment};
use crate::container::read_at::{ReadAt, read_with};
use crate::dtype::ElementType;
use crate::error::{ErrorKind, Result};
use crate::geometry::{Scan, TileConfig, plan};
use crate::layer::Layer;
use crate::options::{EncodeOptions, Observer};
use crate::source::{Listing, Located};
use crate::stats::Stats;
use crate::writer::{Writer, batches};
use std::io::Write;

/// A smaller layer goes with the bytes around it: a block of its own would cost more than coding
/// it can gain.
const MIN_LAYER_BYTES: u64 = 512;

/// How an original is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A segment for each layer, but the smallest.
    Layers,
    /// Layers are known, but lie in segments of bytes.
    Bytes,
    /// Bytes alone.
    Opaque,
}

/// Cuts an original into segments.
struct Planner<'a> {
    options: &'a EncodeOptions,
    segments: Vec<Segment>,
    entries: Vec<LayerEntry>,
    covered: u64,
    /// Small layers that will lie in the next opaque segment.
    waiting: Vec<&'a Located>,
}

impl Planner<'_> {
    fn push(&mut self, segment: Segment, bytes: u64) {
        self.segments.push(segment);
        self.covered += bytes;
    }

    fn opaque_until(&mut self, end: u64) -> Result<()> {
        let bytes = end - self.covered;
        if bytes == 0 && self.waiting.is_empty() {
            return Ok(());
        }
        let segment = self.segments.len() as u32;
        for Located { layer, at } in self.waiting.drain(..) {
            let offset = at - self.covered;
            self.entries.push(LayerEntry { layer: layer.clone(), segment, offset });
        }
        self.push(opaque_segment(bytes)?, bytes);
        Ok(())
    }

    fn layer(&mut self, Located { layer, .. }: &Located) -> Result<()> {
        let segment = self.segments.len() as u32;
        self.entries.push(LayerEntry { layer: layer.clone(), segment, offset: 0 });
        self.push(layer_segment(layer, self.options)?, layer.bytes);
        Ok(())
    }
}

/// The segments of an original, and where its layers lie in them.
pub(crate) fn directory(
    listing: &Listing,
    size: u64,
    cut: Cut,
    options: &EncodeOptions,
) -> Result<Directory> {
    let mut planner = Planner {
        options,
        segments: Vec::new(),
        entries: Vec::new(),
        covered: 0,
        waiting: Vec::new(),
    };
    for located in &listing.layers {
        match cut {
            Cut::Layers if located.layer.bytes >= MIN_LAYER_BYTES => {
                planner.opaque_until(located.at)?;
                planner.layer(located)?;
            }
            Cut::Layers | Cut::Bytes => planner.waiting.push(located),
            Cut::Opaque => {}
        }
    }
    planner.opaque_until(size)?;
    Ok(Directory { segments: planner.segments, layers: planner.entries })
}

/// The cut of bytes of no known structure.
pub(crate) fn opaque_segment(bytes: u64) -> Result<Segment> {
    let geometry = plan::opaque(bytes).checked()?;
    Ok(Segment { geometry, scan: Scan::Row, tile: TileConfig::default(), side: false })
}

/// The cut of a layer that has a segment of its own.
pub(crate) fn layer_segment(layer: &Layer, options: &EncodeOptions) -> Result<Segment> {
    let (element, rows, cols) = match layer.element() {
        Some(element) => {
            let (rows, cols) = layer.matrix();
            (element, rows, cols)
        }
        None => (ElementType::Bytes, 1, layer.bytes),
    };
    let geometry = plan::layer(element, rows, cols, options.block).checked()?;
    Ok(Segment {
        scan: options.scan.unwrap_or_else(|| plan::scan(&geometry)),
        tile: options.tile,
        // Several groups decide together: block numbers must not depend on later groups.
        side: geometry.groups() > 1,
        geometry,
    })
}

/// Encodes `source` into `out`; every option has been checked.
pub(crate) fn encode(
    source: &impl ReadAt,
    listing: &Listing,
    cut: Cut,
    out: impl Write,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<Stats> {
    let size = source.size()?;
    let directory = directory(listing, size, cut, options)?;
    let mut writer = Writer::planned(out, listing.kind, directory, options)?;
    let mut buffer = Vec::new();
    for (batch, range) in batches(&writer.jobs()) {
        let bytes = read_with(source, range.start, range.end - range.start, &mut buffer)?;
        writer.encode(batch, bytes)?;
        observer.progress(range.end, size);
        if observer.cancelled() {
            return Err(ErrorKind::Interrupted.into());
        }
    }
    writer.finish()
}
