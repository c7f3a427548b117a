//! From a source to a container: cuts the original into segments, encodes their groups in
//! parallel and writes them in order.

use crate::checksum::BlockId;
use crate::container::directory::{Directory, LayerEntry, Segment};
use crate::container::read_at::{ReadAt, read};
use crate::container::writer::ContainerWriter;
use crate::dtype::ElementType;
use crate::error::{ErrorKind, Result};
use crate::geometry::{Scan, TileConfig, plan};
use crate::group::{EncodedGroup, GroupJob, side_block};
use crate::layer::Layer;
use crate::options::{EncodeOptions, Observer};
use crate::predict::PredictorSet;
use crate::source::{Listing, Located};
use crate::stats::Stats;
use rayon::prelude::*;
use std::io::Write;
use wcodec_kernels::Level;

/// Bytes encoded at a time.
const BATCH_BYTES: u64 = 16 << 20;
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
    /// Position of each segment in the original.
    places: Vec<u64>,
    entries: Vec<LayerEntry>,
    covered: u64,
    /// Small layers that will lie in the next opaque segment.
    waiting: Vec<&'a Located>,
}

impl<'a> Planner<'a> {
    fn plan(
        listing: &'a Listing,
        size: u64,
        cut: Cut,
        options: &'a EncodeOptions,
    ) -> Result<Planner<'a>> {
        let mut planner = Planner {
            options,
            segments: Vec::new(),
            places: Vec::new(),
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
        Ok(planner)
    }

    fn push(&mut self, segment: Segment, bytes: u64) {
        self.segments.push(segment);
        self.places.push(self.covered);
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
        let geometry = plan::opaque(bytes).checked()?;
        let tile = TileConfig::default();
        self.push(Segment { geometry, scan: Scan::Row, tile, side: false }, bytes);
        Ok(())
    }

    fn layer(&mut self, Located { layer, .. }: &Located) -> Result<()> {
        let segment = self.segments.len() as u32;
        self.entries.push(LayerEntry { layer: layer.clone(), segment, offset: 0 });
        self.push(layer_segment(layer, self.options)?, layer.bytes);
        Ok(())
    }
}

/// The cut of a layer that has a segment of its own.
fn layer_segment(layer: &Layer, options: &EncodeOptions) -> Result<Segment> {
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
    let level = Level::detect();
    let mut plan = Planner::plan(listing, size, cut, options)?;
    let mut writer = ContainerWriter::new(out)?;
    let mut hasher = blake3::Hasher::new();
    let mut stats = Stats { original_bytes: size, ..Stats::default() };

    let jobs: Vec<(usize, u64)> = plan
        .segments
        .iter()
        .enumerate()
        .flat_map(|(index, segment)| (0..segment.geometry.groups()).map(move |g| (index, g)))
        .collect();
    let range = |plan: &Planner<'_>, (segment, group): (usize, u64)| {
        let geometry = &plan.segments[segment].geometry;
        let bytes = geometry.bands_bytes(&geometry.group_range(group));
        plan.places[segment] + bytes.start..plan.places[segment] + bytes.end
    };
    let mut rest = jobs.as_slice();
    while let Some(&first) = rest.first() {
        let start = range(&plan, first).start;
        let fits = rest.iter().take_while(|&&j| range(&plan, j).end - start <= BATCH_BYTES).count();
        let (batch, after) = rest.split_at(fits.max(1));
        rest = after;
        let end = batch.last().map_or(start, |&job| range(&plan, job).end);
        let bytes = read(source, start, end - start)?;
        hasher.update_rayon(&bytes);
        let groups: Vec<EncodedGroup> = batch
            .par_iter()
            .map(|&(index, group)| {
                let segment = &plan.segments[index];
                let bytes_of = range(&plan, (index, group));
                let layer = segment.geometry.element != ElementType::Bytes;
                let job = GroupJob {
                    segment: index as u32,
                    geometry: segment.geometry,
                    format: segment.format(),
                    group,
                    bytes: &bytes
                        [(bytes_of.start - start) as usize..(bytes_of.end - start) as usize],
                    predictors: if layer { options.predictors } else { PredictorSet::NONE },
                };
                let one_group = segment.geometry.groups() == 1;
                job.encode(level, if one_group && layer { None } else { Some(segment.side) })
            })
            .collect::<Result<_>>()?;
        for (&(index, group), encoded) in batch.iter().zip(groups) {
            stats += encoded.stats;
            for block in &encoded.blocks {
                writer.block(block)?;
            }
            if let Some(side) = encoded.side {
                let segment = &mut plan.segments[index];
                segment.side = true;
                let block = segment.geometry.side_number(group) as u32;
                writer.block(&side_block(BlockId { segment: index as u32, block }, side))?;
            }
        }
        observer.progress(end, size);
        if observer.cancelled() {
            return Err(ErrorKind::Interrupted.into());
        }
    }
    let directory = Directory { segments: plan.segments, layers: plan.entries };
    stats.original_bytes = size;
    stats.coded_bytes =
        writer.finish(&directory, listing.kind, size, *hasher.finalize().as_bytes())?;
    Ok(stats)
}
