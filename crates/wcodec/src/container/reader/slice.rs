//! Parts of a layer: only the blocks that hold them are read.

use super::Reader;
use super::decode::zeroed;
use crate::block::decode::Scratch;
use crate::block::side::Side;
use crate::container::directory::LayerEntry;
use crate::container::read_at::ReadAt;
use crate::error::{Error, Result};
use crate::geometry::Rect;
use crate::stats::Stats;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Blocks decoded at a time.
const SLICE_BLOCKS: usize = 32;

impl<R: ReadAt> Reader<R> {
    /// Decodes rows and columns of a layer's matrix (see [`Layer::matrix`](crate::Layer::matrix)), row-major; only the
    /// blocks that hold them are read.
    ///
    /// # Errors
    /// If there is no such layer or slice, the element size of the dtype is not known, reading
    /// fails, or a block is damaged.
    pub fn decode_slice(
        &self,
        layer: usize,
        rows: Range<u64>,
        cols: Range<u64>,
    ) -> Result<Vec<u8>> {
        let entry = self.entry(layer)?;
        let refuse = |text: String| Error::argument(text).in_layer(&entry.layer.name);
        let Some(element) = entry.layer.element() else {
            return Err(refuse(format!("dtype {} has no known size", entry.layer.dtype)));
        };
        let (all_rows, all_cols) = entry.layer.matrix();
        for (range, all, what) in [(&rows, all_rows, "rows"), (&cols, all_cols, "columns")] {
            if range.start > range.end || range.end > all {
                let Range { start, end } = range;
                return Err(refuse(format!("{what} {start}:{end} are not within 0:{all}")));
            }
        }
        let size = element.size() as u64;
        let width = (cols.end - cols.start) * size;
        let mut out = zeroed((rows.end - rows.start).saturating_mul(width))?;
        if !out.is_empty() {
            let cols = cols.start * size..cols.end * size;
            self.copy_runs(entry, rows, cols, all_cols * size, &mut out)?;
        }
        Ok(out)
    }

    /// Copies bytes `cols` of each of the `rows` of a layer, `pitch` bytes a row, into `out`.
    pub(super) fn copy_runs(
        &self,
        entry: &LayerEntry,
        rows: Range<u64>,
        cols: Range<u64>,
        pitch: u64,
        out: &mut [u8],
    ) -> Result<Stats> {
        let segment = entry.segment as usize;
        let placed = self.placed(segment)?;
        let geometry = &placed.segment.geometry;
        let size = geometry.element.size() as u64;
        let mut needed = BTreeSet::new();
        let mut before = None;
        for row in rows.clone() {
            let start = entry.offset + row * pitch;
            let (first, last) = ((start + cols.start) / size, (start + cols.end - 1) / size);
            for (band, across) in geometry.blocks_of(first, last) {
                // Rows of one band mostly need the same blocks.
                if before.as_ref() != Some(&(band, across.clone())) {
                    needed.extend(across.clone().map(|across| (band, across)));
                    before = Some((band, across));
                }
            }
        }
        let needed: Vec<(u64, u64)> = needed.into_iter().collect();
        let width = cols.end - cols.start;
        let mut stats = Stats::default();
        let mut sides = HashMap::new();
        for chunk in needed.chunks(SLICE_BLOCKS) {
            sides.retain(|group, _| {
                chunk.iter().any(|&(band, _)| geometry.group_of(band) == *group)
            });
            for &(band, _) in chunk {
                let group = geometry.group_of(band);
                if let std::collections::hash_map::Entry::Vacant(slot) = sides.entry(group) {
                    slot.insert(self.side(segment, group)?);
                }
            }
            let decoded: Vec<(Rect, Vec<u8>, Stats)> = chunk
                .par_iter()
                .map(|&(band, across)| {
                    let side = sides.get(&geometry.group_of(band));
                    self.decode_one(segment, band, across, side)
                })
                .collect::<Result<_>>()?;
            for (rect, bytes, block_stats) in decoded {
                stats += block_stats;
                let row_bytes = rect.cols * size as usize;
                for (row, mut piece) in bytes.chunks_exact(row_bytes).enumerate() {
                    let at = (rect.start + row as u64 * rect.stride) * size;
                    // Skip what lies before the layer.
                    let skipped = entry.offset.saturating_sub(at).min(piece.len() as u64);
                    piece = piece.get(skipped as usize..).unwrap_or_default();
                    let mut at = (at + skipped).saturating_sub(entry.offset);
                    while !piece.is_empty() {
                        let (row, col) = (at / pitch, at % pitch);
                        let take = (pitch - col).min(piece.len() as u64);
                        let (now, rest) = piece.split_at(take as usize);
                        let (from, to) = (col.max(cols.start), (col + take).min(cols.end));
                        if rows.contains(&row) && from < to {
                            let target = (row - rows.start) * width + from - cols.start;
                            let source = now.get((from - col) as usize..(to - col) as usize);
                            let target = out.get_mut(target as usize..);
                            if let (Some(source), Some(target)) = (source, target)
                                && let Some(target) = target.get_mut(..source.len())
                            {
                                target.copy_from_slice(source);
                            }
                        }
                        piece = rest;
                        at += take;
                    }
                }
            }
        }
        Ok(stats)
    }

    /// Decodes one block by itself.
    fn decode_one(
        &self,
        segment: usize,
        band: u64,
        across: u64,
        side: Option<&Side>,
    ) -> Result<(Rect, Vec<u8>, Stats)> {
        let placed = self.placed(segment)?;
        let geometry = &placed.segment.geometry;
        let rect = geometry.rect(band, across);
        let number = geometry.block_number(band, across, placed.segment.side);
        let mut out = zeroed(rect.elements() as u64 * geometry.element.size() as u64)?;
        let none = Side::default();
        self.check_length(segment, band, across).map_err(|e| self.locate(placed, e))?;
        let run = self.read_blocks(segment, number..number + 1);
        let stats = run
            .and_then(|run| {
                let side = side.unwrap_or(&none);
                self.decode_in_run(
                    segment,
                    &run,
                    number,
                    rect,
                    side,
                    &mut Scratch::default(),
                    &mut out,
                )
            })
            .map_err(|e| self.locate(placed, e))?;
        Ok((rect, out, stats))
    }
}
