//! Runs of bands: read in one piece, decoded in parallel, into memory that is there already.

use super::bases::LoadedBase;
use super::{PlacedSegment, Reader};
use crate::block::Mode;
use crate::block::decode::{BlockJob, StoredBlock, decode_blocks};
use crate::block::side::{self, GroupShape, Side};
use crate::checksum::{self, BlockId, block_checksum};
use crate::container::header::HEADER_LEN;
use crate::container::index::BlockRecord;
use crate::container::read_at::{ReadAt, read, read_pooled};
use crate::context::Contexts;
use crate::error::{Error, Result, corrupt};
use crate::options::Watch;
use crate::pool::Bytes;
use crate::stats::Stats;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use wcodec_kernels::{Place, STREAMS_AT_ONCE};

/// Bytes decoded at a time; a reader that restores a file holds two batches, which a processor's
/// last cache should hold too.
pub(super) const BATCH_BYTES: u64 = 8 << 20;

/// Output of at least so many bytes will have left the caches before it is read.
const STREAMED_BYTES: u64 = 16 << 20;
/// Bytes of small jobs that are decoded together.
const BUNDLE_BYTES: u64 = 1 << 20;
/// Blocks that one thread decodes: some rounds of the widest kernel.
const TASK_BLOCKS: u64 = 3 * STREAMS_AT_ONCE as u64;

/// At most so many bands of `blocks` blocks each, cut to whole rounds of the widest kernel if there is one.
fn round_bands(bands: u64, blocks: u64) -> u64 {
    let at_once = STREAMS_AT_ONCE as u64;
    let round = at_once >> blocks.trailing_zeros().min(at_once.trailing_zeros());
    (bands / round * round).max(bands.min(round))
}

/// Side blocks by the segment whose blocks they are, and the group.
type Sides = HashMap<(u32, u64), Arc<Side>>;

/// What segments without side blocks have.
static NO_SIDE: Side = Side { tables: Vec::new(), scale: None, based: None };

/// A run of bands of one group: what is read in one go.
pub(super) struct Job {
    pub(super) segment: usize,
    pub(super) bands: Range<u64>,
    pub(super) bytes: u64,
}

impl<R: ReadAt> Reader<R> {
    /// The runs of bands that a segment is decoded in.
    pub(super) fn jobs(&self, segment: usize) -> Result<Vec<Job>> {
        let bands = self.placed(segment)?.segment.geometry.bands();
        self.jobs_of(segment, 0..bands, BATCH_BYTES / 2)
    }

    /// The runs that some bands are decoded in, of at most so many bytes unless a band has more.
    pub(super) fn jobs_of(&self, segment: usize, bands: Range<u64>, most: u64) -> Result<Vec<Job>> {
        let geometry = &self.placed(segment)?.segment.geometry;
        let mut jobs: Vec<Job> = Vec::new();
        let mut most_bands = 0;
        for band in bands {
            let range = geometry.bands_bytes(&(band..band + 1));
            let bytes = range.end - range.start;
            match jobs.last_mut() {
                Some(job)
                    if job.bands.end - job.bands.start < most_bands
                        && job.bytes + bytes <= most
                        && geometry.group_of(job.bands.start) == geometry.group_of(band) =>
                {
                    job.bands.end = band + 1;
                    job.bytes += bytes;
                }
                _ => {
                    most_bands = round_bands(most / bytes, geometry.blocks_in_band(band));
                    jobs.push(Job { segment, bands: band..band + 1, bytes });
                }
            }
        }
        Ok(jobs)
    }

    /// Decodes jobs, each into its part, in parallel. If there are contexts, they are those of the segment of all jobs.
    pub(super) fn decode_bundles(
        &self,
        parts: Vec<(&Job, &mut [u8])>,
        contexts: Option<Contexts<'_>>,
        watch: &Watch<'_>,
    ) -> Result<Stats> {
        let streamed = parts.iter().map(|(job, _)| job.bytes).sum::<u64>() >= STREAMED_BYTES;
        let mut bundles: Vec<Vec<(&Job, &mut [u8])>> = Vec::new();
        let mut bytes = BUNDLE_BYTES;
        for (job, part) in parts {
            if bytes >= BUNDLE_BYTES {
                bundles.push(Vec::new());
                bytes = 0;
            }
            bytes += job.bytes;
            if let Some(bundle) = bundles.last_mut() {
                bundle.push((job, part));
            }
        }
        bundles
            .into_par_iter()
            .map(|bundle| {
                let bytes = bundle.iter().map(|(job, _)| job.bytes).sum();
                watch.step(bytes, || self.decode_bundle(bundle, contexts, streamed))
            })
            .try_reduce(Stats::default, |sum, part| Ok(sum + part))
    }

