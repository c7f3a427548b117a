//! A file that is a base: rows of its original. Units (bands and packings) that are wanted in part are decoded as a
//! whole, and the last of them are kept, so that reads which go through the original decode each once, however
//! both files are cut.

use super::Reader;
use super::decode::to_len;
use super::runs::Runs;
use super::units::Unit;
use super::work::{self, Work};
use crate::base::original::{OpenBase, Rows};
use crate::container::directory::Part;
use crate::container::read_at::ReadAt;
use crate::error::{Error, Result, corrupt};
use crate::pool::Pooled;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of the units that are kept, though one alone may have more, and their number.
const KEPT_BYTES: usize = 16 << 20;
const KEPT_UNITS: usize = 64;
/// Bytes of bands that are decoded as one.
const JOB_BYTES: u64 = 4 << 20;

/// The units that were wanted last, that of the newest first, by their first bytes in the original.
#[derive(Default)]
pub(super) struct Kept(Mutex<VecDeque<(u64, Arc<Pooled>)>>);

impl Kept {
    fn get(&self, start: u64) -> Option<Arc<Pooled>> {
        let mut units = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unit = units.iter().position(|(at, _)| *at == start)?;
        let unit = units.remove(unit)?;
        let bytes = Arc::clone(&unit.1);
        units.push_front(unit);
        Some(bytes)
    }

    fn put(&self, start: u64, bytes: Arc<Pooled>) {
        let mut units = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        units.retain(|(at, _)| *at != start);
        units.push_front((start, bytes));
        let mut sum = 0;
        let fits = |(_, bytes): &&(u64, Arc<Pooled>)| {
            sum += bytes.len();
            sum <= KEPT_BYTES
        };
        let few = units.iter().take(KEPT_UNITS).take_while(fits).count();
        units.truncate(few.max(1));
    }
}

/// Rows of the original, and where they go.
struct Wanted<'a> {
    /// From the first to the last of their bytes.
    hull: Range<u64>,
    runs: Runs,
    /// Whether they take all of the hull.
    joined: bool,
    out: &'a mut [u8],
}

impl Wanted<'_> {
    /// Whether these bytes of the original are wanted as a whole.
    fn has(&self, bytes: &Range<u64>) -> bool {
        self.joined && self.hull.start <= bytes.start && bytes.end <= self.hull.end
    }

    /// Their place then.
    fn place(&mut self, bytes: &Range<u64>) -> Option<&mut [u8]> {
        let place = |at: u64| (at - self.hull.start) as usize;
        self.has(bytes)
            .then(|| place(bytes.start)..place(bytes.end))
            .and_then(|of| self.out.get_mut(of))
    }
}

impl<R: ReadAt> Reader<R> {
    /// Makes the file a base, whose own bases were found. `work` is that of all of them.
    pub(crate) fn become_base(&mut self, bases: Vec<Arc<OpenBase>>, work: Arc<Work>) {
        (self.open_bases, self.work, self.kept) = (bases, work, Some(Kept::default()));
    }

    /// Rows of the original from byte `at` on, one behind the other, into `out`, which has their size.
    pub(crate) fn decode_rows(&self, at: u64, rows: Rows, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let (runs, hull) = self.runs_of_rows(at, rows)?;
        let parts = self.parts.within(hull.clone());
        let mut wanted = Wanted { hull, runs, joined: rows.joined(), out };
        for part in parts {
            match part.packing {
                Some(number) => {
                    let bytes = part.bytes.end - part.bytes.start;
                    self.give(part.bytes.start, &[Unit::Packing { number, bytes }], &mut wanted)?;
                }
                None => self.give_bands(part, &mut wanted)?,
            }
        }
        Ok(())
    }

    /// Gives the bands of a segment that have some of what is wanted.
    fn give_bands(&self, part: &Part, wanted: &mut Wanted<'_>) -> Result<()> {
        let segment = part.segments.start;
        let geometry = &self.placed(segment)?.segment.geometry;
        let size = geometry.element.size() as u64;
        let hull = wanted.hull.start.max(part.bytes.start)..wanted.hull.end.min(part.bytes.end);
        if hull.is_empty() {
            return Ok(());
        }
        let element = |byte: u64| (byte - part.bytes.start) / size;
        let mut bands = geometry.blocks_of(element(hull.start), element(hull.end - 1));
        let Some((first, _)) = bands.next() else { return Ok(()) };
        let last = bands.last().map_or(first, |(band, _)| band);
        let bytes = |bands: &Range<u64>| {
            let Range { start, end } = geometry.bands_bytes(bands);
            part.bytes.start + start..part.bytes.start + end
        };
        let mut band = first;
        while band <= last {
            // Between the first and the last band all are wanted as a whole, or none is.
            let has = |band| wanted.has(&bytes(&(band..band + 1)));
            let whole = if has(band) { last + u64::from(has(last)) } else { band };
            let bands = band..whole.max(band + 1);
            band = bands.end;
            let start = bytes(&bands).start;
            let jobs = self.jobs_of(segment, bands, JOB_BYTES)?;
            let units: Vec<Unit> = jobs.into_iter().map(Unit::Bands).collect();
            self.give(start, &units, wanted)?;
        }
        Ok(())
    }

    /// Gives what is wanted of consecutive units from byte `start` of the original on: all of several, or
    /// anything of one.
    fn give(&self, start: u64, units: &[Unit], wanted: &mut Wanted<'_>) -> Result<()> {
        let bytes: u64 = units.iter().map(Unit::bytes).sum();
        if let Some(out) = wanted.place(&(start..start + bytes)) {
            self.work.spend(self.cost(units)?)?;
            return self.decode_units(units, out).map(|_| ());
        }
        let kept = self.kept.as_ref().ok_or_else(|| corrupt!("not opened as a base"))?;
        let unit = match kept.get(start) {
            Some(unit) => unit,
            // Threads that want the same at once each decode it: one that waited for another could keep
            // that one from going on.
            None => {
                self.work.spend(self.cost(units)?)?;
                let mut unit = self.unpacked.take_len(to_len(bytes)?)?;
                self.decode_units(units, &mut unit)?;
                let unit = Arc::new(unit);
                kept.put(start, Arc::clone(&unit));
                unit
            }
        };
        wanted.runs.copy(start, &unit, wanted.out, 0);
        Ok(())
    }

    /// What decoding units costs, counted in bytes.
    fn cost(&self, units: &[Unit]) -> Result<u64> {
        let blocks =
            units.iter().try_fold(0, |sum, unit| Ok::<u64, Error>(sum + self.blocks_of(unit)?))?;
        Ok(work::cost(units.iter().map(Unit::bytes).sum(), blocks))
    }

    fn blocks_of(&self, unit: &Unit) -> Result<u64> {
        match unit {
            Unit::Bands(job) => {
                let geometry = &self.placed(job.segment)?.segment.geometry;
                Ok(job.bands.clone().map(|band| geometry.blocks_in_band(band)).sum())
            }
            Unit::Packing { number, .. } => self.packed_blocks(*number),
        }
    }

    fn packed_blocks(&self, number: usize) -> Result<u64> {
        let (packing, layout) = self.packing(Some(number))?;
        let first = packing.segment as usize;
        (first..first + layout.streams().len())
            .try_fold(0, |sum, segment| Ok(sum + self.placed(segment)?.segment.blocks()))
    }
}

#[cfg(test)]
mod tests;
