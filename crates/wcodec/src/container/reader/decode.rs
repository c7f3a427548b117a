//! Runs of bands: read in one piece, decoded in parallel, into memory that is there already.

use super::Reader;
use crate::block::Mode;
use crate::block::decode::{Scratch, StoredBlock, decode_block};
use crate::block::side::{self, Side};
use crate::checksum::{self, BlockId, block_checksum};
use crate::container::header::HEADER_LEN;
use crate::container::index::BlockRecord;
use crate::container::read_at::{ReadAt, read};
use crate::error::{Error, Result, corrupt};
use crate::geometry::Rect;
use crate::stats::Stats;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Bytes decoded at a time, and about what a reader holds.
pub(super) const BATCH_BYTES: u64 = 16 << 20;

/// A run of bands of one group: what is decoded in one go.
pub(super) struct Job {
    pub(super) segment: usize,
    pub(super) bands: Range<u64>,
    pub(super) bytes: u64,
}

impl<R: ReadAt> Reader<R> {
    /// The runs of bands that a segment is decoded in.
    pub(super) fn jobs(&self, segment: usize) -> Result<Vec<Job>> {
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
    pub(super) fn decode_jobs(&self, jobs: &[Job], out: &mut [u8]) -> Result<Stats> {
        deal(out, jobs.iter().map(|job| (job, job.bytes)))?
            .into_par_iter()
            .map(|(job, part)| self.decode_job(job, part))
            .try_reduce(Stats::default, |sum, part| Ok(sum + part))
    }

    fn decode_job(&self, job: &Job, out: &mut [u8]) -> Result<Stats> {
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
        for band in job.bands.clone() {
            for across in 0..geometry.blocks_in_band(band) {
                self.check_length(job.segment, band, across).map_err(place)?;
            }
        }
        let run = self.read_blocks(job.segment, blocks).map_err(place)?;
        let bands = job.bands.clone().map(|band| {
            let bytes = geometry.bands_bytes(&(band..band + 1));
            (band, bytes.end - bytes.start)
        });
        deal(out, bands)?
            .into_par_iter()
            .map(|(band, out)| {
                let mut stats = Stats::default();
                let mut scratch = Scratch::default();
                let mut block = Vec::new();
                for across in 0..geometry.blocks_in_band(band) {
                    let rect = geometry.rect(band, across);
                    let number = number(band, across);
                    let row_bytes = rect.cols * geometry.element.size();
                    let mut decode = |out: &mut [u8]| {
                        self.decode_in_run(
                            job.segment,
                            &run,
                            number,
                            rect,
                            &side,
                            &mut scratch,
                            out,
                        )
                    };
                    // A block as wide as its band goes straight to its place.
                    if rect.stride == rect.cols as u64 {
                        stats += decode(out)?;
                        continue;
                    }
                    block.resize(rect.rows * row_bytes, 0);
                    stats += decode(&mut block)?;
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
            .try_reduce(Stats::default, |sum, part| Ok(sum + part))
            .map_err(place)
    }

    /// Refuses a block that is longer than what it decodes to, before it is read.
    pub(super) fn check_length(&self, segment: usize, band: u64, across: u64) -> Result<()> {
        let placed = self.placed(segment)?;
        let geometry = &placed.segment.geometry;
        let number = geometry.block_number(band, across, placed.segment.side);
        let record = self.table.get(placed.first_block + number)?;
        let most = geometry.rect(band, across).elements() * geometry.element.size();
        if record.mode != Mode::Side && record.len as usize > most {
            return Err(corrupt!("block of {} bytes decodes to {most}", record.len)
                .in_block(number)
                .at_byte(record.at));
        }
        Ok(())
    }

    /// Decodes block `number` of a segment out of a run that holds it.
    #[expect(clippy::too_many_arguments, reason = "private; a struct would only rename them")]
    pub(super) fn decode_in_run(
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
        decode_block(self.level, &format, rect, &block, side, scratch, out).map_err(place)
    }

    /// The side block of a group; empty if the segment has none.
    pub(super) fn side(&self, segment: usize, group: u64) -> Result<Side> {
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
        if record.len > side::MAX_LEN {
            return Err(place(corrupt!(
                "side block of {} bytes, at most {} expected",
                record.len,
                side::MAX_LEN
            )));
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
    pub(super) fn read_blocks(&self, segment: usize, blocks: Range<u64>) -> Result<Run<'_>> {
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
    pub(super) fn read_padded(
        &self,
        start: u64,
        end: u64,
        records: &[BlockRecord],
    ) -> Result<Run<'_>> {
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

/// Deals a buffer out, to each item as many bytes as come with it.
fn deal<T>(
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