    /// Decodes jobs whose blocks are dealt out together, so that small layers fill a kernel too.
    fn decode_bundle(
        &self,
        jobs: Vec<(&Job, &mut [u8])>,
        contexts: Option<Contexts<'_>>,
        streamed: bool,
    ) -> Result<Stats> {
        let (jobs, parts): (Vec<&Job>, Vec<&mut [u8]>) = jobs.into_iter().unzip();
        let sides = self.sides(&jobs)?;
        let loaded: Vec<Loaded<'_>> =
            jobs.iter().map(|job| self.load(job, &sides, contexts)).collect::<Result<_>>()?;
        let mut tasks: Vec<Vec<Band<'_>>> = Vec::new();
        let mut blocks = TASK_BLOCKS;
        for ((job, loaded), part) in jobs.iter().zip(&loaded).zip(parts) {
            let geometry = &loaded.placed.segment.geometry;
            let bands = job.bands.clone().map(|band| {
                let bytes = geometry.bands_bytes(&(band..band + 1));
                (band, bytes.end - bytes.start)
            });
            for (band, out) in deal(part, bands)? {
                if blocks >= TASK_BLOCKS {
                    tasks.push(Vec::new());
                    blocks = 0;
                }
                blocks += geometry.blocks_in_band(band);
                if let Some(task) = tasks.last_mut() {
                    task.push(Band { loaded, band, out, streamed });
                }
            }
        }
        let mut side_blocks = Stats::default();
        for (job, loaded) in jobs.iter().zip(&loaded) {
            if closed_by_side(loaded.placed, job) {
                let geometry = &loaded.placed.segment.geometry;
                let number = geometry.side_number(geometry.group_of(job.bands.start));
                let record = self.table.get(loaded.placed.first_block + number)?;
                side_blocks.blocks += 1;
                side_blocks.coded_bytes += u64::from(record.len);
            }
        }
        tasks
            .into_par_iter()
            .map(|task| self.decode_bands(task))
            .try_reduce(Stats::default, |sum, part| Ok(sum + part))
            .map(|stats| stats + side_blocks)
    }

    /// The side blocks that jobs need, each once: many jobs may be copies of few.
    fn sides(&self, jobs: &[&Job]) -> Result<Sides> {
        let mut sides = Sides::new();
        for job in jobs {
            let placed = self.placed(job.segment)?;
            let group = placed.segment.geometry.group_of(job.bands.start);
            if placed.segment.side
                && let Entry::Vacant(slot) = sides.entry((placed.number, group))
            {
                slot.insert(self.side(job.segment, group)?);
            }
        }
        Ok(sides)
    }

