//! Parts of a layer: only the blocks that hold them are read.

use super::Reader;
use super::decode::{Loaded, to_len, zeroed};
use super::runs::{Runs, Span, Window};
use crate::block::side::Side;
use crate::container::directory::{LayerEntry, Part};
use crate::container::read_at::ReadAt;
use crate::context::Contexts;
use crate::error::{Error, Result, corrupt};
use crate::geometry::Rect;
use crate::options::{Observer, go_on};
use crate::packing::Layout;
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
    /// blocks that hold them are read. Of elements that share structs (see [`Reader::layer_array`]) the structs are
    /// given; columns must be whole ones.
    ///
    /// # Errors
    /// If there is no such layer or slice, the columns cut structs, the element size of the dtype is not
    /// known, reading fails, or a block is damaged.
    pub fn decode_slice(
        &self,
        layer: usize,
        rows: Range<u64>,
        cols: Range<u64>,
    ) -> Result<Vec<u8>> {
        let entry = self.entry(layer)?;
        let (all_rows, all_cols) = entry.layer.matrix();
        for (range, all, what) in [(&rows, all_rows, "rows"), (&cols, all_cols, "columns")] {
            if range.start > range.end || range.end > all {
                let Range { start, end } = range;
                let text = format!("{what} {start}:{end} are not within 0:{all}");
                return Err(Error::argument(text).in_layer(&entry.layer.name));
            }
        }
        let runs = self.runs_of(entry, &[all_rows, all_cols], &[rows.into(), cols.into()])?;
        let mut out = zeroed(runs.bytes())?;
        self.copy_of_layer(entry, &runs, &mut out, &())?;
        Ok(out)
    }

    /// Decodes part of a layer of any shape, row-major, into `out`, which must have its size: of each
    /// dimension the indices that its span names. Only the blocks that hold them are read. If an argument does not fit,
    /// `out` stays as it is; after any other error it is all zero.
    ///
    /// # Errors
    /// As [`Reader::decode_slice`], or if `out` has another size, or the observer stops the call.
    ///
    /// # Examples
    /// ```
    /// use wcodec::{ElementType, EncodeOptions, Layer, Limits, Reader, Span, encode_layer};
    ///
    /// let layer = Layer::new("kernel", ElementType::U8, vec![2, 3, 4]);
    /// let data: Vec<u8> = (0..24).collect();
    /// let (coded, _) = encode_layer(&data, &layer, &EncodeOptions::default())?;
    /// let reader = Reader::open(coded.as_slice(), &Limits::default())?;
    /// let spans = [Span::from(1..2), Span::from(0..3), Span { start: 1, count: 2, step: 2 }];
    /// let mut part = [0; 6];
    /// reader.decode_part_into(0, &spans, &mut part, &())?;
    /// assert_eq!(part, [13, 15, 17, 19, 21, 23]);
    /// # Ok::<(), wcodec::Error>(())
    /// ```
    pub fn decode_part_into(
        &self,
        layer: usize,
        spans: &[Span],
        out: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<Stats> {
        let entry = self.entry(layer)?;
        let runs = self.runs_of(entry, &entry.layer.shape, spans)?;
        if out.len() as u64 != runs.bytes() {
            let text = format!("buffer of {} bytes, expected {}", out.len(), runs.bytes());
            return Err(Error::argument(text).in_layer(&entry.layer.name));
        }
        let result = self.copy_of_layer(entry, &runs, out, observer);
        if result.is_err() {
            out.fill(0);
        }
        result
    }

    /// Decodes bytes of the original, whatever they are: the header of a safetensors file, say.
    ///
    /// # Errors
    /// If the original does not have these bytes, reading fails, or a block is damaged.
    pub fn decode_range(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let all = self.original_len();
        if range.start > range.end || range.end > all {
            let Range { start, end } = range;
            return Err(Error::argument(format!("bytes {start}:{end} are not within 0:{all}")));
        }
        self.work.allow(range.end - range.start);
        self.decode_allowed(range)
    }

    /// Decodes bytes of the original that are within it; what bases may decode for them was allowed before.
    pub(crate) fn decode_allowed(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let mut out = zeroed(range.end - range.start)?;
        let runs = Runs::one(range.start, range.end - range.start);
        self.copy_parts(self.parts.within(range).iter(), 0, &runs, &mut out, &())?;
        Ok(out)
    }

    /// Copies runs of bytes of a layer into `out`, one behind the other.
    fn copy_of_layer(
        &self,
        entry: &LayerEntry,
        runs: &Runs,
        out: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<Stats> {
        self.work.allow(entry.layer.bytes);
        match self.parts.packings_of(entry) {
            [] => self.copy_segment(entry.segment as usize, runs, out, observer),
            parts @ [first, ..] => {
                self.copy_parts(parts.iter(), first.bytes.start, runs, out, observer)
            }
        }
    }

    /// Copies runs of bytes, counted from byte `start` of the original, out of consecutive parts.
    pub(super) fn copy_parts<'a>(
        &self,
        parts: impl Iterator<Item = &'a Part>,
        start: u64,
        runs: &Runs,
        mut out: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<Stats> {
        let mut stats = Stats::default();
        for part in parts {
            let window = Window::new(runs, part.bytes.start - start..part.bytes.end - start);
            let target = out.split_off_mut(..to_len(window.bytes())?);
            let target = target.ok_or_else(|| corrupt!("output ends early"))?;
            if target.is_empty() {
                continue;
            }
            stats += match part.packing {
                Some(number) => self.copy_packed(number, &window, target, observer)?,
                None => self.copy_runs(part.segments.start, &window, target, (None, observer))?,
            };
        }
        Ok(stats)
    }

    /// Copies runs of bytes of a segment into `out`, one behind the other.
    fn copy_segment(
        &self,
        segment: usize,
        runs: &Runs,
        out: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<Stats> {
        let bytes = self.placed(segment)?.segment.geometry.bytes();
        self.copy_runs(segment, &Window::new(runs, 0..bytes), out, (None, observer))
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
            match place {
                Some((band, across)) => {
                    // All of the block's rows or part of one of them.
                    let rect = geometry.rect(band, across);
                    let (row, col) =
                        ((first - rect.start) / rect.stride, (first - rect.start) % rect.stride);
                    let at = (row * rect.cols as u64 + col) * size + entry.offset % size;
                    by_block.entry((segment, band, across)).or_default().push((to_len(at)?, out));
                }
                None => {
                    stats +=
                        self.copy_segment(segment, &Runs::one(entry.offset, bytes), out, &())?
                }
            }
        }
        // By the segment whose blocks they are: copies share them.
        let mut sides: BTreeMap<u32, HashMap<u64, Arc<Side>>> = BTreeMap::new();
        for &(segment, band, _) in by_block.keys() {
            let placed = self.placed(segment)?;
            let group = placed.segment.geometry.group_of(band);
            if let Entry::Vacant(slot) = sides.entry(placed.number).or_default().entry(group) {
                slot.insert(self.side(segment, group)?);
            }
        }
        let none = HashMap::new();
        let parts: Vec<_> = by_block.into_iter().collect();
        let decoded = parts
            .into_par_iter()
            .map(|((segment, band, across), mut targets)| {
                let sides = sides.get(&self.placed(segment)?.number).unwrap_or(&none);
                let (blocks, stats) = self.decode_some(segment, &[(band, across)], sides, None)?;
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

    /// Copies what runs take of a segment, whose blocks have these contexts, into `out`, one behind the other.
    pub(super) fn copy_runs(
        &self,
        segment: usize,
        runs: &Window<'_>,
        out: &mut [u8],
        (contexts, observer): (Option<Contexts<'_>>, &dyn Observer),
    ) -> Result<Stats> {
        let geometry = &self.placed(segment)?.segment.geometry;
        let size = geometry.element.size();
        let mut stats = Stats::default();
        let mut sides = HashMap::new();
        for chunk in self.blocks_of_runs(segment, runs)?.chunks(SLICE_BLOCKS) {
            go_on(observer)?;
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
                .map(|blocks| self.decode_some(segment, blocks, &sides, contexts))
                .collect::<Result<_>>()?;
            decoded.iter().for_each(|(_, part)| stats += *part);
            for (rect, bytes) in decoded.into_iter().flat_map(|(blocks, _)| blocks) {
                for (row, piece) in bytes.chunks_exact(rect.cols * size).enumerate() {
                    let at = (rect.start + row as u64 * rect.stride) * size as u64;
                    runs.copy(at, piece, out);
                }
            }
        }
        Ok(stats)
    }

    /// The blocks that hold runs of bytes of a segment, in the order of the file.
    pub(super) fn blocks_of_runs(
        &self,
        segment: usize,
        runs: &Window<'_>,
    ) -> Result<Vec<(u64, u64)>> {
        let geometry = &self.placed(segment)?.segment.geometry;
        let size = geometry.element.size() as u64;
        let mut needed = BTreeSet::new();
        let mut before = None;
        for run in runs.iter() {
            for (band, across) in geometry.blocks_of(run.start / size, (run.end - 1) / size) {
                // Rows of one band mostly need the same blocks.
                if before.as_ref() != Some(&(band, across.clone())) {
                    needed.extend(across.clone().map(|across| (band, across)));
                    before = Some((band, across));
                }
            }
        }
        Ok(needed.into_iter().collect())
    }

    /// Decodes some blocks of a segment, each into a buffer of its own.
    fn decode_some(
        &self,
        segment: usize,
        blocks: &[(u64, u64)],
        sides: &HashMap<u64, Arc<Side>>,
        contexts: Option<Contexts<'_>>,
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
            let rect = geometry.rect(band, across);
            let record = self.table.get(placed.first_block + number)?;
            let base = self.base_of_block(segment, (record, &run), rect);
            let base = base.map_err(|e| self.locate(placed, e))?;
            loaded.push(Loaded { placed, side, run, base, contexts });
            decoded.push((rect, zeroed((rect.elements() * geometry.element.size()) as u64)?));
        }
        let mut jobs = Vec::with_capacity(blocks.len());
        for (buffer, (loaded, &place)) in loaded.iter().zip(blocks).enumerate() {
            let pitch = geometry.rect(place.0, place.1).cols * geometry.element.size();
            jobs.push(self.block_job(
                loaded,
                place,
                Place { buffer, start: 0, pitch, streamed: false },
            )?);
        }
        let mut buffers: Vec<&mut [u8]> =
            decoded.iter_mut().map(|(_, bytes)| bytes.as_mut_slice()).collect();
        let stats = self.decode_block_jobs(jobs, &mut buffers)?;
        Ok((decoded, stats))
    }

    /// The runs of bytes that a part of a layer, seen in a shape of as many elements, is made of.
    fn runs_of(&self, entry: &LayerEntry, shape: &[u64], spans: &[Span]) -> Result<Runs> {
        let refuse = |text: String| Error::argument(text).in_layer(&entry.layer.name);
        if let Some(element) = entry.layer.element() {
            let size = element.size() as u64;
            return Runs::new(entry.offset, size, shape, spans).map_err(refuse);
        }
        let Some(layout) = self.layout_of(entry)? else {
            return Err(refuse(format!("dtype {} has no known size", entry.layer.dtype)));
        };
        let (shape, spans) = in_structs(&layout, shape, spans).map_err(refuse)?;
        Runs::new(entry.offset, u64::from(layout.bytes), &shape, &spans).map_err(refuse)
    }
}

/// A part of a shape whose last dimension lies in structs of several elements, counted in structs.
fn in_structs(
    layout: &Layout,
    shape: &[u64],
    spans: &[Span],
) -> std::result::Result<(Vec<u64>, Vec<Span>), String> {
    let values = u64::from(layout.values);
    let (mut shape, mut spans) = (shape.to_vec(), spans.to_vec());
    if let Some(dim) = shape.last_mut() {
        *dim /= values;
    }
    if let Some(Span { start, count, step }) = spans.last_mut() {
        let whole = start.is_multiple_of(values) && count.is_multiple_of(values) && *step == 1;
        if values > 1 && !whole {
            return Err(format!(
                "{count} elements from {start} on, {step} apart, cut blocks of {values} elements"
            ));
        }
        (*start, *count) = (*start / values, *count / values);
    }
    Ok((shape, spans))
}
