//! Reading a container: parsed and checked once when it is opened, decoded block by block.

use super::BLOCK_ALIGN;
use super::directory::{Directory, LayerEntry, Segment};
use super::footer::{self, FOOTER_LEN, Footer, HASHED_LEN, SourceKind};
use super::header::{self, HEADER_LEN};
use super::index::{BlockRecord, BlockTable, RECORD_LEN};
use super::read_at::{ReadAt, read};
use super::writer::{FREE_DIRECTORY, MAX_DIRECTORY_RATIO};
use crate::block::Mode;
use crate::block::decode::{Scratch, StoredBlock, decode_block, head_stats};
use crate::block::head::Head;
use crate::block::side::{self, Side};
use crate::checksum::{self, BlockId, block_checksum, hash_pieces};
use crate::error::{Error, ErrorKind, Result, corrupt};
use crate::frame;
use crate::geometry::Rect;
use crate::layer::Layer;
use crate::limits::Limits;
use crate::stats::Stats;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use wcodec_kernels::Level;

/// Bytes decoded at a time, and about what a reader holds.
const BATCH_BYTES: u64 = 16 << 20;
/// Blocks decoded at a time for a slice.
const SLICE_BLOCKS: usize = 32;
/// How far before the end of a file a misplaced footer is looked for.
const TAIL_SEARCH: u64 = 64 << 10;

/// An open `.wcodec` file.
pub struct Reader<R> {
    source: R,
    size: u64,
    footer: Footer,
    table: BlockTable,
    segments: Vec<PlacedSegment>,
    layers: Vec<LayerEntry>,
    by_name: HashMap<String, usize>,
    level: Level,
}

struct PlacedSegment {
    segment: Segment,
    /// Number of its first block in the file.
    first_block: u64,
    /// A layer that lies in it, for messages.
    layer: Option<usize>,
}

/// A run of bands of one group: what is decoded in one go.
struct Job {
    segment: usize,
    bands: Range<u64>,
    bytes: u64,
}

impl<R: ReadAt> Reader<R> {
    /// Opens a file: reads and checks everything but the blocks.
    ///
    /// # Errors
    /// If the file is not a `.wcodec` file of a known version, is truncated or damaged, or asks
    /// for more than `limits` allow.
    pub fn open(source: R, limits: &Limits) -> Result<Reader<R>> {
        let size = source.size()?;
        let header = read(&source, 0, size.min(HEADER_LEN as u64))?;
        header::check(&header)?;
        let Some(footer_at) = size.checked_sub(FOOTER_LEN as u64) else {
            return Err(ErrorKind::Truncated { have: size }.into());
        };
        let footer_bytes = read(&source, footer_at, FOOTER_LEN as u64)?;
        if !footer_bytes.ends_with(&footer::MAGIC) {
            return Err(misplaced_footer(&source, size)?);
        }
        let in_footer = |e: Error| e.at_byte(footer_at);
        let (footer, stored_hash) = Footer::read(&footer_bytes).map_err(in_footer)?;
        let parts = total_len(&footer);
        if parts != Some(size) || !footer.table_at.is_multiple_of(BLOCK_ALIGN) {
            return Err(in_footer(corrupt!(
                "block table at {}, {} blocks and a directory of {} bytes do not fill {size} bytes",
                footer.table_at,
                footer.blocks,
                footer.directory_stored
            )));
        }
        limits.check_original(size, footer.original_len)?;
        let most = footer
            .directory_stored
            .saturating_mul(MAX_DIRECTORY_RATIO)
            .saturating_add(FREE_DIRECTORY)
            .min(limits.max_directory);
        if footer.directory_len > most {
            return Err(Error::limit("directory size", footer.directory_len, most));
        }
        let table_len = footer.blocks * RECORD_LEN as u64;
        let table = read(&source, footer.table_at, table_len)?;
        let stored = read(&source, footer.table_at + table_len, footer.directory_stored)?;
        let hashed = footer_bytes.get(..HASHED_LEN).unwrap_or_default();
        let hash = hash_pieces(&[&header, &table, &stored, hashed]);
        if !checksum::matches(hash, stored_hash) {
            return Err(in_footer(Error::checksum("index", hash, stored_hash)));
        }

        let table = BlockTable::read(table.into_owned(), footer.table_at)?;
        let decoded = decode_directory(&footer, stored)
            .map_err(|e| e.at_byte(footer.table_at + table_len))?;
        let directory = Directory::read(&decoded, footer.segments, footer.layers)
            .map_err(|e| e.at_byte(footer.table_at + table_len))?;
        let reader = Reader::assemble(source, size, footer, table, directory)?;
        let end = match reader.footer.blocks {
            0 => HEADER_LEN as u64,
            blocks => reader.table.get(blocks - 1)?.end(),
        };
        reader.read_padded(end, reader.footer.table_at, &[])?;
        Ok(reader)
    }

