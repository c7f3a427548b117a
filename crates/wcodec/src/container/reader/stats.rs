//! What layers take in the file.

use super::{PlacedSegment, Reader};
use crate::block::Mode;
use crate::block::decode::head_stats;
use crate::block::head::Head;
use crate::container::index::BlockRecord;
use crate::container::read_at::{ReadAt, read};
use crate::error::Result;
use crate::geometry::Rect;
use crate::scale::mean::Use;
use crate::stats::Stats;

impl<R: ReadAt> Reader<R> {
    /// What a layer takes in the file, from the block table and the heads of its blocks. A layer
    /// that shares its segment with other bytes is counted as raw, a copy takes nothing.
    ///
    /// # Errors
    /// If there is no such layer, or a head cannot be read.
    pub fn layer_stats(&self, layer: usize) -> Result<Stats> {
        let entry = self.entry(layer)?;
        let mut stats = Stats {
            original_bytes: entry.layer.bytes,
            elements: entry.layer.elements().unwrap_or(0),
            ..Stats::default()
        };
        let packings = self.parts.packings_of(entry);
        for part in packings {
            let (packing, layout) = self.packing(part.packing)?;
            if self.placed(part.segments.start)?.is_copy {
                stats.copied_elements += packing.totals(layout).elements;
                continue;
            }
            for (stream, segment) in layout.streams().iter().zip(part.segments.clone()) {
                stats += packing.of_stream(layout, stream, self.segment_stats(segment)?);
            }
        }
        if packings.is_empty() {
            let segment = entry.segment as usize;
            if entry.layer.bytes == self.placed(segment)?.segment.geometry.bytes() {
                stats += self.segment_stats(segment)?;
            } else if self.placed(segment)?.is_copy {
                stats.copied_elements = stats.elements;
            } else {
                stats.coded_bytes = entry.layer.bytes;
            }
        }
        Ok(stats)
    }

    /// What the blocks of a segment take; bytes and elements of the original are not counted.
    fn segment_stats(&self, segment: usize) -> Result<Stats> {
        let placed = self.placed(segment)?;
        let geometry = &placed.segment.geometry;
        if placed.is_copy {
            return Ok(Stats { copied_elements: geometry.elements, ..Stats::default() });
        }
        let mut stats = Stats::default();
        for band in 0..geometry.bands() {
            for across in 0..geometry.blocks_in_band(band) {
                stats += self.block_stats(segment, placed, (band, across))?;
            }
        }
        if placed.segment.side {
            for group in 0..geometry.groups() {
                let number = placed.first_block + geometry.side_number(group);
                let len = u64::from(self.table.get(number)?.len);
                stats.blocks += 1;
                stats.coded_bytes += len;
                stats.table_bytes += len;
            }
        }
        Ok(stats)
    }

    fn block_stats(
        &self,
        segment: usize,
        placed: &PlacedSegment,
        (band, across): (u64, u64),
    ) -> Result<Stats> {
        let geometry = &placed.segment.geometry;
        let number = geometry.block_number(band, across, placed.segment.side);
        let record = self.table.get(placed.first_block + number)?;
        self.check_length(segment, band, across).map_err(|e| self.locate(placed, e))?;
        let mut stats = Stats { blocks: 1, coded_bytes: u64::from(record.len), ..Stats::default() };
        if record.mode == Mode::Coded {
            let side = self.side(segment, geometry.group_of(band))?;
            let rect = geometry.rect(band, across);
            let corner = geometry.corner(band, across);
            let means = corner.and_then(|_| side.use_of_means(geometry.element));
            let head = self.head_stats(placed, &record, rect, means);
            stats +=
                head.map_err(|e| self.locate(placed, e.in_block(number).at_byte(record.at)))?;
        }
        Ok(stats)
    }

    fn head_stats(
        &self,
        placed: &PlacedSegment,
        record: &BlockRecord,
        rect: Rect,
        means: Option<Use>,
    ) -> Result<Stats> {
        let start = read(&self.source, record.at, u64::from(record.len.min(12)))?;
        let len = Head::len_of(&start)?.min(record.len as usize);
        let head = read(&self.source, record.at, len as u64)?;
        let (format, shape) = (placed.segment.format(), (rect.rows, rect.cols));
        let (len, has_base) = (record.len as usize, placed.base.is_some());
        head_stats(self.level, &format, shape, (&head, len), (means, has_base))
    }
}
