//! Parts of a layer: only the blocks that hold them are read.

use super::Reader;
use super::decode::{Loaded, to_len, zeroed};
use crate::block::side::Side;
use crate::container::directory::LayerEntry;
use crate::container::read_at::ReadAt;
use crate::error::{Error, Result, corrupt};
use crate::geometry::Rect;
use crate::stats::Stats;
use rayon::prelude::*;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use wcodec_kernels::{Place, STREAMS_AT_ONCE};

/// Blocks decoded at a time.
const SLICE_BLOCKS: usize = 32;

/// Decoded blocks and where they belong.
type Blocks = Vec<(Rect, Vec<u8>)>;

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

    /// Decodes layers that share their segments with other bytes. Those that lie in one block, as
    /// most do, have it decoded once for all of them.
    pub(super) fn copy_shares(&self, shares: Vec<(&LayerEntry, &mut [u8])>) -> Result<Stats> {
        let mut stats = Stats::default();
        let mut by_block: BTreeMap<_, Vec<(usize, &mut [u8])>> = BTreeMap::new();
        for (entry, out) in shares {
            let segment = entry.segment as usize;
            let geometry = &self.placed(segment)?.segment.geometry;
            let size = geometry.element.size() as u64;
            let bytes = out.len() as u64;
            let (first, last) = (entry.offset / size, (entry.offset + bytes - 1) / size);
            let mut blocks = geometry.blocks_of(first, last);
            let place = match (blocks.next(), blocks.next()) {
                (Some((band, across)), None) if across.end == across.start + 1 => {
                    Some((band, across.start))
                }
                _ => None,
            };
            let whole = |(band, across): &(u64, u64)| {
                let rect = geometry.rect(*band, *across);
                rect.rows == 1 || rect.stride == rect.cols as u64
            };
            match place.filter(whole) {
                Some((band, across)) => {
                    let start = geometry.rect(band, across).start * size;
                    let at = to_len(entry.offset - start)?;
                    by_block.entry((segment, band, across)).or_default().push((at, out));
                }
                None => stats += self.copy_runs(entry, 0..1, 0..bytes, bytes, out)?,
            }
        }
        let mut sides: BTreeMap<usize, HashMap<u64, Arc<Side>>> = BTreeMap::new();
        for &(segment, band, _) in by_block.keys() {
            let group = self.placed(segment)?.segment.geometry.group_of(band);
            if let Entry::Vacant(slot) = sides.entry(segment).or_default().entry(group) {
                slot.insert(self.side(segment, group)?);
            }
        }
        let none = HashMap::new();
        let parts: Vec<_> = by_block.into_iter().collect();
        let decoded = parts
            .into_par_iter()
            .map(|((segment, band, across), mut targets)| {
                let sides = sides.get(&segment).unwrap_or(&none);
                let (blocks, stats) = self.decode_some(segment, &[(band, across)], sides)?;
                for (_, bytes) in &blocks {
                    for (at, out) in &mut targets {
                        let source = bytes.get(*at..).and_then(|rest| rest.get(..out.len()));
                        out.copy_from_slice(
                            source.ok_or_else(|| corrupt!("layer exceeds its block"))?,
                        );
                    }
                }
                Ok(stats)
            })
            .try_reduce(Stats::default, |sum, part| Ok(sum + part));
        decoded.map(|decoded| stats + decoded)
    }

    /// Copies bytes `cols` of each of the `rows` of a layer, `pitch` bytes a row, into `out`.
    fn copy_runs(
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
                if let Entry::Vacant(slot) = sides.entry(group) {
                    slot.insert(self.side(segment, group)?);
                }
            }
            let decoded: Vec<(Blocks, Stats)> = chunk
                .par_chunks(STREAMS_AT_ONCE)
                .map(|blocks| self.decode_some(segment, blocks, &sides))
                .collect::<Result<_>>()?;
            decoded.iter().for_each(|(_, part)| stats += *part);
            for (rect, bytes) in decoded.into_iter().flat_map(|(blocks, _)| blocks) {
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

    /// Decodes some blocks of a segment, each into a buffer of its own.
    fn decode_some(
        &self,
        segment: usize,
        blocks: &[(u64, u64)],
        sides: &HashMap<u64, Arc<Side>>,
    ) -> Result<(Blocks, Stats)> {
        let placed = self.placed(segment)?;
        let geometry = &placed.segment.geometry;
        let none = Side::default();
        let mut loaded = Vec::with_capacity(blocks.len());
        let mut decoded = Vec::with_capacity(blocks.len());
        for &(band, across) in blocks {
            let number = geometry.block_number(band, across, placed.segment.side);
            let run = self
                .check_length(segment, band, across)
                .and_then(|()| self.read_blocks(segment, number..number + 1))
                .map_err(|e| self.locate(placed, e))?;
            let side = sides.get(&geometry.group_of(band)).map_or(&none, |side| &**side);
            loaded.push(Loaded { segment, placed, side, run });
            let rect = geometry.rect(band, across);
            decoded.push((rect, zeroed((rect.elements() * geometry.element.size()) as u64)?));
        }
        let mut jobs = Vec::with_capacity(blocks.len());
        for (buffer, (loaded, &place)) in loaded.iter().zip(blocks).enumerate() {
            let pitch = geometry.rect(place.0, place.1).cols * geometry.element.size();
            jobs.push(self.block_job(loaded, place, Place { buffer, start: 0, pitch })?);
        }
        let mut buffers: Vec<&mut [u8]> =
            decoded.iter_mut().map(|(_, bytes)| bytes.as_mut_slice()).collect();
        let stats = self.decode_block_jobs(jobs, &mut buffers)?;
        Ok((decoded, stats))
    }
}