    fn assemble(
        source: R,
        size: u64,
        footer: Footer,
        table: BlockTable,
        directory: Directory,
    ) -> Result<Reader<R>> {
        let mut segments = Vec::with_capacity(directory.segments.len());
        let (mut first_block, mut bytes) = (0u64, 0u64);
        for segment in directory.segments {
            segments.push(PlacedSegment { segment, first_block, layer: None });
            first_block = first_block.saturating_add(segment.blocks());
            bytes = bytes.saturating_add(segment.geometry.bytes());
        }
        if first_block != footer.blocks {
            let blocks = footer.blocks;
            return Err(corrupt!("segments have {first_block} blocks, the table has {blocks}"));
        }
        if bytes != footer.original_len {
            let original = footer.original_len;
            return Err(corrupt!("segments have {bytes} bytes, the original has {original}"));
        }
        let mut by_name = HashMap::with_capacity(directory.layers.len());
        for (index, entry) in directory.layers.iter().enumerate() {
            by_name.insert(entry.layer.name.clone(), index);
            if let Some(placed) = segments.get_mut(entry.segment as usize) {
                placed.layer.get_or_insert(index);
            }
        }
        let level = Level::detect();
        let layers = directory.layers;
        Ok(Reader { source, size, footer, table, segments, layers, by_name, level })
    }

