//! What the original and its layers are decoded in: runs of bands, and packings.

use super::Reader;
use super::decode::{BATCH_BYTES, Job, deal};
use crate::container::directory::{LayerEntry, Part};
use crate::container::read_at::ReadAt;
use crate::error::Result;
use crate::options::Watch;
use crate::stats::Stats;
use rayon::prelude::*;
use std::ops::Range;

/// A piece of the original that is decoded as one.
pub(super) enum Unit {
    Bands(Job),
    Packing { number: usize, bytes: u64 },
}

impl Unit {
    /// Bytes of the original.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Unit::Bands(job) => job.bytes,
            Unit::Packing { bytes, .. } => *bytes,
        }
    }
}

impl<R: ReadAt> Reader<R> {
    /// What a part of the original is decoded in.
    fn units(&self, part: &Part) -> Result<Vec<Unit>> {
        match part.packing {
            Some(number) => {
                Ok(vec![Unit::Packing { number, bytes: part.bytes.end - part.bytes.start }])
            }
            None => Ok(self.jobs(part.segments.start)?.into_iter().map(Unit::Bands).collect()),
        }
    }

    /// What is decoded as one where byte `at` of the original lies: the band or the packing there. Ranges that begin and
    /// end with such ones have nothing decoded twice.
    pub(crate) fn unit_at(&self, at: u64) -> Result<Range<u64>> {
        let Some(part) = self.parts.within(at..at + 1).first() else { return Ok(at..at + 1) };
        if part.packing.is_some() {
            return Ok(part.bytes.clone());
        }
        let geometry = &self.placed(part.segments.start)?.segment.geometry;
        let element = (at - part.bytes.start) / geometry.element.size() as u64;
        let band = geometry.blocks_of(element, element).next().map_or(0, |(band, _)| band);
        let bytes = geometry.bands_bytes(&(band..band + 1));
        Ok(part.bytes.start + bytes.start..part.bytes.start + bytes.end)
    }

    /// What a layer is decoded in; `None` if it shares its segment with other bytes.
    pub(super) fn units_of(&self, entry: &LayerEntry) -> Result<Option<Vec<Unit>>> {
        let packings = self.parts.packings_of(entry);
        if !packings.is_empty() {
            let units = packings.iter().map(|part| self.units(part));
            return Ok(Some(units.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()));
        }
        let segment = entry.segment as usize;
        if entry.layer.bytes != self.placed(segment)?.segment.geometry.bytes() {
            return Ok(None);
        }
        Ok(Some(self.jobs(segment)?.into_iter().map(Unit::Bands).collect()))
    }

    /// All units of some parts in order, a batch at a time.
    pub(super) fn batches<'a>(
        &'a self,
        parts: &'a [Part],
    ) -> impl Iterator<Item = Result<Vec<Unit>>> + 'a {
        let units = |part| match self.units(part) {
            Ok(units) => units.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        let mut units = parts.iter().flat_map(units).peekable();
        std::iter::from_fn(move || {
            let first = match units.next()? {
                Ok(unit) => unit,
                Err(error) => return Some(Err(error)),
            };
            let mut bytes = first.bytes();
            let mut batch = vec![first];
            let fits = |unit: &Unit, bytes: u64| bytes + unit.bytes() <= BATCH_BYTES;
            while let Some(Ok(unit)) =
                units.next_if(|unit| unit.as_ref().is_ok_and(|unit| fits(unit, bytes)))
            {
                bytes += unit.bytes();
                batch.push(unit);
            }
            Some(Ok(batch))
        })
    }

    /// Decodes units one behind the other into `out`, in parallel.
    pub(super) fn decode_units(&self, units: &[Unit], out: &mut [u8]) -> Result<Stats> {
        let parts = deal(out, units.iter().map(|unit| (unit, unit.bytes())))?;
        self.decode_parts(parts, &Watch::new(&(), 0))
    }

    /// Decodes units, each into its part, in parallel.
    pub(super) fn decode_parts(
        &self,
        parts: Vec<(&Unit, &mut [u8])>,
        watch: &Watch<'_>,
    ) -> Result<Stats> {
        let (mut bands, mut packings) = (Vec::new(), Vec::new());
        for (unit, out) in parts {
            match unit {
                Unit::Bands(job) => bands.push((job, out)),
                Unit::Packing { number, bytes } => packings.push((*number, *bytes, out)),
            }
        }
        let (bands, packings) = rayon::join(
            || self.decode_bundles(bands, None, watch),
            || {
                packings
                    .into_par_iter()
                    .map(|(number, bytes, out)| {
                        watch.step(bytes, || self.decode_packing(number, out))
                    })
                    .try_reduce(Stats::default, |sum, part| Ok(sum + part))
            },
        );
        Ok(bands? + packings?)
    }
}