    /// Reads what a job needs.
    fn load<'a>(
        &'a self,
        job: &Job,
        sides: &'a Sides,
        contexts: Option<Contexts<'a>>,
    ) -> Result<Loaded<'a>> {
        let placed = self.placed(job.segment)?;
        let geometry = &placed.segment.geometry;
        let key = (placed.number, geometry.group_of(job.bands.start));
        let side = sides.get(&key).map_or(&NO_SIDE, |side| &**side);
        let last = job.bands.end - 1;
        let number = |band, across| geometry.block_number(band, across, placed.segment.side);
        let mut blocks =
            number(job.bands.start, 0)..number(last, geometry.blocks_in_band(last) - 1) + 1;
        // The padding before a side block belongs to the run that ends with it.
        blocks.end += u64::from(closed_by_side(placed, job));
        let place = |e| self.locate(placed, e);
        for band in job.bands.clone() {
            for across in 0..geometry.blocks_in_band(band) {
                self.check_length(job.segment, band, across).map_err(place)?;
            }
        }
        let run = self.read_blocks(job.segment, blocks.clone()).map_err(place)?;
        let bytes = geometry.bands_bytes(&job.bands);
        let base = self.base_of_bands(job.segment, (blocks, &run), bytes).map_err(place)?;
        Ok(Loaded { placed, side, run, base, contexts })
    }

    /// Decodes whole bands side by side.
    fn decode_bands(&self, bands: Vec<Band<'_>>) -> Result<Stats> {
        let mut jobs = Vec::new();
        let mut buffers = Vec::with_capacity(bands.len());
        for (buffer, Band { loaded, band, out, streamed }) in bands.into_iter().enumerate() {
            let geometry = &loaded.placed.segment.geometry;
            let size = geometry.element.size();
            let first = geometry.band_elements(band).start;
            for across in 0..geometry.blocks_in_band(band) {
                let rect = geometry.rect(band, across);
                let start = (rect.start - first) as usize * size;
                let pitch = rect.stride as usize * size;
                let place = Place { buffer, start, pitch, streamed };
                jobs.push(self.block_job(loaded, (band, across), place)?);
            }
            buffers.push(out);
        }
        self.decode_block_jobs(jobs, &mut buffers)
    }

    /// A block out of what was read of its segment.
    pub(super) fn block_job<'a>(
        &self,
        loaded: &'a Loaded<'_>,
        (band, across): (u64, u64),
        place: Place,
    ) -> Result<PlacedJob<'a>> {
        let placed = loaded.placed;
        let geometry = &placed.segment.geometry;
        let number = geometry.block_number(band, across, placed.segment.side);
        let record = self.table.get(placed.first_block + number)?;
        let payload = loaded.run.payload(&record)?;
        let id = BlockId { segment: placed.number, block: number as u32 };
        let stored = StoredBlock { id, mode: record.mode, payload, checksum: record.checksum };
        let rect = geometry.rect(band, across);
        let format = placed.segment.format();
        let (rows, cols, side) = (rect.rows, rect.cols, loaded.side);
        let corner = geometry.corner(band, across);
        let base = loaded.base.as_ref();
        let base = base.map(|base| base.rows(rect, geometry.element.size())).transpose()?;
        let contexts = loaded.contexts.filter(|_| corner.is_some());
        let contexts = contexts.and_then(|contexts| contexts.of_block(rect));
        Ok(PlacedJob {
            placed,
            at: record.at,
            job: BlockJob { format, rows, cols, stored, side, corner, base, contexts, place },
        })
    }

    /// Decodes blocks side by side; of several errors, that of the first of
    /// these blocks is returned.
    pub(super) fn decode_block_jobs(
        &self,
        mut jobs: Vec<PlacedJob<'_>>,
        buffers: &mut [&mut [u8]],
    ) -> Result<Stats> {
        // Streams side by side end at about the same time if the largest come first; some kernels want those of one
        // shape beside each other.
        jobs.sort_by_key(|j| (j.job.format.element, Reverse(j.job.rows * j.job.cols), j.job.cols));
        let (places, jobs): (Vec<_>, Vec<BlockJob<'_>>) =
            jobs.into_iter().map(|j| ((j.placed, j.at, j.job.stored.id), j.job)).unzip();
        let results = decode_blocks(self.level, &jobs, buffers);
        let mut stats = Stats::default();
        let mut first: Option<(u64, Error)> = None;
        for (result, (placed, at, id)) in results.into_iter().zip(places) {
            match result {
                Ok(part) => stats += part,
                Err(error) if first.as_ref().is_none_or(|(before, _)| at < *before) => {
                    let error = error.in_block(u64::from(id.block)).at_byte(at);
                    first = Some((at, self.locate(placed, error)));
                }
                Err(_) => {}
            }
        }
        first.map_or(Ok(stats), |(_, error)| Err(error))
    }

    /// Refuses a block that is longer than what it decodes to, before it is read.
    pub(super) fn check_length(&self, segment: usize, band: u64, across: u64) -> Result<()> {
        let placed = self.placed(segment)?;
        let geometry = &placed.segment.geometry;
        let number = geometry.block_number(band, across, placed.segment.side);
        let record = self.table.get(placed.first_block + number)?;
        let place = |error: Error| error.in_block(number).at_byte(record.at);
        if record.mode == Mode::Side {
            return Err(place(corrupt!("side block where a block of elements is expected")));
        }
        let most = geometry.rect(band, across).elements() * geometry.element.size();
        if record.len as usize > most {
            return Err(place(corrupt!("block of {} bytes decodes to {most}", record.len)));
        }
        Ok(())
    }

    /// The side block of a group; empty if the segment has none. The last one is kept: a group is mostly
    /// decoded in several pieces.
    pub(super) fn side(&self, segment: usize, group: u64) -> Result<Arc<Side>> {
        let placed = self.placed(segment)?;
        if !placed.segment.side {
            return Ok(Arc::default());
        }
        let key = (placed.number, group);
        let lock = || self.last_side.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, side)) = &*lock()
            && *of == key
        {
            return Ok(Arc::clone(side));
        }
        let side = Arc::new(self.read_side(segment, group)?);
        if self.kept.is_some() {
            self.work.spend(side.factors())?;
        }
        *lock() = Some((key, Arc::clone(&side)));
        Ok(side)
    }

    fn read_side(&self, segment: usize, group: u64) -> Result<Side> {
        let placed = self.placed(segment)?;
        let number = placed.segment.geometry.side_number(group);
        let record = self.table.get(placed.first_block + number)?;
        let place = |e: Error| self.locate(placed, e.in_block(number).at_byte(record.at));
        if record.mode != Mode::Side {
            return Err(place(corrupt!("block of elements where a side block is expected")));
        }
        if record.len > side::MAX_LEN {
            return Err(place(corrupt!(
                "side block of {} bytes, at most {} expected",
                record.len,
                side::MAX_LEN
            )));
        }
        let payload = read(&self.source, record.at, u64::from(record.len))?;
        let id = BlockId { segment: placed.number, block: number as u32 };
        let found = block_checksum(id, &[], &payload);
        if !checksum::matches(found, record.checksum) {
            return Err(place(Error::checksum("side block", found, record.checksum)));
        }
        let geometry = &placed.segment.geometry;
        let (rows, cols) = geometry.group_shape(group);
        let shape = GroupShape { element: geometry.element, rows, cols, minor: self.minor };
        side::read(self.level, &payload, shape).map_err(place)
    }

    /// Reads blocks of a segment with the padding before each of them.
    pub(super) fn read_blocks(&self, segment: usize, blocks: Range<u64>) -> Result<Run<'_>> {
        let first_block = self.placed(segment)?.first_block;
        let records = self.records(segment, blocks.clone())?;
        let start = match first_block + blocks.start {
            0 => HEADER_LEN as u64,
            number => self.table.get(number - 1)?.end(),
        };
        let end = records.last().map_or(start, BlockRecord::end);
        self.read_padded(start, end, &records)
    }

    /// The records of blocks of a segment.
    pub(super) fn records(&self, segment: usize, blocks: Range<u64>) -> Result<Vec<BlockRecord>> {
        let first = self.placed(segment)?.first_block;
        (first + blocks.start..first + blocks.end).map(|number| self.table.get(number)).collect()
    }

    /// Reads `start..end` and checks that everything outside `records` is zero.
    pub(super) fn read_padded(
        &self,
        start: u64,
        end: u64,
        records: &[BlockRecord],
    ) -> Result<Run<'_>> {
        let bytes = read_pooled(&self.source, start, end - start, &self.pool)?;
        let run = Run { bytes, start };
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