    /// The layers, in the order of the file.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &Layer> {
        self.layers.iter().map(|entry| &entry.layer)
    }

    /// Number of the layer of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// What the original was.
    #[must_use]
    pub fn source_kind(&self) -> SourceKind {
        self.footer.source
    }

    /// Bytes of the original.
    #[must_use]
    pub fn original_len(&self) -> u64 {
        self.footer.original_len
    }

    /// BLAKE3 of the original.
    #[must_use]
    pub fn original_blake3(&self) -> [u8; 32] {
        self.footer.blake3
    }

    /// Bytes of the `.wcodec` file.
    #[must_use]
    pub fn coded_len(&self) -> u64 {
        self.size
    }

    /// Blocks of the file, side blocks counted.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.footer.blocks
    }

    fn entry(&self, layer: usize) -> Result<&LayerEntry> {
        self.layers.get(layer).ok_or_else(|| {
            Error::argument(format!("no layer {layer}, the file has {}", self.layers.len()))
        })
    }

    fn placed(&self, segment: usize) -> Result<&PlacedSegment> {
        self.segments.get(segment).ok_or_else(|| corrupt!("segment {segment} does not exist"))
    }

    /// Adds the layer of a segment to an error.
    fn locate(&self, placed: &PlacedSegment, error: Error) -> Error {
        match placed.layer.and_then(|layer| self.layers.get(layer)) {
            Some(entry) => error.in_layer(&entry.layer.name),
            None => error,
        }
    }

    /// Decodes a layer.
    ///
    /// # Errors
    /// If there is no such layer, reading fails, or a block is damaged.
    pub fn decode_layer(&self, layer: usize) -> Result<Vec<u8>> {
        let bytes = self.entry(layer)?.layer.bytes;
        let mut out = zeroed(bytes)?;
        self.decode_layer_into(layer, &mut out)?;
        Ok(out)
    }

    /// Decodes a layer into `out`, which must have its size. After an error `out` is all zero.
    ///
    /// # Errors
    /// As [`Reader::decode_layer`], or if `out` has another size.
    pub fn decode_layer_into(&self, layer: usize, out: &mut [u8]) -> Result<Stats> {
        let entry = self.entry(layer)?;
        if out.len() as u64 != entry.layer.bytes {
            let (have, want) = (out.len(), entry.layer.bytes);
            return Err(Error::argument(format!("buffer of {have} bytes, expected {want}"))
                .in_layer(&entry.layer.name));
        }
        let placed = self.placed(entry.segment as usize)?;
        let result = if entry.layer.bytes == placed.segment.geometry.bytes() {
            self.jobs(entry.segment as usize).and_then(|jobs| self.decode_jobs(&jobs, out))
        } else {
            let bytes = out.len() as u64;
            self.copy_runs(entry, 0..1, 0..bytes, bytes, out)
        };
        if result.is_err() {
            out.fill(0);
        }
        result
    }

    /// Decodes rows and columns of a layer's matrix (see [`Layer::matrix`]), row-major; only the
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
        for row in rows.clone() {
            let start = entry.offset + row * pitch;
            let (first, last) = ((start + cols.start) / size, (start + cols.end - 1) / size);
            for (band, across) in geometry.blocks_of(first, last) {
                needed.extend(across.map(|across| (band, across)));
            }
        }
        let needed: Vec<(u64, u64)> = needed.into_iter().collect();
        let width = cols.end - cols.start;
        let mut stats = Stats::default();
        let mut sides = HashMap::new();
        for chunk in needed.chunks(SLICE_BLOCKS) {
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

    /// Restores the original.
    ///
    /// # Errors
    /// If reading or writing fails, a block is damaged, or the BLAKE3 of the whole differs; what
    /// was written by then is not the original.
    pub fn restore(
        &self,
        out: &mut impl std::io::Write,
        observer: &dyn crate::Observer,
    ) -> Result<Stats> {
        let mut stats = Stats { coded_bytes: self.size, ..Stats::default() };
        let mut hasher = blake3::Hasher::new();
        let mut done = 0;
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        let mut buffer = Vec::new();
        let mut flush = |batch: &mut Vec<Job>, bytes: u64, done: &mut u64| -> Result<()> {
            // Zeroing is cheap beside decoding, and keeps stale bytes out of sight.
            buffer.clear();
            buffer.resize(to_len(bytes)?, 0);
            let mut part = self.decode_jobs(batch, &mut buffer)?;
            part.coded_bytes = 0;
            stats += part;
            hasher.update_rayon(&buffer);
            out.write_all(&buffer)?;
            batch.clear();
            *done += bytes;
            observer.progress(*done, self.footer.original_len);
            if observer.cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        for segment in 0..self.segments.len() {
            for job in self.jobs(segment)? {
                if batch_bytes > 0 && batch_bytes + job.bytes > BATCH_BYTES {
                    flush(&mut batch, batch_bytes, &mut done)?;
                    batch_bytes = 0;
                }
                batch_bytes += job.bytes;
                batch.push(job);
            }
        }
        flush(&mut batch, batch_bytes, &mut done)?;
        let found = hasher.finalize();
        if found != blake3::Hash::from_bytes(self.footer.blake3) {
            return Err(ErrorKind::Checksum {
                what: "BLAKE3",
                found: found.to_string(),
                expected: blake3::Hash::from_bytes(self.footer.blake3).to_string(),
            }
            .into());
        }
        Ok(stats)
    }

    /// Checks every hash by decoding everything.
    ///
    /// # Errors
    /// As [`Reader::restore`].
    pub fn verify(&self, observer: &dyn crate::Observer) -> Result<Stats> {
        self.restore(&mut std::io::sink(), observer)
    }

    /// What a layer takes in the file, from the block table and the heads of its blocks. A layer
    /// that shares its segment with other bytes is counted as raw.
    ///
    /// # Errors
    /// If there is no such layer, or a head cannot be read.
    pub fn layer_stats(&self, layer: usize) -> Result<Stats> {
        let entry = self.entry(layer)?;
        let placed = self.placed(entry.segment as usize)?;
        let segment = &placed.segment;
        let geometry = &segment.geometry;
        let mut stats = Stats {
            original_bytes: entry.layer.bytes,
            elements: entry.layer.elements().unwrap_or(0),
            ..Stats::default()
        };
        if entry.layer.bytes != geometry.bytes() {
            stats.coded_bytes = entry.layer.bytes;
            return Ok(stats);
        }
        for band in 0..geometry.bands() {
            for across in 0..geometry.blocks_in_band(band) {
                let number = geometry.block_number(band, across, segment.side);
                let record = self.table.get(placed.first_block + number)?;
                stats.blocks += 1;
                stats.coded_bytes += u64::from(record.len);
                if record.mode == Mode::Coded {
                    let rect = geometry.rect(band, across);
                    let part = self
                        .head_stats(segment, &record, rect)
                        .map_err(|e| self.locate(placed, e.in_block(number).at_byte(record.at)))?;
                    stats += part;
                }
            }
        }
        if segment.side {
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

    fn head_stats(&self, segment: &Segment, record: &BlockRecord, rect: Rect) -> Result<Stats> {
        let start = read(&self.source, record.at, u64::from(record.len.min(12)))?;
        let len = Head::len_of(&start)?.min(record.len as usize);
        let head = read(&self.source, record.at, len as u64)?;
        head_stats(self.level, &segment.format(), rect, &head, record.len as usize)
    }

    /// The runs of bands that a segment is decoded in.
    fn jobs(&self, segment: usize) -> Result<Vec<Job>> {
        let geometry = &self.placed(segment)?.segment.geometry;
        let mut jobs: Vec<Job> = Vec::new();
        for band in 0..geometry.bands() {
            let range = geometry.bands_bytes(&(band..band + 1));
            let bytes = range.end - range.start;
            match jobs.last_mut() {
                Some(job)
                    if job.bytes + bytes <= BATCH_BYTES / 2
                        && geometry.group_of(job.bands.start) == geometry.group_of(band) =>
                {
                    job.bands.end = band + 1;
                    job.bytes += bytes;
                }
                _ => jobs.push(Job { segment, bands: band..band + 1, bytes }),
            }
        }
        Ok(jobs)
    }

    /// Decodes jobs one behind the other into `out`, in parallel.
    fn decode_jobs(&self, jobs: &[Job], mut out: &mut [u8]) -> Result<Stats> {
        let mut parts = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (part, rest) = std::mem::take(&mut out)
                .split_at_mut_checked(to_len(job.bytes)?)
                .ok_or_else(|| corrupt!("output ends early"))?;
            parts.push((job, part));
            out = rest;
        }
        parts.into_par_iter().map(|(job, part)| self.decode_job(job, part)).try_reduce(
            Stats::default,
            |mut sum, part| {
                sum += part;
                Ok(sum)
            },
        )
    }

    fn decode_job(&self, job: &Job, mut out: &mut [u8]) -> Result<Stats> {
        let placed = self.placed(job.segment)?;
        let geometry = &placed.segment.geometry;
        let last = job.bands.end - 1;
        let number = |band, across| geometry.block_number(band, across, placed.segment.side);
        let group = geometry.group_of(job.bands.start);
        let mut blocks =
            number(job.bands.start, 0)..number(last, geometry.blocks_in_band(last) - 1) + 1;
        let side = self.side(job.segment, group)?;
        let place = |e| self.locate(placed, e);
        // The padding before a side block belongs to the run that ends with it.
        let ends_group = job.bands.end == geometry.group_range(group).end;
        blocks.end += u64::from(placed.segment.side && ends_group);
        let run = self.read_blocks(job.segment, blocks).map_err(place)?;
        let mut bands = Vec::new();
        for band in job.bands.clone() {
            let bytes = geometry.bands_bytes(&(band..band + 1));
            let (part, rest) = std::mem::take(&mut out)
                .split_at_mut_checked(to_len(bytes.end - bytes.start)?)
                .ok_or_else(|| corrupt!("output ends early"))?;
            bands.push((band, part));
            out = rest;
        }
        bands
            .into_par_iter()
            .map(|(band, out)| {
                let mut stats = Stats::default();
                let mut scratch = Scratch::default();
                let mut block = Vec::new();
                for across in 0..geometry.blocks_in_band(band) {
                    let rect = geometry.rect(band, across);
                    let number = number(band, across);
                    let row_bytes = rect.cols * geometry.element.size();
                    block.resize(rect.rows * row_bytes, 0);
                    stats += self.decode_in_run(
                        job.segment,
                        &run,
                        number,
                        rect,
                        &side,
                        &mut scratch,
                        &mut block,
                    )?;
                    let first = geometry.band_elements(band).start;
                    let offset = (rect.start - first) as usize * geometry.element.size();
                    let pitch = rect.stride as usize * geometry.element.size();
                    let targets = out.get_mut(offset..).unwrap_or_default();
                    for (target, row) in
                        targets.chunks_mut(pitch).zip(block.chunks_exact(row_bytes))
                    {
                        if let Some(target) = target.get_mut(..row_bytes) {
                            target.copy_from_slice(row);
                        }
                    }
                }
                Ok(stats)
            })
            .try_reduce(Stats::default, |mut sum, part| {
                sum += part;
                Ok(sum)
            })
            .map_err(place)
    }

    /// Decodes block `number` of a segment out of a run that holds it.
    #[expect(clippy::too_many_arguments, reason = "private; a struct would only rename them")]
    fn decode_in_run(
        &self,
        segment: usize,
        run: &Run<'_>,
        number: u64,
        rect: Rect,
        side: &Side,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<Stats> {
        let placed = self.placed(segment)?;
        let record = self.table.get(placed.first_block + number)?;
        let payload = run.payload(&record)?;
        let id = BlockId { segment: segment as u32, block: number as u32 };
        let block = StoredBlock { id, mode: record.mode, payload, checksum: record.checksum };
        let format = placed.segment.format();
        let place = |e: Error| e.in_block(number).at_byte(record.at);
        if record.mode != Mode::Side && payload.len() > out.len().max(1) {
            let (have, most) = (payload.len(), out.len());
            return Err(place(corrupt!("block of {have} bytes decodes to {most}")));
        }
        decode_block(self.level, &format, rect, &block, side, scratch, out).map_err(place)
    }

    /// The side block of a group; empty if the segment has none.
    fn side(&self, segment: usize, group: u64) -> Result<Side> {
        let placed = self.placed(segment)?;
        if !placed.segment.side {
            return Ok(Side::default());
        }
        let number = placed.segment.geometry.side_number(group);
        let record = self.table.get(placed.first_block + number)?;
        let place = |e: Error| self.locate(placed, e.in_block(number).at_byte(record.at));
        if record.mode != Mode::Side {
            return Err(place(corrupt!("block of elements where a side block is expected")));
        }
        let payload = read(&self.source, record.at, u64::from(record.len))?;
        let id = BlockId { segment: segment as u32, block: number as u32 };
        let found = block_checksum(id, &[], &payload);
        if !checksum::matches(found, record.checksum) {
            return Err(place(Error::checksum("side block", found, record.checksum)));
        }
        side::read(&payload).map_err(place)
    }

    /// Reads blocks of a segment with the padding before each of them.
    fn read_blocks(&self, segment: usize, blocks: Range<u64>) -> Result<Run<'_>> {
        let first_block = self.placed(segment)?.first_block;
        let records: Vec<BlockRecord> = (first_block + blocks.start..first_block + blocks.end)
            .map(|number| self.table.get(number))
            .collect::<Result<_>>()?;
        let start = match first_block + blocks.start {
            0 => HEADER_LEN as u64,
            number => self.table.get(number - 1)?.end(),
        };
        let end = records.last().map_or(start, BlockRecord::end);
        self.read_padded(start, end, &records)
    }

    /// Reads `start..end` and checks that everything outside `records` is zero.
    fn read_padded(&self, start: u64, end: u64, records: &[BlockRecord]) -> Result<Run<'_>> {
        let run = Run { bytes: read(&self.source, start, end - start)?, start };
        let mut at = start;
        let ends = records.iter().map(|r| (r.at, r.end())).chain([(end, end)]);
        for (block_start, block_end) in ends {
            let padding = run.range(at, block_start)?;
            if let Some(offset) = padding.iter().position(|&b| b != 0) {
                return Err(corrupt!("padding is not zero").at_byte(at + offset as u64));
            }
            at = block_end;
        }
        Ok(run)
    }
}

/// A piece of the file.
struct Run<'a> {
    bytes: Cow<'a, [u8]>,
    start: u64,
}

impl Run<'_> {
    fn range(&self, from: u64, to: u64) -> Result<&[u8]> {
        let relative = |at: u64| at.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        relative(from)
            .zip(relative(to))
            .and_then(|(from, to)| self.bytes.get(from..to))
            .ok_or_else(|| corrupt!("bytes {from} to {to} were not read"))
    }

    fn payload(&self, record: &BlockRecord) -> Result<&[u8]> {
        self.range(record.at, record.end())
    }
}

fn to_len(bytes: u64) -> Result<usize> {
    usize::try_from(bytes).map_err(|_| Error::limit("size in memory", bytes, usize::MAX as u64))
}

/// A zeroed buffer; running out of memory is an error, not an abort.
fn zeroed(bytes: u64) -> Result<Vec<u8>> {
    let len = to_len(bytes)?;
    let mut out = Vec::new();
    out.try_reserve_exact(len)
        .map_err(|_| Error::from(std::io::Error::from(std::io::ErrorKind::OutOfMemory)))?;
    out.resize(len, 0);
    Ok(out)
}

fn total_len(footer: &Footer) -> Option<u64> {
    footer
        .blocks
        .checked_mul(RECORD_LEN as u64)?
        .checked_add(footer.table_at)?
        .checked_add(footer.directory_stored)?
        .checked_add(FOOTER_LEN as u64)
}

fn decode_directory<'a>(footer: &Footer, stored: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
    if !footer.directory_zstd {
        if stored.len() as u64 != footer.directory_len {
            let (have, want) = (stored.len(), footer.directory_len);
            return Err(corrupt!("directory has {have} bytes, expected {want}"));
        }
        return Ok(stored);
    }
    let mut decoded = zeroed(footer.directory_len)?;
    frame::decompress_into(&stored, &mut decoded)?;
    Ok(Cow::Owned(decoded))
}

/// Tells a truncated file from one with something behind its end.
fn misplaced_footer(source: &impl ReadAt, size: u64) -> Result<Error> {
    let start = size.saturating_sub(TAIL_SEARCH + FOOTER_LEN as u64);
    let tail = read(source, start, size - start)?;
    for (at, window) in tail.windows(FOOTER_LEN).enumerate().rev() {
        if window.ends_with(&footer::MAGIC)
            && let Ok((footer, _)) = Footer::read(window)
        {
            let end = start + (at + FOOTER_LEN) as u64;
            if total_len(&footer) == Some(end) {
                return Ok(ErrorKind::TrailingBytes { extra: size - end }.into());
            }
        }
    }
    Ok(ErrorKind::Truncated { have: size }.into())
}