/// Whether the side block of a group follows the blocks of a job.
fn closed_by_side(placed: &PlacedSegment, job: &Job) -> bool {
    let geometry = &placed.segment.geometry;
    let group = geometry.group_of(job.bands.start);
    placed.segment.side && job.bands.end == geometry.group_range(group).end
}

/// Blocks of a segment, read, with what decoding them needs.
pub(super) struct Loaded<'a> {
    pub(super) placed: &'a PlacedSegment,
    pub(super) side: &'a Side,
    pub(super) run: Run<'a>,
    pub(super) base: Option<LoadedBase<'a>>,
    pub(super) contexts: Option<Contexts<'a>>,
}

/// A band to be decoded, and where it goes.
struct Band<'a> {
    loaded: &'a Loaded<'a>,
    band: u64,
    out: &'a mut [u8],
    /// Whether it will not be read soon.
    streamed: bool,
}

/// A block to be decoded, and its place for messages.
pub(super) struct PlacedJob<'a> {
    placed: &'a PlacedSegment,
    at: u64,
    job: BlockJob<'a>,
}

/// Deals a buffer out, to each item as many bytes as come with it.
pub(super) fn deal<T>(
    mut out: &mut [u8],
    items: impl Iterator<Item = (T, u64)>,
) -> Result<Vec<(T, &mut [u8])>> {
    items
        .map(|(item, bytes)| {
            let (part, rest) = std::mem::take(&mut out)
                .split_at_mut_checked(to_len(bytes)?)
                .ok_or_else(|| corrupt!("output ends early"))?;
            out = rest;
            Ok((item, part))
        })
        .collect()
}

/// A piece of the file.
pub(super) struct Run<'a> {
    bytes: Bytes<'a>,
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

    pub(super) fn payload(&self, record: &BlockRecord) -> Result<&[u8]> {
        self.range(record.at, record.end())
    }
}

pub(super) fn to_len(bytes: u64) -> Result<usize> {
    usize::try_from(bytes).map_err(|_| Error::limit("size in memory", bytes, usize::MAX as u64))
}

/// A zeroed buffer; running out of memory is an error, not an abort.
pub(super) fn zeroed(bytes: u64) -> Result<Vec<u8>> {
    let len = to_len(bytes)?;
    let mut out = Vec::new();
    out.try_reserve_exact(len)
        .map_err(|_| Error::from(std::io::Error::from(std::io::ErrorKind::OutOfMemory)))?;
    out.resize(len, 0);
    Ok(out)
}
